//! The ensemble as a whole: its size, its layout, and what its members do now.

use std::collections::BTreeMap;

use super::{Check, CheckItem, Scene, Subject};
use crate::config::Settings;
use crate::inspect::{HostFacts, MemberSeen};
use crate::model::{Ensemble, EnsembleMember, HostName};
use crate::plan::{EnsembleWish, Members, layouts};
use crate::zk::{MemberState, Mode};

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    items.push(address(scene));
    if scene.no_ensemble {
        return;
    }
    items.push(size(scene.ensemble));
    items.push(spread(scene.ensemble));
    layout(scene, items);
    // While the others elect a leader, none of them serves.
    let runs = |state: &MemberState| matches!(state, MemberState::Serving(_) | MemberState::NotServing);
    let anybody = scene.states.iter().any(|(_, state)| runs(state));
    items.extend(scene.states.iter().map(|(member, state)| member_state(scene, member, state, anybody)));
}

/// A cache node is told the addresses of the ensemble as they stand in the list.
fn address(scene: &Scene<'_>) -> CheckItem {
    let check = Check::new(
        "ensemble-address",
        Subject::Ensemble,
        "members are named by addresses that all hosts can use",
    );
    let remote: Vec<HostName> =
        scene.cloud.hosts().into_iter().filter(|host| !scene.this_machine.contains(host)).collect();
    let mend =
        "name the ensemble with -z host:port,…, ARCUSCTL_ZOOKEEPER or [zookeeper] servers in arcusctl.toml";
    match remote.first() {
        Some(_) if scene.no_ensemble => check.fail("no ensemble was named", mend),
        Some(host) if scene.ensemble.has_loopback() => {
            check.fail(format!("{} means another machine on {host}", scene.ensemble), mend)
        }
        _ => check.pass(scene.ensemble.to_string()),
    }
}

fn size(ensemble: &Ensemble) -> CheckItem {
    let check = Check::new("ensemble-size", Subject::Ensemble, "an odd number of members, three or more");
    let members = ensemble.members().len();
    match members {
        1 => check.warn(
            "one member: while it is down, no cache node can join",
            "set up three members on three hosts",
        ),
        2 => check.fail(
            "two members: both must run, so either one that fails stops all",
            "set up three members, or one",
        ),
        _ if members.is_multiple_of(2) => check.warn(
            format!(
                "{members} members survive the loss of {}, no more than {} do",
                members - ensemble.quorum(),
                members - 1
            ),
            "add a member or take one away",
        ),
        _ => check.pass(format!("{members} members survive the loss of {}", members - ensemble.quorum())),
    }
}

fn spread(ensemble: &Ensemble) -> CheckItem {
    let check = Check::new(
        "ensemble-spread",
        Subject::Ensemble,
        "no host has so many members that its loss ends the quorum",
    );
    let mut counts: BTreeMap<&HostName, usize> = BTreeMap::new();
    for member in ensemble.members() {
        *counts.entry(&member.host).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count);
    let bearable = ensemble.members().len() - ensemble.quorum();
    match most {
        // The loss of the only member is told with the size.
        Some((host, count)) if *count > bearable && ensemble.members().len() > 2 => check.warn(
            format!("{count} of {} are on {host}", ensemble.members().len()),
            "spread the members over more hosts",
        ),
        _ => check.pass(format!("on {} host(s)", counts.len())),
    }
}

/// The ids that members have, and the ports that they get, must not clash.
fn layout(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    let check =
        || Check::new("ensemble-layout", Subject::Ensemble, "every member has an id and ports of its own");
    let laid_out = laid_out(scene.ensemble, scene.settings, |member| scene.facts(&member.host));
    match laid_out {
        Err(failures) => items.extend(failures.as_slice().iter().map(|failure| check().fail_as(failure))),
        Ok(layouts) => {
            let seen =
                |member: &EnsembleMember| scene.facts(&member.host).and_then(|facts| facts.id_of(member));
            let kept = layouts.iter().filter(|layout| seen(&layout.member) == Some(layout.id)).count();
            items.push(check().pass(format!("{} members, {kept} of them with an id already", layouts.len())));
        }
    }
}

fn laid_out<'f>(
    ensemble: &Ensemble,
    settings: &Settings,
    facts: impl Fn(&EnsembleMember) -> Option<&'f HostFacts>,
) -> Result<Vec<crate::plan::MemberLayout>, crate::error::Failures> {
    let seen = |member: &EnsembleMember| MemberSeen {
        myid: facts(member).and_then(|facts| facts.id_of(member)),
        config: None,
        has_data: false,
        pid: None,
        installed: true,
        java: true,
    };
    let members: Members = ensemble
        .members()
        .iter()
        .map(|member| (member.clone(), MemberState::NotServing, Ok(seen(member))))
        .collect();
    layouts(&EnsembleWish::new(ensemble, settings), &members)
}

fn member_state(scene: &Scene<'_>, member: &EnsembleMember, state: &MemberState, anybody: bool) -> CheckItem {
    let check =
        Check::new("member-state", Subject::Member(member.clone()), "the member serves, or can be started");
    let start = if anybody { "arcusctl zookeeper start" } else { "arcusctl zookeeper init" };
    let size = scene.ensemble.members().len();
    match state {
        MemberState::Serving(stats) if size > 1 && stats.mode == Mode::Standalone => check.fail(
            format!("serves alone, though the ensemble list has {size} members"),
            "see what would change: arcusctl zookeeper init --dry-run",
        ),
        MemberState::Serving(stats) => check.pass(format!("serves, version {}", stats.version)),
        MemberState::Down { .. } if anybody => check.warn("does not run", format!("start it: {start}")),
        MemberState::Down { .. } => check.warn("is not started yet", format!("set the ensemble up: {start}")),
        MemberState::NotServing => check.warn("runs without a quorum", format!("start the others: {start}")),
        MemberState::Unreachable { reason } => check.fail(
            format!("cannot be reached from here: {reason}"),
            "see whether its host is up, and open its client port in the firewalls; arcusctl talks to it itself",
        ),
        MemberState::Strange { .. } | MemberState::Silent => check.fail(
            state.describe(),
            "end what has its client port, or let ZooKeeper answer: 4lw.commands.whitelist must have srvr",
        ),
    }
}

//! Restarting members one at a time, so that the ensemble serves all the while: followers first, the leader last.

use std::collections::{BTreeMap, BTreeSet};

use super::ensemble::{restart_at_once, unfit};
use super::zoo_cfg::{ServerList, server_list};
use super::{Action, EnsembleWish, Gate, MemberLayout, Members, Plan, Risk, Step, Target, Voters, layouts};
use crate::error::{Failure, Failures};
use crate::model::EnsembleMember;
use crate::zk::{MemberState, Mode};

/// Fewer members have no quorum without any one of them.
const FEWEST: usize = 3;

/// Plans `zookeeper restart`: one of the `selected` members after the other, each in sync again before the next one is
/// touched. What is down is brought up first; it takes no vote away. `running` are the servers that members run with.
///
/// # Errors
/// When ids or ports clash, or when the ensemble would lose its quorum on the way.
pub fn restart_rolling(
    wish: &EnsembleWish,
    members: &Members,
    running: &BTreeMap<EnsembleMember, ServerList>,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let serving = members.iter().filter(|(_, state, _)| matches!(state, MemberState::Serving(_))).count();
    if serving < wish.ensemble.quorum() {
        // One by one they would not come up: each would wait for a quorum that the others are to make.
        let mut plan = restart_at_once(wish, members, selected)?;
        plan.notes
            .push("the ensemble has no quorum now, so nothing is lost by restarting all at once".to_owned());
        return Ok(plan);
    }
    refuse_other_servers(members, running, selected)?;
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper restart");
    let mut cycles: Vec<(u8, &MemberLayout, bool)> = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !selected.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) if seen.config.is_none() => plan.problem(
                target,
                Failure::refused(format!("{member}: has no zoo.cfg yet"))
                    .hint("set the ensemble up first: arcusctl zookeeper init"),
            ),
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure) => plan.problem(target, failure),
                None => cycles.push((turn(state), layout, seen.pid.is_some())),
            },
        }
    }
    cycles.sort_by_key(|(turn, ..)| *turn);
    refuse_loss(members, cycles.iter().filter(|(turn, ..)| *turn > 0).map(|(_, layout, _)| &layout.member))?;
    let voters = Voters(wish.ensemble.members().to_vec());
    let running = cycles.iter().filter(|(.., runs)| *runs).count();
    for (turn, layout, runs) in cycles {
        let keep = if turn > 0 { vec![voters.clone()] } else { Vec::new() };
        let action = Action::CycleMember { layout: layout.clone(), runs, config: None, keep };
        let step = Step::new(Target::Member(layout.member.clone()), action);
        plan.gated_stage("Restart", Gate::Unbroken, vec![step]);
    }
    if running > 0 {
        plan.risk = Risk::Interrupts { what: one_at_a_time(running) };
    }
    Ok(plan)
}

/// What restarting so many members in turn costs.
pub(super) fn one_at_a_time(members: usize) -> String {
    format!(
        "{members} running ZooKeeper member(s) will be restarted, one at a time; the ensemble keeps its quorum, and \
         clients of a member that goes down move to another"
    )
}

/// When a member's turn is: what serves nobody first, the leader last.
pub(super) fn turn(state: &MemberState) -> u8 {
    match state.stats().map(|stats| stats.mode) {
        None => 0,
        Some(Mode::Leader | Mode::Standalone) => 2,
        Some(_) => 1,
    }
}

/// A member that would come up with other servers changes the ensemble, and may find no leader among them.
fn refuse_other_servers(
    members: &Members,
    running: &BTreeMap<EnsembleMember, ServerList>,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<(), Failures> {
    let common: BTreeSet<&ServerList> = running.values().collect();
    let failures = members.iter().filter(|(member, ..)| selected.contains(member)).filter_map(|(member, _, seen)| {
        let written = server_list(seen.as_ref().ok()?.config.as_deref()?);
        let now = running.get(member).or_else(|| common.first().copied().filter(|_| common.len() == 1))?;
        // A server that was reconfigured keeps its list elsewhere, and one that serves alone runs with none.
        if written.is_empty() || now.is_empty() || written == *now {
            return None;
        }
        let failure = Failure::refused(format!("{member}: its zoo.cfg has other servers than the members run with"))
            .cause("a restart would change the ensemble with it, by more than one member perhaps")
            .hint("see which: arcusctl zookeeper status; members come and go by zookeeper add and zookeeper remove, which also finish what was cut short")
            .hint("if its zoo.cfg is what all are to have, restart them all at once: --all");
        Some(failure)
    });
    Failures::none_of(failures.collect())
}

/// Taking any one of `taken` away must leave a majority of `members` that serves.
fn refuse_loss<'a>(
    members: &Members,
    taken: impl Iterator<Item = &'a EnsembleMember>,
) -> Result<(), Failures> {
    let size = members.len();
    let quorum = size / 2 + 1;
    let (serving, down): (Vec<_>, Vec<_>) =
        members.iter().partition(|(_, state, _)| matches!(state, MemberState::Serving(_)));
    let lost: Vec<String> = taken.map(ToString::to_string).collect();
    if lost.is_empty() || serving.len() > quorum {
        return Ok(());
    }
    let failure = if size < FEWEST {
        let why = if size == 1 {
            "a server that serves alone has nobody to serve in its place".to_owned()
        } else {
            format!("a quorum of {size} members needs {quorum}, so none of them can be done without")
        };
        Failure::refused("the ensemble cannot be restarted without an interruption").cause(why)
    } else {
        let down = down.iter().map(|(member, state, _)| format!("{member} is {}", state.describe()));
        let down: Vec<String> = down.collect();
        Failure::refused(format!("restarting {} would cost the ensemble its quorum", lost.join(", ")))
            .cause(format!(
                "{} of {size} members serve, and a quorum needs {quorum}: {}",
                serving.len(),
                down.join("; ")
            ))
            .hint("bring up what is down first: arcusctl zookeeper start")
    };
    Err(failure.hint("to interrupt the ensemble and restart them all at once: --all").into())
}

#[cfg(test)]
#[path = "ensemble_rolling_tests.rs"]
mod tests;

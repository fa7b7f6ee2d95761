//! Restarting members one at a time, so that the ensemble serves all the while: followers first, the leader last.

use std::collections::{BTreeMap, BTreeSet};

use super::ensemble::{restart_at_once, unconfigured, unfit};
use super::zoo_cfg::{ServerList, is_reconfigured, list_of, server_list};
use super::{Action, EnsembleWish, Gate, MemberLayout, Members, Plan, Risk, Step, Target, Voters, layouts};
use crate::error::{Failure, Failures};
use crate::inspect::MemberSeen;
use crate::model::EnsembleMember;
use crate::zk::{MemberState, Mode};

/// Fewer members have no quorum without any one of them.
const FEWEST: usize = 3;

/// Plans `zookeeper restart`: one of the `selected` members after the other, each in sync again before the next one is
/// touched. What is down is brought up first; it takes no vote away. `running` are the servers that members run with:
/// by these votes are counted, and not by what the operator lists.
///
/// # Errors
/// When ids or ports clash, when a member runs with others than those listed, and when the ensemble would lose its quorum
/// on the way or may have one that was not seen.
pub fn restart_rolling(
    wish: &EnsembleWish,
    members: &Members,
    running: &BTreeMap<EnsembleMember, ServerList>,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    refuse_untold(members, running)?;
    let layouts = layouts(wish, members)?;
    if running.is_empty() {
        refuse_unseen_quorum(members, &layouts)?;
        // One by one they would not come up: each would wait for a quorum that the others are to make.
        let mut plan = restart_at_once(wish, members, selected)?;
        plan.notes
            .push("the ensemble has no quorum now, so nothing is lost by restarting all at once".to_owned());
        return Ok(plan);
    }
    refuse_unlisted(running, &layouts)?;
    refuse_other_servers(members, running, selected)?;
    let keep = voters(running, &layouts);
    let mut plan = Plan::new("zookeeper restart");
    let mut cycles: Vec<(u8, &MemberLayout, bool)> = Vec::new();
    let mut taken = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !selected.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) if seen.config.is_none() => plan.problem(target, unconfigured(member)),
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure) => plan.problem(target, failure),
                None => {
                    if may_vote(state, seen) {
                        taken.push(member);
                    }
                    cycles.push((turn(state), layout, seen.pid.is_some()));
                }
            },
        }
    }
    cycles.sort_by_key(|(turn, ..)| *turn);
    refuse_loss(members, &keep, &taken)?;
    let running = cycles.iter().filter(|(.., runs)| *runs).count();
    for (_, layout, runs) in cycles {
        let action = Action::CycleMember { layout: layout.clone(), runs, config: None, keep: keep.clone() };
        let step = Step::new(Target::Member(layout.member.clone()), action);
        plan.gated_stage("Restart", Gate::Unbroken, vec![step]);
    }
    if running > 0 {
        plan.risk = Risk::Interrupts { what: one_at_a_time(running) };
    }
    Ok(plan)
}

/// A process that did not answer here may be one whose vote the others count; one that says so itself has none.
fn may_vote(state: &MemberState, seen: &MemberSeen) -> bool {
    seen.pid.is_some() && !matches!(state, MemberState::NotServing | MemberState::Down { .. })
}

/// A member that serves and does not tell its list may count other votes than everybody else.
pub(super) fn refuse_untold(
    members: &Members,
    running: &BTreeMap<EnsembleMember, ServerList>,
) -> Result<(), Failures> {
    let untold =
        members.iter().filter(|(member, state, _)| state.stats().is_some() && !running.contains_key(member));
    let failures = untold.map(|(member, ..)| {
        Failure::unreachable(format!("{member}: serves, but does not tell which servers it runs with"))
            .cause("neither its answer to conf nor its /zookeeper/config came in time; votes are counted by that list")
            .hint("run the command again; if it stays so, see its log and: arcusctl zookeeper status")
    });
    Failures::none_of(failures.collect())
}

/// Where nobody answers that serves, there may still be a quorum that cannot be asked from here. There is none for certain
/// when too many have no process.
fn refuse_unseen_quorum(members: &Members, layouts: &[MemberLayout]) -> Result<(), Failures> {
    let has_process = |id: u32| {
        let place = layouts.iter().position(|layout| layout.id == id);
        place.is_none_or(|place| members[place].2.as_ref().map_or(true, |seen| seen.pid.is_some()))
    };
    let written =
        members.iter().filter_map(|(.., seen)| Some(server_list(seen.as_ref().ok()?.config.as_deref()?)));
    let lists = written.filter(|list| !list.is_empty()).chain([list_of(layouts)]);
    let possible = lists.into_iter().any(|list| {
        let voters: Vec<u32> =
            list.iter().filter(|(_, server)| !server.observer).map(|(id, _)| *id).collect();
        voters.iter().filter(|id| has_process(**id)).count() > voters.len() / 2
    });
    if !possible {
        return Ok(());
    }
    let said = members.iter().map(|(member, state, seen)| {
        let process = match seen {
            Ok(seen) if seen.pid.is_some() => "its process runs",
            Ok(_) => "it has no process",
            Err(_) => "its host cannot be looked at",
        };
        format!("{member} is {}, {process}", state.describe())
    });
    Err(Failure::refused("no member answers as one that serves, and yet there may be a quorum")
        .cause(said.collect::<Vec<_>>().join("; "))
        .hint(
            "they may be electing a leader: run the command again in a moment; see arcusctl zookeeper status",
        )
        .hint("see that this host reaches the members' client ports")
        .hint("to interrupt the ensemble and restart them all at once: --all")
        .into())
}

/// Votes are counted by the lists that members run with; who is on them must be known here, and nobody else listed.
fn refuse_unlisted(
    running: &BTreeMap<EnsembleMember, ServerList>,
    layouts: &[MemberLayout],
) -> Result<(), Failures> {
    let voting = |list: &ServerList| -> Vec<String> {
        let unlisted = list
            .iter()
            .filter(|(id, server)| !server.observer && !layouts.iter().any(|layout| layout.id == **id));
        unlisted.map(|(id, server)| format!("server.{id}={server}")).collect()
    };
    let strangers: BTreeSet<String> = running.values().flat_map(voting).collect();
    // One that serves alone runs with no list.
    let counted = |layout: &MemberLayout| {
        running.get(&layout.member).is_some_and(ServerList::is_empty)
            || running.values().any(|list| list.contains_key(&layout.id))
    };
    let nobodies: Vec<String> =
        layouts.iter().filter(|layout| !counted(layout)).map(|layout| layout.member.to_string()).collect();
    let mut causes = Vec::new();
    if !strangers.is_empty() {
        let strangers: Vec<String> = strangers.into_iter().collect();
        causes.push(format!("members run with {}, which is nobody that is listed", strangers.join(", ")));
    }
    if !nobodies.is_empty() {
        causes.push(format!("no member runs with {}", nobodies.join(", ")));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::refused("the ensemble list and what the members run with differ")
        .cause(causes.join("; "))
        .cause("a quorum is one of those whom the members run with")
        .hint("list the members as they run: -z host:port,…; see arcusctl zookeeper status")
        .hint("a change that was cut short is finished by giving it again: arcusctl zookeeper add, zookeeper remove")
        .into())
}

/// Of each list that members run with, those who vote.
fn voters(running: &BTreeMap<EnsembleMember, ServerList>, layouts: &[MemberLayout]) -> Vec<Voters> {
    let mut all: Vec<Voters> = Vec::new();
    for (member, list) in running {
        let votes = |layout: &&MemberLayout| match list.get(&layout.id) {
            Some(server) => !server.observer,
            None => list.is_empty() && layout.member == *member,
        };
        let voters = Voters(layouts.iter().filter(votes).map(|layout| layout.member.clone()).collect());
        if !all.contains(&voters) {
            all.push(voters);
        }
    }
    all
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
        let config = seen.as_ref().ok()?.config.as_deref()?;
        // What ZooKeeper itself keeps there it also brings up to date.
        if is_reconfigured(config) {
            return None;
        }
        let written = server_list(config);
        let now = running.get(member).or_else(|| common.first().copied().filter(|_| common.len() == 1))?;
        // One that serves alone runs with none.
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

/// Taking any one of `taken` away must leave a majority of each of `keep` that serves.
fn refuse_loss(members: &Members, keep: &[Voters], taken: &[&EnsembleMember]) -> Result<(), Failures> {
    let serves = |voter: &EnsembleMember| {
        members.iter().any(|(member, state, _)| member == voter && matches!(state, MemberState::Serving(_)))
    };
    let left = |voters: &Voters, gone: &EnsembleMember| {
        voters.0.iter().filter(|voter| *voter != gone && serves(voter)).count()
    };
    let short = |voters: &&Voters| taken.iter().any(|gone| left(voters, gone) < voters.quorum());
    let Some(voters) = keep.iter().find(short) else { return Ok(()) };
    let (size, quorum) = (voters.0.len(), voters.quorum());
    let failure = if size < FEWEST {
        let why = if size == 1 {
            "a server that serves alone has nobody to serve in its place".to_owned()
        } else {
            format!("a quorum of {size} members needs {quorum}, so none of them can be done without")
        };
        Failure::refused("the ensemble cannot be restarted without an interruption").cause(why)
    } else {
        let down = members.iter().filter(|(member, ..)| voters.0.contains(member) && !serves(member));
        let down: Vec<String> =
            down.map(|(member, state, _)| format!("{member} is {}", state.describe())).collect();
        let lost: Vec<String> = taken.iter().map(ToString::to_string).collect();
        Failure::refused(format!("restarting {} would cost the ensemble its quorum", lost.join(", ")))
            .cause(format!(
                "{} of {size} members serve, and a quorum needs {quorum}: {}",
                size - down.len(),
                down.join("; ")
            ))
            .hint("bring up what is down first: arcusctl zookeeper start")
    };
    Err(failure.hint("to interrupt the ensemble and restart them all at once: --all").into())
}

#[cfg(test)]
#[path = "ensemble_rolling_tests.rs"]
mod tests;

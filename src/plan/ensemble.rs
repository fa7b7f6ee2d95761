//! Bringing the ensemble up and taking it down.

use std::collections::BTreeSet;

use super::{
    Action, EnsembleWish, MemberLayout, Members, Plan, Risk, Step, Target, create_structure, layouts, zoo_cfg,
};
use crate::error::{Failure, Failures};
use crate::inspect::MemberSeen;
use crate::model::EnsembleMember;
use crate::zk::{MemberState, Mode};

/// Plans `zookeeper init`: configuration, start, quorum, base znodes. `structure` is what exists below `/arcus`, when
/// the ensemble could be asked.
///
/// # Errors
/// When ids or ports clash, or too few members can be reached to ever make a quorum.
pub fn init(
    wish: &EnsembleWish,
    members: &Members,
    structure: Option<&BTreeSet<String>>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    refuse_standalone(wish, members)?;
    refuse_outvoted_data(wish, members)?;
    refuse_other_members(&layouts, members)?;
    let mut plan = Plan::new("zookeeper init");
    let usable = usable_members(&mut plan, members);
    require_quorum(wish, &plan, usable.len())?;
    let mut configure = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        let Some(seen) = seen.as_ref().ok().filter(|_| usable.contains(member)) else { continue };
        let target = Target::Member(member.clone());
        let wanted = zoo_cfg::render(layout, &layouts, &wish.settings.properties);
        let reconfigured = seen.config.as_deref().is_some_and(zoo_cfg::is_reconfigured);
        let same =
            seen.config.as_deref().is_some_and(|config| zoo_cfg::parse(config) == zoo_cfg::parse(&wanted));
        if reconfigured {
            plan.notes.push(format!(
                "{member}: ZooKeeper manages its zoo.cfg itself (it was reconfigured at run time); it is left alone"
            ));
        }
        let config = (!same && !reconfigured).then_some(wanted);
        let myid = seen.myid.is_none().then_some(layout.id);
        if config.is_some() && matches!(state, MemberState::Serving(_) | MemberState::NotServing) {
            plan.notes.push(format!(
                "{member}: runs with another zoo.cfg; the new one takes effect with: arcusctl zookeeper restart --member {member}"
            ));
        }
        if config.is_none() && myid.is_none() {
            plan.hold(target, format!("is configured as server {}", layout.id));
        } else {
            configure
                .push(Step::new(target, Action::ConfigureMember { layout: layout.clone(), myid, config }));
        }
    }
    plan.stage("Configure", configure);
    add_starts(wish, &mut plan, &layouts, members, &usable);
    match structure {
        Some(present) if create_structure(present).is_empty() => {
            plan.hold(Target::Tree, "the base znodes below /arcus exist");
        }
        _ => plan.stage("Znodes", vec![Step::new(Target::Ensemble, Action::CreateStructure)]),
    }
    Ok(plan)
}

/// Plans `zookeeper start` for the `selected` members.
///
/// # Errors
/// When ids or ports clash.
pub fn start_members(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    refuse_standalone(wish, members)?;
    let mut plan = Plan::new("zookeeper start");
    let mut usable = usable_members(&mut plan, members);
    plan.problems.retain(|problem| is_selected(&problem.target, selected));
    usable.retain(|member| selected.contains(member));
    refuse_unconfigured(&mut plan, members, &mut usable);
    add_starts(wish, &mut plan, &layouts, members, &usable);
    Ok(plan)
}

/// Plans `zookeeper stop` for the `selected` members.
///
/// # Errors
/// When ids or ports clash.
pub fn stop_members(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper stop");
    add_stops(&mut plan, &layouts, members, selected);
    Ok(plan)
}

/// Plans `zookeeper restart --all`: stops the `selected` members all at once, then starts them.
///
/// # Errors
/// When ids or ports clash.
pub fn restart_at_once(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper restart");
    let mut usable: BTreeSet<EnsembleMember> = members
        .iter()
        .filter(|(member, _, seen)| selected.contains(member) && seen.is_ok())
        .map(|(member, ..)| member.clone())
        .collect();
    add_stops(&mut plan, &layouts, members, selected);
    plan.holds.clear();
    refuse_unconfigured(&mut plan, members, &mut usable);
    let start = layouts
        .iter()
        .filter(|layout| usable.contains(&layout.member))
        .map(|layout| {
            Step::new(Target::Member(layout.member.clone()), Action::StartMember { layout: layout.clone() })
        })
        .collect();
    plan.stage("Start", start);
    add_quorum(wish, &mut plan, &usable);
    Ok(plan)
}

/// A member that serves alone while several are wanted has the data; the others would make an ensemble without it.
fn refuse_standalone(wish: &EnsembleWish, members: &Members) -> Result<(), Failures> {
    let alone = |state: &MemberState| state.stats().is_some_and(|stats| stats.mode == Mode::Standalone);
    let several = wish.ensemble.members().len() > 1;
    let failures = members.iter().filter(|(_, state, _)| several && alone(state)).map(|(member, ..)| {
        Failure::refused(format!("{member}: serves alone, it is no member of an ensemble"))
            .cause("the other members would agree among themselves on an empty tree, and this one's znodes would be lost")
            .hint(format!("grow it by one member at a time: arcusctl -z {member} zookeeper add HOST:PORT --all"))
    });
    Failures::none_of(failures.collect())
}

/// New members must never be a quorum among themselves: they would agree on an empty tree before the one with the data
/// takes part.
fn refuse_outvoted_data(wish: &EnsembleWish, members: &Members) -> Result<(), Failures> {
    let seen: Vec<_> =
        members.iter().filter_map(|(member, _, seen)| Some((member, seen.as_ref().ok()?))).collect();
    let with_data: Vec<String> =
        seen.iter().filter(|(_, seen)| seen.has_data).map(|(member, _)| member.to_string()).collect();
    let new: Vec<String> = seen
        .iter()
        .filter(|(_, seen)| !seen.has_data && seen.pid.is_none())
        .map(|(member, _)| member.to_string())
        .collect();
    if with_data.is_empty() || new.len() < wish.ensemble.quorum() {
        return Ok(());
    }
    Err(Failure::refused("the new members would be a majority without the znodes that there are")
        .cause(format!("only {} keeps znodes; {} keep none", with_data.join(", "), new.join(", ")))
        .hint("add one member at a time, so that every quorum has one with the data in it")
        .hint("if that data is not wanted, move its version-2 directory away")
        .into())
}

/// Members that run count votes by the list that they were started with; another one is theirs only member by member.
fn refuse_other_members(layouts: &[MemberLayout], members: &Members) -> Result<(), Failures> {
    let wanted = zoo_cfg::list_of(layouts);
    let failures = members.iter().filter_map(|(member, _, seen)| {
        let seen = seen.as_ref().ok().filter(|seen| seen.pid.is_some())?;
        let written = zoo_cfg::server_list(seen.config.as_deref()?);
        // One alone, and one that was reconfigured at run time, have none.
        if written.is_empty() || written.keys().eq(wanted.keys()) {
            return None;
        }
        let ids = |list: &zoo_cfg::ServerList| list.keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let (written, wanted) = (ids(&written), ids(&wanted));
        let failure = Failure::refused(format!("{member}: runs as one of other members than those listed"))
            .cause(format!("its zoo.cfg has the servers {written}, and the ensemble list comes to {wanted}"))
            .hint("list the ensemble as it is, and change it by one member at a time: arcusctl zookeeper add, zookeeper remove");
        Some(failure)
    });
    Failures::none_of(failures.collect())
}

fn is_selected(target: &Target, selected: &BTreeSet<EnsembleMember>) -> bool {
    !matches!(target, Target::Member(member) if !selected.contains(member))
}

/// Members whose host can be used; the others become problems.
fn usable_members(plan: &mut Plan, members: &Members) -> BTreeSet<EnsembleMember> {
    let mut usable = BTreeSet::new();
    for (member, state, seen) in members {
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure) => plan.problem(target, failure),
                None => {
                    usable.insert(member.clone());
                }
            },
        }
    }
    usable
}

pub(super) fn unfit(member: &EnsembleMember, state: &MemberState, seen: &MemberSeen) -> Option<Failure> {
    let occupied = match state {
        MemberState::Serving(_) | MemberState::NotServing | MemberState::Silent => seen.pid.is_none(),
        MemberState::Strange { .. } => true,
        MemberState::Down { .. } | MemberState::Unreachable { .. } => false,
    };
    if occupied {
        return Some(
            Failure::refused(format!(
                "{member}: its port is taken by a process that this install does not own"
            ))
            .cause(format!(
                "it {}",
                match state {
                    MemberState::Strange { .. } | MemberState::Silent => state.describe(),
                    _ => "is a ZooKeeper server of another installation".to_owned(),
                }
            ))
            .hint("stop that process, or choose another client port in the ensemble list"),
        );
    }
    if seen.pid.is_some() {
        return None;
    }
    if !seen.installed {
        return Some(
            Failure::refused(format!("{member}: ZooKeeper is not installed there"))
                .cause("zookeeper/bin/zkServer.sh is missing below the install path")
                .hint("deploy first: arcusctl deploy CONF --package FILE"),
        );
    }
    if !seen.java {
        return Some(
            Failure::refused(format!("{member}: there is no java on the host"))
                .cause("neither JAVA_HOME nor PATH, also as /etc/profile sets them, leads to one")
                .hint("install a Java runtime, 1.8 or newer (Debian: default-jre-headless)"),
        );
    }
    None
}

fn require_quorum(wish: &EnsembleWish, plan: &Plan, usable: usize) -> Result<(), Failures> {
    let quorum = wish.ensemble.quorum();
    if usable >= quorum {
        return Ok(());
    }
    let mut failures: Vec<Failure> = plan.problems.iter().map(|problem| problem.failure.clone()).collect();
    let all = wish.ensemble.members().len();
    let kind = failures.first().map_or(crate::error::FailureKind::Unreachable, |first| first.kind);
    failures.push(
        Failure::new(kind, format!("only {usable} of {all} members can be used; a quorum needs {quorum}"))
            .hint("mend what is named above and run the command again; nothing was changed"),
    );
    Failures::none_of(failures)
}

fn refuse_unconfigured(plan: &mut Plan, members: &Members, usable: &mut BTreeSet<EnsembleMember>) {
    for (member, _, seen) in members {
        let configured = seen.as_ref().is_ok_and(|seen| seen.config.is_some());
        if !configured && usable.remove(member) {
            plan.problem(Target::Member(member.clone()), unconfigured(member));
        }
    }
}

pub(super) fn unconfigured(member: &EnsembleMember) -> Failure {
    Failure::refused(format!("{member}: has no zoo.cfg yet"))
        .hint("set the ensemble up first: arcusctl zookeeper init")
}

fn add_starts(
    wish: &EnsembleWish,
    plan: &mut Plan,
    layouts: &[MemberLayout],
    members: &Members,
    usable: &BTreeSet<EnsembleMember>,
) {
    let mut start = Vec::new();
    let mut waiting = BTreeSet::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !usable.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        let running = seen.as_ref().is_ok_and(|seen| seen.pid.is_some());
        match state {
            MemberState::Serving(stats) => plan.hold(target, format!("serves as {}", stats.mode.as_str())),
            _ if running => {
                waiting.insert(member.clone());
            }
            _ => {
                waiting.insert(member.clone());
                start.push(Step::new(target, Action::StartMember { layout: layout.clone() }));
            }
        }
    }
    plan.stage("Start", start);
    add_quorum(wish, plan, &waiting);
}

fn add_quorum(wish: &EnsembleWish, plan: &mut Plan, waiting: &BTreeSet<EnsembleMember>) {
    if waiting.is_empty() {
        return;
    }
    let members =
        wish.ensemble.members().iter().filter(|member| waiting.contains(*member)).cloned().collect();
    let action = Action::AwaitQuorum { members, quorum: wish.ensemble.quorum() };
    plan.stage("Quorum", vec![Step::new(Target::Ensemble, action)]);
}

fn add_stops(
    plan: &mut Plan,
    layouts: &[MemberLayout],
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) {
    let mut stop = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !selected.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) if seen.pid.is_some() => {
                stop.push(Step::new(target, Action::StopMember { layout: layout.clone() }));
            }
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure)
                    if !matches!(state, MemberState::Down { .. } | MemberState::Unreachable { .. }) =>
                {
                    plan.problem(target, failure);
                }
                _ => plan.hold(target, "is not running"),
            },
        }
    }
    if !stop.is_empty() {
        plan.risk = Risk::Interrupts { what: interruption(members, stop.len()) };
    }
    plan.stage("Stop", stop);
}

/// What stopping so many members means for those who use the ensemble.
fn interruption(members: &Members, stopped: usize) -> String {
    let serving = members.iter().filter(|(_, state, _)| matches!(state, MemberState::Serving(_))).count();
    let quorum = members.len() / 2 + 1;
    if serving >= quorum && serving.saturating_sub(stopped) < quorum {
        format!("{stopped} running ZooKeeper member(s) will stop, and the ensemble will have no quorum")
    } else {
        format!("{stopped} running ZooKeeper member(s) will stop")
    }
}

#[cfg(test)]
#[path = "ensemble_tests.rs"]
mod tests;

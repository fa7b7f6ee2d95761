//! Restarting cache nodes: which, in what order, and what it costs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::nodes::{foreign, refuse_loopback, shared};
use super::rolling::{least_seconds, restart_steps};
use super::{NodeRestart, NodesSeen, Pace, Plan, ProcessId, Risk, Rounds, Selection, Target};
use crate::error::{Failure, Failures};
use crate::inspect::RegisteredNode;
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode, human_seconds};
use crate::ring::Ring;

/// What is wanted of a restart.
#[derive(Clone, Debug)]
pub struct RestartWish<'a> {
    pub code: &'a ServiceCode,
    pub ensemble: &'a Ensemble,
    pub selection: &'a Selection,
    pub manner: Manner,
    /// Nodes that were started within this time were restarted by the run that is gone on with.
    pub since: Option<Duration>,
}

/// How to go about a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Round by round.
    Rolling(Pace),
    /// All nodes at the same time, each drained for so many seconds.
    AllAtOnce { drain: u16 },
}

/// The selected nodes, by what becomes of them.
#[derive(Debug, Default)]
struct Sorted {
    /// They are no members, or nothing of them runs.
    out: Vec<NodeRestart>,
    /// They run and are members.
    serving: Vec<NodeRestart>,
}

/// Plans to restart the selected nodes of `code`: first those that are out are brought back, then those that serve go
/// through it, round by round.
///
/// # Errors
/// When a selected node is not registered, nodes elsewhere would be told a loopback address for ZooKeeper, or more nodes
/// would be out at once than may be.
pub fn restart_nodes(
    wish: &RestartWish<'_>,
    registered: &[RegisteredNode],
    seen: &NodesSeen,
) -> Result<Plan, Failures> {
    let known: BTreeSet<NodeAddr> = registered.iter().map(|node| node.addr).collect();
    wish.selection.check(wish.code, &known)?;
    let selected: Vec<&RegisteredNode> =
        registered.iter().filter(|node| wish.selection.contains(node.addr)).collect();
    refuse_loopback(wish.ensemble, &selected, seen)?;
    let mut plan = Plan::new("memcached restart");
    let mut sorted = Sorted::default();
    for node in selected {
        sort(&mut plan, &mut sorted, wish, node, seen);
    }
    note_unregistered(&mut plan, wish, &known, seen);
    match wish.manner {
        Manner::Rolling(pace) => {
            let mapped = registered.iter().filter(|node| node.mapped).map(|node| node.addr).collect();
            roll(&mut plan, wish, pace, &sorted, &mapped, seen)?;
        }
        Manner::AllAtOnce { drain } => {
            let all: Vec<NodeRestart> = sorted.out.iter().chain(&sorted.serving).cloned().collect();
            plan.stage("Restart", restart_steps(wish.code, wish.ensemble, drain, &all));
        }
    }
    plan.risk = risk(&plan, wish, &sorted, seen);
    Ok(plan)
}

fn sort(
    plan: &mut Plan,
    sorted: &mut Sorted,
    wish: &RestartWish<'_>,
    node: &RegisteredNode,
    seen: &NodesSeen,
) {
    let target = Target::Node(node.addr);
    let restart = match restart_of(node, wish.ensemble, seen) {
        Ok(restart) => restart,
        Err(failure) => return plan.problem(target, failure),
    };
    let Some(process) = restart.process.filter(|_| seen.members.contains_key(&node.addr)) else {
        return sorted.out.push(restart);
    };
    let age = seen.age(node.addr, process);
    if wish.since.zip(age).is_some_and(|(since, age)| age < since) {
        plan.hold(target, format!("was restarted by that run already (pid {})", process.pid));
    } else {
        sorted.serving.push(restart);
    }
}

/// How a node is restarted.
///
/// # Errors
/// When it cannot be: its host cannot be looked at, its process is not ours to stop, or what to start it with is not known.
pub(super) fn restart_of(
    node: &RegisteredNode,
    ensemble: &Ensemble,
    seen: &NodesSeen,
) -> Result<NodeRestart, Failure> {
    let addr = node.addr;
    if let Some(owner) = seen.others.get(&addr) {
        return Err(shared(addr, owner));
    }
    let host = HostName::from(addr.ip);
    let process = seen.on_port(&host, addr)?;
    if let Some(process) = process.filter(|process| !seen.owns(process, addr, ensemble)) {
        return Err(foreign(addr, process));
    }
    Ok(NodeRestart {
        addr,
        process: process.map(|process| ProcessId { pid: process.pid, started: process.started }),
        options: node.options.clone()?,
        // The session of a living process ends with it.
        old_session: process.map_or_else(|| seen.members.get(&addr).cloned(), |_| None),
    })
}

/// They run as nodes of the cloud and would not come back: only what is registered can join.
fn note_unregistered(
    plan: &mut Plan,
    wish: &RestartWish<'_>,
    registered: &BTreeSet<NodeAddr>,
    seen: &NodesSeen,
) {
    let strangers: Vec<String> = seen
        .members
        .keys()
        .filter(|addr| !registered.contains(addr) && *wish.selection == Selection::All)
        .map(ToString::to_string)
        .collect();
    if !strangers.is_empty() {
        plan.notes.push(format!(
            "{}: left alone; not registered, so it could not join again (see arcusctl memcached list {})",
            strangers.join(", "),
            wish.code
        ));
    }
}

fn roll(
    plan: &mut Plan,
    wish: &RestartWish<'_>,
    pace: Pace,
    sorted: &Sorted,
    registered: &BTreeSet<NodeAddr>,
    seen: &NodesSeen,
) -> Result<(), Failures> {
    refuse_too_many_out(plan, wish, pace, sorted, registered, seen)?;
    let nodes = registered.iter().chain(seen.members.keys()).copied().collect();
    let mut rounds = Rounds::new(plan, wish.code, wish.ensemble, pace, nodes);
    // What is out comes back first, which takes nobody away; else those that joined last are given their time.
    if sorted.out.is_empty()
        && !sorted.serving.is_empty()
        && let Some((young, age)) = seen.young(Duration::from_secs(pace.settle.into()))
    {
        rounds.after_waiting(&young, u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
    }
    rounds.bring_back(&sorted.out);
    rounds.restart(&sorted.serving);
    Ok(())
}

/// Those that stay out count: what clients miss is the sum.
fn refuse_too_many_out(
    plan: &Plan,
    wish: &RestartWish<'_>,
    pace: Pace,
    sorted: &Sorted,
    registered: &BTreeSet<NodeAddr>,
    seen: &NodesSeen,
) -> Result<(), Failures> {
    let comes_back = |addr: &NodeAddr| sorted.out.iter().any(|node| node.addr == *addr);
    let out: Vec<&NodeAddr> =
        registered.iter().filter(|addr| !seen.members.contains_key(addr) && !comes_back(addr)).collect();
    let batch = pace.batch.min(sorted.serving.len());
    let at_once = out.len() + batch;
    if batch == 0 || at_once <= pace.max_unavailable {
        return Ok(());
    }
    let code = wish.code;
    let failure = if out.is_empty() {
        Failure::refused(format!(
            "{batch} nodes of {code} would be out at once; {} may be",
            pace.max_unavailable
        ))
        .hint("lower --batch, or raise --max-unavailable")
    } else {
        let names: Vec<String> = out.iter().map(ToString::to_string).collect();
        Failure::refused(format!(
            "{at_once} nodes of {code} would be out at once; {} may be",
            pace.max_unavailable
        ))
        .cause(format!("out already, and staying so: {}", names.join(", ")))
        .hint(format!("bring them back first: arcusctl memcached start {code} @offline"))
        .hint(format!("or allow for them: --max-unavailable {at_once}"))
    };
    // Why they would stay out.
    let reasons = plan.problems.iter().filter(|problem| match &problem.target {
        Target::Node(addr) => out.contains(&addr),
        _ => false,
    });
    let failures = reasons.map(|problem| problem.failure.clone()).chain([failure]);
    Failures::none_of(failures.collect())
}

fn risk(plan: &Plan, wish: &RestartWish<'_>, sorted: &Sorted, seen: &NodesSeen) -> Risk {
    let stopped = sorted.out.iter().chain(&sorted.serving).filter(|node| node.process.is_some());
    let stopped: Vec<NodeAddr> = stopped.map(|node| node.addr).collect();
    if stopped.is_empty() {
        return Risk::Harmless;
    }
    let ring = Ring::new(seen.members.keys().copied());
    let share: f64 = stopped.iter().map(|addr| ring.share(*addr)).sum();
    let nodes = format!("{} running cache node(s) of {}", stopped.len(), wish.code);
    let lost = format!("what they hold is lost ({:.1} % of the keys)", share * 100.0);
    let what = match wish.manner {
        Manner::AllAtOnce { .. } if stopped.len() >= seen.members.len() => {
            format!("{nodes} will restart, all at the same time; {lost}, and nobody serves meanwhile")
        }
        Manner::AllAtOnce { .. } => format!("{nodes} will restart, all at the same time; {lost}"),
        Manner::Rolling(pace) => {
            let seconds = least_seconds(plan);
            let batch = pace.batch.min(stopped.len());
            format!(
                "{nodes} will restart, {batch} at a time, which takes at least {}; {lost}",
                human_seconds(seconds)
            )
        }
    };
    Risk::Interrupts { what }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;

//! Which nodes join, leave and restart, and which are as they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::nodes::{foreign, shared};
use super::super::restart::restart_of;
use super::super::{
    Drift, NodeLaunch, NodeRestart, NodeStop, NodesSeen, Plan, Problem, ProcessId, Target, drifts,
};
use super::ApplyWish;
use crate::error::Failure;
use crate::inspect::{NodeProcess, RegisteredNode};
use crate::model::{HostName, NodeAddr};

/// A cache node that has not joined by then has lost its place: one that cannot reach ZooKeeper ends when its session
/// timeout, 30 s by default, is over (`arcus_zk.c`).
const JOINING: u32 = 30;

/// So many nodes are named.
const LISTED: usize = 4;

/// The nodes of the cloud, those that it has and those that it is to have, by what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) joining: Vec<Joining>,
    /// Pairs of one machine and port: what joins has no place before the other has left.
    pub(super) replacing: Vec<(NodeStop, Joining)>,
    pub(super) leaving: Vec<NodeStop>,
    pub(super) restarting: Vec<NodeRestart>,
    /// The cloud is not to have them, and they are there: those that leave, and those that cannot be made to.
    pub(super) staying: BTreeSet<NodeAddr>,
    /// They joined so short a while ago that the others have not settled yet.
    pub(super) young: Vec<NodeAddr>,
}

/// A node that is to become a member.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    pub(super) launch: NodeLaunch,
    /// It had a mapping before.
    pub(super) registered: bool,
}

/// What becomes of a node that the cloud is not to have.
enum Leaving {
    /// There is nothing to stop; a word on that where one is due.
    Gone(Option<String>),
    Stop(NodeStop),
    Refused(Failure),
}

/// Sorts all nodes; `names` are the mappings of the cloud and the nodes that each stands for.
pub(super) fn sort(
    plan: &mut Plan,
    wish: &ApplyWish<'_>,
    wanted: &[RegisteredNode],
    names: &BTreeMap<String, BTreeSet<NodeAddr>>,
    seen: &NodesSeen,
) -> Sorted {
    let mut sorted = Sorted::default();
    let registered: BTreeSet<NodeAddr> = names.values().flatten().copied().collect();
    let addrs: BTreeSet<NodeAddr> = wanted.iter().map(|node| node.addr).collect();
    for addr in registered.iter().chain(seen.members.keys()).collect::<BTreeSet<_>>() {
        if addrs.contains(addr) {
            continue;
        }
        match leave(*addr, wish, seen) {
            Leaving::Gone(note) => plan.notes.extend(note),
            Leaving::Stop(stop) => {
                sorted.staying.insert(*addr);
                sorted.leaving.push(stop);
            }
            Leaving::Refused(failure) => {
                sorted.staying.insert(*addr);
                plan.problem(Target::Node(*addr), failure);
            }
        }
    }
    let mut differing: BTreeMap<String, Vec<NodeAddr>> = BTreeMap::new();
    let mut outdated = 0;
    for node in wanted {
        let target = Target::Node(node.addr);
        let restart = match restart_of(node, wish.ensemble, seen) {
            Ok(restart) => restart,
            Err(failure) => {
                plan.problem(target, failure);
                continue;
            }
        };
        let joining = |launch| Joining { launch, registered: registered.contains(&node.addr) };
        let process = seen.on_port(&HostName::from(node.addr.ip), node.addr).ok().flatten();
        let aged = process.map(|process| {
            let id = ProcessId { pid: process.pid, started: process.started };
            (process, seen.age(node.addr, id).unwrap_or_default())
        });
        match aged {
            None => sorted.joining.push(joining(restart.launch())),
            Some((process, age)) if seen.members.contains_key(&node.addr) => {
                if age < Duration::from_secs(wish.pace.settle.into()) {
                    sorted.young.push(node.addr);
                }
                let drifts = drifts_of(node, process, wish, seen);
                outdated += usize::from(drifts.iter().any(is_release));
                let reasons: Vec<&Drift> =
                    drifts.iter().filter(|drift| wish.releases || !is_release(drift)).collect();
                if reasons.is_empty() {
                    plan.hold(target, format!("runs already (pid {})", process.pid));
                } else {
                    for reason in reasons {
                        differing.entry(reason.to_string()).or_default().push(node.addr);
                    }
                    sorted.restarting.push(restart);
                }
            }
            Some((process, age)) => match take_other_name(&mut sorted.leaving, node.addr, process, seen) {
                Some(stop) => sorted.replacing.push((stop, joining(restart.launch()))),
                None if age < joining_time(wish) => {
                    let waits = NodeLaunch { addr: node.addr, options: None, old_session: None };
                    sorted.joining.push(joining(waits));
                }
                None => plan.problem(target, lost(node.addr, process, wish)),
            },
        }
    }
    hold_back(plan, &mut sorted, &addrs, seen);
    note_differing(plan, &differing);
    note_outdated(plan, wish, outdated);
    sorted
}

fn leave(addr: NodeAddr, wish: &ApplyWish<'_>, seen: &NodesSeen) -> Leaving {
    let is_member = seen.members.contains_key(&addr);
    if let Some(owner) = seen.others.get(&addr) {
        return if is_member { Leaving::Refused(shared(addr, owner)) } else { Leaving::Gone(None) };
    }
    let host = HostName::from(addr.ip);
    match seen.on_port(&host, addr) {
        Err(failure) if is_member => Leaving::Refused(failure.hint(format!(
            "{addr} is still a member; once its host can be reached, or its session has expired, it can be taken out"
        ))),
        Err(_) => Leaving::Gone(Some(format!(
            "{addr} is taken out without being stopped: it is no member any more, and its host cannot be reached"
        ))),
        Ok(Some(process)) if seen.owns(process, addr, wish.ensemble) => {
            let process = Some(ProcessId { pid: process.pid, started: process.started });
            Leaving::Stop(NodeStop { addr, process })
        }
        Ok(Some(process)) if is_member => Leaving::Refused(foreign(addr, process)),
        Ok(None) if is_member => Leaving::Stop(NodeStop { addr, process: None }),
        Ok(_) => Leaving::Gone(None),
    }
}

/// A machine may have several addresses: the process on the port of `addr` may be that of a node which is to leave. Takes
/// that one off the list.
fn take_other_name(
    leaving: &mut Vec<NodeStop>,
    addr: NodeAddr,
    process: &NodeProcess,
    seen: &NodesSeen,
) -> Option<NodeStop> {
    let is_the_same = |stop: &NodeStop| {
        let host = HostName::from(stop.addr.ip);
        stop.addr.port == addr.port
            && stop.process == Some(ProcessId { pid: process.pid, started: process.started })
            && seen.on_port(&host, stop.addr).is_ok_and(|other| other == Some(process))
    };
    leaving.iter().position(is_the_same).map(|position| leaving.remove(position))
}

fn drifts_of(
    node: &RegisteredNode,
    process: &NodeProcess,
    wish: &ApplyWish<'_>,
    seen: &NodesSeen,
) -> Vec<Drift> {
    let Ok(options) = &node.options else { return Vec::new() };
    let host = seen.processes.get(&HostName::from(node.addr.ip)).and_then(|host| host.as_ref().ok());
    drifts(process, options, host.and_then(|host| host.current.as_ref()), wish.settings)
}

/// How long a node may take to join: its session timeout may be longer than the default.
fn joining_time(wish: &ApplyWish<'_>) -> Duration {
    let configured = wish.settings.session_timeout.unwrap_or_default();
    Duration::from_secs(JOINING.max(configured).into())
}

fn is_release(drift: &Drift) -> bool {
    matches!(drift, Drift::Release { .. })
}

fn lost(addr: NodeAddr, process: &NodeProcess, wish: &ApplyWish<'_>) -> Failure {
    let code = &wish.cloud.code;
    Failure::failed(format!("{addr}: its process runs (pid {}), but it is no member of {code}", process.pid))
        .cause("it lost its place, cannot reach ZooKeeper, or drains as a run that was cut short told it to")
        .hint(format!(
            "bring it back with what it holds: arcusctl rejoin {code} {addr}; or empty: arcusctl memcached restart {code} {addr}"
        ))
        .hint("where it drains, run this again once it has ended: it is started then")
}

/// While nodes that the cloud is to have are out for a reason that this plan does not mend, none that serves is taken
/// away, not even for a while: the cloud may be short of room already.
fn hold_back(plan: &mut Plan, sorted: &mut Sorted, wanted: &BTreeSet<NodeAddr>, seen: &NodesSeen) {
    let is_out = |addr: &NodeAddr| wanted.contains(addr) && !seen.members.contains_key(addr);
    let of_node = |problem: &Problem| match &problem.target {
        Target::Node(addr) => Some(*addr),
        _ => None,
    };
    let lacking: BTreeSet<NodeAddr> = plan.problems.iter().filter_map(of_node).filter(is_out).collect();
    if lacking.is_empty() {
        return;
    }
    let lacking = names_of(lacking.iter());
    let (leaving, rest): (Vec<NodeStop>, Vec<NodeStop>) =
        sorted.leaving.drain(..).partition(|stop| seen.members.contains_key(&stop.addr));
    sorted.leaving = rest;
    let (serving, rest): (Vec<_>, Vec<_>) =
        sorted.replacing.drain(..).partition(|(stop, _)| seen.members.contains_key(&stop.addr));
    sorted.replacing = rest;
    let replaced = serving.into_iter().map(|(stop, _)| (stop.addr, "replaced"));
    let leaving = leaving.into_iter().map(|stop| (stop.addr, "taken out")).chain(replaced);
    let restarting = sorted.restarting.drain(..).map(|restart| (restart.addr, "restarted"));
    for (addr, what) in leaving.chain(restarting) {
        let failure = Failure::refused(format!("{addr}: is not {what} for now"))
            .cause(format!("{lacking} would have to serve before, and cannot be brought up"))
            .hint("mend that, or take those nodes out of the cloud JSON");
        plan.problem(Target::Node(addr), failure);
    }
}

fn note_differing(plan: &mut Plan, differing: &BTreeMap<String, Vec<NodeAddr>>) {
    for (reason, nodes) in differing {
        plan.notes.push(format!("{}: {reason}", names_of(nodes.iter())));
    }
}

fn note_outdated(plan: &mut Plan, wish: &ApplyWish<'_>, outdated: usize) {
    if outdated > 0 && !wish.releases {
        plan.notes.push(format!(
            "{outdated} node(s) run an older release, which is left as it is: arcusctl memcached restart {} @outdated, or --releases",
            wish.cloud.code
        ));
    }
}

fn names_of<'a>(nodes: impl ExactSizeIterator<Item = &'a NodeAddr>) -> String {
    let count = nodes.len();
    let mut names: Vec<String> = nodes.map(ToString::to_string).collect();
    if count > LISTED {
        names.truncate(LISTED);
        return format!("{} … ({count} nodes)", names.join(", "));
    }
    names.join(", ")
}

//! Which cache nodes to start and which processes to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Action, NodeLaunch, NodeStop, Plan, ProcessId, Risk, Step, Target};
use crate::error::{Failure, Failures};
use crate::inspect::{Inspected, NodeProcess, ProcessesSeen, RegisteredNode};
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};

/// The nodes a command is about: all, or those named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    Only(BTreeSet<NodeAddr>),
}

/// What was seen of the nodes of one cloud.
#[derive(Clone, Debug, Default)]
pub struct NodesSeen {
    /// Live members: address → name of the ephemeral znode.
    pub members: BTreeMap<NodeAddr, String>,
    /// Addresses that other service codes have, by mapping or by membership.
    pub others: BTreeMap<NodeAddr, String>,
    /// memcached processes of each host, whoever started them.
    pub processes: BTreeMap<HostName, Inspected<ProcessesSeen>>,
    /// Hosts that are the machine arcusctl runs on.
    pub this_machine: BTreeSet<HostName>,
    /// What processes were given as addresses of ZooKeeper that are a member of this ensemble by another name.
    pub aliases: BTreeSet<String>,
}

impl NodesSeen {
    /// The memcached on the port of `addr`, if its host could be looked at.
    pub(crate) fn on_port(&self, host: &HostName, addr: NodeAddr) -> Inspected<Option<&NodeProcess>> {
        let processes = match self.processes.get(host) {
            Some(processes) => processes.as_ref().map_err(Clone::clone)?,
            None => return Err(Failure::unreachable(format!("{host}: was not looked at"))),
        };
        Ok(processes.processes.iter().find(|process| process.port == Some(addr.port)))
    }

    /// How long a process of the host of `addr` has been running; `None` if it was not seen.
    pub(super) fn age(&self, addr: NodeAddr, id: ProcessId) -> Option<Duration> {
        let host = self.processes.get(&HostName::from(addr.ip))?.as_ref().ok()?;
        let is_it = |process: &&NodeProcess| process.pid == id.pid && process.started == id.started;
        host.processes.iter().find(is_it).map(|process| host.age(process))
    }

    /// Members that were started within this time, and how long ago the youngest was.
    pub(super) fn young(&self, within: Duration) -> Option<(Vec<NodeAddr>, Duration)> {
        let aged = self.members.keys().filter_map(|addr| {
            let process = self.on_port(&HostName::from(addr.ip), *addr).ok()??;
            let age = self.age(*addr, ProcessId { pid: process.pid, started: process.started })?;
            (age < within).then_some((*addr, age))
        });
        let (addrs, ages): (Vec<_>, Vec<_>) = aged.unzip();
        Some((addrs, ages.into_iter().min()?))
    }

    /// The process may be signalled as `addr`: of this install, and of this ensemble or a member of this cloud.
    pub(crate) fn owns(&self, process: &NodeProcess, addr: NodeAddr, ensemble: &Ensemble) -> bool {
        let given = process.zookeeper.as_deref().unwrap_or_default();
        let shares = given.split(',').map(str::trim).any(|address| {
            self.aliases.contains(address)
                || ensemble.members().iter().any(|member| member.to_string() == address)
        });
        process.ours && (shares || self.members.contains_key(&addr))
    }
}

impl Selection {
    pub fn contains(&self, addr: NodeAddr) -> bool {
        match self {
            Self::All => true,
            Self::Only(addrs) => addrs.contains(&addr),
        }
    }

    /// Names every selected address that the cloud does not have.
    pub(super) fn check(&self, code: &ServiceCode, known: &BTreeSet<NodeAddr>) -> Result<(), Failures> {
        let Self::Only(addrs) = self else { return Ok(()) };
        let unknown = addrs.difference(known).map(|addr| {
            Failure::refused(format!("{addr} is no node of {code}"))
                .hint(format!("see its nodes: arcusctl memcached list {code}"))
        });
        Failures::none_of(unknown.collect())
    }
}

/// Plans to bring the selected nodes of `code` into their cloud.
///
/// # Errors
/// When a selected node is not registered, or nodes elsewhere would be told a loopback address for ZooKeeper.
pub fn start_nodes(
    code: &ServiceCode,
    ensemble: &Ensemble,
    wishes: &[RegisteredNode],
    selection: &Selection,
    seen: &NodesSeen,
) -> Result<Plan, Failures> {
    selection.check(code, &wishes.iter().map(|wish| wish.addr).collect())?;
    let wishes: Vec<&RegisteredNode> = wishes.iter().filter(|wish| selection.contains(wish.addr)).collect();
    refuse_loopback(ensemble, &wishes, seen)?;
    let mut plan = Plan::new("memcached start");
    let mut launches: BTreeMap<HostName, Vec<NodeLaunch>> = BTreeMap::new();
    for wish in wishes {
        let host = HostName::from(wish.addr.ip);
        if let Some(launch) = launch(&mut plan, wish, &host, ensemble, seen) {
            launches.entry(host).or_default().push(launch);
        }
    }
    let start = launches.into_iter().map(|(host, nodes)| {
        let action = Action::StartNodes { code: code.clone(), zookeeper: ensemble.to_string(), nodes };
        Step::new(Target::Host(host), action)
    });
    plan.stage("Start", start.collect());
    Ok(plan)
}

fn launch(
    plan: &mut Plan,
    wish: &RegisteredNode,
    host: &HostName,
    ensemble: &Ensemble,
    seen: &NodesSeen,
) -> Option<NodeLaunch> {
    let addr = wish.addr;
    let target = Target::Node(addr);
    let member = seen.members.get(&addr);
    let on_port = match seen.on_port(host, addr) {
        Ok(on_port) => on_port,
        Err(failure) => {
            plan.problem(target, failure);
            return None;
        }
    };
    match (on_port, member) {
        (Some(process), _) if !seen.owns(process, addr, ensemble) => {
            plan.problem(target, foreign(addr, process));
            None
        }
        (Some(process), Some(_)) => {
            plan.hold(target, format!("runs already (pid {})", process.pid));
            None
        }
        (Some(_), None) => Some(NodeLaunch { addr, options: None, old_session: None }),
        (None, member) => match &wish.options {
            Ok(options) => Some(NodeLaunch { addr, options: Some(*options), old_session: member.cloned() }),
            Err(failure) => {
                plan.problem(target, failure.clone());
                None
            }
        },
    }
}

/// It is not ours alone to stop.
pub(super) fn shared(addr: NodeAddr, owner: &str) -> Failure {
    Failure::refused(format!("{addr}: belongs to service code {owner} as well"))
        .cause("its process may serve that cloud")
        .hint(format!(
            "stop it there: arcusctl memcached stop {owner} {addr}; then register the right one anew"
        ))
}

pub(super) fn foreign(addr: NodeAddr, process: &NodeProcess) -> Failure {
    Failure::refused(format!(
        "{addr}: its port belongs to a memcached that is not of this install and ensemble"
    ))
    .cause(format!("pid {}: {}", process.pid, process.command_line()))
    .hint("stop that process yourself if it should not be there; arcusctl never signals a foreign process")
}

pub(super) fn refuse_loopback(
    ensemble: &Ensemble,
    wishes: &[&RegisteredNode],
    seen: &NodesSeen,
) -> Result<(), Failures> {
    let remote = |wish: &&&RegisteredNode| !seen.this_machine.contains(&HostName::from(wish.addr.ip));
    if !ensemble.has_loopback() {
        return Ok(());
    }
    match wishes.iter().find(remote) {
        None => Ok(()),
        Some(wish) => Err(Failure::refused(format!(
            "{ensemble} cannot be handed to the cache node {}",
            wish.addr
        ))
        .cause("a loopback address means another machine there")
        .hint(
            "name the ensemble by addresses that every host can reach: -z host:port,… or [zookeeper] servers",
        )
        .into()),
    }
}

/// Plans to stop the selected nodes of `code`; `registered` are those that have a mapping.
///
/// # Errors
/// When a selected node is neither registered nor online.
pub fn stop_nodes(
    code: &ServiceCode,
    ensemble: &Ensemble,
    registered: &BTreeSet<NodeAddr>,
    selection: &Selection,
    seen: &NodesSeen,
) -> Result<Plan, Failures> {
    let known: BTreeSet<NodeAddr> = registered.iter().chain(seen.members.keys()).copied().collect();
    selection.check(code, &known)?;
    let mut plan = Plan::new("memcached stop");
    let mut stops: BTreeMap<HostName, Vec<NodeStop>> = BTreeMap::new();
    for addr in known.into_iter().filter(|addr| selection.contains(*addr)) {
        let host = HostName::from(addr.ip);
        if let Some(stop) = stop(&mut plan, addr, &host, ensemble, seen) {
            stops.entry(host).or_default().push(stop);
        }
    }
    let running = stops.values().flatten().filter(|node| node.process.is_some()).count();
    if running > 0 {
        let what = format!("{running} running cache node(s) of {code} will stop, and what they hold is lost");
        plan.risk = Risk::Interrupts { what };
    }
    let stop = stops.into_iter().map(|(host, nodes)| {
        Step::new(Target::Host(host), Action::StopNodes { code: code.clone(), nodes, drain: 0 })
    });
    plan.stage("Stop", stop.collect());
    Ok(plan)
}

fn stop(
    plan: &mut Plan,
    addr: NodeAddr,
    host: &HostName,
    ensemble: &Ensemble,
    seen: &NodesSeen,
) -> Option<NodeStop> {
    let target = Target::Node(addr);
    if let Some(owner) = seen.others.get(&addr) {
        plan.problem(target, shared(addr, owner));
        return None;
    }
    let on_port = match seen.on_port(host, addr) {
        Ok(on_port) => on_port,
        Err(failure) => {
            plan.problem(target, failure);
            return None;
        }
    };
    match on_port {
        Some(process) if seen.owns(process, addr, ensemble) => {
            let process = Some(ProcessId { pid: process.pid, started: process.started });
            Some(NodeStop { addr, process })
        }
        Some(process) => {
            plan.problem(target, foreign(addr, process));
            None
        }
        None if seen.members.contains_key(&addr) => Some(NodeStop { addr, process: None }),
        None => {
            plan.hold(target, "is not running");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeOptions;

    fn addr(text: &str) -> NodeAddr {
        text.parse().unwrap()
    }

    fn code() -> ServiceCode {
        ServiceCode::new("c").unwrap()
    }

    fn wishes(addrs: &[&str]) -> Vec<RegisteredNode> {
        let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
        addrs
            .iter()
            .map(|text| RegisteredNode { addr: addr(text), mapped: true, options: Ok(options) })
            .collect()
    }

    fn process(pid: u32, port: u16, ours: bool) -> NodeProcess {
        NodeProcess {
            pid,
            started: 1,
            port: std::num::NonZeroU16::new(port),
            ours,
            zookeeper: Some("zk:2181".into()),
            exe: "/opt/arcus/bin/memcached".into(),
            release: None,
            argv: vec!["/opt/arcus/bin/memcached".into(), "-p".into(), port.to_string()],
        }
    }

    fn seen(host: &str, processes: Vec<NodeProcess>, members: &[&str]) -> NodesSeen {
        NodesSeen {
            members: members.iter().map(|text| (addr(text), format!("{text}-host"))).collect(),
            others: BTreeMap::new(),
            processes: BTreeMap::from([(
                HostName::new(host),
                Ok(ProcessesSeen { processes, ..ProcessesSeen::default() }),
            )]),
            this_machine: BTreeSet::new(),
            aliases: BTreeSet::new(),
        }
    }

    fn ensemble() -> Ensemble {
        Ensemble::parse("zk:2181").unwrap()
    }

    fn described(plan: &Plan) -> Vec<String> {
        plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
    }

    #[test]
    fn the_nodes_of_a_host_start_in_one_go_and_then_nothing_is_left_to_start() {
        let wishes = wishes(&["10.0.0.1:11211", "10.0.0.1:11212"]);
        let plan =
            start_nodes(&code(), &ensemble(), &wishes, &Selection::All, &seen("10.0.0.1", vec![], &[]))
                .unwrap();
        assert_eq!(described(&plan), ["10.0.0.1: start 10.0.0.1:11211; start 10.0.0.1:11212"]);

        let running = seen(
            "10.0.0.1",
            vec![process(7, 11211, true), process(8, 11212, true)],
            &["10.0.0.1:11211", "10.0.0.1:11212"],
        );
        let again = start_nodes(&code(), &ensemble(), &wishes, &Selection::All, &running).unwrap();
        assert!(again.is_empty());
        assert_eq!(again.holds[0].fact, "runs already (pid 7)");
    }

    #[test]
    fn a_killed_predecessors_znode_is_waited_for() {
        let dead = seen("10.0.0.1", vec![], &["10.0.0.1:11211"]);
        let plan =
            start_nodes(&code(), &ensemble(), &wishes(&["10.0.0.1:11211"]), &Selection::All, &dead).unwrap();
        assert_eq!(
            described(&plan),
            ["10.0.0.1: start 10.0.0.1:11211 once 10.0.0.1:11211-host of its predecessor has expired"]
        );
    }

    #[test]
    fn a_process_without_membership_is_waited_for_and_not_started_twice() {
        let joining = seen("10.0.0.1", vec![process(7, 11211, true)], &[]);
        let plan = start_nodes(&code(), &ensemble(), &wishes(&["10.0.0.1:11211"]), &Selection::All, &joining)
            .unwrap();
        assert_eq!(described(&plan), ["10.0.0.1: wait until 10.0.0.1:11211 joins"]);
    }

    #[test]
    fn a_foreign_memcached_is_named_and_never_touched() {
        let foreign = seen("10.0.0.1", vec![process(7, 11211, false)], &[]);
        let start =
            start_nodes(&code(), &ensemble(), &wishes(&["10.0.0.1:11211"]), &Selection::All, &foreign)
                .unwrap();
        let registered = BTreeSet::from([addr("10.0.0.1:11211")]);
        let stop = stop_nodes(&code(), &ensemble(), &registered, &Selection::All, &foreign).unwrap();
        for plan in [start, stop] {
            assert!(plan.is_empty());
            assert!(plan.problems[0].failure.causes[0].starts_with("pid 7: "));
        }
    }

    #[test]
    fn a_port_that_begins_with_the_same_digits_is_another_node() {
        let running = seen("10.0.0.1", vec![process(7, 11211, true)], &[]);
        let registered = BTreeSet::from([addr("10.0.0.1:1121")]);
        let plan = stop_nodes(&code(), &ensemble(), &registered, &Selection::All, &running).unwrap();
        assert!(plan.is_empty());
        assert_eq!(plan.holds[0].fact, "is not running");
    }

    #[test]
    fn unregistered_members_are_stopped_too() {
        let running = seen("10.0.0.1", vec![process(7, 11219, true)], &["10.0.0.1:11219"]);
        let plan = stop_nodes(&code(), &ensemble(), &BTreeSet::new(), &Selection::All, &running).unwrap();
        assert_eq!(described(&plan), ["10.0.0.1: stop 10.0.0.1:11219 (pid 7)"]);
    }

    #[test]
    fn a_node_of_another_ensemble_or_another_code_is_left_alone() {
        let mut elsewhere = process(7, 11211, true);
        elsewhere.zookeeper = Some("production:2181".into());
        let registered = BTreeSet::from([addr("10.0.0.1:11211")]);
        let mut running = seen("10.0.0.1", vec![elsewhere], &[]);
        let stop =
            |seen: &NodesSeen| stop_nodes(&code(), &ensemble(), &registered, &Selection::All, seen).unwrap();
        assert!(stop(&running).is_empty());
        running.members.insert(addr("10.0.0.1:11211"), "10.0.0.1:11211-host".into());
        assert_eq!(stop(&running).steps().count(), 1);
        running.others.insert(addr("10.0.0.1:11211"), "theirs".into());
        let refused = stop(&running);
        assert!(refused.is_empty());
        assert!(refused.problems[0].failure.message.contains("belongs to service code theirs"));
    }

    #[test]
    fn a_member_without_a_process_is_waited_for_before_it_counts_as_stopped() {
        let ghost = seen("10.0.0.1", vec![], &["10.0.0.1:11211"]);
        let plan = stop_nodes(&code(), &ensemble(), &BTreeSet::new(), &Selection::All, &ghost).unwrap();
        assert_eq!(
            described(&plan),
            ["10.0.0.1: wait until 10.0.0.1:11211 has left; no process of it is to be seen"]
        );
    }

    #[test]
    fn stopping_what_runs_has_to_be_agreed_to_and_nothing_else_has() {
        let ask = |seen: &NodesSeen| {
            stop_nodes(&code(), &ensemble(), &BTreeSet::new(), &Selection::All, seen).unwrap().risk
        };
        let running = seen("10.0.0.1", vec![process(7, 11211, true)], &["10.0.0.1:11211"]);
        let ghost = seen("10.0.0.1", vec![], &["10.0.0.1:11211"]);
        assert!(
            matches!(ask(&running), Risk::Interrupts { what } if what.starts_with("1 running cache node"))
        );
        assert_eq!(ask(&ghost), Risk::Harmless);
        let idle = seen("10.0.0.1", vec![], &[]);
        let start =
            start_nodes(&code(), &ensemble(), &wishes(&["10.0.0.1:11211"]), &Selection::All, &idle).unwrap();
        assert_eq!(start.risk, Risk::Harmless);
    }

    #[test]
    fn a_selected_stranger_is_refused() {
        let selection = Selection::Only(BTreeSet::from([addr("10.0.0.9:11211")]));
        let nothing = NodesSeen::default();
        let start = start_nodes(&code(), &ensemble(), &wishes(&["10.0.0.1:11211"]), &selection, &nothing);
        assert!(start.unwrap_err().to_string().contains("10.0.0.9:11211 is no node of c"));
        assert!(stop_nodes(&code(), &ensemble(), &BTreeSet::new(), &selection, &nothing).is_err());
    }

    #[test]
    fn loopback_ensembles_are_for_this_machine_only() {
        let loopback = Ensemble::parse("127.0.0.1:2181").unwrap();
        let mut here = seen("127.0.0.1", vec![], &[]);
        here.this_machine.insert(HostName::new("127.0.0.1"));
        let local = start_nodes(&code(), &loopback, &wishes(&["127.0.0.1:11211"]), &Selection::All, &here);
        assert_eq!(local.unwrap().steps().count(), 1);
        let far = seen("10.0.0.1", vec![], &[]);
        let refused = start_nodes(&code(), &loopback, &wishes(&["10.0.0.1:11211"]), &Selection::All, &far);
        assert!(refused.unwrap_err().to_string().contains("loopback"));
    }

    #[test]
    fn a_dead_host_keeps_no_other_node_from_starting() {
        let mut partly = seen("10.0.0.1", vec![], &[]);
        partly.processes.insert(HostName::new("10.0.0.2"), Err(Failure::unreachable("10.0.0.2: gone")));
        let wishes = wishes(&["10.0.0.1:11211", "10.0.0.2:11211"]);
        let plan = start_nodes(&code(), &ensemble(), &wishes, &Selection::All, &partly).unwrap();
        assert_eq!(plan.steps().count(), 1);
        assert_eq!(plan.problems.len(), 1);
    }
}

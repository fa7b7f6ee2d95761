//! A cloud to plan for: its tree and its processes, changed by steps as the real ones would be.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use serde_json::{Value, json};

use super::super::{Action, NodeLaunch, NodesSeen, Pace, Plan, Step};
use super::{ApplyWish, apply};
use crate::config::parse_cloud;
use crate::config::settings::MemcachedSettings;
use crate::error::{Failure, Failures};
use crate::inspect::{ArcusTree, NodeProcess, ProcessesSeen};
use crate::model::{Cloud, Ensemble, HostName, NodeAddr, NodeOptions, znode};

pub(super) const RELEASE: &str = "ab12";
pub(super) const PACE: Pace = Pace { batch: 1, max_unavailable: 1, drain: 5, settle: 30 };
/// Seconds since the hosts were booted.
const UPTIME: f64 = 1000.0;

pub(super) fn addr(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

/// `10.0.0.<last>:11211` for each.
pub(super) fn nodes(last: &[u8]) -> Vec<NodeAddr> {
    last.iter().map(|last| addr(&format!("10.0.0.{last}:11211"))).collect()
}

/// The cloud `c` of these nodes, one on each machine.
pub(super) fn cloud(last: &[u8]) -> Cloud {
    cloud_with(&nodes(last), |_, _| {})
}

pub(super) fn cloud_with(nodes: &[NodeAddr], change: impl Fn(&NodeAddr, &mut Value)) -> Cloud {
    let servers = nodes.iter().map(|node| {
        let hostname = format!("cache-{}", node.ip.octets()[3]);
        let mut server =
            json!({"hostname": hostname, "ip": node.ip.to_string(), "config": {"port": node.port.to_string()}});
        change(node, &mut server);
        server
    });
    let document = json!({
        "serviceCode": "c",
        "servers": servers.collect::<Vec<_>>(),
        "config": {"memlimit": "100", "connections": "1000", "threads": "6"},
        "note": "kept",
    });
    parse_cloud(&document.to_string()).unwrap()
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) tree: ArcusTree,
    pub(super) seen: NodesSeen,
    pub(super) pace: Pace,
    pub(super) releases: bool,
    pub(super) settings: MemcachedSettings,
    next_pid: u32,
}

impl World {
    /// Hosts `10.0.0.1` to `10.0.0.20`, and an ensemble that was set up.
    pub(super) fn new() -> Self {
        let host = |last: u8| {
            let seen = ProcessesSeen {
                current: RELEASE.parse().ok(),
                uptime: UPTIME,
                ticks_per_second: 100.0,
                processes: Vec::new(),
            };
            (HostName::new(format!("10.0.0.{last}")), Ok(seen))
        };
        Self {
            tree: ArcusTree {
                structure: znode::STRUCTURE.iter().map(ToString::to_string).collect(),
                ..ArcusTree::default()
            },
            seen: NodesSeen { processes: (1..=20).map(host).collect(), ..NodesSeen::default() },
            pace: PACE,
            releases: false,
            settings: MemcachedSettings::default(),
            next_pid: 100,
        }
    }

    /// One in which the cloud of these nodes was applied a while ago.
    pub(super) fn running(last: &[u8]) -> Self {
        Self::running_cloud(&cloud(last))
    }

    pub(super) fn running_cloud(cloud: &Cloud) -> Self {
        let mut world = Self::new();
        world.carry_out(&world.plan(cloud).unwrap());
        world.age();
        world
    }

    pub(super) fn plan(&self, cloud: &Cloud) -> Result<Plan, Failures> {
        self.plan_for(cloud, &Ensemble::parse("zk:2181").unwrap())
    }

    pub(super) fn plan_for(&self, cloud: &Cloud, ensemble: &Ensemble) -> Result<Plan, Failures> {
        let settings = &self.settings;
        let (pace, releases) = (self.pace, self.releases);
        apply(&ApplyWish { cloud, ensemble, settings, pace, releases }, &self.tree, &self.seen, "T")
    }

    /// Some time goes by: nobody has joined lately any more.
    pub(super) fn age(&mut self) {
        for process in self.processes() {
            process.started = 1;
        }
    }

    pub(super) fn carry_out(&mut self, plan: &Plan) {
        for step in plan.steps() {
            self.perform(step);
        }
    }

    /// As the real thing would: refused where ZooKeeper or a cache node would refuse.
    pub(super) fn perform(&mut self, step: &Step) {
        match &step.action {
            Action::CommitZnodes { changes, .. } => self.tree = self.tree.after(changes).unwrap(),
            Action::StartNodes { nodes, .. } => nodes.iter().for_each(|launch| self.start(launch)),
            Action::StopNodes { nodes, .. } => nodes.iter().for_each(|stop| self.stop(stop.addr)),
            Action::RestartNodes { nodes, .. } => {
                for node in nodes {
                    self.stop(node.addr);
                    self.start(&node.launch());
                }
            }
            Action::Settle { joined, members, expected, .. } => {
                let there = expected.iter().filter(|addr| self.seen.members.contains_key(addr)).count();
                assert!(there >= *members, "{members} of {expected:?}: {:?}", self.seen.members);
                assert!(joined.iter().all(|addr| self.seen.members.contains_key(addr)), "{joined:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    fn start(&mut self, launch: &NodeLaunch) {
        let addr = launch.addr;
        let mapping = self.tree.mappings.get(&addr.to_string()).expect("a node joins where it is mapped");
        assert_eq!(mapping.codes, ["c"]);
        if let Some(options) = launch.options {
            self.put_process(addr, options);
        }
        self.enter(addr);
    }

    pub(super) fn put_process(&mut self, addr: NodeAddr, options: NodeOptions) {
        self.next_pid += 1;
        let NodeOptions { memlimit, connections, threads } = options;
        let words = format!("memcached -p {} -m {memlimit} -c {connections} -t {threads}", addr.port);
        let process = NodeProcess {
            pid: self.next_pid,
            started: (UPTIME * 100.0) as u64,
            port: NonZeroU16::new(addr.port.get()),
            ours: true,
            zookeeper: Some("zk:2181".into()),
            exe: format!("/opt/arcus/releases/{RELEASE}/bin/memcached"),
            release: RELEASE.parse().ok(),
            argv: words.split(' ').map(str::to_owned).collect(),
        };
        let host = self.host(addr);
        assert!(host.processes.iter().all(|other| other.port != process.port), "{addr}: port in use");
        host.processes.push(process);
    }

    pub(super) fn enter(&mut self, addr: NodeAddr) {
        let name = format!("{addr}-cache-{}", addr.ip.octets()[3]);
        assert!(self.seen.members.insert(addr, name.clone()).is_none(), "{addr}: its old znode is there");
        self.tree.codes.get_mut("c").unwrap().members.push(name);
    }

    pub(super) fn stop(&mut self, addr: NodeAddr) {
        if let Some(Ok(host)) = self.seen.processes.get_mut(&HostName::from(addr.ip)) {
            host.processes.retain(|process| process.port != Some(addr.port));
        }
        self.leave(addr);
    }

    /// Its znode goes.
    pub(super) fn leave(&mut self, addr: NodeAddr) {
        if let Some(name) = self.seen.members.remove(&addr) {
            self.tree.codes.get_mut("c").unwrap().members.retain(|member| *member != name);
        }
    }

    pub(super) fn lose_host(&mut self, last: u8) {
        let host = format!("10.0.0.{last}");
        let failure = Failure::unreachable(format!("{host}: cannot connect with ssh"));
        self.seen.processes.insert(HostName::new(host), Err(failure));
    }

    pub(super) fn host(&mut self, addr: NodeAddr) -> &mut ProcessesSeen {
        self.seen.processes.get_mut(&HostName::from(addr.ip)).unwrap().as_mut().unwrap()
    }

    pub(super) fn process(&mut self, addr: NodeAddr) -> &mut NodeProcess {
        let processes = &mut self.host(addr).processes;
        processes.iter_mut().find(|process| process.port == Some(addr.port)).unwrap()
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut NodeProcess> {
        self.seen.processes.values_mut().flatten().flat_map(|host| &mut host.processes)
    }

    pub(super) fn live(&self) -> BTreeSet<NodeAddr> {
        self.seen.members.keys().copied().collect()
    }

    /// What is registered, without times; servers by address, as an interrupted run leaves them in another order.
    pub(super) fn registered(&self) -> (Value, BTreeMap<String, (Value, Vec<String>)>) {
        let mut document: Value = serde_json::from_slice(&self.tree.codes["c"].data).unwrap();
        let fields = document.as_object_mut().unwrap();
        fields.remove("created");
        fields.remove("modified");
        let mappings = self.tree.mappings.iter().map(|(name, mapping)| {
            (name.clone(), (serde_json::from_slice(&mapping.data).unwrap(), mapping.codes.clone()))
        });
        (document, mappings.collect())
    }
}

/// Every step of a plan: its round, its place, and what it does; without the look before the first round.
pub(super) fn told(plan: &Plan) -> Vec<String> {
    let is_first_look = |stage: &&crate::plan::Stage| {
        stage.round.is_none() && matches!(stage.steps[0].action, Action::Settle { seconds: 0, .. })
    };
    let stages = plan.stages.iter().filter(|stage| !is_first_look(stage)).flat_map(|stage| {
        let round = stage.round.map_or_else(String::new, |round| format!("{round} "));
        stage.steps.iter().map(move |step| format!("{round}{}: {}", stage.title, step.action))
    });
    stages.collect()
}

pub(super) fn problems(plan: &Plan) -> Vec<String> {
    plan.problems.iter().map(|problem| problem.failure.to_string()).collect()
}

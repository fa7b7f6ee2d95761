//! The judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::report::{
    AnswerStatus, CloudStatus, Disagreement, DisagreementKind, MemberStatus, NodeStatus, ProcessStatus,
};
use crate::config::settings::MemcachedSettings;
use crate::error::Failure;
use crate::inspect::{Figures, Inspected, NodeAnswer, NodeProcess, RegisteredNode};
use crate::model::znode::cache_list;
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};
use crate::node::Readiness;
use crate::plan::{Drift, NodesSeen, drifts};
use crate::zk::MemberSession;

/// A node that joins says nothing until it has joined; longer than that it does not take.
const STARTING: Duration = Duration::from_secs(30);

/// What was observed of one cloud.
#[derive(Clone, Debug)]
pub struct CloudSeen {
    pub code: ServiceCode,
    pub registered: Vec<RegisteredNode>,
    /// Members, and the processes of their hosts.
    pub nodes: NodesSeen,
    pub sessions: BTreeMap<NodeAddr, MemberSession>,
    /// Nodes that came or went, or came back, while processes and answers were asked for.
    pub changing: BTreeSet<NodeAddr>,
    pub answers: BTreeMap<NodeAddr, Inspected<NodeAnswer>>,
    /// ZooKeeper told who is registered and who is a member; else the nodes are those of a cloud JSON.
    pub zookeeper: bool,
}

/// What a cloud is held against.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub ensemble: &'a Ensemble,
    /// What the operator calls the members whose addresses these are; nodes tell addresses where they were given names.
    pub names: &'a BTreeMap<String, String>,
    pub settings: &'a MemcachedSettings,
    /// The ensemble was named by hand, for which one of its members is enough.
    pub by_hand: bool,
    /// In milliseconds since 1970.
    pub now: i64,
}

/// One node while it is judged.
struct Case<'a> {
    addr: NodeAddr,
    seen: &'a CloudSeen,
    wanted: Wanted<'a>,
    registered: Option<&'a RegisteredNode>,
    znode: Option<&'a String>,
    on_port: Inspected<Option<&'a NodeProcess>>,
    answer: Inspected<&'a NodeAnswer>,
    found: Vec<Disagreement>,
}

/// Holds what each of the four says of every node against the other three.
pub fn judge(seen: &CloudSeen, wanted: Wanted<'_>) -> CloudStatus {
    let registered: BTreeMap<NodeAddr, &RegisteredNode> =
        seen.registered.iter().map(|node| (node.addr, node)).collect();
    let known: BTreeSet<NodeAddr> = registered.keys().chain(seen.nodes.members.keys()).copied().collect();
    let nodes: Vec<NodeStatus> = known
        .into_iter()
        .map(|addr| Case::new(seen, wanted, addr, registered.get(&addr).copied()).judge())
        .collect();
    let mapped = || seen.registered.iter().filter(|node| node.mapped);
    let online = mapped().filter(|node| seen.nodes.members.contains_key(&node.addr)).count();
    CloudStatus {
        service_code: seen.code.clone(),
        registered: seen.zookeeper.then(|| mapped().count()),
        online: seen.zookeeper.then_some(online),
        figures: Figures::sum(
            nodes.iter().filter_map(|node| node.answer.as_ref()).map(|answer| &answer.said.figures),
        ),
        nodes,
    }
}

impl<'a> Case<'a> {
    fn new(
        seen: &'a CloudSeen,
        wanted: Wanted<'a>,
        addr: NodeAddr,
        registered: Option<&'a RegisteredNode>,
    ) -> Self {
        let host = HostName::from(addr.ip);
        let answer = match seen.answers.get(&addr) {
            Some(answer) => answer.as_ref().map_err(Clone::clone),
            None => Err(Failure::unreachable(format!("{addr}: was not asked"))),
        };
        Self {
            addr,
            seen,
            wanted,
            registered,
            znode: seen.nodes.members.get(&addr),
            on_port: seen.nodes.on_port(&host, addr),
            answer,
            found: Vec::new(),
        }
    }

    fn judge(mut self) -> NodeStatus {
        let process = self.on_port.clone().ok().flatten();
        let drifts = self.drifts(process);
        match self.on_port.clone() {
            Err(unseen) => self.judge_unseen(unseen),
            Ok(None) => self.judge_absent(),
            Ok(Some(process)) if self.is_foreign(process) => self.judge_foreign(process),
            Ok(Some(process)) => self.judge_running(process, &drifts),
        }
        self.judge_zookeeper();
        self.judge_persistence();
        self.judge_registration();
        self.hold_back();
        let host = self.seen.nodes.processes.get(&HostName::from(self.addr.ip));
        let age = |process| host.and_then(|host| host.as_ref().ok()).map(|host| host.age(process));
        self.found.sort_by_key(|found| found.kind);
        let (seen, registered) = (self.seen, self.registered);
        NodeStatus {
            node: self.addr,
            registered: seen.zookeeper.then_some(registered.is_some_and(|node| node.mapped)),
            options: registered.and_then(|node| node.options.as_ref().ok()).copied(),
            process: process.map(|process| ProcessStatus {
                pid: process.pid,
                seconds: age(process).unwrap_or_default().as_secs(),
                release: process.release.clone(),
                argv: process.argv.clone(),
                drifts,
            }),
            member: self.member(),
            answer: self
                .answer
                .ok()
                .map(|answer| AnswerStatus { said: answer.clone(), hit_ratio: answer.figures.hit_ratio() }),
            disagreements: self.found,
        }
    }

    fn member(&self) -> Option<MemberStatus> {
        let session = self.seen.sessions.get(&self.addr);
        Some(MemberStatus {
            znode: self.znode?.clone(),
            session: session.map(|session| format!("{:x}", session.id)),
            seconds: session
                .map(|session| u64::try_from(self.wanted.now - session.since).unwrap_or_default() / 1000),
        })
    }

    fn add(&mut self, kind: DisagreementKind, failure: Failure) {
        self.found.push(Disagreement { kind, failure });
    }

    /// Not seen in `cache_list`, where that could be read.
    fn is_no_member(&self) -> bool {
        self.seen.zookeeper && self.znode.is_none()
    }

    fn is_foreign(&self, process: &NodeProcess) -> bool {
        !self.seen.nodes.owns(process, self.addr, self.wanted.ensemble)
    }

    fn drifts(&self, process: Option<&NodeProcess>) -> Vec<Drift> {
        let host = self.seen.nodes.processes.get(&HostName::from(self.addr.ip));
        let current = host.and_then(|host| host.as_ref().ok()).and_then(|host| host.current.as_ref());
        let options = self.registered.and_then(|node| node.options.as_ref().ok());
        match (process, options) {
            (Some(process), Some(options)) if process.ours => {
                drifts(process, options, current, self.wanted.settings)
            }
            _ => Vec::new(),
        }
    }

    /// Its host could not be looked at; what else is known of it still counts.
    fn judge_unseen(&mut self, unseen: Failure) {
        let addr = self.addr;
        match &self.answer {
            Ok(_) if self.is_no_member() => self.judge_membership_of_answering("it answers"),
            Ok(_) => {}
            Err(silent) => {
                let failure = Failure::unreachable(format!("{addr}: does not answer"));
                let failure = causes(failure, silent);
                self.add(
                    DisagreementKind::Unanswered,
                    failure.hint("see whether its host is up and reachable from here"),
                );
                if self.is_no_member() {
                    let failure = Failure::failed(format!("{addr}: is no member of {}", self.seen.code));
                    self.add(DisagreementKind::Offline, failure.hint(self.hint("memcached start")));
                }
            }
        }
        self.add(DisagreementKind::HostUnreachable, unseen);
    }

    /// No memcached has its port.
    fn judge_absent(&mut self) {
        let (addr, ip, code) = (self.addr, self.addr.ip, self.seen.code.clone());
        let answers = self.answer.is_ok();
        if self.is_persistent() {
            // Told for itself; there is no session to wait for.
        } else if self.znode.is_some() {
            let failure = Failure::failed(format!(
                "{addr}: orphan: is a member of {code}, but no process of it is to be seen on {ip}"
            ));
            let failure = if answers {
                failure.cause("something answers on its port").hint(
                    "it may run in a container, or as somebody whose processes the login user may not see",
                )
            } else {
                failure
                    .cause("its znode stays until its session expires, and clients still ask it")
                    .hint(format!("{}; it waits for the old session to expire", self.hint("memcached start")))
            };
            self.add(DisagreementKind::Orphan, failure);
        } else if answers {
            let failure = Failure::refused(format!(
                "{addr}: foreign: what answers on its port is no process of this install"
            ))
            .cause(format!("no process called memcached is to be seen at port {} of {ip}", addr.port))
            .hint("see what listens there: arcusctl never signals a foreign process");
            self.add(DisagreementKind::Foreign, failure);
        } else if self.registered.is_some_and(|node| node.mapped) {
            let failure = Failure::failed(format!("{addr}: is not running"));
            self.add(DisagreementKind::NotRunning, failure.hint(self.hint("memcached start")));
        }
    }

    fn judge_foreign(&mut self, process: &NodeProcess) {
        let (addr, code) = (self.addr, &self.seen.code);
        let failure = Failure::refused(format!(
            "{addr}: foreign: its port belongs to a memcached that is not of this install and ensemble"
        ))
        .cause(format!("pid {}: {}", process.pid, process.command_line()))
        .hint(format!(
            "stop that process yourself, or give {code} another port in its cloud JSON; arcusctl never signals a foreign process"
        ));
        self.add(DisagreementKind::Foreign, failure);
    }

    fn judge_running(&mut self, process: &NodeProcess, drifts: &[Drift]) {
        let (addr, pid) = (self.addr, process.pid);
        match self.answer.clone() {
            Err(silent) => self.judge_silent(process, &silent),
            Ok(_) if self.is_no_member() => {
                self.judge_membership_of_answering(&format!("its process (pid {pid}) runs"));
            }
            Ok(answer) if answer.ready == Readiness::NotReady && self.seen.zookeeper => {
                let failure = Failure::failed(format!(
                    "{addr}: is a member, but says of itself that it is not (NOT_READY)"
                ))
                .cause("its znode is that of an earlier session and goes when that expires")
                .hint(format!("once it is gone: {}", self.hint("rejoin")));
                self.add(DisagreementKind::ZookeeperLost, failure);
            }
            Ok(_) => {}
        }
        let (releases, options): (Vec<&Drift>, Vec<&Drift>) =
            drifts.iter().partition(|drift| matches!(drift, Drift::Release { .. }));
        let told = |drifts: &[&Drift]| drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for (kind, drifts) in [(DisagreementKind::Drifted, options), (DisagreementKind::Outdated, releases)] {
            if !drifts.is_empty() {
                let failure = Failure::failed(format!("{addr}: {}", told(&drifts)));
                self.add(kind, failure.hint(self.hint("memcached restart")));
            }
        }
    }

    /// A process that runs and an answer that does not come.
    fn judge_silent(&mut self, process: &NodeProcess, silent: &Failure) {
        let (addr, pid) = (self.addr, process.pid);
        let host = self.seen.nodes.processes.get(&HostName::from(addr.ip));
        let age = host.and_then(|host| host.as_ref().ok()).map(|host| host.age(process)).unwrap_or_default();
        if self.is_no_member() && age < STARTING {
            let failure =
                Failure::failed(format!("{addr}: is starting: its process (pid {pid}) does not answer yet"))
                    .hint("a node answers once it has joined; look again in a moment");
            return self.add(DisagreementKind::Starting, failure);
        }
        let failure =
            Failure::unreachable(format!("{addr}: hung: its process (pid {pid}) runs, but does not answer"));
        let mut failure = causes(failure, silent);
        if self.is_no_member() {
            failure = failure.cause(format!("it is no member of {}", self.seen.code));
        }
        let failure = failure.hint(format!(
            "see whether its host swaps or the process is stopped; else {}",
            self.hint("memcached restart")
        ));
        self.add(DisagreementKind::Hung, failure);
    }

    /// It answers, and is no member.
    fn judge_membership_of_answering(&mut self, how: &str) {
        let (addr, code) = (self.addr, &self.seen.code);
        let Ok(answer) = self.answer.clone() else { return };
        let restart = self.hint("memcached restart");
        let (kind, failure) = if answer.ready == Readiness::NotReady {
            let failure = Failure::failed(format!(
                "{addr}: paused: {how}, but it is no member of {code}, and says so itself (NOT_READY)"
            ))
            .cause("its znode was deleted, or its session expired with zkfailstop off; one that was just started is about to join");
            (DisagreementKind::Paused, failure.hint(self.hint("rejoin")))
        } else {
            let says = if answer.ready == Readiness::Ready { " and says READY" } else { "" };
            let failure =
                Failure::failed(format!("{addr}: zombie: {how}{says}, but it is no member of {code}"))
                    .cause("clients do not know it; it has not noticed that it lost ZooKeeper");
            let hint = format!("{}; when it does not take that, {restart}", self.hint("rejoin"));
            (DisagreementKind::Zombie, failure.hint(hint))
        };
        self.add(kind, failure);
    }

    /// Of a node that came or went meanwhile, only what does not depend on that is told.
    fn hold_back(&mut self) {
        if !self.seen.changing.contains(&self.addr) {
            return;
        }
        let before = self.found.len();
        self.found.retain(|found| found.kind.stands_without_membership());
        if self.found.len() < before {
            let (addr, code) = (self.addr, &self.seen.code);
            let failure =
                Failure::failed(format!("{addr}: came to {code} or left it while it was looked at"))
                    .hint(format!("look again: arcusctl status {code} {addr}"));
            self.add(DisagreementKind::Changing, failure);
        }
    }

    fn is_persistent(&self) -> bool {
        self.seen.sessions.get(&self.addr).is_some_and(|session| session.id == 0)
    }

    /// A cache node's znode goes with its session; one that was made by hand stays.
    fn judge_persistence(&mut self) {
        let Some(name) = self.znode.filter(|_| self.is_persistent()) else { return };
        let (addr, code) = (self.addr, &self.seen.code);
        let failure = Failure::failed(format!("{addr}: its znode in {code} belongs to no session"))
            .cause(
                "it was not made by a cache node, so it never goes, and clients take the node for a member",
            )
            .hint(format!(
                "delete it by ZooKeeper's zkCli.sh: delete {}/{name}; then see arcusctl status {code} {addr}",
                cache_list(code)
            ));
        self.add(DisagreementKind::Persistent, failure);
    }

    /// What it says of ZooKeeper.
    fn judge_zookeeper(&mut self) {
        let Ok(answer) = self.answer.clone() else { return };
        let (addr, ensemble) = (self.addr, self.wanted.ensemble);
        let said = &answer.zookeeper;
        if self.znode.is_some() && said.connected == Some(false) && answer.ready != Readiness::NotReady {
            let failure = Failure::failed(format!("{addr}: is a member, but has no connection to ZooKeeper"))
                .cause("stats zookeeper: zk_connected is false");
            self.add(DisagreementKind::ZookeeperLost, failure.hint(self.hint("rejoin")));
        }
        if !self.seen.zookeeper && answer.ready == Readiness::NotReady {
            let failure =
                Failure::failed(format!("{addr}: says of itself that it is in no cloud (NOT_READY)"))
                    .cause("ZooKeeper could not be asked who is a member");
            let hint = format!("once ZooKeeper answers: {}", self.hint("status"));
            self.add(DisagreementKind::ZookeeperLost, failure.hint(hint));
        }
        let Some(follows) = &said.follows else { return };
        let theirs = follows.split(',').map(str::trim).filter(|address| !address.is_empty());
        let theirs: BTreeSet<&str> =
            theirs.map(|address| self.wanted.names.get(address).map_or(address, String::as_str)).collect();
        let own: Vec<String> = ensemble.members().iter().map(ToString::to_string).collect();
        let own: BTreeSet<&str> = own.iter().map(String::as_str).collect();
        // A member of a cloud that is seen here follows this ensemble, by whatever names.
        let by_other_names = self.znode.is_some() && own.is_disjoint(&theirs);
        let names_some = self.wanted.by_hand && own.is_subset(&theirs);
        if theirs.is_empty() || own == theirs || by_other_names || names_some {
            return;
        }
        let failure = Failure::failed(format!("{addr}: follows ZooKeeper at {follows}, not at {ensemble}"))
            .cause("it loses its place when the members that it knows are gone")
            .hint(format!("it takes over the list at its next start: {}", self.hint("memcached restart")));
        self.add(DisagreementKind::OtherEnsemble, failure);
    }

    /// What is registered of it.
    fn judge_registration(&mut self) {
        let (addr, code) = (self.addr, &self.seen.code);
        if let Some(owner) = self.seen.nodes.others.get(&addr) {
            let failure = Failure::refused(format!("{addr}: belongs to service code {owner} as well as to {code}"))
                .hint("register the clouds from their JSON so that each node is in one of them: arcusctl memcached register CONF");
            self.add(DisagreementKind::Disputed, failure);
        }
        let mapped = self.registered.is_some_and(|node| node.mapped);
        if self.seen.zookeeper && self.znode.is_some() && !mapped {
            let failure = Failure::failed(format!("{addr}: is a member of {code}, but is not registered"))
                .cause("once stopped it cannot start again")
                .hint(format!(
                    "add it to the cloud JSON and register that: arcusctl memcached register CONF; or {}",
                    self.hint("memcached stop")
                ));
            self.add(DisagreementKind::Unregistered, failure);
        } else if let Some(Err(failure)) = self.registered.map(|node| &node.options) {
            self.add(DisagreementKind::Unstartable, failure.clone());
        }
    }

    fn hint(&self, command: &str) -> String {
        format!("arcusctl {command} {} {}", self.seen.code, self.addr)
    }
}

/// `failure` for the reasons of another.
fn causes(failure: Failure, other: &Failure) -> Failure {
    other.causes.iter().fold(failure, Failure::cause)
}

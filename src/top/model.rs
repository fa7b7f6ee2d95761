//! What is known, and how events change it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::row::{Column, Row, Series};
use crate::config::settings::MemcachedSettings;
use crate::error::Failure;
use crate::inspect::{Figures, Inspected, NodeAnswer, ProcessesSeen, RegisteredNode};
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};
use crate::plan::NodesSeen;
use crate::status::{CloudSeen, Wanted, judge};
use crate::zk::{MemberSession, Members};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What is registered of a cloud, and which of its addresses others have, too.
    Registered {
        code: ServiceCode,
        nodes: Vec<RegisteredNode>,
        others: BTreeMap<NodeAddr, String>,
    },
    /// A cloud is registered no more.
    Unregistered {
        code: ServiceCode,
    },
    /// Who is in a cloud, or that this is not known any more.
    Members {
        code: ServiceCode,
        /// When that became known, in seconds since the beginning.
        at: f64,
        members: Members,
        sessions: BTreeMap<NodeAddr, MemberSession>,
    },
    /// What a node said when it was asked between two times, in seconds since the beginning.
    Answer {
        node: NodeAddr,
        begun: f64,
        at: f64,
        answer: Inspected<NodeAnswer>,
    },
    /// What a host said when it was asked so many seconds after the beginning, and which addresses that its nodes were given
    /// stand for this ensemble.
    Processes {
        host: HostName,
        begun: f64,
        aliases: BTreeSet<String>,
        seen: Inspected<ProcessesSeen>,
    },
    Key(Key),
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Backspace,
    Escape,
    /// Ctrl-C.
    Interrupt,
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Top {
    pub ensemble: Ensemble,
    /// What the operator calls the members whose addresses these are.
    pub names: BTreeMap<String, String>,
    pub settings: MemcachedSettings,
    /// How often nodes are asked.
    pub interval: Duration,
    clouds: BTreeMap<ServiceCode, CloudSeen>,
    /// Why the members of a cloud are not known.
    lost: BTreeMap<ServiceCode, Failure>,
    /// Who was a member when that was known last.
    last: BTreeMap<ServiceCode, Joined>,
    /// When a node came or went.
    changed: BTreeMap<NodeAddr, f64>,
    /// With the time at which the question was asked.
    answers: BTreeMap<NodeAddr, (f64, Inspected<NodeAnswer>)>,
    processes: BTreeMap<HostName, (f64, Inspected<ProcessesSeen>)>,
    aliases: BTreeSet<String>,
    /// The ensemble was named by hand.
    pub by_hand: bool,
    series: BTreeMap<NodeAddr, Series>,
    /// Of all nodes together.
    pub whole: Series,
    /// What all nodes together did since the last point of that, and when that was.
    since: Figures,
    ticked: Option<f64>,
    pub sort: Column,
    pub descending: bool,
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub help: bool,
    /// The node that is marked.
    pub marked: Option<(ServiceCode, NodeAddr)>,
    /// Rows as they were when the screen was halted.
    halted: Option<Vec<Row>>,
    pub over: bool,
}

/// Who was in a cloud, by which sessions.
#[derive(Clone, Debug, Default)]
struct Joined {
    members: BTreeMap<NodeAddr, String>,
    sessions: BTreeMap<NodeAddr, MemberSession>,
}

fn nodes_of(cloud: &CloudSeen) -> BTreeSet<NodeAddr> {
    let registered = cloud.registered.iter().map(|node| node.addr);
    registered.chain(cloud.nodes.members.keys().copied()).collect()
}

/// How far Page Up and Page Down go.
const PAGE: isize = 10;

impl Top {
    pub fn new(ensemble: Ensemble, settings: MemcachedSettings, interval: Duration) -> Self {
        Self {
            ensemble,
            names: BTreeMap::new(),
            settings,
            interval,
            clouds: BTreeMap::new(),
            lost: BTreeMap::new(),
            last: BTreeMap::new(),
            changed: BTreeMap::new(),
            answers: BTreeMap::new(),
            processes: BTreeMap::new(),
            aliases: BTreeSet::new(),
            by_hand: false,
            series: BTreeMap::new(),
            whole: Series::default(),
            since: Figures::default(),
            ticked: None,
            sort: Column::Node,
            descending: false,
            filter: String::new(),
            typing: false,
            help: false,
            marked: None,
            halted: None,
            over: false,
        }
    }

    /// What `event` makes of what is known. `now` is in milliseconds since 1970.
    pub fn update(&mut self, event: Event, now: i64) {
        match event {
            Event::Registered { code, nodes, others } => {
                let cloud = self.cloud(&code);
                cloud.registered = nodes;
                cloud.nodes.others = others;
            }
            Event::Unregistered { code } => {
                self.clouds.remove(&code);
                self.lost.remove(&code);
                self.last.remove(&code);
                self.forget_gone();
            }
            // Who follows a cloud goes on for a moment after that was unregistered.
            Event::Members { code, .. } if !self.clouds.contains_key(&code) => {}
            Event::Members { code, at, members: Ok(members), sessions } => {
                self.lost.remove(&code);
                self.note_changes(&code, at, &members, &sessions);
                let cloud = self.cloud(&code);
                cloud.nodes.members = members;
                cloud.sessions = sessions;
                cloud.zookeeper = true;
            }
            Event::Members { code, members: Err(failure), .. } => {
                let cloud = self.cloud(&code);
                cloud.nodes.members.clear();
                cloud.sessions.clear();
                cloud.zookeeper = false;
                self.lost.insert(code, failure);
            }
            Event::Answer { node, begun, at, answer } => self.answered(node, begun, at, answer),
            Event::Processes { host, begun, aliases, seen } => {
                self.aliases.extend(aliases);
                self.processes.insert(host, (begun, seen));
            }
            Event::Key(key) => self.pressed(key, now),
        }
    }

    fn cloud(&mut self, code: &ServiceCode) -> &mut CloudSeen {
        self.clouds.entry(code.clone()).or_insert_with(|| CloudSeen {
            code: code.clone(),
            registered: Vec::new(),
            nodes: NodesSeen::default(),
            sessions: BTreeMap::new(),
            changing: BTreeSet::new(),
            answers: BTreeMap::new(),
            zookeeper: false,
        })
    }

    /// Notes who came, left, or left and came back.
    fn note_changes(
        &mut self,
        code: &ServiceCode,
        at: f64,
        members: &BTreeMap<NodeAddr, String>,
        sessions: &BTreeMap<NodeAddr, MemberSession>,
    ) {
        let now = Joined { members: members.clone(), sessions: sessions.clone() };
        let Some(last) = self.last.get(code) else {
            self.last.insert(code.clone(), now);
            return;
        };
        let another_session = |addr: &NodeAddr| {
            let ids = [last, &now].map(|joined| joined.sessions.get(addr).map(|session| session.id));
            matches!(ids, [Some(before), Some(after)] if before != after)
        };
        let known: BTreeSet<&NodeAddr> = last.members.keys().chain(members.keys()).collect();
        let changed = known.into_iter().filter(|addr| {
            last.members.contains_key(addr) != members.contains_key(addr) || another_session(addr)
        });
        self.changed.extend(changed.map(|addr| (*addr, at)));
        let last = self.last.entry(code.clone()).or_default();
        last.members = now.members;
        // Of those that are there still, sessions are told a moment later.
        last.sessions.extend(now.sessions);
        last.sessions.retain(|addr, _| last.members.contains_key(addr));
    }

    /// What is known of its process or of its answer is older than its coming or going.
    fn is_changing(&self, node: NodeAddr) -> bool {
        let Some(changed) = self.changed.get(&node) else { return false };
        let looked = self.processes.get(&HostName::from(node.ip)).map(|(begun, _)| begun);
        let asked = self.answers.get(&node).map(|(begun, _)| begun);
        [looked, asked].into_iter().any(|begun| begun.is_none_or(|begun| begun < changed))
    }

    /// Hosts that are to be looked at now, because of what came or went there.
    pub fn stale_hosts(&self) -> BTreeSet<HostName> {
        let is_stale = |(node, changed): &(&NodeAddr, &f64)| {
            self.processes.get(&HostName::from(node.ip)).is_some_and(|(begun, _)| begun < changed)
        };
        self.changed.iter().filter(is_stale).map(|(node, _)| HostName::from(node.ip)).collect()
    }

    /// Nodes that are to be asked now, because they came or went.
    pub fn stale_nodes(&self) -> BTreeSet<NodeAddr> {
        let is_stale = |(node, changed): &(&NodeAddr, &f64)| {
            self.answers.get(*node).is_some_and(|(begun, _)| begun < changed)
        };
        self.changed.iter().filter(is_stale).map(|(node, _)| *node).collect()
    }

    fn forget_gone(&mut self) {
        let nodes = self.nodes();
        let hosts: BTreeSet<HostName> = nodes.iter().map(|node| HostName::from(node.ip)).collect();
        self.changed.retain(|node, _| nodes.contains(node));
        self.answers.retain(|node, _| nodes.contains(node));
        self.series.retain(|node, _| nodes.contains(node));
        self.processes.retain(|host, _| hosts.contains(host));
    }

    fn answered(&mut self, node: NodeAddr, begun: f64, at: f64, answer: Inspected<NodeAnswer>) {
        let series = self.series.entry(node).or_default();
        match &answer {
            Ok(answer) => {
                if let Some(since) = series.add(at, answer.figures) {
                    self.since = Figures::sum([&self.since, &since]);
                }
            }
            Err(_) => series.gap(),
        }
        self.answers.insert(node, (begun, answer));
    }

    /// Adds a point to the lines of all nodes together, at `at` seconds since the beginning. It is made of what each node
    /// did, so that one which comes back after a while does not look like all its work at once.
    pub fn tick(&mut self, at: f64) {
        let since = std::mem::take(&mut self.since);
        if let Some(then) = self.ticked.replace(at).filter(|then| at > *then) {
            self.whole.push(since.operations as f64 / (at - then), since.hit_ratio());
        }
    }

    /// Every node that there is something to ask of.
    pub fn nodes(&self) -> BTreeSet<NodeAddr> {
        self.clouds.values().flat_map(nodes_of).collect()
    }

    pub fn codes(&self) -> Vec<ServiceCode> {
        self.clouds.keys().cloned().collect()
    }

    pub fn is_halted(&self) -> bool {
        self.halted.is_some()
    }

    /// Why members are not known, if so.
    pub fn trouble(&self) -> Option<&Failure> {
        self.lost.values().next()
    }

    /// All nodes, whether they are shown or not.
    pub fn all(&self, now: i64) -> Vec<Row> {
        if let Some(halted) = &self.halted {
            return halted.clone();
        }
        let wanted = Wanted {
            ensemble: &self.ensemble,
            names: &self.names,
            settings: &self.settings,
            by_hand: self.by_hand,
            now,
        };
        let rows = self.clouds.values().flat_map(|cloud| {
            let status = judge(&self.with_answers(cloud), wanted);
            let code = status.service_code;
            status.nodes.into_iter().map(move |mut status| {
                self.leave_out_unasked(&mut status);
                let series = self.series.get(&status.node).cloned().unwrap_or_default();
                Row { code: code.clone(), status, series }
            })
        });
        rows.collect()
    }

    /// A cloud with what is known of its own nodes and hosts.
    fn with_answers(&self, cloud: &CloudSeen) -> CloudSeen {
        let mut cloud = cloud.clone();
        for node in nodes_of(&cloud) {
            let host = HostName::from(node.ip);
            if let Some((_, answer)) = self.answers.get(&node) {
                cloud.answers.insert(node, answer.clone());
            }
            if let Some((_, seen)) = self.processes.get(&host) {
                cloud.nodes.processes.entry(host).or_insert_with(|| seen.clone());
            }
            if self.is_changing(node) {
                cloud.changing.insert(node);
            }
        }
        cloud.nodes.aliases.clone_from(&self.aliases);
        cloud
    }

    /// What was not asked yet is no disagreement.
    fn leave_out_unasked(&self, status: &mut crate::status::NodeStatus) {
        let asked = self.answers.contains_key(&status.node)
            && self.processes.contains_key(&HostName::from(status.node.ip));
        if !asked {
            status.disagreements.clear();
        }
    }

    /// True once this node's answer and its host's are there, or are known not to come.
    pub fn is_known(&self, node: NodeAddr) -> bool {
        self.answers.contains_key(&node) && self.processes.contains_key(&HostName::from(node.ip))
    }

    /// The rows that are shown, in their order.
    pub fn rows(&self, now: i64) -> Vec<Row> {
        self.arranged(self.all(now))
    }

    /// Those of `rows` that are shown, in their order.
    pub fn arranged(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| row.fits(&self.filter));
        rows.sort_by(|one, other| {
            let order = one.compare(other, self.sort);
            if self.descending { order.reverse() } else { order }
        });
        rows
    }

    fn pressed(&mut self, key: Key, now: i64) {
        if key == Key::Interrupt {
            self.over = true;
        } else if self.typing {
            self.type_filter(key);
        } else if self.help {
            // Whatever is pressed ends the help; quitting by it would surprise.
            self.help = false;
        } else {
            self.command(key, now);
        }
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Char(character) => self.filter.push(character),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }

    fn command(&mut self, key: Key, now: i64) {
        match key {
            Key::Char('q') => self.over = true,
            // One that was made to see less is first made undone.
            Key::Escape if !self.filter.is_empty() => self.filter.clear(),
            Key::Escape => self.over = true,
            Key::Char('?' | 'h') => self.help = true,
            Key::Char('/') => self.typing = true,
            Key::Char('>' | 's') => self.sort_by(self.sort.step(1)),
            Key::Char('<') => self.sort_by(self.sort.step(Column::ALL.len() - 1)),
            Key::Char('r') => self.descending = !self.descending,
            Key::Char('p' | ' ') => {
                self.halted = if self.halted.is_some() { None } else { Some(self.all(now)) };
            }
            Key::Up | Key::Char('k') => self.mark(-1, now),
            Key::Down | Key::Char('j') => self.mark(1, now),
            Key::PageUp => self.mark(-PAGE, now),
            Key::PageDown => self.mark(PAGE, now),
            Key::Home => self.mark(isize::MIN, now),
            Key::End => self.mark(isize::MAX, now),
            _ => {}
        }
    }

    /// Figures are mostly asked for the largest first.
    fn sort_by(&mut self, column: Column) {
        self.sort = column;
        self.descending = !matches!(column, Column::Node | Column::State);
    }

    fn mark(&mut self, places: isize, now: i64) {
        let rows = self.rows(now);
        let last = rows.len().saturating_sub(1);
        let here = self.place_of_marked(&rows);
        let place = here.map_or(0, |here| here.saturating_add_signed(places).min(last));
        self.marked = rows.get(place).map(|row| (row.code.clone(), row.node()));
    }

    /// Where the marked node stands among `rows`.
    pub fn place_of_marked(&self, rows: &[Row]) -> Option<usize> {
        let (code, node) = self.marked.as_ref()?;
        rows.iter().position(|row| row.code == *code && row.node() == *node)
    }
}

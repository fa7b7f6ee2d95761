//! Live load: a client that does as Arcus's clients do, and remembers every operation.
//!
//! It follows `cache_list/<code>` by a watch, builds the ring of the live members, and sends each key to its owner over
//! one connection a node, which it closes when the node leaves the list. Its rate is bounded: the hosts of a lab share a
//! machine of few cores.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use arcusctl::model::NodeAddr;
use arcusctl::ring::Ring;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use zookeeper_client::Client;

use super::Site;

/// The default of Arcus's Java client is 700 ms; a lab's machine may be busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two operations.
const PACE: Duration = Duration::from_millis(8);
/// So many keys are written and read in turn.
const KEYS: usize = 500;

/// What one operation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Stored,
    /// What was stored last.
    Hit,
    Miss,
    /// Something that was overwritten since.
    Stale,
    Failed(String),
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) at: Instant,
    pub(crate) node: NodeAddr,
    pub(crate) answer: Answer,
}

/// Everything that a client saw.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) operations: Vec<Operation>,
    /// The members at each change, as the watch told.
    pub(crate) timeline: Vec<(Instant, BTreeSet<NodeAddr>)>,
}

impl Site {
    /// Does something while a client keeps a cloud busy; gives what it gave, and what the client saw. The work begins once
    /// every key has been written.
    pub(crate) fn while_a_client_uses<T>(&self, code: &str, work: impl FnOnce() -> T) -> (T, Record) {
        let over = AtomicBool::new(false);
        let (ready, is_ready) = channel();
        std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let run = || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    Ok(runtime.block_on(run_client(&self.ensemble(), code, &over, ready)))
                };
                self.lab.inside(run).unwrap()
            });
            let end = EndLoad(&over);
            is_ready.recv().expect("the client could not begin");
            let done = work();
            drop(end);
            (done, client.join().unwrap())
        })
    }
}

/// Ends the client also when the work panics.
struct EndLoad<'a>(&'a AtomicBool);

impl Drop for EndLoad<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run_client(ensemble: &str, code: &str, over: &AtomicBool, ready: Sender<()>) -> Record {
    let client = Client::connector().with_server_version(3, 5, 9).connect(ensemble).await.unwrap();
    let list = format!("/arcus/cache_list/{code}");
    let (names, mut watcher) = client.list_and_watch_children(&list).await.unwrap();
    let (sender, members) = watch::channel(members_of(&names));
    let follower = tokio::spawn(async move {
        let mut timeline = vec![(Instant::now(), members_of(&names))];
        loop {
            tokio::select! {
                _ = watcher.changed() => {
                    let (names, next) = client.list_and_watch_children(&list).await.unwrap();
                    watcher = next;
                    timeline.push((Instant::now(), members_of(&names)));
                    sender.send_replace(members_of(&names));
                }
                () = sender.closed() => return timeline,
            }
        }
    });
    let mut worker = Worker::new(members);
    for key in 0..KEYS {
        worker.set(key).await;
    }
    ready.send(()).unwrap();
    let mut turns = tokio::time::interval(PACE);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut turn = 0_usize;
    while !over.load(Ordering::Relaxed) {
        turns.tick().await;
        // A stride that is prime to the number of keys comes by all of them, each time in another order.
        let key = turn * 7 % KEYS;
        if turn.is_multiple_of(3) {
            worker.set(key).await;
        } else {
            worker.get(key).await;
        }
        turn += 1;
    }
    let operations = std::mem::take(&mut worker.operations);
    drop(worker);
    Record { operations, timeline: follower.await.unwrap() }
}

fn members_of(names: &[String]) -> BTreeSet<NodeAddr> {
    names.iter().map(|name| NodeAddr::from_ephemeral_name(name).unwrap()).collect()
}

struct Worker {
    members: watch::Receiver<BTreeSet<NodeAddr>>,
    ring: Ring,
    connections: BTreeMap<NodeAddr, BufReader<TcpStream>>,
    /// How often each key was stored, which its value tells.
    versions: Vec<u64>,
    operations: Vec<Operation>,
}

impl Worker {
    fn new(members: watch::Receiver<BTreeSet<NodeAddr>>) -> Self {
        let ring = Ring::new(members.borrow().iter().copied());
        Self { members, ring, connections: BTreeMap::new(), versions: vec![0; KEYS], operations: Vec::new() }
    }

    async fn set(&mut self, key: usize) {
        let version = self.versions[key] + 1;
        let value = format!("{key}-{version}");
        let request = format!("set {} 0 0 {}\r\n{value}\r\n", name_of(key), value.len());
        let stored = |line: &str, _: &str| if line == "STORED" { Some(Answer::Stored) } else { None };
        if self.operate(key, &request, stored).await {
            self.versions[key] = version;
        }
    }

    async fn get(&mut self, key: usize) {
        let wanted = format!("{key}-{}", self.versions[key]);
        let request = format!("get {}\r\n", name_of(key));
        let got = |line: &str, value: &str| match line {
            "END" => Some(Answer::Miss),
            line if !line.starts_with("VALUE ") => None,
            _ if value == wanted => Some(Answer::Hit),
            _ => Some(Answer::Stale),
        };
        self.operate(key, &request, got).await;
    }

    /// Sends a request to the owner of the key; false when that failed.
    async fn operate(
        &mut self,
        key: usize,
        request: &str,
        read: impl Fn(&str, &str) -> Option<Answer>,
    ) -> bool {
        self.follow_members();
        let key = name_of(key);
        let node = self.ring.owner(key.as_bytes()).expect("a cloud without members");
        let at = Instant::now();
        let asked = tokio::time::timeout(PATIENCE, self.ask(node, request)).await;
        let answer = match asked {
            Ok(Ok((line, value))) => {
                read(&line, &value).unwrap_or_else(|| Answer::Failed(format!("it said {line:?}")))
            }
            Ok(Err(error)) => Answer::Failed(error.to_string()),
            Err(_) => Answer::Failed(format!("nothing within {} s", PATIENCE.as_secs())),
        };
        let went_well = !matches!(answer, Answer::Failed(_));
        if !went_well {
            self.connections.remove(&node);
        }
        self.operations.push(Operation { at, node, answer });
        went_well
    }

    fn follow_members(&mut self) {
        if self.members.has_changed().unwrap_or(false) {
            let members = self.members.borrow_and_update().clone();
            self.ring = Ring::new(members.iter().copied());
            self.connections.retain(|node, _| members.contains(node));
        }
    }

    /// The first line of an answer, and the value that follows it.
    async fn ask(&mut self, node: NodeAddr, request: &str) -> io::Result<(String, String)> {
        let stream = match self.connections.entry(node) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => {
                let stream = TcpStream::connect((node.ip, node.port.get())).await?;
                stream.set_nodelay(true)?;
                none.insert(BufReader::new(stream))
            }
        };
        stream.write_all(request.as_bytes()).await?;
        let line = line_of(stream).await?;
        let Some(length) = line.strip_prefix("VALUE ").and_then(|rest| rest.split(' ').nth(2)) else {
            return Ok((line, String::new()));
        };
        let mut value = vec![0; length.parse().map_err(io::Error::other)?];
        stream.read_exact(&mut value).await?;
        while line_of(stream).await? != "END" {}
        Ok((line, String::from_utf8_lossy(&value).into_owned()))
    }
}

fn name_of(key: usize) -> String {
    format!("load:{key}")
}

async fn line_of(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

impl Record {
    /// How many of `nodes` were out at the same time, at most.
    pub(crate) fn most_out(&self, nodes: &BTreeSet<NodeAddr>) -> usize {
        let out = self.timeline.iter().map(|(_, members)| nodes.difference(members).count());
        out.max().unwrap_or(0)
    }

    /// The times at which `node` left and came back, as far as it did.
    pub(crate) fn outages(&self, node: NodeAddr) -> Vec<(Instant, Option<Instant>)> {
        let mut outages: Vec<(Instant, Option<Instant>)> = Vec::new();
        for (at, members) in &self.timeline {
            let is_out = outages.last().is_some_and(|(_, back)| back.is_none());
            match (members.contains(&node), outages.last_mut()) {
                (false, _) if !is_out => outages.push((*at, None)),
                (true, Some((_, back))) if is_out => *back = Some(*at),
                _ => {}
            }
        }
        outages
    }

    /// The operations that failed.
    pub(crate) fn failed(&self) -> Vec<&Operation> {
        let failed = |operation: &&Operation| matches!(operation.answer, Answer::Failed(_));
        self.operations.iter().filter(failed).collect()
    }

    /// The operations that failed although their node was a member all the while, from `slack` before to `slack` after.
    pub(crate) fn failed_elsewhere(&self, slack: Duration) -> Vec<&Operation> {
        let was_out = |operation: &Operation| {
            self.outages(operation.node).iter().any(|(left, back)| {
                operation.at + slack >= *left && back.is_none_or(|back| operation.at <= back + slack)
            })
        };
        self.failed().into_iter().filter(|operation| !was_out(operation)).collect()
    }

    /// How many operations came to this.
    pub(crate) fn count(&self, answer: &Answer) -> usize {
        self.operations.iter().filter(|operation| operation.answer == *answer).count()
    }
}

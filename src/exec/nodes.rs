//! Starting cache nodes, each seen to join its cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::pin::Pin;
use std::time::Instant;

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Events, Operator, Outcome, StepResult, exit_status};
use crate::error::Failure;
use crate::model::{HostName, NodeAddr, NodeOptions, ServiceCode};
use crate::plan::{NodeLaunch, Target};
use crate::remote::{Output, Process, Script, last_lines, scripts};
use crate::zk::Membership;

/// Nodes that were launched together on one host.
struct Launch {
    /// Those of which it is not known yet what becomes of them.
    open: BTreeSet<NodeAddr>,
    pids: BTreeMap<NodeAddr, u32>,
    /// Those that joined before the script was heard to say which process they are; their pid files wait for that.
    early: BTreeMap<NodeAddr, Result<(), Failure>>,
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
    results: Vec<StepResult>,
}

/// Why a launch is no longer followed.
enum Ending {
    /// Every node has joined or ended.
    Through,
    TimeUp,
    /// The script ended before its nodes were through: it could not start them at all.
    ScriptEnded,
}

impl Launch {
    async fn heard_of_join(&mut self, start: Instant, addr: NodeAddr, joined: Result<(), Failure>) {
        if !self.open.contains(&addr) {
            return;
        }
        if self.pids.contains_key(&addr) {
            self.joined(start, addr, joined).await;
        } else {
            self.early.insert(addr, joined);
        }
    }

    async fn heard_of_start(&mut self, start: Instant, addr: NodeAddr, pid: u32) {
        self.pids.insert(addr, pid);
        if let Some(joined) = self.early.remove(&addr) {
            self.joined(start, addr, joined).await;
        }
    }

    /// The script says nothing more: those that joined have joined.
    async fn close(&mut self, start: Instant) {
        for (addr, joined) in std::mem::take(&mut self.early) {
            self.joined(start, addr, joined).await;
        }
    }

    async fn joined(&mut self, start: Instant, addr: NodeAddr, joined: Result<(), Failure>) {
        self.open.remove(&addr);
        let pid = self.pids.get(&addr).copied();
        self.results.push(joined_result(start, addr, pid, joined));
        if let Some(pid) = pid {
            // Without a pid file the node is still found by its arguments.
            let _lost = self.stdin.write_all(format!("joined {} {pid}\n", addr.port).as_bytes()).await;
        }
    }
}

/// One line of `start_nodes.sh`.
enum Report {
    Started(u32),
    Exited(i32),
}

impl Operator {
    /// Launches all nodes of a host that can start at once in one go, the others when their turn has come. Of those in
    /// `answered` it is known that they can be asked whether they are ready.
    pub(super) async fn start_nodes(
        &self,
        host: &HostName,
        code: &ServiceCode,
        zookeeper: &str,
        nodes: &[NodeLaunch],
        answered: &BTreeSet<NodeAddr>,
        events: &Events,
    ) -> Vec<StepResult> {
        let start = Instant::now();
        let membership = match self.membership(code).await {
            Ok(membership) => membership,
            Err(failure) => return fail_all(start, nodes.iter().map(|node| node.addr), &failure),
        };
        let mut now = Vec::new();
        let mut after_old = Vec::new();
        let mut running = Vec::new();
        for node in nodes {
            match (node.options, &node.old_session) {
                (Some(options), None) => now.push((node.addr, options)),
                (Some(options), Some(znode)) => after_old.push((node.addr, options, znode.as_str())),
                (None, _) => running.push(node.addr),
            }
        }
        let membership = &*membership;
        let started = self.launch(host, zookeeper, &now, membership, start);
        let after_old = self.start_after_old_sessions(host, zookeeper, &after_old, membership, start, events);
        let joining = join_all(running.into_iter().map(|addr| self.await_running(addr, membership, start)));
        let (mut results, others, joined) = tokio::join!(started, after_old, joining);
        results.extend(others);
        results.extend(joined);
        self.confirm_ready(results, answered, start).await
    }

    /// Waits for a process that runs already to join.
    async fn await_running(&self, addr: NodeAddr, membership: &Membership, start: Instant) -> StepResult {
        let limit = self.settings.timeouts.join;
        let outcome = match timeout(limit, membership.joined(addr)).await {
            Ok(Ok(())) => Outcome::done("joined (it was running already)"),
            Ok(Err(failure)) => Outcome::Failed { failure },
            Err(_) => Outcome::Failed {
                failure: Failure::failed(format!("{addr}: its process runs, but it is no member of its cloud"))
                    .cause(format!("it did not join within {} s", limit.as_secs()))
                    .hint(format!(
                        "it lost its place or cannot reach ZooKeeper; stop it and start it again: arcusctl memcached stop CODE {addr}"
                    )),
            },
        };
        StepResult::since(start, Target::Node(addr), outcome)
    }

    /// Waits until the znodes of killed predecessors have gone, then launches all whose way is free in one go: sessions
    /// that ended together, as at a power cut, expire together.
    async fn start_after_old_sessions(
        &self,
        host: &HostName,
        zookeeper: &str,
        nodes: &[(NodeAddr, NodeOptions, &str)],
        membership: &Membership,
        start: Instant,
        events: &Events,
    ) -> Vec<StepResult> {
        let limit = self.settings.timeouts.join;
        let waits = nodes.iter().map(|(addr, options, znode)| async move {
            let target = Target::Node(*addr);
            events.note(&target, format!("waiting until {znode}, left by a process that was killed, has expired"));
            let failure = match timeout(limit, membership.left(*addr)).await {
                Ok(Ok(())) => return Ok((*addr, *options)),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::failed(format!("{addr}: a znode of that name is still there after {} s", limit.as_secs()))
                    .cause(format!("{znode} belongs to a session that has not expired"))
                    .hint("a node of the same address may run on another host; else raise [timeouts] join above the session timeout"),
            };
            Err(StepResult::since(start, target, Outcome::Failed { failure }))
        });
        let (free, taken): (Vec<_>, Vec<_>) = join_all(waits).await.into_iter().partition(Result::is_ok);
        let free: Vec<(NodeAddr, NodeOptions)> = free.into_iter().filter_map(Result::ok).collect();
        let mut results = self.launch(host, zookeeper, &free, membership, start).await;
        results.extend(taken.into_iter().filter_map(Result::err));
        results
    }

    /// Starts processes and follows each until it has joined, has ended, or its time is up.
    async fn launch(
        &self,
        host: &HostName,
        zookeeper: &str,
        nodes: &[(NodeAddr, NodeOptions)],
        membership: &Membership,
        start: Instant,
    ) -> Vec<StepResult> {
        if nodes.is_empty() {
            return Vec::new();
        }
        let addrs = || nodes.iter().map(|(addr, _)| *addr);
        let mut process = match self.spawn_nodes(host, zookeeper, nodes).await {
            Ok(process) => process,
            Err(failure) => return fail_all(start, addrs(), &failure),
        };
        let (Some(stdout), Some(stdin)) = (process.stdout.take(), process.stdin.take()) else {
            return fail_all(
                start,
                addrs(),
                &Failure::failed(format!("{host}: a channel came without its pipes")),
            );
        };
        let mut launch = Launch {
            open: addrs().collect(),
            pids: BTreeMap::new(),
            early: BTreeMap::new(),
            stdin,
            results: Vec::new(),
        };
        let lines = BufReader::new(stdout).lines();
        let ending = self.follow(host, &mut launch, lines, membership, start).await;
        launch.close(start).await;
        let Launch { open, pids, stdin, mut results, .. } = launch;
        // The end of its input ends the script, which leaves the nodes running; a node's log is read on a channel of
        // its own.
        process.stdin = Some(stdin);
        let finished = timeout(self.settings.timeouts.command, process.finish()).await;
        match ending {
            Ending::Through => {}
            Ending::TimeUp => {
                for addr in open {
                    let failure = self.not_joined(host, addr, pids.get(&addr).copied()).await;
                    results.push(StepResult::since(start, Target::Node(addr), Outcome::Failed { failure }));
                }
            }
            Ending::ScriptEnded => {
                let failure = script_failure(host, finished);
                results.extend(fail_all(start, open.into_iter(), &failure));
            }
        }
        results
    }

    async fn follow(
        &self,
        host: &HostName,
        launch: &mut Launch,
        mut lines: Lines<impl AsyncBufRead + Unpin>,
        membership: &Membership,
        start: Instant,
    ) -> Ending {
        let follow = |addr: NodeAddr| async move { (addr, membership.joined(addr).await) };
        let mut joins: FuturesUnordered<_> = launch.open.iter().copied().map(follow).collect();
        let deadline = tokio::time::sleep(self.settings.timeouts.join);
        tokio::pin!(deadline);
        while !launch.open.is_empty() {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => match read_report(&line, &launch.open) {
                        Some((addr, Report::Started(pid))) => launch.heard_of_start(start, addr, pid).await,
                        Some((addr, Report::Exited(status))) => {
                            launch.open.remove(&addr);
                            launch.early.remove(&addr);
                            let failure = self.exited(host, addr, status, launch.pids.get(&addr).copied()).await;
                            launch.results.push(StepResult::since(start, Target::Node(addr), Outcome::Failed { failure }));
                        }
                        None => {}
                    },
                    Ok(None) | Err(_) => return Ending::ScriptEnded,
                },
                Some((addr, joined)) = joins.next() => {
                    launch.heard_of_join(start, addr, joined).await;
                }
                () = &mut deadline => return Ending::TimeUp,
            }
        }
        Ending::Through
    }

    async fn spawn_nodes(
        &self,
        host: &HostName,
        zookeeper: &str,
        nodes: &[(NodeAddr, NodeOptions)],
    ) -> Result<Process, Failure> {
        let settings = &self.settings.memcached;
        let list: Vec<String> = nodes
            .iter()
            .map(|(addr, options)| {
                format!("{}:{}:{}:{}", addr.port, options.memlimit, options.connections, options.threads)
            })
            .collect();
        let mut script = Script::new("start its cache nodes", scripts::START_NODES)
            .arg(&self.settings.install_path)
            .arg(&settings.user)
            .arg(zookeeper)
            .arg(list.join(" "));
        if let Some(seconds) = settings.session_timeout {
            script = script.arg("-o").arg(seconds.to_string());
        }
        let script = script.args(&settings.extra_args);
        self.fleet.host(host).await?.spawn(&script).await
    }

    async fn exited(&self, host: &HostName, addr: NodeAddr, status: i32, pid: Option<u32>) -> Failure {
        let log = self.node_log(host, addr.port, pid).await;
        exit_status::explain(Failure::failed(format!("{addr}: ended before it joined")).log(log), status)
    }

    async fn not_joined(&self, host: &HostName, addr: NodeAddr, pid: Option<u32>) -> Failure {
        let limit = self.settings.timeouts.join.as_secs();
        let running = pid.map_or_else(|| "its process".to_owned(), |pid| format!("its process (pid {pid})"));
        Failure::failed(format!("{addr}: did not join within {limit} s"))
            .cause(format!("{running} runs, but its znode has not appeared"))
            .hint("it may still join: see arcusctl memcached list; it joins under the address of its route to ZooKeeper, which must be the ip in the cloud JSON")
            .log(self.node_log(host, addr.port, pid).await)
    }

    async fn node_log(&self, host: &HostName, port: NonZeroU16, pid: Option<u32>) -> Vec<String> {
        let script = Script::new("read the node's log", scripts::NODE_LOG)
            .arg(&self.settings.install_path)
            .arg(port.to_string())
            .arg(pid.unwrap_or_default().to_string());
        let text =
            async { self.fleet.host(host).await?.check(&script, self.settings.timeouts.command).await };
        text.await.map(|text| last_lines(&text, 20)).unwrap_or_default()
    }
}

/// What the script said, or that it was not heard of.
fn script_failure(host: &HostName, finished: Result<Result<Output, Failure>, Elapsed>) -> Failure {
    let output = match finished {
        Ok(Ok(output)) => output,
        Ok(Err(failure)) => return failure,
        Err(_) => {
            return Failure::unreachable(format!(
                "{host}: the start of its cache nodes was not heard of again"
            ));
        }
    };
    let status = output.status;
    let script = Script::new("start its cache nodes", scripts::START_NODES);
    match output.success(host, &script) {
        Ok(_) => Failure::failed(format!("{host}: the start of its cache nodes ended early")),
        Err(failure) => exit_status::explain(failure, status),
    }
}

fn joined_result(
    start: Instant,
    addr: NodeAddr,
    pid: Option<u32>,
    joined: Result<(), Failure>,
) -> StepResult {
    let outcome = match (joined, pid) {
        (Ok(()), Some(pid)) => Outcome::done(format!("joined (pid {pid})")),
        (Ok(()), None) => Outcome::done("joined"),
        (Err(failure), _) => Outcome::Failed { failure },
    };
    StepResult::since(start, Target::Node(addr), outcome)
}

pub(super) fn fail_all(
    start: Instant,
    addrs: impl Iterator<Item = NodeAddr>,
    failure: &Failure,
) -> Vec<StepResult> {
    addrs
        .map(|addr| {
            StepResult::since(start, Target::Node(addr), Outcome::Failed { failure: failure.clone() })
        })
        .collect()
}

fn read_report(line: &str, nodes: &BTreeSet<NodeAddr>) -> Option<(NodeAddr, Report)> {
    let mut words = line.split(' ');
    let (word, port, number) = (words.next()?, words.next()?, words.next()?);
    let port: NonZeroU16 = port.parse().ok()?;
    let addr = nodes.iter().copied().find(|addr| addr.port == port)?;
    let report = match word {
        "started" => Report::Started(number.parse().ok()?),
        "exited" => Report::Exited(number.parse().ok()?),
        _ => return None,
    };
    Some((addr, report))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_node_that_joins_before_its_process_is_known_gets_its_pid_file_all_the_same() {
        let addr: NodeAddr = "10.0.0.1:11211".parse().unwrap();
        let (near, mut far) = tokio::io::duplex(64);
        let mut launch = Launch {
            open: BTreeSet::from([addr]),
            pids: BTreeMap::new(),
            early: BTreeMap::new(),
            stdin: Box::pin(near),
            results: Vec::new(),
        };
        let start = Instant::now();
        launch.heard_of_join(start, addr, Ok(())).await;
        assert!(launch.results.is_empty() && launch.open.contains(&addr));
        launch.heard_of_start(start, addr, 4711).await;
        launch.close(start).await;
        assert_eq!(launch.results.len(), 1);
        drop(launch);
        let mut told = String::new();
        far.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "joined 11211 4711\n");
    }
}

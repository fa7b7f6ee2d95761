//! Starting and stopping cache nodes, each seen to join or leave its cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::{Events, Operator, Outcome, StepResult, exit_status};
use crate::error::Failure;
use crate::model::{HostName, NodeAddr, NodeOptions, ServiceCode};
use crate::plan::{NodeLaunch, NodeStop, Target};
use crate::remote::{Script, last_lines, scripts};
use crate::zk::Membership;

/// One line of `start_nodes.sh`.
enum Report {
    Started(u32),
    Exited(i32),
}

impl Operator {
    /// Launches all nodes of a host that can start at once in one go, the others when their turn has come.
    pub(super) async fn start_nodes(
        &self,
        host: &HostName,
        code: &ServiceCode,
        zookeeper: &str,
        nodes: &[NodeLaunch],
        events: &Events,
    ) -> Vec<StepResult> {
        let start = Instant::now();
        let membership = match self.membership(code).await {
            Ok(membership) => membership,
            Err(failure) => return fail_all(start, nodes.iter().map(|node| node.addr), &failure),
        };
        let mut now = Vec::new();
        let mut later = Vec::new();
        for node in nodes {
            match (node.options, &node.old_session) {
                (Some(options), None) => now.push((node.addr, options)),
                _ => later.push(node),
            }
        }
        let at_once = async {
            if now.is_empty() {
                Vec::new()
            } else {
                self.launch(host, zookeeper, &now, &membership, start).await
            }
        };
        let one_by_one = later.into_iter().map(|node| {
            let membership = Arc::clone(&membership);
            async move { self.start_later(host, zookeeper, node, &membership, start, events).await }
        });
        let (mut results, others) = tokio::join!(at_once, join_all(one_by_one));
        results.extend(others.into_iter().flatten());
        results
    }

    /// Waits for an old session to go, or for a process that runs already to join.
    async fn start_later(
        &self,
        host: &HostName,
        zookeeper: &str,
        node: &NodeLaunch,
        membership: &Membership,
        start: Instant,
        events: &Events,
    ) -> Vec<StepResult> {
        let addr = node.addr;
        let target = Target::Node(addr);
        let limit = self.settings.timeouts.join;
        let ended = |outcome: Outcome| vec![StepResult::since(start, target.clone(), outcome)];
        let failed = |failure: Failure| ended(Outcome::Failed { failure });
        let Some(options) = node.options else {
            return match timeout(limit, membership.joined(addr)).await {
                Ok(Ok(())) => ended(Outcome::done("joined (it was running already)")),
                Ok(Err(failure)) => failed(failure),
                Err(_) => failed(
                    Failure::failed(format!("{addr}: its process runs, but it is no member of its cloud"))
                        .cause(format!("it did not join within {} s", limit.as_secs()))
                        .hint(format!("it lost its place or cannot reach ZooKeeper; stop it and start it again: arcusctl memcached stop CODE {addr}")),
                ),
            };
        };
        if let Some(znode) = &node.old_session {
            events.note(
                &target,
                format!("waiting until {znode}, left by a process that was killed, has expired"),
            );
            match timeout(limit, membership.left(addr)).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => return failed(failure),
                Err(_) => {
                    return failed(
                        Failure::failed(format!("{addr}: a znode of that name is still there after {} s", limit.as_secs()))
                            .cause(format!("{znode} belongs to a session that has not expired"))
                            .hint("a node of the same address may run on another host; else raise [timeouts] join above the session timeout"),
                    );
                }
            }
        }
        self.launch(host, zookeeper, &[(addr, options)], membership, start).await
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
        let addrs = || nodes.iter().map(|(addr, _)| *addr);
        let mut process = match self.spawn_nodes(host, zookeeper, nodes).await {
            Ok(process) => process,
            Err(failure) => return fail_all(start, addrs(), &failure),
        };
        let (Some(stdout), Some(mut stdin)) = (process.stdout.take(), process.stdin.take()) else {
            return fail_all(
                start,
                addrs(),
                &Failure::failed(format!("{host}: a channel came without its pipes")),
            );
        };
        let mut lines = BufReader::new(stdout).lines();
        let mut open: BTreeSet<NodeAddr> = addrs().collect();
        let mut pids: BTreeMap<NodeAddr, u32> = BTreeMap::new();
        let mut results = Vec::new();
        let mut joins: FuturesUnordered<_> =
            addrs().map(|addr| async move { (addr, membership.joined(addr).await) }).collect();
        let deadline = tokio::time::sleep(self.settings.timeouts.join);
        tokio::pin!(deadline);
        while !open.is_empty() {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => match read_report(&line, &open) {
                        Some((addr, Report::Started(pid))) => drop(pids.insert(addr, pid)),
                        Some((addr, Report::Exited(status))) => {
                            open.remove(&addr);
                            let failure = self.exited(host, addr, status, pids.get(&addr).copied()).await;
                            results.push(StepResult::since(start, Target::Node(addr), Outcome::Failed { failure }));
                        }
                        None => {}
                    },
                    // The script ended before its nodes were through: it could not start them at all.
                    Ok(None) | Err(_) => break,
                },
                Some((addr, joined)) = joins.next() => {
                    if open.remove(&addr) {
                        let pid = pids.get(&addr).copied();
                        results.push(joined_result(start, addr, pid, joined));
                        if let Some(pid) = pid {
                            // Without a pid file the node is still found by its arguments.
                            let _lost = stdin.write_all(format!("joined {} {pid}\n", addr.port).as_bytes()).await;
                        }
                    }
                }
                () = &mut deadline => break,
            }
        }
        if open.is_empty() {
            process.stdin = Some(stdin);
            let _nodes_run_on = timeout(self.settings.timeouts.command, process.finish()).await;
            return results;
        }
        let timed_out = deadline.is_elapsed();
        if timed_out {
            for addr in open {
                let failure = self.not_joined(host, addr, pids.get(&addr).copied()).await;
                results.push(StepResult::since(start, Target::Node(addr), Outcome::Failed { failure }));
            }
            process.stdin = Some(stdin);
            let _nodes_run_on = timeout(self.settings.timeouts.command, process.finish()).await;
            return results;
        }
        drop(stdin);
        let failure = match process.finish().await {
            Ok(output) => {
                let script = Script::new("start its cache nodes", scripts::START_NODES);
                let status = output.status;
                let failure = output.success(host, &script).err();
                let failure =
                    failure.unwrap_or_else(|| Failure::failed(format!("{host}: the start ended early")));
                if status == 0 { failure } else { exit_status::explain(failure, status) }
            }
            Err(failure) => failure,
        };
        results.extend(fail_all(start, open.into_iter(), &failure));
        results
    }

    async fn spawn_nodes(
        &self,
        host: &HostName,
        zookeeper: &str,
        nodes: &[(NodeAddr, NodeOptions)],
    ) -> Result<crate::remote::Process, Failure> {
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
        let failure =
            exit_status::explain(Failure::failed(format!("{addr}: ended before it joined")), status);
        failure.log(self.node_log(host, addr.port, pid).await)
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

    /// Signals the nodes of a host together and sees each process end and each znode go.
    pub(super) async fn stop_nodes(
        &self,
        host: &HostName,
        code: &ServiceCode,
        nodes: &[NodeStop],
        events: &Events,
    ) -> Vec<StepResult> {
        let start = Instant::now();
        let ended = async {
            let membership = self.membership(code).await?;
            let limit = self.settings.timeouts.stop;
            let script = Script::new("stop its cache nodes", scripts::STOP_NODES)
                .arg(&self.settings.install_path)
                .arg(limit.as_secs().to_string())
                .arg(if self.force { "force" } else { "" })
                .args(nodes.iter().map(|node| format!("{}:{}:{}", node.addr.port, node.pid, node.started)));
            let patience = limit + self.settings.timeouts.command;
            let text = self.fleet.host(host).await?.check(&script, patience).await?;
            Ok::<_, Failure>((membership, text))
        };
        let (membership, text) = match ended.await {
            Ok(ended) => ended,
            Err(failure) => return fail_all(start, nodes.iter().map(|node| node.addr), &failure),
        };
        let word_of = |port: NonZeroU16| {
            text.lines().find_map(|line| {
                let (word, of) = line.split_once(' ')?;
                (of == port.to_string()).then_some(word)
            })
        };
        let gone = nodes.iter().map(|node| {
            let word = word_of(node.addr.port);
            let membership = &membership;
            async move {
                let outcome = match self.gone(node, word, membership, events).await {
                    Ok(detail) => Outcome::Done { detail },
                    Err(failure) => Outcome::Failed { failure },
                };
                StepResult::since(start, Target::Node(node.addr), outcome)
            }
        });
        join_all(gone).await
    }

    async fn gone(
        &self,
        node: &NodeStop,
        word: Option<&str>,
        membership: &Membership,
        events: &Events,
    ) -> Result<String, Failure> {
        let addr = node.addr;
        let forced = match word {
            Some("ended") => false,
            Some("forced") => true,
            _ => {
                return Err(Failure::failed(format!(
                    "{addr}: pid {} did not end within {} s",
                    node.pid,
                    self.settings.timeouts.stop.as_secs()
                ))
                .cause("it was sent SIGTERM; a node that waits for ZooKeeper ends only when that wait does")
                .hint("wait and run the command again, or add --force to kill it"));
            }
        };
        if forced {
            events.note(&Target::Node(addr), "killed; waiting until its znode expires with its session");
        }
        let limit = self.settings.timeouts.join;
        timeout(limit, membership.left(addr)).await.map_err(|_| {
            Failure::failed(format!(
                "{addr}: its process has ended, but its znode is still there after {} s",
                limit.as_secs()
            ))
            .hint("it goes when its session expires; another process of the same address may hold it")
        })??;
        Ok(if forced {
            "killed; its znode is gone".to_owned()
        } else {
            "stopped; its znode is gone".to_owned()
        })
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

fn fail_all(start: Instant, addrs: impl Iterator<Item = NodeAddr>, failure: &Failure) -> Vec<StepResult> {
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

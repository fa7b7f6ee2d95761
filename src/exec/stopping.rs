//! Stopping cache nodes, gracefully where they can, each seen to leave its cloud and to end.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::timeout;

use super::nodes::fail_all;
use super::readiness::ANSWER_LIMIT;
use super::{Events, Operator, Outcome, StepResult};
use crate::error::Failure;
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::node::NodeLink;
use crate::plan::{NodeStop, ProcessId, Target};
use crate::remote::{Script, scripts};

/// What became of a node that was to stop.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) result: StepResult,
    /// It was told to end, whatever was seen of that since: it is out of its cloud, or will be.
    pub(super) told: bool,
}

/// Seconds for which each node that was told to drain does so.
type Drains = BTreeMap<NodeAddr, u16>;

/// Waits for something that only ZooKeeper tells. An ensemble that elects a leader is away for seconds: it is asked once
/// more before that costs a node that has ended its place.
async fn twice<T, F: Future<Output = Result<T, Failure>>>(ask: impl Fn() -> F) -> Result<T, Failure> {
    match ask().await {
        Err(failure) => {
            tracing::debug!(%failure, "ZooKeeper is asked once more");
            ask().await
        }
        answer => answer,
    }
}

impl Operator {
    /// Stops the nodes of a host together and sees each process end and each znode go.
    pub(super) async fn stop_nodes(
        &self,
        host: &HostName,
        code: &ServiceCode,
        nodes: &[NodeStop],
        drain: u16,
        events: &Events,
    ) -> Vec<Stopped> {
        let start = Instant::now();
        let all_failed = |failure: &Failure, told: bool| {
            let results = fail_all(start, nodes.iter().map(|node| node.addr), failure);
            results.into_iter().map(|result| Stopped { result, told }).collect()
        };
        let registered = match self.membership_if_registered(code).await {
            Ok(membership) => membership.is_some(),
            Err(failure) => return all_failed(&failure, false),
        };
        let drains = self.begin_drains(nodes, drain, events).await;
        let text = match self.end_processes(host, nodes, &drains).await {
            Ok(text) => text,
            // What the script did on a host that is lost now, nobody knows.
            Err(failure) => return all_failed(&failure, true),
        };
        let word_of = |port: NonZeroU16| {
            text.lines().find_map(|line| {
                let (word, of) = line.split_once(' ')?;
                (of == port.to_string()).then_some(word)
            })
        };
        let gone = nodes.iter().map(|node| {
            let word = word_of(node.addr.port);
            let code = registered.then_some(code);
            let told = drains.contains_key(&node.addr) || word != Some("denied");
            async move {
                let outcome = match self.gone(node, word, code, drain, events).await {
                    Ok(detail) => Outcome::Done { detail },
                    Err(failure) => Outcome::Failed { failure },
                };
                Stopped { result: StepResult::since(start, Target::Node(node.addr), outcome), told }
            }
        });
        join_all(gone).await
    }

    /// Tells the nodes to leave their cloud and to end in so many seconds (`shutdown`, arcus-memcached 1.14.0); meanwhile
    /// they serve the connections that they have. Gives those that do.
    async fn begin_drains(&self, nodes: &[NodeStop], seconds: u16, events: &Events) -> Drains {
        if seconds == 0 {
            return Drains::new();
        }
        let running = nodes.iter().filter(|node| node.process.is_some());
        let asked = running.map(|node| async move {
            let target = Target::Node(node.addr);
            match self.begin_drain(node, seconds).await {
                Ok(()) => {
                    events.note(&target, format!("leaves its cloud, and drains for {seconds} s"));
                    Some((node.addr, seconds))
                }
                Err(failure) => {
                    let reason = failure.causes.first().unwrap_or(&failure.message);
                    events.note(&target, format!("does not drain ({reason}); it is sent SIGTERM instead"));
                    None
                }
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn begin_drain(&self, node: &NodeStop, seconds: u16) -> Result<(), Failure> {
        let addr = node.addr;
        let command = format!("shutdown {seconds}");
        let mut link = NodeLink::open(&self.fleet, addr, ANSWER_LIMIT).await?;
        // A plan of many rounds may be hours old by now.
        let pid = link.stats("").await?.remove("pid");
        if node.process.map(|process| process.pid.to_string()) != pid {
            return Err(Failure::refused(format!("{addr}: is another process now"))
                .cause("another process answers at its port by now"));
        }
        match link.ask(&command).await?.as_str() {
            "OK" => Ok(()),
            other => Err(Failure::refused(format!("{addr}: does not take '{command}'"))
                .cause(format!("it said: {other}"))),
        }
    }

    /// Signals the processes that do not drain and waits for the end of all; gives what the script says of each.
    async fn end_processes(
        &self,
        host: &HostName,
        nodes: &[NodeStop],
        drains: &Drains,
    ) -> Result<String, Failure> {
        let limit = self.settings.timeouts.stop;
        let processes: Vec<String> = nodes
            .iter()
            .filter_map(|node| {
                let ProcessId { pid, started } = node.process?;
                let drain = drains.get(&node.addr).copied().unwrap_or_default();
                Some(format!("{}:{pid}:{started}:{drain}", node.addr.port))
            })
            .collect();
        if processes.is_empty() {
            return Ok(String::new());
        }
        // One that drained and did not end is sent SIGTERM, and waited for once more.
        let longest = match drains.values().max() {
            Some(seconds) => Duration::from_secs(u64::from(*seconds)) + limit * 2,
            None => limit,
        };
        let script = Script::new("stop its cache nodes", scripts::STOP_NODES)
            .arg(&self.settings.install_path)
            .arg(limit.as_secs().to_string())
            .arg(if self.force { "force" } else { "" })
            .args(&processes);
        self.fleet.host(host).await?.check(&script, longest + self.settings.timeouts.command).await
    }

    async fn gone(
        &self,
        node: &NodeStop,
        word: Option<&str>,
        code: Option<&ServiceCode>,
        drain: u16,
        events: &Events,
    ) -> Result<String, Failure> {
        let addr = node.addr;
        let target = Target::Node(addr);
        let pid = node.process.map(|process| process.pid).unwrap_or_default();
        let seconds = self.settings.timeouts.stop.as_secs();
        let told = match (node.process, word) {
            (None, _) => {
                events.note(&target, "no process of it is to be seen; waiting until its znode has gone");
                "was not running; its znode is gone".to_owned()
            }
            (Some(_), Some("drained")) => format!("drained for {drain} s and stopped; its znode is gone"),
            (Some(_), Some("ended")) => "stopped; its znode is gone".to_owned(),
            (Some(_), Some("forced")) => {
                events.note(&target, "killed; waiting until its znode expires with its session");
                "killed; its znode is gone".to_owned()
            }
            (Some(_), Some("denied")) => {
                return Err(Failure::refused(format!("{addr}: may not signal its process (pid {pid})"))
                    .hint("log in as root, or as the user that cache nodes run as"));
            }
            (Some(_), Some("strange")) => {
                return Err(Failure::refused(format!("{addr}: process {pid} is no cache node of this port"))
                    .cause(
                        "neither its name nor its arguments are those of one, though it was told to be one",
                    )
                    .hint("see on the host whose process that is, and what listens at the port"));
            }
            (Some(_), _) => {
                return Err(Failure::failed(format!("{addr}: pid {pid} did not end within {seconds} s"))
                    .cause(
                        "it was sent SIGTERM; a node that waits for ZooKeeper ends only when that wait does",
                    )
                    .hint("wait and run the command again, or add --force to kill it"));
            }
        };
        let Some(code) = code else {
            return Ok("stopped; its cloud is not registered".to_owned());
        };
        let limit = self.settings.timeouts.join;
        timeout(limit, twice(move || async move { self.membership(code).await?.left(addr).await })).await.map_err(|_| {
            let failure = Failure::failed(format!("{addr}: is still a member after {} s", limit.as_secs()));
            match node.process {
                Some(_) => failure
                    .cause("its process has ended")
                    .hint("its znode goes when its session expires; another process of the same address may hold it"),
                None => failure
                    .cause(format!("no process of it is to be seen on {}", addr.ip))
                    .hint("it may run in a container, as another user, or on another host that has this address"),
            }
        })??;
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_ensemble_that_is_away_for_a_moment_is_asked_once_more_and_not_for_ever() {
        let asked = async |fails: usize| {
            let count = Cell::new(0);
            let answer = twice(|| {
                count.set(count.get() + 1);
                let answer =
                    if count.get() <= fails { Err(Failure::unreachable("no leader")) } else { Ok(()) };
                async { answer }
            });
            (answer.await.is_ok(), count.get())
        };
        assert_eq!(asked(0).await, (true, 1));
        assert_eq!(asked(1).await, (true, 2));
        assert_eq!(asked(2).await, (false, 2));
    }
}

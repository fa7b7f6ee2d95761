//! Restarting cache nodes, and the time that a cloud is given in between.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::readiness::ANSWER_LIMIT;
use super::{Events, Operator, Outcome, StepResult};
use crate::error::Failure;
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::node::NodeLink;
use crate::plan::{NodeLaunch, NodeRestart, NodeStop, Target};

/// A long wait is heard of this often.
const TELL: Duration = Duration::from_secs(30);

/// Nodes to restart, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restart<'a> {
    pub(super) code: &'a ServiceCode,
    pub(super) zookeeper: &'a str,
    pub(super) nodes: &'a [NodeRestart],
    pub(super) drain: u16,
}

impl Operator {
    /// Stops the nodes of a host and starts those that did stop.
    pub(super) async fn restart_nodes(
        &self,
        host: &HostName,
        restart: Restart<'_>,
        events: &Events,
    ) -> Vec<StepResult> {
        let start = Instant::now();
        let Restart { code, zookeeper, nodes, drain } = restart;
        let answered = self.that_answer(nodes).await;
        let stops: Vec<NodeStop> = nodes.iter().filter_map(NodeRestart::stop).collect();
        let stopped = if stops.is_empty() {
            Vec::new()
        } else {
            self.stop_nodes(host, code, &stops, drain, events).await
        };
        let (mut results, stopped): (Vec<_>, Vec<_>) =
            stopped.into_iter().partition(|result| result.failure().is_some());
        for result in &stopped {
            if let Outcome::Done { detail } = &result.outcome {
                events.note(&result.target, format!("{detail}; starting it"));
            }
        }
        let stays: BTreeSet<&Target> = results.iter().map(|result| &result.target).collect();
        let launches: Vec<NodeLaunch> = nodes
            .iter()
            .filter(|node| !stays.contains(&Target::Node(node.addr)))
            .map(NodeRestart::launch)
            .collect();
        let started = self.start_nodes(host, code, zookeeper, &launches, &answered, events).await;
        let was_stopped = |target: &Target| stopped.iter().any(|result| result.target == *target);
        results.extend(started.into_iter().map(|result| {
            let outcome = match result.outcome {
                Outcome::Done { detail } if was_stopped(&result.target) => {
                    Outcome::done(format!("restarted: {detail}"))
                }
                Outcome::Failed { failure } if was_stopped(&result.target) => Outcome::Failed {
                    failure: failure.hint(format!(
                        "it was stopped and is out now; once that is mended: arcusctl memcached start {code} {}",
                        result.target
                    )),
                },
                outcome => outcome,
            };
            StepResult::since(start, result.target, outcome)
        }));
        results
    }

    /// Those that can be asked from here, now.
    async fn that_answer(&self, nodes: &[NodeRestart]) -> BTreeSet<NodeAddr> {
        let running = nodes.iter().filter(|node| node.process.is_some());
        let asked = running.map(|node| async move {
            NodeLink::open(&self.fleet, node.addr, ANSWER_LIMIT).await.ok().map(|_| node.addr)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Waits, and sees then that the cloud is whole enough for the next nodes to go out.
    pub(super) async fn settle(
        &self,
        code: &ServiceCode,
        seconds: u32,
        joined: &[NodeAddr],
        members: usize,
        events: &Events,
    ) -> Outcome {
        let target = Target::Cloud(code.clone());
        if seconds > 0 {
            let reason = "others drop what is no longer theirs one session timeout after a node has joined";
            events.note(&target, format!("waiting {seconds} s: {reason}"));
        }
        let begun = Instant::now();
        let length = Duration::from_secs(u64::from(seconds));
        while let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            tokio::select! {
                () = tokio::time::sleep(left.min(TELL)) => {}
                () = self.stop.cancelled() => {
                    let reason = format!("interrupted after {} of {seconds} s of waiting", begun.elapsed().as_secs());
                    return Outcome::Skipped { reason };
                }
            }
            if let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| left.as_secs() > 0) {
                events.note(&target, format!("{} s left to wait", left.as_secs()));
            }
        }
        match self.see_members(code, joined, members).await {
            Ok(()) if seconds > 0 => Outcome::done(format!("waited {seconds} s; no other node has gone")),
            Ok(()) => Outcome::done("no other node has gone"),
            Err(failure) => Outcome::Failed { failure },
        }
    }

    async fn see_members(
        &self,
        code: &ServiceCode,
        joined: &[NodeAddr],
        members: usize,
    ) -> Result<(), Failure> {
        let live = self.membership(code).await?.now()?;
        let gone: Vec<String> =
            joined.iter().filter(|addr| !live.contains_key(addr)).map(ToString::to_string).collect();
        if !gone.is_empty() {
            return Err(Failure::failed(format!("{} left {code} again after joining it", gone.join(", ")))
                .hint("see why in its log; it ended, or lost its ZooKeeper session"));
        }
        if live.len() < members {
            return Err(Failure::failed(format!(
                "{code} has {} member(s); there must be {members} before the next node goes out",
                live.len()
            ))
            .cause("a node went out meanwhile that this run did not touch")
            .hint(format!(
                "see which: arcusctl memcached list {code}; bring it back, then run the command again"
            )));
        }
        Ok(())
    }
}

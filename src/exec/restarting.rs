//! Restarting cache nodes, and the time that a cloud is given in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::readiness::ANSWER_LIMIT;
use super::stopping::Stopped;
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

/// A wait, and what the cloud must be like after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settling<'a> {
    pub(super) code: &'a ServiceCode,
    pub(super) seconds: u32,
    /// Those that have just joined; they must still be members.
    pub(super) joined: &'a [NodeAddr],
    /// So many of those that are expected must be members.
    pub(super) members: usize,
    pub(super) expected: &'a BTreeSet<NodeAddr>,
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
        let (failed, stopped): (Vec<_>, Vec<_>) =
            stopped.into_iter().partition(|stopped| stopped.result.failure().is_some());
        let mut results: Vec<StepResult> =
            failed.into_iter().map(|failed| told_if_out(failed, code)).collect();
        let stopped: Vec<StepResult> = stopped.into_iter().map(|stopped| stopped.result).collect();
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
    pub(super) async fn settle(&self, settling: Settling<'_>, events: &Events) -> Outcome {
        let Settling { code, seconds, .. } = settling;
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
        let seen = async { self.membership(code).await?.now() };
        match seen.await.and_then(|live| settling.whole_enough(&live)) {
            Ok(told) if seconds > 0 => Outcome::done(format!("waited {seconds} s; {told}")),
            Ok(told) => Outcome::done(told),
            Err(failure) => Outcome::Failed { failure },
        }
    }
}

/// The result of a stop that failed, with what became of the node where it may be out: nothing starts it then.
fn told_if_out(Stopped { result, told }: Stopped, code: &ServiceCode) -> StepResult {
    let StepResult { target, outcome, elapsed } = result;
    let outcome = match outcome {
        Outcome::Failed { failure } if told => {
            let hint = format!(
                "it was told to end and is not started again: it is out, or will be; once that is mended: arcusctl resume, \
                 or arcusctl memcached start {code} {target}"
            );
            Outcome::Failed { failure: failure.hint(hint) }
        }
        outcome => outcome,
    };
    StepResult { target, outcome, elapsed }
}

impl Settling<'_> {
    /// Whether these members will do to go on, and which of those that are expected are missing.
    fn whole_enough(&self, live: &BTreeMap<NodeAddr, String>) -> Result<String, Failure> {
        let Self { code, joined, members, expected, .. } = self;
        let is_gone = |addr: &&NodeAddr| !live.contains_key(addr);
        let again: Vec<String> = joined.iter().filter(is_gone).map(ToString::to_string).collect();
        if !again.is_empty() {
            return Err(Failure::failed(format!("{} left {code} again after joining it", again.join(", ")))
                .hint("see why in its log; it ended, or lost its ZooKeeper session"));
        }
        let gone: Vec<String> = expected.iter().filter(is_gone).map(ToString::to_string).collect();
        let there = expected.len() - gone.len();
        if there < *members {
            return Err(Failure::failed(format!(
                "{code} has {there} member(s); there must be {members} before the next node goes out"
            ))
            .cause(format!("no member: {}", gone.join(", ")))
            .hint(format!("bring back what went out: arcusctl memcached start {code} @offline"))
            .hint("then go on: arcusctl resume"));
        }
        Ok(match gone.as_slice() {
            [] => "no other node has gone".to_owned(),
            gone => {
                let (all, gone) = (expected.len(), gone.join(", "));
                format!("{there} of {all} nodes are members; no member, and allowed to be out: {gone}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(last: &[u8]) -> Vec<NodeAddr> {
        last.iter().map(|last| format!("10.0.0.{last}:1").parse().unwrap()).collect()
    }

    /// What is said when of four nodes, of which so many must be there, these are live.
    fn seen(members: usize, live: &[u8]) -> Result<String, Failure> {
        let (code, expected) = (ServiceCode::new("c").unwrap(), addrs(&[1, 2, 3, 4]).into_iter().collect());
        let joined = addrs(&[1]);
        let settling = Settling { code: &code, seconds: 0, joined: &joined, members, expected: &expected };
        settling.whole_enough(&addrs(live).into_iter().map(|addr| (addr, String::new())).collect())
    }

    #[test]
    fn a_stop_that_failed_after_the_node_was_told_to_end_says_that_it_is_out() {
        let told = |told| {
            let outcome = Outcome::Failed { failure: Failure::unreachable("ssh is gone") };
            let result = StepResult::since(Instant::now(), Target::Node(addrs(&[1])[0]), outcome);
            let result = told_if_out(Stopped { result, told }, &ServiceCode::new("c").unwrap());
            result.failure().unwrap().hints.clone()
        };
        assert!(told(false).is_empty());
        assert!(told(true)[0].ends_with("arcusctl resume, or arcusctl memcached start c 10.0.0.1:1"));
    }

    #[test]
    fn that_no_other_node_has_gone_is_said_only_where_none_has() {
        assert_eq!(seen(3, &[1, 2, 3, 4]).unwrap(), "no other node has gone");
        assert_eq!(
            seen(3, &[1, 2, 3]).unwrap(),
            "3 of 4 nodes are members; no member, and allowed to be out: 10.0.0.4:1"
        );
    }

    #[test]
    fn who_is_gone_is_named_and_a_stranger_makes_up_for_nobody() {
        let failure = seen(4, &[1, 2, 3, 9]).unwrap_err();
        assert_eq!(failure.message, "c has 3 member(s); there must be 4 before the next node goes out");
        assert_eq!(failure.causes, ["no member: 10.0.0.4:1"]);
        assert_eq!(failure.hints[1], "then go on: arcusctl resume");
        assert!(seen(0, &[2, 3, 4]).unwrap_err().message.contains("10.0.0.1:1 left c again"));
    }
}

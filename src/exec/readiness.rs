//! Seeing that a node that has joined says of itself that it is ready.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{Operator, Outcome, StepResult};
use crate::error::Failure;
use crate::model::NodeAddr;
use crate::node::{NodeLink, Readiness};
use crate::plan::Target;

/// For one answer of a node that should answer at once.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Nothing tells when a node becomes ready; it is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl Operator {
    /// Asks the nodes that have joined whether they are ready. One that cannot be asked from here is as good as joined,
    /// unless it is in `answered`: it could be asked a while ago.
    pub(super) async fn confirm_ready(
        &self,
        results: Vec<StepResult>,
        answered: &BTreeSet<NodeAddr>,
        start: Instant,
    ) -> Vec<StepResult> {
        let confirm = |result: StepResult| async move {
            let (Target::Node(addr), Outcome::Done { detail }) = (&result.target, &result.outcome) else {
                return result;
            };
            let outcome = match self.await_ready(*addr, answered.contains(addr)).await {
                Ok(None) => result.outcome.clone(),
                Ok(Some(doubt)) => Outcome::done(format!("{detail}; {doubt}")),
                Err(failure) => Outcome::Failed { failure },
            };
            StepResult::since(start, result.target, outcome)
        };
        join_all(results.into_iter().map(confirm)).await
    }

    /// Waits until the node says READY; gives what could not be made sure of.
    async fn await_ready(&self, addr: NodeAddr, must_answer: bool) -> Result<Option<String>, Failure> {
        let limit = self.settings.timeouts.join;
        let deadline = Instant::now() + limit;
        loop {
            let said = async {
                let mut link = NodeLink::open(&self.fleet, addr, ANSWER_LIMIT).await?;
                link.ready().await
            };
            let failure = match said.await {
                // Servers older than the command have joined; more cannot be known of them.
                Ok(Readiness::Ready | Readiness::Unknown) => return Ok(None),
                Ok(Readiness::NotReady) => {
                    Failure::failed(format!("{addr}: joined, but says that it is NOT_READY after {} s", limit.as_secs()))
                        .hint(format!("see its log, and whether it is a member still: arcusctl memcached list; its own view: printf 'stats zookeeper\\r\\nquit\\r\\n' | nc {} {}", addr.ip, addr.port))
                }
                Err(failure) if !must_answer => {
                    tracing::debug!(%addr, %failure, "not asked whether it is ready");
                    return Ok(Some("whether it is ready could not be asked from here".to_owned()));
                }
                Err(failure) => {
                    let mut told = Failure::unreachable(format!("{addr}: joined, but does not answer any more"));
                    told.causes = std::iter::once(failure.message).chain(failure.causes).collect();
                    told.hint("it answered before it was restarted: see its log and its host")
                }
            };
            if Instant::now() >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

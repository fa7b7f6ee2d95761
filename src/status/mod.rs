//! Judging a cloud by the four truths about each of its nodes: what is registered, the process on its host, the
//! membership in ZooKeeper, and the node's own answer; every disagreement among them is named.
//!
//! Boundary: pure. What was observed comes in; no clock, host or ZooKeeper is asked. Who is a member only ZooKeeper knows:
//! a node goes on saying READY after its place was lost.

mod judge;
mod report;

#[cfg(test)]
mod judge_tests;

pub use judge::{CloudSeen, Wanted, judge};
pub use report::{
    AnswerStatus, CloudStatus, Disagreement, DisagreementKind, MemberStatus, NodeStatus, ProcessStatus,
};

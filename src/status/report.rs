//! What a judgement comes to.

use serde::Serialize;

use crate::error::Failure;
use crate::inspect::{Figures, NodeAnswer};
use crate::model::{NodeAddr, NodeOptions, ReleaseId, ServiceCode};
use crate::plan::Drift;

/// One cloud.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudStatus {
    pub service_code: ServiceCode,
    /// Registered nodes; `None` when ZooKeeper does not say.
    pub registered: Option<usize>,
    /// Registered nodes that are members; `None` when ZooKeeper does not say.
    pub online: Option<usize>,
    /// Of all nodes that answered.
    pub figures: Figures,
    pub nodes: Vec<NodeStatus>,
}

/// One node, as each of the four has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    pub node: NodeAddr,
    /// It has a mapping; `None` when ZooKeeper does not say.
    pub registered: Option<bool>,
    /// What it is to be started with, where that is known.
    pub options: Option<NodeOptions>,
    pub process: Option<ProcessStatus>,
    pub member: Option<MemberStatus>,
    pub answer: Option<AnswerStatus>,
    /// What is not as it should be, the worst first.
    pub disagreements: Vec<Disagreement>,
}

/// Its process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    pub pid: u32,
    /// Seconds since its start.
    pub seconds: u64,
    /// The release that it executes; `None` when it is in none.
    pub release: Option<ReleaseId>,
    pub argv: Vec<String>,
    /// How it differs from the one that would be started in its place.
    pub drifts: Vec<Drift>,
}

/// Its membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    pub znode: String,
    /// The session that holds the znode, as ZooKeeper writes it in hexadecimal digits.
    pub session: Option<String>,
    /// Seconds since the znode was made, by the clocks of ZooKeeper and of this machine.
    pub seconds: Option<u64>,
}

/// What it says of itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerStatus {
    #[serde(flatten)]
    pub said: NodeAnswer,
    /// From 0 to 1; `None` before the first read.
    pub hit_ratio: Option<f64>,
}

/// One thing that is not as it should be, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disagreement {
    pub kind: DisagreementKind,
    pub failure: Failure,
}

/// The sorts of disagreement, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisagreementKind {
    /// Its znode is nobody's: no session holds it, so it never goes.
    Persistent,
    /// A member whose process is not to be seen.
    Orphan,
    /// Its process runs and says READY, but it is no member.
    Zombie,
    /// Its process runs, but does not answer.
    Hung,
    /// Its process has just begun, and answers once it has joined.
    Starting,
    /// It came or went while it was looked at, so that what was seen of it does not go together.
    Changing,
    /// What has its port is no cache node of this install and ensemble.
    Foreign,
    /// It is no member and says so itself: it lost its place, or is still joining.
    Paused,
    /// Registered, and there is neither a process nor a member.
    NotRunning,
    /// No member; of its process nothing is known.
    Offline,
    /// A member that says it has lost ZooKeeper, or is not ready.
    ZookeeperLost,
    /// It follows other ZooKeeper addresses than the operator's.
    OtherEnsemble,
    /// Another service code has it as well.
    Disputed,
    /// A member that is not registered.
    Unregistered,
    /// It would not start: it has no mapping, or nobody knows with which options.
    Unstartable,
    /// It runs with other options than it would be started with.
    Drifted,
    /// It runs an older release than its host's current one.
    Outdated,
    /// Its host cannot be looked at.
    HostUnreachable,
    /// Its port does not answer, and nothing else of it can be seen.
    Unanswered,
}

impl DisagreementKind {
    /// It is about what is written of the node, or what it was started as, whether that is a member or not.
    pub(super) fn stands_without_membership(self) -> bool {
        matches!(
            self,
            Self::Persistent
                | Self::OtherEnsemble
                | Self::Disputed
                | Self::Unregistered
                | Self::Unstartable
                | Self::Drifted
                | Self::Outdated
                | Self::HostUnreachable
        )
    }

    /// One word for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::Orphan => "orphan",
            Self::Zombie => "zombie",
            Self::Hung => "hung",
            Self::Starting => "starting",
            Self::Changing => "changing",
            Self::Foreign => "foreign",
            Self::Paused => "paused",
            Self::NotRunning => "not-running",
            Self::Offline => "offline",
            Self::ZookeeperLost => "zookeeper-lost",
            Self::OtherEnsemble => "other-ensemble",
            Self::Disputed => "disputed",
            Self::Unregistered => "unregistered",
            Self::Unstartable => "unstartable",
            Self::Drifted => "drifted",
            Self::Outdated => "outdated",
            Self::HostUnreachable => "host-unreachable",
            Self::Unanswered => "unanswered",
        }
    }
}

impl NodeStatus {
    /// The disagreements in a word each, or `well`.
    pub fn words(&self) -> String {
        if self.disagreements.is_empty() {
            return "well".to_owned();
        }
        let words: Vec<&str> = self.disagreements.iter().map(|one| one.kind.as_str()).collect();
        words.join(", ")
    }
}

impl CloudStatus {
    pub fn disagreements(&self) -> impl Iterator<Item = &Disagreement> {
        self.nodes.iter().flat_map(|node| &node.disagreements)
    }
}

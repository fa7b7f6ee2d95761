//! What can be done to a host, a member, the ensemble, the tree or a node.

use std::fmt;
use std::num::NonZeroU16;

use serde::Serialize;

use crate::model::{Compression, EnsembleMember, NodeAddr, NodeOptions, ReleaseId, ServiceCode, ZnodeChange};

/// One step's work, down to the last value: executing it decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Action {
    /// Send the package, verify it there and unpack it beside what is in use. `partial` bytes of an upload that was cut
    /// short lie there; they are kept if they match.
    StageRelease { release: ReleaseId, bytes: u64, compression: Compression, partial: u64 },
    /// Make the staged release the current one, by one rename.
    SwitchRelease { release: ReleaseId, from: Option<ReleaseId>, adopts: Vec<String> },
    /// Remove releases that nobody needs any more.
    PruneReleases { releases: Vec<ReleaseId> },
    /// Write a member's `myid` and `zoo.cfg`; `None` where it is right already.
    ConfigureMember { layout: MemberLayout, myid: Option<u32>, config: Option<String> },
    /// Start a member's process.
    StartMember { layout: MemberLayout },
    /// Stop a member's process and wait until its port is closed.
    StopMember { layout: MemberLayout },
    /// Wait until every named member serves.
    AwaitQuorum { members: Vec<EnsembleMember>, quorum: usize },
    /// Create those of Arcus's base directories that are missing, in one transaction.
    CreateStructure,
    /// Write all changes in one transaction, or none.
    CommitZnodes { changes: Vec<ZnodeChange>, summary: Vec<String> },
    /// Start cache nodes of one host and see each join.
    StartNodes { code: ServiceCode, zookeeper: String, nodes: Vec<NodeLaunch> },
    /// Stop cache nodes of one host and see each leave.
    StopNodes { code: ServiceCode, nodes: Vec<NodeStop> },
}

/// Where a member keeps what, and which ports it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberLayout {
    pub member: EnsembleMember,
    pub id: u32,
    pub peer_port: NonZeroU16,
    pub election_port: NonZeroU16,
    pub conf_dir: String,
    pub data_dir: String,
    pub log_dir: String,
}

/// How to bring one cache node into its cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLaunch {
    pub addr: NodeAddr,
    /// `None` when its process runs already and only its membership is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<NodeOptions>,
    /// The znode that a killed predecessor left; until its session expires, a new node refuses to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_session: Option<String>,
}

/// Which process to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStop {
    pub addr: NodeAddr,
    pub pid: u32,
    /// In clock ticks since boot; together with the pid it names one process for good.
    pub started: u64,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StageRelease { release, bytes, partial: 0, .. } => {
                write!(out, "send and unpack release {release} ({})", human_bytes(*bytes))
            }
            Self::StageRelease { release, bytes, partial, .. } => {
                let (partial, bytes) = (human_bytes(*partial), human_bytes(*bytes));
                write!(out, "send and unpack release {release} (going on after {partial} of {bytes})")
            }
            Self::PruneReleases { releases } => {
                let names: Vec<&str> = releases.iter().map(ReleaseId::as_str).collect();
                write!(out, "remove release {}", names.join(", "))
            }
            Self::SwitchRelease { release, from: Some(from), .. } => {
                write!(out, "switch from release {from} to {release}")
            }
            Self::SwitchRelease { release, from: None, adopts } if adopts.is_empty() => {
                write!(out, "switch to release {release}")
            }
            Self::SwitchRelease { release, from: None, adopts } => {
                write!(
                    out,
                    "adopt the present install ({}), then switch to release {release}",
                    adopts.join(", ")
                )
            }
            Self::ConfigureMember { myid, config, layout } => {
                let myid = myid.map(|id| format!("{}/myid = {id}", layout.data_dir));
                let config = config.as_ref().map(|_| format!("{}/zoo.cfg", layout.conf_dir));
                let files: Vec<String> = myid.into_iter().chain(config).collect();
                write!(out, "write {}", files.join(" and "))
            }
            Self::StartMember { .. } => out.write_str("start ZooKeeper"),
            Self::StopMember { .. } => out.write_str("stop ZooKeeper"),
            Self::AwaitQuorum { members, quorum } => {
                write!(out, "wait until {} member(s) serve (quorum {quorum})", members.len())
            }
            Self::CreateStructure => out.write_str("create the base znodes below /arcus that are missing"),
            Self::CommitZnodes { summary, .. } => out.write_str(&summary.join("; ")),
            Self::StartNodes { nodes, .. } => {
                let starts: Vec<String> = nodes.iter().map(NodeLaunch::to_string).collect();
                out.write_str(&starts.join("; "))
            }
            Self::StopNodes { nodes, .. } => {
                let stops: Vec<String> =
                    nodes.iter().map(|node| format!("stop {} (pid {})", node.addr, node.pid)).collect();
                out.write_str(&stops.join("; "))
            }
        }
    }
}

impl fmt::Display for NodeLaunch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.options, &self.old_session) {
            (None, _) => write!(out, "wait until {} joins", self.addr),
            (Some(_), None) => write!(out, "start {}", self.addr),
            (Some(_), Some(znode)) => {
                write!(out, "start {} once {znode} of its predecessor has expired", self.addr)
            }
        }
    }
}

/// `12.3 MB`: three digits, decimal units, as disk and network figures are given.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 || size >= 100.0 {
        format!("{size:.0} {}", UNITS[unit])
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn sizes_are_given_in_decimal_units() {
        let given = [0, 999, 1_500, 34_600_000, 250_000_000_000].map(human_bytes);
        assert_eq!(given, ["0 B", "999 B", "1.5 kB", "34.6 MB", "250 GB"]);
    }
}

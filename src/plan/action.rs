//! What can be done to a host, a member, the ensemble, the tree or a node.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::Serialize;

use super::HostChange;
use crate::model::{
    Compression, EnsembleMember, NodeAddr, NodeOptions, ReleaseId, ServiceCode, ZnodeChange, human_bytes,
};

/// So many changes are told one by one.
const LISTED: usize = 8;

/// One step's work, down to the last value: executing it decides nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Action {
    /// Send the package, verify it there and unpack it beside what is in use. `partial` bytes of an upload that was cut
    /// short lie there; they are kept if they match.
    StageRelease { release: ReleaseId, bytes: u64, compression: Compression, partial: u64 },
    /// Make a host ready for a first deploy; `elevate`: by way of sudo.
    PrepareHost { change: HostChange, elevate: bool },
    /// Make a key to log in with; only the public part, where the private one is there.
    MakeKey { path: String, part: KeyPart },
    /// Have a host accept the key: the person types the password to ssh itself.
    InstallKey { key: String, host_key: HostKey },
    /// Make the staged release the current one, by one rename.
    SwitchRelease { release: ReleaseId, from: Option<ReleaseId>, adopts: Vec<String> },
    /// Give a release that is there the name that the operator gives it now.
    LabelRelease { release: ReleaseId, label: String },
    /// Remove what runs that were cut short left behind.
    TidyUp { leftovers: Vec<String> },
    /// Remove releases that nobody needs any more.
    PruneReleases { releases: Vec<ReleaseId> },
    /// Run a command of the operator's.
    RunCommand { argv: Vec<String> },
    /// Remove what arcusctl made below the install path, `ours`; a release that a process executes stays.
    RemoveInstall { ours: Vec<String> },
    /// Remove logs and pid files of cache nodes from a host that is needed on.
    ForgetNodes { ports: Vec<NonZeroU16> },
    /// Note on the host that the data of its members goes with `code`: nobody else needs it.
    MarkDestroyed { code: ServiceCode },
    /// Remove the data, logs and configuration of a member that does not run.
    RemoveMember { layout: MemberLayout },
    /// Write a member's `myid` and `zoo.cfg`; `None` where it is right already.
    ConfigureMember { layout: MemberLayout, myid: Option<u32>, config: Option<String> },
    /// Start a member's process.
    StartMember { layout: MemberLayout },
    /// Stop a member's process and wait until its port is closed.
    StopMember { layout: MemberLayout },
    /// Stop a member if it runs, give it this `zoo.cfg` if there is one, start it, and wait until it is in sync. It is not
    /// touched unless, without it, a majority of each of `keep` serves.
    CycleMember { layout: MemberLayout, runs: bool, config: Option<String>, keep: Vec<Voters> },
    /// Stop a member that votes no more, and set its `zoo.cfg` aside so that nobody starts it by mistake; its data stays.
    RetireMember { layout: MemberLayout },
    /// Have ZooKeeper change the list of its servers, which must still be `from`; each as `server.N=…`.
    Reconfigure { from: Vec<String>, servers: Vec<String> },
    /// Write through one member and read it through each.
    ProveSync { members: Vec<EnsembleMember> },
    /// Tell live cache nodes which members there are.
    TellNodes { nodes: Vec<NodeAddr>, zookeeper: String },
    /// Wait until every named member serves.
    AwaitQuorum { members: Vec<EnsembleMember>, quorum: usize },
    /// Create those of Arcus's base directories that are missing, in one transaction.
    CreateStructure,
    /// Write all changes in one transaction, or none.
    CommitZnodes { changes: Vec<ZnodeChange>, summary: Vec<String> },
    /// Start cache nodes of one host and see each join.
    StartNodes { code: ServiceCode, zookeeper: String, nodes: Vec<NodeLaunch> },
    /// Stop cache nodes of one host and see each leave. They drain for so many seconds where their server can: out of
    /// their cloud already, they serve the connections that they have. With 0 they are sent SIGTERM at once.
    StopNodes { code: ServiceCode, nodes: Vec<NodeStop>, drain: u16 },
    /// Stop cache nodes of one host as above, start them again, and see each join and be ready. One step: what was
    /// stopped is started again even if the operator asks to stop meanwhile.
    RestartNodes { code: ServiceCode, zookeeper: String, nodes: Vec<NodeRestart>, drain: u16 },
    /// Give the cloud time after nodes have joined, then see that it is whole enough to go on.
    Settle {
        code: ServiceCode,
        seconds: u32,
        /// Those that have just joined; they must still be members.
        joined: Vec<NodeAddr>,
        /// So many of those that are expected must be members before it goes on.
        members: usize,
        /// The nodes that the cloud is to have by then: a stranger makes up for none of them.
        #[serde(skip)]
        expected: Arc<BTreeSet<NodeAddr>>,
    },
    /// Have a cache node go back to the cloud that it lost its place in, and see it there.
    RejoinNode { code: ServiceCode, pid: u32 },
}

/// What of a key is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPart {
    Whole,
    Public,
}

/// What is known of the key by which a host proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKey {
    Known,
    /// The person is to confirm it to ssh.
    Confirm,
    /// It is recorded as it is.
    Accept,
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

/// Members whose majority must serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Voters(pub Vec<EnsembleMember>);

impl Voters {
    pub fn quorum(&self) -> usize {
        self.0.len() / 2 + 1
    }
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

/// A node to take out of its cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStop {
    pub addr: NodeAddr,
    /// `None` when it is a member without a process that can be seen; then its leaving is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
}

/// A node to be stopped and started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRestart {
    pub addr: NodeAddr,
    /// `None` when nothing of it runs; then it is only started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    pub options: NodeOptions,
    /// As of [`NodeLaunch`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_session: Option<String>,
}

impl NodeRestart {
    /// What there is to stop first.
    pub fn stop(&self) -> Option<NodeStop> {
        self.process.map(|process| NodeStop { addr: self.addr, process: Some(process) })
    }

    /// What is to be started then.
    pub fn launch(&self) -> NodeLaunch {
        NodeLaunch { addr: self.addr, options: Some(self.options), old_session: self.old_session.clone() }
    }
}

/// One process of one host, for good: a number alone is given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessId {
    pub pid: u32,
    /// In clock ticks since boot.
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
            Self::MakeKey { path, part: KeyPart::Whole } => {
                write!(out, "make an ed25519 key without a passphrase: {path}")
            }
            Self::MakeKey { path, part: KeyPart::Public } => write!(out, "write the public part of {path}"),
            Self::InstallKey { key, host_key } => {
                let before = match host_key {
                    HostKey::Known => "",
                    HostKey::Confirm => "confirm its host key to ssh, and ",
                    HostKey::Accept => "record its host key, and ",
                };
                write!(out, "{before}install {key}.pub; ssh asks for the password")
            }
            Self::PrepareHost { change, elevate } => {
                write!(out, "{change}{}", if *elevate { " (with sudo)" } else { "" })
            }
            Self::TidyUp { leftovers } => write!(out, "tidy up {}", leftovers.join(", ")),
            Self::PruneReleases { releases } => {
                let names: Vec<&str> = releases.iter().map(ReleaseId::as_str).collect();
                write!(out, "remove release {}", names.join(", "))
            }
            Self::RunCommand { argv } => write!(out, "run {}", argv.join(" ")),
            Self::RemoveInstall { ours } => {
                let releases: Vec<&str> = ours
                    .iter()
                    .filter_map(|name| name.strip_prefix("releases/"))
                    .filter(|name| !name.starts_with('.'))
                    .collect();
                match (releases.as_slice(), ours.len() - releases.len()) {
                    ([], others) => {
                        write!(out, "remove {others} file(s), link(s) and directories of arcusctl")
                    }
                    (releases, 0) => write!(out, "remove release {}", releases.join(", ")),
                    (releases, others) => {
                        let releases = releases.join(", ");
                        write!(out, "remove release {releases} and {others} more of what arcusctl made")
                    }
                }
            }
            Self::ForgetNodes { ports } => {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                write!(out, "remove logs and pid files of cache nodes {}", ports.join(", "))
            }
            Self::MarkDestroyed { .. } => out.write_str("note that its ZooKeeper data may go"),
            Self::RemoveMember { layout } => {
                let MemberLayout { data_dir, log_dir, conf_dir, .. } = layout;
                write!(
                    out,
                    "remove the znodes, logs and configuration in {data_dir}, {log_dir} and {conf_dir}"
                )
            }
            Self::SwitchRelease { release, from, adopts } => {
                if !adopts.is_empty() {
                    write!(out, "keep {} as a release of its own, then ", adopts.join(", "))?;
                }
                match from {
                    Some(from) => write!(out, "switch from release {from} to {release}"),
                    None => write!(out, "switch to release {release}"),
                }
            }
            Self::LabelRelease { release, label } => write!(out, "label release {release} {label}"),
            Self::ConfigureMember { myid, config, layout } => {
                let myid = myid.map(|id| format!("{}/myid = {id}", layout.data_dir));
                let config = config.as_ref().map(|_| format!("{}/zoo.cfg", layout.conf_dir));
                let files: Vec<String> = myid.into_iter().chain(config).collect();
                write!(out, "write {}", files.join(" and "))
            }
            Self::StartMember { .. } => out.write_str("start ZooKeeper"),
            Self::StopMember { .. } => out.write_str("stop ZooKeeper"),
            Self::CycleMember { runs, config, layout, .. } => {
                if config.is_some() {
                    write!(out, "write {}/zoo.cfg, ", layout.conf_dir)?;
                }
                write!(out, "{} ZooKeeper, wait until it is in sync", if *runs { "restart" } else { "start" })
            }
            Self::RetireMember { layout } => {
                write!(out, "stop ZooKeeper, set {}/zoo.cfg aside", layout.conf_dir)
            }
            Self::Reconfigure { servers, .. } => {
                write!(out, "have ZooKeeper change its servers to {}", servers.join(" "))
            }
            Self::ProveSync { members } => {
                write!(out, "write through one of {} members and read it through each", members.len())
            }
            Self::TellNodes { nodes, zookeeper } => {
                write!(out, "tell {} live cache node(s) that the ensemble is {zookeeper}", nodes.len())
            }
            Self::AwaitQuorum { members, quorum } => {
                write!(out, "wait until {} member(s) serve (quorum {quorum})", members.len())
            }
            Self::CreateStructure => out.write_str("create the base znodes below /arcus that are missing"),
            Self::CommitZnodes { summary, .. } => match summary.as_slice() {
                // The plan lists them; here they would fill the screen.
                [first, .., last] if summary.len() > LISTED => {
                    write!(out, "{first}; …; {last} ({} changes)", summary.len())
                }
                _ => out.write_str(&summary.join("; ")),
            },
            Self::StartNodes { nodes, .. } => {
                let starts: Vec<String> = nodes.iter().map(NodeLaunch::to_string).collect();
                out.write_str(&starts.join("; "))
            }
            Self::StopNodes { nodes, drain, .. } => {
                let told = |node: &NodeStop| match node.process {
                    Some(_) => format!("{node}{}", drained(*drain)),
                    None => node.to_string(),
                };
                out.write_str(&nodes.iter().map(told).collect::<Vec<_>>().join("; "))
            }
            Self::RejoinNode { code, pid } => write!(out, "have it rejoin {code} (pid {pid})"),
            Self::RestartNodes { nodes, drain, .. } => {
                let told = |node: &NodeRestart| match node.process {
                    Some(_) => format!("{node}{}", drained(*drain)),
                    None => node.to_string(),
                };
                out.write_str(&nodes.iter().map(told).collect::<Vec<_>>().join("; "))
            }
            Self::Settle { seconds: 0, .. } => out.write_str("see that no other node has gone"),
            Self::Settle { seconds, .. } => write!(out, "wait {seconds} s; see that no other node has gone"),
        }
    }
}

/// How nodes that are stopped get to their end.
fn drained(seconds: u16) -> String {
    match seconds {
        0 => String::new(),
        seconds => format!(", drained for {seconds} s"),
    }
}

impl fmt::Display for NodeRestart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(out, "restart {} (pid {})", self.addr, process.pid),
            None => self.launch().fmt(out),
        }
    }
}

impl Action {
    /// It comes after ZooKeeper itself may have ended, so it cannot depend on a lock that ZooKeeper keeps.
    pub fn outlives_zookeeper(&self) -> bool {
        matches!(self, Self::MarkDestroyed { .. } | Self::RemoveMember { .. } | Self::RemoveInstall { .. })
    }
}

impl fmt::Display for NodeStop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(out, "stop {} (pid {})", self.addr, process.pid),
            None => write!(out, "wait until {} has left; no process of it is to be seen", self.addr),
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

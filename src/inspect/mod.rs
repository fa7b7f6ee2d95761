//! Looking: read-only questions to hosts and ZooKeeper, answered as plain data for `plan`.
//!
//! Boundary: changes nothing anywhere. Every host is asked at once; what one host answers, or that it does not, never
//! keeps another from being asked.

mod answers;
mod clouds;
mod hosts;
mod logs;
mod preflight;
mod prepared;
mod remains;
mod sessions;
mod storage;
mod surroundings;
mod tree;
mod znodes;

pub use answers::{Figures, NodeAnswer, ZooKeeperSaid, inspect_answer, inspect_answers};
pub use clouds::{
    CloudReport, CloudStatus, NodeLabel, RegisteredNode, document_server, hostnames_of, mapped_nodes,
    members_of, others_of, registered_cloud, report_cloud,
};
pub(crate) use hosts::read_options;
pub use hosts::{
    InstallSeen, MachineId, MemberPlace, MemberSeen, NodeProcess, ProcessesSeen, ReleaseSeen, ReleaseUser,
    inspect_install, inspect_installs, inspect_machines, inspect_members, inspect_processes,
};
pub use logs::{LogPlace, LogQuestion, LogsHeard, read_logs};
pub use preflight::{
    Account, ClockOffset, HostFacts, JavaSeen, Limit, Listener, MemberQuestion, NOT_DYNAMIC, PlaceSeen,
    Questions, Reach, Route, RunDirectory, inspect_host,
};
pub use prepared::{
    Entry, InstallPlace, LimitsSeen, PackageManager, PreparedSeen, Rights, RunPlace, inspect_prepared,
};
pub use remains::{RemainsSeen, inspect_marks, inspect_remains};
pub use sessions::inspect_session_timeouts;
pub use storage::{SnapshotSeen, StorageSeen, inspect_storage};
pub use surroundings::Surroundings;
pub use tree::{ArcusTree, Mapping, RegisteredCode};
pub use znodes::ZnodesSeen;

use crate::error::Failure;

/// What a host answered, or why it did not.
pub type Inspected<T> = Result<T, Failure>;

//! The words everything else is written in: service codes, node addresses, ensemble members, znode paths.
//!
//! Boundary: values only. A value that exists is valid; nothing here reads a clock, a file, a host or ZooKeeper.

mod age;
mod backup;
mod bytes;
mod cloud;
mod ensemble;
mod host;
mod node_addr;
mod package;
mod release;
mod seconds;
mod service_code;
pub mod znode;

pub use age::human_age;
pub use backup::{
    BACKUP_FORMAT, BACKUP_ROOTS, BACKUP_VERSION, Backup, BackupReport, SavedZnode, escape_controls,
    is_log_entry, is_presence, owners_of,
};
pub use bytes::human_bytes;
pub use cloud::{Cloud, NodeOptions, NodeSpec};
pub use ensemble::{Ensemble, EnsembleFault, EnsembleMember};
pub use host::HostName;
pub use node_addr::{NodeAddr, NodeAddrFault};
pub use package::{Archive, GlibcVersion, GlibcVersionFault, PackageFacts, PackageNeeds, Parcel};
pub use release::{Compression, ReleaseId};
pub use seconds::human_seconds;
pub use service_code::{ServiceCode, ServiceCodeFault};
pub use znode::{ZnodeChange, is_znode_path};

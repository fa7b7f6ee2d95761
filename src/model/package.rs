//! A build on its way to hosts.

use std::path::PathBuf;

use super::ReleaseId;

/// What a plan needs to know of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFacts {
    pub release: ReleaseId,
    /// Size of the archive.
    pub bytes: u64,
    /// Size of what it unpacks to.
    pub unpacked_bytes: u64,
    /// Names at the top of its tree and, as `zookeeper/NAME`, below its `zookeeper`: what a host links to.
    pub entries: Vec<String>,
    /// Processor architecture of its `bin/memcached` as `uname -m` names it, when it says.
    pub architecture: Option<String>,
}

/// An archive as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    pub path: PathBuf,
    pub bytes: u64,
    /// In hexadecimal; what arrives is held against it.
    pub sha256: String,
}

/// What executing a deploy needs to know of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub gzip: Archive,
    /// The same tree, for hosts that have zstd; none is made when no host does.
    pub zstd: Option<Archive>,
    /// The one directory at the archive's top, when there is one.
    pub root: Option<String>,
    /// SHA-256 of the sorted names of the tree, to see that all of it was unpacked.
    pub names_sha256: String,
    /// The name the operator gives the release.
    pub label: Option<String>,
}

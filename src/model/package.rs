//! A build on its way to hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

/// What the programs and libraries of a package want of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageNeeds {
    /// Size of the archive and of what it unpacks to, together.
    pub bytes: u64,
    /// Processor architecture of its `bin/memcached` as `uname -m` names it, when it says.
    pub architecture: Option<String>,
    /// Shared libraries that it does not bring itself, each with the first file that wants it.
    pub libraries: BTreeMap<String, String>,
    /// The newest glibc that a file of it wants, and which file.
    pub glibc: Option<(GlibcVersion, String)>,
    /// Files that should be programs or libraries and are not.
    pub unreadable: BTreeSet<String>,
}

/// A version of the GNU C library, such as 2.36 or 2.2.5.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion(Vec<u32>);

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no version; versions are numbers with dots between them")]
pub struct GlibcVersionFault(String);

impl FromStr for GlibcVersion {
    type Err = GlibcVersionFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        numbers.map(Self).map_err(|_| GlibcVersionFault(text.to_owned()))
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_versions_are_compared_by_their_numbers() {
        let version = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(version("2.9") < version("2.36") && version("2.2.5") < version("2.3"));
        assert_eq!(version("2.2.5").to_string(), "2.2.5");
        assert!("2.x".parse::<GlibcVersion>().is_err());
    }
}

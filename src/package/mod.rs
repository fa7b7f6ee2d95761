//! The package of a deploy: an Arcus install as one archive that can be sent to hosts.
//!
//! Boundary: files on this machine only. An archive is hostile until it has been read through and found to hold
//! nothing that a host must not unpack; only then is there a [`Package`]. Memory does not grow with a package's size.

mod archive;
mod directory;
mod elf;
mod faults;
mod gunzip;
mod listing;
mod name;
mod needs;
mod pack;
mod recognise;
mod tape;
mod zstd;

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod directory_tests;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

pub use needs::needs;

use crate::error::{Failure, Failures};
use crate::model::{Archive, PackageFacts, Parcel, ReleaseId};

/// An archive fit for hosts. Its file does not change; a temporary one is removed with this value.
#[derive(Debug)]
pub struct Package {
    /// The archive: the operator's own file, or a temporary one.
    pub path: PathBuf,
    /// Size of the archive.
    pub bytes: u64,
    /// SHA-256 of the archive, in hexadecimal.
    pub sha256: String,
    /// The one directory at the archive's top; `None` when `bin` lies there itself.
    pub root: Option<String>,
    /// Names directly below the root and, as `zookeeper/NAME`, directly below its `zookeeper`, sorted.
    pub entries: Vec<String>,
    /// The processor of `bin/memcached` as `uname -m` names it; `None` when it does not say.
    pub architecture: Option<String>,
    /// Room that the files take up on a host.
    pub unpacked_bytes: u64,
    /// SHA-256 of the sorted list of names below the root, as a host can make it of what it unpacked.
    pub names_sha256: String,
    #[expect(dead_code, reason = "held for its end, which removes the file")]
    spool: Option<TempPath>,
}

impl Package {
    /// The release that this package is on hosts.
    pub fn release(&self) -> ReleaseId {
        ReleaseId::of_sha256(&self.sha256)
    }

    /// What a plan needs to know.
    pub fn facts(&self) -> PackageFacts {
        PackageFacts {
            release: self.release(),
            bytes: self.bytes,
            unpacked_bytes: self.unpacked_bytes,
            entries: self.entries.clone(),
            architecture: self.architecture.clone(),
        }
    }

    /// What an execution needs to know; good for as long as this package exists.
    pub fn parcel(&self) -> Parcel {
        Parcel {
            gzip: Archive { path: self.path.clone(), bytes: self.bytes, sha256: self.sha256.clone() },
            zstd: None,
            root: self.root.clone(),
            names_sha256: self.names_sha256.clone(),
            label: None,
        }
    }
}

/// How much a package may ask of this machine and of hosts.
#[derive(Clone, Debug)]
struct Limits {
    entries: u64,
    /// Length of all names together, in bytes.
    names: usize,
    /// Archives that unpack to no more than this are not asked for their ratio.
    unpacked: u64,
    /// So many times its own size an archive may unpack to, when it unpacks to much.
    ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 1_000_000, names: 64 << 20, unpacked: 10 << 30, ratio: 200 }
    }
}

/// Opens the package at `path`: a `.tar.gz` is read through and judged, a directory is judged and packed.
///
/// Blocks for as long as it takes to read everything.
///
/// # Errors
/// Everything wrong with it; or what kept it from being read or packed.
pub fn open(path: &Path) -> Result<Package, Failures> {
    open_within(path, &Limits::default())
}

fn open_within(path: &Path, limits: &Limits) -> Result<Package, Failures> {
    if is_directory(path)? {
        let tree = directory::read(path, limits)?;
        let packed = pack::pack(path, &tree)?;
        let directory::Tree { entries, architecture, unpacked_bytes, names_sha256, .. } = tree;
        return Ok(Package {
            path: packed.file.to_path_buf(),
            bytes: packed.bytes,
            sha256: packed.sha256,
            root: Some(pack::ROOT.to_owned()),
            entries,
            architecture: architecture.map(str::to_owned),
            unpacked_bytes,
            names_sha256,
            spool: Some(packed.file),
        });
    }
    let archive::Archive { bytes, sha256, summary } = archive::read(path, limits)?;
    Ok(Package {
        path: path.to_owned(),
        bytes,
        sha256,
        root: summary.root,
        entries: summary.entries,
        architecture: summary.architecture.map(str::to_owned),
        unpacked_bytes: summary.unpacked_bytes,
        names_sha256: summary.names_sha256,
        spool: None,
    })
}

/// Whether a package is a directory; a file otherwise.
fn is_directory(path: &Path) -> Result<bool, Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let failure = Failure::config(format!("the package {} cannot be read", path.display())).cause(&error);
        match error.kind() {
            ErrorKind::NotFound => {
                failure.hint("name a .tar.gz or a directory: --package, or package in arcusctl.toml")
            }
            _ => failure,
        }
    })?;
    if !metadata.is_dir() && !metadata.is_file() {
        let failure = Failure::config(format!("{} is neither a file nor a directory", path.display()));
        return Err(failure.hint("give a .tar.gz of an Arcus install, or its directory"));
    }
    Ok(metadata.is_dir())
}

//! A directory that the operator gives: what of it belongs into a package, and whether that can lie on a host.
//!
//! Boundary: names, kinds and links; files are read when they are packed. What belongs to one machine is left out: its
//! data, its logs, what its configuration was written to be.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File, FileType};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::faults::{Faults, shown};
use super::listing::{Kind, Listing, Origin, Summary};
use super::{Limits, elf};
use crate::error::{Failure, Failures};

/// Where ZooKeeper's configuration lies.
const CONF: &[u8] = b"zookeeper/conf";
/// Where a release on a host keeps the configuration that it came with, and what it has in the place of it.
const CONF_KEPT: &[u8] = b"zookeeper/conf.dist";
const CONF_LINK: &str = "../../../zookeeper/conf";
/// Directories of one machine.
const MACHINE_DIRECTORIES: [&[u8]; 8] =
    [b"current", b"logs", b"previous", b"releases", b"run", b"work", b"zookeeper/data", b"zookeeper/logs"];

/// What of a directory is to be packed.
#[derive(Debug)]
pub(super) struct Tree {
    /// In the order of their paths' bytes.
    pub(super) items: Vec<Item>,
    /// Names at the top, sorted.
    pub(super) entries: Vec<String>,
    /// Path below the root of the file that `bin/memcached` is.
    pub(super) memcached: String,
    pub(super) architecture: Option<&'static str>,
    pub(super) unpacked_bytes: u64,
    pub(super) names_sha256: String,
}

/// One thing to be packed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Below the root of the package.
    pub(super) path: Vec<u8>,
    pub(super) content: Content,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    Directory,
    File { source: PathBuf, executable: bool, bytes: u64 },
    Symlink { target: Vec<u8> },
}

/// Looks through the directory at `given`.
///
/// # Errors
/// Everything in it that cannot be packed, and everything that it lacks.
pub(super) fn read(given: &Path, limits: &Limits) -> Result<Tree, Failures> {
    let mut faults = Faults::of(given);
    let base = release_in_use(given)?.unwrap_or_else(|| given.to_owned());
    let mut listing = Listing::new(Origin::Directory, limits);
    let mut items = Vec::new();
    let mut pending = vec![(base.clone(), Vec::new())];
    let is_release =
        fs::read_link(base.join(path_of(CONF))).is_ok_and(|target| target == Path::new(CONF_LINK));
    if is_release {
        // An install that was adopted came without; then what the machine has is all there is.
        let kept = [CONF_KEPT, CONF].map(|conf| base.join(path_of(conf)));
        if let Some(conf) = kept.into_iter().find(|conf| conf.is_dir()) {
            pending.push((conf, CONF.to_vec()));
            items.push(Item { path: CONF.to_vec(), content: Content::Directory });
        }
    }
    while let Some((directory, path)) = pending.pop() {
        let entries = match sorted(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                let name = if path.is_empty() { directory.as_os_str().as_bytes() } else { &path };
                faults.add(format!("{} cannot be read: {error}", shown(name)));
                continue;
            }
        };
        for entry in entries {
            let below = joined(&path, entry.file_name().as_bytes());
            let known = entry.file_type();
            if known.as_ref().is_ok_and(|found| is_left_out(&below, *found))
                || is_release && [CONF, CONF_KEPT].contains(&&below[..])
            {
                continue;
            }
            let (kind, content) = match known.and_then(|found| look_at(&entry, found)) {
                Ok(found) => found,
                Err(error) => {
                    faults.add(format!("{} cannot be read: {error}", shown(below)));
                    continue;
                }
            };
            if listing.add(&below, kind, &mut faults).is_err() {
                let message =
                    format!("has more entries or longer names than a package may ({})", listing.entries());
                return Err(faults.end(message, "name the directory of one install, not one above it"));
            }
            let Some(content) = content else { continue };
            if content == Content::Directory {
                pending.push((entry.path(), below.clone()));
            }
            items.push(Item { path: below, content });
        }
    }
    let summary = listing.finish(&mut faults);
    faults.none()?;
    let Some(summary) = summary else {
        return Err(Failure::config(format!("{} cannot be used", given.display())).into());
    };
    items.sort();
    let architecture =
        first_bytes(&base.join(&summary.memcached)).ok().and_then(|head| elf::architecture(&head));
    let Summary { entries, memcached, unpacked_bytes, names_sha256, .. } = summary;
    Ok(Tree { items, entries, memcached, architecture, unpacked_bytes, names_sha256 })
}

/// An install path of a host holds links into the release in use; the release is what was packed once.
fn release_in_use(given: &Path) -> Result<Option<PathBuf>, Failure> {
    let Ok(target) = fs::read_link(given.join("current")) else { return Ok(None) };
    let mut parts = target.components();
    let is_release = parts.next() == Some(Component::Normal("releases".as_ref()))
        && matches!(parts.next(), Some(Component::Normal(_)))
        && parts.next().is_none();
    let release = given.join(&target);
    match is_release {
        false => Ok(None),
        true if release.is_dir() => Ok(Some(release)),
        true => Err(Failure::config(format!(
            "{}: its current release, {}, is not there",
            given.display(),
            target.display()
        ))
        .hint("deploy from the archive or the directory that this install came from")),
    }
}

/// Does `path`, below the root, belong to one machine?
fn is_left_out(path: &[u8], file_type: FileType) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if MACHINE_DIRECTORIES.contains(&path) || [&b".git"[..], b"ARCUSlog"].contains(&name) {
        return true;
    }
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if let Some(conf) = path.strip_prefix(CONF).and_then(|rest| rest.strip_prefix(b"/")) {
        let conf = conf.strip_prefix(b".").unwrap_or(conf);
        // Several members on one machine have a directory each, called by its client port.
        if conf == b"zoo.cfg" || conf.starts_with(b"zoo.cfg.") || file_type.is_dir() && digits(conf) {
            return true;
        }
    }
    let is_core = name == b"core" || name.strip_prefix(b"core.").is_some_and(digits);
    file_type.is_file() && (is_core || name.ends_with(b".pid"))
}

/// What an entry is to the listing, and to the archive if it may be in one.
fn look_at(entry: &DirEntry, file_type: FileType) -> io::Result<(Kind, Option<Content>)> {
    if file_type.is_dir() {
        return Ok((Kind::Directory, Some(Content::Directory)));
    }
    if file_type.is_symlink() {
        let target = fs::read_link(entry.path())?.into_os_string().into_vec();
        return Ok((Kind::Symlink(target.clone()), Some(Content::Symlink { target })));
    }
    if file_type.is_file() {
        let metadata = entry.metadata()?;
        let (mode, bytes) = (metadata.permissions().mode() & 0o7777, metadata.len());
        let content = Content::File { source: entry.path(), executable: mode & 0o111 != 0, bytes };
        return Ok((Kind::File { mode, bytes, architecture: None }, Some(content)));
    }
    let what = if file_type.is_socket() {
        "a socket"
    } else if file_type.is_fifo() {
        "a fifo"
    } else {
        "a device"
    };
    Ok((Kind::Foreign(what.to_owned()), None))
}

/// Sorted, so that the same tree is told of in the same words.
fn sorted(directory: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, name].join(&b'/') }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(elf::HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

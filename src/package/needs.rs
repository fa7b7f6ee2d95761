//! What a package's programs and libraries want of the hosts: shared libraries by name, and a version of glibc.
//!
//! Boundary: reads `bin/memcached` and the libraries beside it, as the loader of a host would; packs and keeps nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use goblin::elf::Elf;

use super::directory::{self, Content};
use super::{Limits, archive, is_directory};
use crate::error::{Failure, Failures};
use crate::model::{GlibcVersion, PackageNeeds};

/// What one file wants; `None` for what is no program or library.
type FileNeeds = Option<(Vec<String>, Option<GlibcVersion>)>;

/// Reads the package at `path`, an archive or a directory, and says what it wants. Blocks until all is read.
///
/// # Errors
/// Everything wrong with it, as when it is opened for a deploy.
pub fn needs(path: &Path) -> Result<PackageNeeds, Failures> {
    let limits = Limits::default();
    let mut seen = Seen::default();
    if is_directory(path)? {
        let tree = directory::read(path, &limits)?;
        for item in &tree.items {
            let source = match &item.content {
                Content::File { source, .. } if is_wanted(&item.path) => Some(source),
                _ => None,
            };
            let content = source.map(std::fs::read).transpose().map_err(|error| {
                let name = String::from_utf8_lossy(&item.path);
                Failure::config(format!("{}: {name} cannot be read", path.display())).cause(error)
            })?;
            seen.note(&item.path, content.as_deref());
        }
        return Ok(seen.finish("", &tree.memcached, tree.architecture, 2 * tree.unpacked_bytes));
    }
    let archive = archive::read_noting(path, &limits, is_wanted, |name, content| seen.note(name, content))?;
    let root = archive.summary.root.map(|root| root + "/").unwrap_or_default();
    let bytes = archive.bytes + archive.summary.unpacked_bytes;
    Ok(seen.finish(&root, &archive.summary.memcached, archive.summary.architecture, bytes))
}

/// Files that the loader of a host may have to do with: the cache node and its libraries. Where the tree begins in an
/// archive is known only at its end.
fn is_wanted(path: &[u8]) -> bool {
    let path = String::from_utf8_lossy(path);
    let mut names = path.rsplit('/');
    let (name, directory) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    match directory {
        "bin" => name.starts_with("memcached"),
        "lib" => name.ends_with(".so") || name.contains(".so."),
        _ => false,
    }
}

/// What was come by on the way through a package.
#[derive(Debug, Default)]
struct Seen {
    /// Every name, without `./` before it.
    names: BTreeSet<String>,
    files: BTreeMap<String, FileNeeds>,
}

impl Seen {
    fn note(&mut self, name: &[u8], content: Option<&[u8]>) {
        let name = String::from_utf8_lossy(name).trim_start_matches("./").trim_end_matches('/').to_owned();
        if let Some(content) = content {
            self.files.insert(name.clone(), read(content));
        }
        self.names.insert(name);
    }

    fn finish(self, root: &str, memcached: &str, architecture: Option<&str>, bytes: u64) -> PackageNeeds {
        let own = |name: &str| name.strip_prefix(root)?.strip_prefix("lib/").map(str::to_owned);
        let brought: BTreeSet<String> = self.names.iter().filter_map(|name| own(name)).collect();
        let mut needs =
            PackageNeeds { bytes, architecture: architecture.map(str::to_owned), ..PackageNeeds::default() };
        for (name, file) in self.files {
            let Some(name) = name.strip_prefix(root) else { continue };
            if name != memcached && !name.starts_with("lib/") {
                continue;
            }
            let Some((libraries, glibc)) = file else {
                needs.unreadable.insert(name.to_owned());
                continue;
            };
            for library in libraries.into_iter().filter(|library| !brought.contains(library)) {
                needs.libraries.entry(library).or_insert_with(|| name.to_owned());
            }
            if let Some(glibc) = glibc
                && needs.glibc.as_ref().is_none_or(|(newest, _)| *newest < glibc)
            {
                needs.glibc = Some((glibc, name.to_owned()));
            }
        }
        needs
    }
}

fn read(content: &[u8]) -> FileNeeds {
    // A program may be a script, which is somebody else's business to run.
    if content.starts_with(b"#!") {
        return Some((Vec::new(), None));
    }
    let elf = Elf::parse(content).ok()?;
    let libraries = elf.libraries.iter().map(|name| (*name).to_owned()).collect();
    let wanted = elf.verneed.iter().flat_map(|section| section.iter().collect::<Vec<_>>());
    let names = wanted.flat_map(|from| from.iter().map(|one| one.vna_name).collect::<Vec<_>>());
    let glibc = names
        .filter_map(|name| elf.dynstrtab.get_at(name)?.strip_prefix("GLIBC_")?.parse::<GlibcVersion>().ok())
        .max();
    Some((libraries, glibc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_program_names_its_libraries_and_its_glibc() {
        let own = std::env::current_exe().unwrap();
        let (libraries, glibc) = read(&std::fs::read(own).unwrap()).unwrap();
        assert!(libraries.iter().any(|name| name == "libc.so.6"), "{libraries:?}");
        assert!(glibc.unwrap() >= "2.2.5".parse().unwrap());
    }

    #[test]
    fn what_the_package_brings_is_not_wanted_of_hosts() {
        let mut seen = Seen::default();
        let file = |names: &[&str], glibc: &str| {
            Some((names.iter().map(ToString::to_string).collect(), glibc.parse().ok()))
        };
        seen.files.insert("arcus/bin/memcached".into(), file(&["libevent-2.so", "libc.so.6"], "2.9"));
        seen.files.insert("arcus/lib/default_engine.so".into(), file(&["libc.so.6", "libz.so.1"], "2.36"));
        seen.files.insert("arcus/lib/empty.so".into(), None);
        seen.files.insert("other/lib/x.so".into(), file(&["liby.so"], "3.0"));
        seen.note(b"./arcus/lib/libevent-2.so", None);
        let needs = seen.finish("arcus/", "bin/memcached", None, 7);
        assert_eq!(needs.libraries.keys().collect::<Vec<_>>(), ["libc.so.6", "libz.so.1"]);
        assert_eq!(needs.libraries["libz.so.1"], "lib/default_engine.so");
        assert_eq!(needs.glibc, Some(("2.36".parse().unwrap(), "lib/default_engine.so".into())));
        assert_eq!(needs.unreadable, BTreeSet::from(["lib/empty.so".to_owned()]));
    }

    #[test]
    fn what_is_no_program_wants_nothing_that_could_be_told() {
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x7fELF damaged"), None);
        assert_eq!(read(b"#!/bin/sh\n"), Some((Vec::new(), None)));
    }
}

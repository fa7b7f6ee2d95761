//! Everything a package holds, by name; and whether that can lie on a host.
//!
//! Boundary: no file is read here. Memory goes by the number and length of names, never by the size of files.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::faults::{Faults, shown};
use super::{Limits, name};

/// What it takes to run a cloud: a path, and whether it has to be a program.
const REQUIRED: [(&str, bool); 3] =
    [(MEMCACHED, true), ("lib/default_engine.so", false), ("zookeeper/bin/zkServer.sh", true)];
const MEMCACHED: &str = "bin/memcached";
/// Directories, if there; on a host, links into them and out of them would lead elsewhere than in the package.
const PLAIN_DIRECTORIES: [&str; 2] = ["zookeeper", "zookeeper/conf"];
/// What a host puts in the place of these leads out of the release.
const MACHINE_DIRECTORIES: [&str; 3] = ["zookeeper/conf", "zookeeper/data", "zookeeper/logs"];
/// Setuid, setgid, sticky.
const SPECIAL_BITS: u32 = 0o7000;
const EXECUTABLE_BITS: u32 = 0o111;
/// No link of a real tree takes more names to follow.
const FOLLOWED: usize = 1000;
/// What a file takes up on a disk comes in pieces of this size.
const DISK_BLOCK: u64 = 4096;
/// So many names are given as an example.
const EXAMPLES: usize = 5;

const HINT_TREE: &str =
    "a package holds one install of Arcus: bin/ and lib/ of arcus-memcached, and zookeeper/";
const HINT_ROOT: &str = "pack one directory: tar -czf arcus.tar.gz arcus";
const HINT_LINK: &str =
    "put a copy in place of the link, or let it lead to a path in the package that is relative to its own";

/// Where the names come from, which decides what is expected of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The tree may lie in one directory at the archive's top.
    Archive,
    /// The directory is the tree, and its links lead somewhere.
    Directory,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Kind {
    Directory,
    File {
        mode: u32,
        bytes: u64,
        architecture: Option<&'static str>,
    },
    Symlink(Vec<u8>),
    /// Another name of a file that came before.
    HardLink(Vec<u8>),
    /// What no package may hold.
    Foreign(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File { executable: bool, architecture: Option<&'static str> },
    Symlink(String),
}

impl Node {
    fn what(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File { .. } => "a file",
            Self::Symlink(_) => "a symbolic link",
        }
    }
}

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Leads {
    To(String),
    Nowhere,
    Out,
    /// Round and round, or so far that it is meant to be taken for that.
    Circles,
}

/// There are more entries than a package may have.
#[derive(Debug)]
pub(super) struct TooMany;

/// What is known of a package without faults.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) root: Option<String>,
    pub(super) entries: Vec<String>,
    /// Path below the root of the file that `bin/memcached` is.
    pub(super) memcached: String,
    pub(super) architecture: Option<&'static str>,
    pub(super) unpacked_bytes: u64,
    /// SHA-256 of the sorted names below the root, each as `./name` and a newline: what a host finds after unpacking.
    pub(super) names_sha256: String,
}

/// The names of one package.
#[derive(Debug)]
pub(super) struct Listing {
    origin: Origin,
    nodes: BTreeMap<String, Node>,
    entries: u64,
    entries_left: u64,
    names_left: usize,
    unpacked_bytes: u64,
}

impl Listing {
    pub(super) fn new(origin: Origin, limits: &Limits) -> Self {
        Self {
            origin,
            nodes: BTreeMap::new(),
            entries: 0,
            entries_left: limits.entries,
            names_left: limits.names,
            unpacked_bytes: 0,
        }
    }

    /// How many entries came.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Takes up one entry, or complains of it.
    ///
    /// # Errors
    /// When there are more than a package may have.
    pub(super) fn add(&mut self, raw: &[u8], kind: Kind, faults: &mut Faults) -> Result<(), TooMany> {
        self.entries += 1;
        let target =
            if let Kind::Symlink(target) | Kind::HardLink(target) = &kind { target.len() } else { 0 };
        self.entries_left = self.entries_left.checked_sub(1).ok_or(TooMany)?;
        self.names_left = self.names_left.checked_sub(raw.len() + target).ok_or(TooMany)?;
        let path = match name::checked(raw) {
            Ok(path) => path,
            Err(wrong) => {
                faults.add(format!("{} {wrong}", shown(raw)));
                return Ok(());
            }
        };
        let node = match self.node(&path, kind, faults) {
            Ok(node) => node,
            Err(wrong) => {
                faults.add(format!("{} {wrong}", shown(&path)));
                return Ok(());
            }
        };
        if path.is_empty() {
            if node != Node::Directory {
                faults.add(format!("its top is {}", node.what()));
            }
            return Ok(());
        }
        match (self.nodes.get(&path), &node) {
            (None, _)
            | (Some(Node::Directory), Node::Directory)
            | (Some(Node::File { .. }), Node::File { .. }) => {}
            (Some(before), now) if before == now => {}
            (Some(Node::Symlink(_)), Node::Symlink(_)) => {
                faults.add(format!("{} is there twice, as links to different places", shown(&path)));
                return Ok(());
            }
            (Some(before), now) => {
                let (before, now) = (before.what(), now.what());
                faults.add(format!("{} is there twice, as {before} and as {now}", shown(&path)));
                return Ok(());
            }
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// What is wrong with an entry is an error when it leaves nothing that others could be judged by.
    fn node(&mut self, path: &str, kind: Kind, faults: &mut Faults) -> Result<Node, String> {
        match kind {
            Kind::Directory => Ok(Node::Directory),
            Kind::File { mode, bytes, architecture } => {
                if mode & SPECIAL_BITS != 0 {
                    let wrong = "no setuid, setgid or sticky bit may be set";
                    faults.add(format!("{} has mode {mode:04o}; {wrong}", shown(path)));
                }
                let blocks = bytes.div_ceil(DISK_BLOCK).saturating_mul(DISK_BLOCK);
                self.unpacked_bytes = self.unpacked_bytes.saturating_add(blocks);
                Ok(Node::File { executable: mode & EXECUTABLE_BITS != 0, architecture })
            }
            Kind::Symlink(target) => match String::from_utf8(target) {
                Ok(target) if target.is_empty() => Err("is a symbolic link to nothing".to_owned()),
                Ok(target) if target.contains(char::is_control) => {
                    Err("is a symbolic link with control characters in it".to_owned())
                }
                Ok(target) => Ok(Node::Symlink(target)),
                Err(_) => Err("is a symbolic link that is not UTF-8".to_owned()),
            },
            Kind::HardLink(target) => {
                let path = name::checked(&target)
                    .map_err(|wrong| format!("is a hard link to {}, which {wrong}", shown(&target)))?;
                match self.nodes.get(&path) {
                    Some(file @ Node::File { .. }) => Ok(file.clone()),
                    Some(other) => {
                        Err(format!("is a hard link to {}, which is {}", shown(&path), other.what()))
                    }
                    None => Err(format!("is a hard link to {}, which is no file before it", shown(&path))),
                }
            }
            Kind::Foreign(what) => Err(format!("is {what}")),
        }
    }

    /// Judges the whole. `None` when there is anything wrong.
    pub(super) fn finish(mut self, faults: &mut Faults) -> Option<Summary> {
        if self.nodes.is_empty() {
            if faults.is_empty() {
                faults.add_with_hint("is empty", HINT_TREE);
            }
            return None;
        }
        self.fill_in_parents(faults);
        let Some(root) = self.root(faults) else {
            self.check_links("", faults);
            return None;
        };
        self.check_names(&root, faults);
        self.check_links(&root, faults);
        let (memcached, architecture) = self.check_required(&root, faults)?;
        if !faults.is_empty() {
            return None;
        }
        let mut entries = BTreeSet::new();
        for path in self.nodes.keys().filter_map(|path| below(&root, path)).filter(|path| !path.is_empty()) {
            let mut parts = path.split('/');
            let first = parts.next().unwrap_or_default();
            entries.insert(first.to_owned());
            if let ("zookeeper", Some(second)) = (first, parts.next()) {
                entries.insert(format!("zookeeper/{second}"));
            }
        }
        for of_the_machine in MACHINE_DIRECTORIES {
            entries.remove(of_the_machine);
        }
        let mut names = Sha256::new();
        for path in self.nodes.keys().filter_map(|path| below(&root, path)).filter(|path| !path.is_empty()) {
            names.update(format!("./{path}\n"));
        }
        Some(Summary {
            names_sha256: names.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            entries: entries.into_iter().collect(),
            memcached: below(&root, &memcached)?.to_owned(),
            architecture,
            unpacked_bytes: self.unpacked_bytes,
            root: (!root.is_empty()).then_some(root),
        })
    }

    /// Every directory that a path goes through becomes an entry; where it is none, the path is complained of.
    fn fill_in_parents(&mut self, faults: &mut Faults) {
        let mut missing = BTreeSet::new();
        let mut parent_before = "";
        for path in self.nodes.keys() {
            let Some((parent, _)) = path.rsplit_once('/') else { continue };
            if parent == parent_before {
                continue;
            }
            parent_before = parent;
            for (slash, _) in path.match_indices('/') {
                let ancestor = &path[..slash];
                match self.nodes.get(ancestor) {
                    Some(Node::Directory) => {}
                    None => {
                        missing.insert(ancestor.to_owned());
                    }
                    Some(other) => {
                        faults.add(format!(
                            "{} lies below {}, which is {}",
                            shown(path),
                            shown(ancestor),
                            other.what()
                        ));
                        parent_before = "";
                        break;
                    }
                }
            }
        }
        self.nodes.extend(missing.into_iter().map(|path| (path, Node::Directory)));
    }

    /// The one directory that holds all, or nothing when the tree begins at the top.
    fn root(&self, faults: &mut Faults) -> Option<String> {
        let top: Vec<(&String, &Node)> = self.nodes.iter().filter(|(path, _)| !path.contains('/')).collect();
        let is_tree = top.iter().any(|(path, _)| ["bin", "lib"].contains(&path.as_str()));
        if is_tree || self.origin == Origin::Directory {
            return Some(String::new());
        }
        match top.as_slice() {
            [(path, Node::Directory)] => Some((*path).clone()),
            [(path, other)] => {
                faults.add_with_hint(format!("holds only {}, {}", shown(path), other.what()), HINT_TREE);
                None
            }
            several => {
                let names: Vec<String> = several.iter().take(EXAMPLES).map(|(path, _)| shown(path)).collect();
                let more = if several.len() > EXAMPLES { ", …" } else { "" };
                faults.add_with_hint(
                    format!(
                        "has neither one directory nor bin/ and lib/ at its top: {}{more}",
                        names.join(", ")
                    ),
                    HINT_ROOT,
                );
                None
            }
        }
    }

    fn check_names(&self, root: &str, faults: &mut Faults) {
        for (path, node) in &self.nodes {
            let Some(in_tree) = below(root, path) else { continue };
            if let Err(wrong) = name::fits_install(in_tree) {
                faults.add(format!("{} {wrong}", shown(path)));
            }
            if PLAIN_DIRECTORIES.contains(&in_tree) && *node != Node::Directory {
                faults.add(format!("{} is {} and has to be a directory", shown(path), node.what()));
            }
        }
    }

    fn check_links(&self, root: &str, faults: &mut Faults) {
        for (path, node) in &self.nodes {
            let Node::Symlink(target) = node else { continue };
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let link = || format!("{} is a symbolic link to {}", shown(path), shown(target));
            match self.follow(root, directory, target) {
                Leads::Out => {
                    faults.add_with_hint(format!("{}, which leads out of the package", link()), HINT_LINK);
                }
                Leads::Nowhere if self.origin == Origin::Directory => {
                    faults.add_with_hint(format!("{}, which is not in the package", link()), HINT_LINK);
                }
                Leads::Circles => faults.add(format!("{}, which leads in circles", link())),
                Leads::Nowhere | Leads::To(_) => {}
            }
        }
    }

    /// Path and processor of memcached.
    fn check_required(&self, root: &str, faults: &mut Faults) -> Option<(String, Option<&'static str>)> {
        let mut memcached = None;
        for (path, program) in REQUIRED {
            let found = match self.follow(root, root, path) {
                Leads::To(found) => self.nodes.get_key_value(&found),
                Leads::Nowhere | Leads::Out | Leads::Circles => None,
            };
            match found {
                None => faults.add_with_hint(format!("{path} is missing"), HINT_TREE),
                Some((_, Node::File { executable: false, .. })) if program => {
                    faults.add_with_hint(format!("{path} is not executable"), "make it so: chmod +x");
                }
                Some((found, Node::File { architecture, .. })) => {
                    if path == MEMCACHED {
                        memcached = Some((found.clone(), *architecture));
                    }
                }
                Some((_, other)) => faults.add_with_hint(format!("{path} is {}", other.what()), HINT_TREE),
            }
        }
        memcached
    }

    /// Goes from `directory` to `target` as a kernel would, with `root` as the place nobody may go above.
    ///
    /// Taking `..` off the text is not enough: behind a link, `..` leads to the parent of where the link leads.
    fn follow(&self, root: &str, directory: &str, target: &str) -> Leads {
        let mut at = directory.to_owned();
        let mut left: Vec<&str> = target.split('/').rev().collect();
        let mut entered = false;
        if target.starts_with('/') || below(root, directory).is_none() {
            return Leads::Out;
        }
        for _ in 0..FOLLOWED {
            let Some(part) = left.pop() else {
                let known = at == root || self.nodes.contains_key(&at);
                return if known { Leads::To(at) } else { Leads::Nowhere };
            };
            match part {
                "" | "." => {}
                ".." => {
                    let leaves_release =
                        entered && below(root, &at).is_some_and(|path| MACHINE_DIRECTORIES.contains(&path));
                    if at == root || leaves_release {
                        return Leads::Out;
                    }
                    at.truncate(at.rfind('/').unwrap_or_default());
                }
                name => {
                    let parent = at.len();
                    if !at.is_empty() {
                        at.push('/');
                    }
                    at.push_str(name);
                    entered = true;
                    if let Some(Node::Symlink(target)) = self.nodes.get(&at) {
                        if target.starts_with('/') {
                            return Leads::Out;
                        }
                        at.truncate(parent);
                        left.extend(target.split('/').rev());
                    }
                }
            }
        }
        Leads::Circles
    }
}

/// What of `path` comes after `root`; empty for the root itself, `None` when it lies elsewhere.
fn below<'p>(root: &str, path: &'p str) -> Option<&'p str> {
    if root.is_empty() || path == root {
        return Some(&path[root.len()..]);
    }
    path.strip_prefix(root)?.strip_prefix('/')
}

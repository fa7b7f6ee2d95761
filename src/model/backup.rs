//! What is kept of the znodes of Arcus outside of ZooKeeper: one file, written and read back by `arcusctl` (`docs/backup.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::ServiceCode;

/// What the first key of a backup says.
pub const BACKUP_FORMAT: &str = "arcusctl backup";
/// Counts up when an older program could not read a backup any more.
pub const BACKUP_VERSION: u64 = 1;
/// The trees that are kept: of the community edition and of the replicating one. Secrets of `/arcus_acl` are in neither.
pub const BACKUP_ROOTS: [&str; 2] = ["/arcus", "/arcus_repl"];

/// The persistent znodes of Arcus at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// RFC 3339, UTC.
    pub at: String,
    /// Who took it: `user@machine`.
    pub by: String,
    /// The ensemble it was taken from.
    pub ensemble: String,
    /// What `cache_server_log` holds is in it.
    pub with_log: bool,
    /// By path; a parent sorts before its children.
    pub znodes: BTreeMap<String, SavedZnode>,
}

/// One znode as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedZnode {
    pub data: Vec<u8>,
    /// Who may do what, as `scheme:id:permissions`; empty where everyone may do everything.
    pub acl: Vec<String>,
}

/// What a program is told of a backup that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    /// Where it was written; `None` on standard output.
    pub file: Option<std::path::PathBuf>,
    pub bytes: usize,
    pub znodes: usize,
    pub clouds: BTreeSet<String>,
    /// Persistent znodes that are not in it though they are there, each with the reason.
    pub left_out: BTreeMap<String, String>,
}

impl Backup {
    /// The whole file: a head, and each znode on a line of its own.
    pub fn to_text(&self) -> String {
        let head = json!({
            "format": BACKUP_FORMAT,
            "version": BACKUP_VERSION,
            "at": self.at,
            "by": self.by,
            "ensemble": self.ensemble,
            "withLog": self.with_log,
            "sha256": self.checksum(),
        });
        let head = format!("{head:#}");
        let head = head.trim_end_matches(['\n', '}']);
        let lines: Vec<String> =
            self.znodes.iter().map(|(path, znode)| format!("    {}", znode.to_json(path))).collect();
        let text = format!("{head},\n  \"znodes\": [\n{}\n  ]\n}}\n", lines.join(",\n"));
        // What a terminal would carry out may stand bare in JSON, but not in a file that people look into.
        escape_controls(&text)
    }

    /// SHA-256 over paths, data and access lists, in hexadecimal: tells a file that was damaged on its way.
    pub fn checksum(&self) -> String {
        let mut digest = Sha256::new();
        for (path, znode) in &self.znodes {
            let parts = [path.as_bytes(), &znode.data].into_iter();
            for part in parts.chain(znode.acl.iter().map(String::as_bytes)) {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
            digest.update([0xff]);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The clouds that it has something of.
    pub fn clouds(&self) -> BTreeSet<ServiceCode> {
        self.znodes.keys().flat_map(|path| owners_of(path, |path| self.children(path))).collect()
    }

    /// Names of the children of `path`.
    pub fn children(&self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let names = self.znodes.range(below.clone()..).map_while(|(path, _)| path.strip_prefix(&below));
        names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    }
}

/// The same JSON with every control character but line ends written out: DEL and those above it may stand bare in texts.
pub fn escape_controls(json: &str) -> String {
    let mut quiet = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_control() && character != '\n' {
            // Writing to a String cannot fail.
            let _infallible = write!(quiet, "\\u{:04x}", u32::from(character));
        } else {
            quiet.push(character);
        }
    }
    quiet
}

impl SavedZnode {
    fn to_json(&self, path: &str) -> Value {
        let mut json = Map::new();
        json.insert("path".to_owned(), path.into());
        match std::str::from_utf8(&self.data) {
            Ok("") => {}
            Ok(text) => drop(json.insert("text".to_owned(), text.into())),
            Err(_) => drop(json.insert("base64".to_owned(), BASE64.encode(&self.data).into())),
        }
        if !self.acl.is_empty() {
            json.insert("acl".to_owned(), self.acl.clone().into());
        }
        Value::Object(json)
    }
}

/// The service codes that the znode at `path` is about; none for what all clouds share. What a mapping is about, its
/// `children` say: the code, or `<code>^<group>^…` of the replicating edition.
pub fn owners_of(path: &str, children: impl FnOnce(&str) -> Vec<String>) -> Vec<ServiceCode> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let code = |name: &str| ServiceCode::new(name.split('^').next().unwrap_or(name)).ok();
    match parts.as_slice() {
        [
            "arcus" | "arcus_repl",
            "cache_list" | "client_list" | "cloud_stat" | "service_code_mapping" | "group_list",
            name,
            ..,
        ] => ServiceCode::new(*name).ok().into_iter().collect(),
        ["arcus" | "arcus_repl", "cache_server_mapping", _] => {
            let codes: BTreeSet<ServiceCode> = children(path).iter().filter_map(|name| code(name)).collect();
            codes.into_iter().collect()
        }
        ["arcus" | "arcus_repl", "cache_server_mapping", _, name, ..] => code(name).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The znode stands for somebody who is there now: a child of a cloud's `cache_list` or `client_list`.
pub fn is_presence(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    matches!(parts.as_slice(), ["arcus" | "arcus_repl", "cache_list" | "client_list", _, _, ..])
}

/// It is what cache nodes wrote of their comings: below `cache_server_log`, where nobody ever removes anything.
pub fn is_log_entry(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    matches!(parts.as_slice(), ["arcus" | "arcus_repl", "cache_server_log", _, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_znode_is_known_by_the_cloud_it_is_about() {
        let owners = |path: &str| {
            let codes = owners_of(path, |_| vec!["a".to_owned(), "b^g1^10.0.0.1:20125".to_owned()]);
            codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(owners("/arcus/cache_list/c"), "c");
        assert_eq!(owners("/arcus_repl/group_list/c/g1"), "c");
        assert_eq!(owners("/arcus/cache_server_mapping/10.0.0.1:11211"), "a b");
        assert_eq!(owners("/arcus/cache_server_mapping/10.0.0.1:11211/c^g^x"), "c");
        for shared in ["/arcus", "/arcus/cache_list", "/arcus/meta/x", "/arcus/cache_server_log/2026-01-01"] {
            assert_eq!(owners(shared), "", "{shared}");
        }
    }

    #[test]
    fn members_clients_and_log_entries_are_told_from_what_is_registered() {
        assert!(
            is_presence("/arcus/cache_list/c/10.0.0.1:11211-h") && is_presence("/arcus_repl/client_list/c/x")
        );
        assert!(!is_presence("/arcus/cache_list/c") && !is_presence("/arcus/cloud_stat/c/x"));
        assert!(is_log_entry("/arcus/cache_server_log/2026-01-01"));
        assert!(!is_log_entry("/arcus/cache_server_log"));
    }

    #[test]
    fn nothing_in_the_file_is_carried_out_by_a_terminal() {
        let saved = SavedZnode { data: "\u{1b}]0;x\u{7}\u{9b}2J".into(), acl: Vec::new() };
        let backup = Backup { znodes: BTreeMap::from([("/arcus".into(), saved)]), ..Backup::default() };
        let text = backup.to_text();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["znodes"][0]["text"], "\u{1b}]0;x\u{7}\u{9b}2J");
    }
}

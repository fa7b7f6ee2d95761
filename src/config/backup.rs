//! Reading a backup back: judged as damaged or hostile until every line of it has proved otherwise.
//!
//! Boundary: one file in, a [`Backup`] that is whole or every fault of it with its place out; knows no ZooKeeper.

use std::collections::BTreeMap;
use std::path::Path;

use data_encoding::BASE64;
use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;

use super::fault::{Collector, Complaint, Fault, failures, shown};
use super::file::read_text_up_to;
use super::json::{self, index_path, key_path};
use crate::error::Failures;
use crate::model::{
    BACKUP_FORMAT, BACKUP_ROOTS, BACKUP_VERSION, Backup, SavedZnode, is_presence, is_znode_path,
};

/// Far more than the registered clouds of any site.
const LARGEST: u64 = 512 * 1024 * 1024;

/// Reads the backup at `path`.
///
/// # Errors
/// When it cannot be read, and with every fault it has.
pub fn load_backup(path: &Path) -> Result<Backup, Failures> {
    let hint = "name a file that arcusctl backup wrote";
    let text = read_text_up_to(path, "backup", hint, LARGEST)?;
    parse_backup(&text).map_err(|faults| failures(&path.display().to_string(), faults))
}

/// Reads the text of a backup.
///
/// # Errors
/// Every fault, in the order of the text.
pub fn parse_backup(text: &str) -> Result<Backup, Vec<Fault>> {
    let mut faults = Collector::new(text);
    let backup = read(text, &mut faults);
    match (backup, faults.is_empty()) {
        (Some(backup), true) => Ok(backup),
        _ => Err(faults.finish()),
    }
}

fn read(text: &str, faults: &mut Collector<'_>) -> Option<Backup> {
    let document = json::parse(text, faults).ok()?;
    let Value::Object(head) = &document.tree else {
        faults.add(0, "$", Complaint::new("is no backup: it is not one JSON object"));
        return None;
    };
    is_ours(head, faults)?;
    let mut backup = Backup {
        at: string(head, "$", "at", faults).unwrap_or_default(),
        by: string(head, "$", "by", faults).unwrap_or_default(),
        ensemble: string(head, "$", "ensemble", faults).unwrap_or_default(),
        with_log: matches!(value(head, "withLog"), Some(Value::BooleanLit(flag)) if flag.value),
        znodes: BTreeMap::new(),
    };
    match value(head, "znodes") {
        Some(Value::Array(znodes)) => read_znodes(znodes, &mut backup.znodes, faults),
        Some(other) => drop(faults.add(other.start(), "$.znodes", Complaint::new("is not a list"))),
        None => drop(faults.add(0, "$.znodes", Complaint::new("is missing"))),
    }
    if let Some(Value::StringLit(sum)) = value(head, "sha256")
        && faults.is_empty()
        && *sum.value != backup.checksum()
    {
        let complaint =
            Complaint::new("is not the checksum of what the file holds: the file was changed or damaged")
                .hint("take another copy of it; if you changed it on purpose, remove the key sha256");
        faults.add(sum.start(), "$.sha256", complaint);
    }
    Some(backup)
}

/// What is no backup at all, or a later format, is not looked into any further.
fn is_ours(head: &Object<'_>, faults: &mut Collector<'_>) -> Option<()> {
    match value(head, "format") {
        Some(Value::StringLit(format)) if format.value == BACKUP_FORMAT => {}
        other => {
            let offset = other.map_or(0, Ranged::start);
            let complaint =
                Complaint::new(format!("is not '{BACKUP_FORMAT}': this is no backup of arcusctl"));
            faults.add(offset, "$.format", complaint.hint("name a file that arcusctl backup wrote"));
            return None;
        }
    }
    match value(head, "version") {
        Some(Value::NumberLit(version)) if version.value == BACKUP_VERSION.to_string() => Some(()),
        Some(Value::NumberLit(version)) => {
            let complaint =
                Complaint::new(format!("is {}; this arcusctl reads version {BACKUP_VERSION}", version.value));
            faults.add(
                version.start(),
                "$.version",
                complaint.hint("use the arcusctl that wrote the file, or a newer one"),
            );
            None
        }
        other => {
            faults.add(
                other.map_or(0, Ranged::start),
                "$.version",
                Complaint::new("is missing or no number"),
            );
            None
        }
    }
}

fn read_znodes(list: &Array<'_>, znodes: &mut BTreeMap<String, SavedZnode>, faults: &mut Collector<'_>) {
    let mut places: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (index, element) in list.elements.iter().enumerate() {
        let place = index_path("$.znodes", index);
        let Value::Object(object) = element else {
            faults.add(element.start(), place, Complaint::new("is not an object"));
            continue;
        };
        let (path, data) = (read_path(object, &place, faults), read_data(object, &place, faults));
        let acl = read_acl(object, &place, faults);
        let (Some(path), Some(data), Some(acl)) = (path, data, acl) else { continue };
        if let Some((first, _)) = places.get(&path) {
            let first = faults.line(*first);
            let complaint = Complaint::new(format!("{} is there twice, first on line {first}", shown(&path)));
            faults.add(object.start(), place, complaint);
            continue;
        }
        places.insert(path.clone(), (object.start(), place));
        znodes.insert(path, SavedZnode { data, acl });
    }
    for (path, (offset, place)) in &places {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !BACKUP_ROOTS.contains(&path.as_str()) && !znodes.contains_key(parent) {
            let complaint = Complaint::new(format!("{}: its parent is not in the file", shown(path)));
            faults.add(*offset, place.clone(), complaint);
        }
    }
}

fn read_path(object: &Object<'_>, place: &str, faults: &mut Collector<'_>) -> Option<String> {
    let Some(found) = value(object, "path") else {
        faults.add(object.start(), key_path(place, "path"), Complaint::new("is missing"));
        return None;
    };
    let offset = found.start();
    let path = string(object, place, "path", faults)?;
    let below =
        |root: &&str| path == **root || path.strip_prefix(*root).is_some_and(|rest| rest.starts_with('/'));
    let complaint = if !is_znode_path(&path) {
        "is no path of a znode"
    } else if !BACKUP_ROOTS.iter().any(below) {
        "is outside of /arcus and /arcus_repl"
    } else if is_presence(&path) {
        "stands for a live member or client; only who is there may create it"
    } else {
        return Some(path);
    };
    faults.add(offset, key_path(place, "path"), Complaint::new(format!("{} {complaint}", shown(&path))));
    None
}

fn read_data(object: &Object<'_>, place: &str, faults: &mut Collector<'_>) -> Option<Vec<u8>> {
    match (value(object, "text"), value(object, "base64")) {
        (None, None) => Some(Vec::new()),
        (Some(_), None) => string(object, place, "text", faults).map(String::into_bytes),
        (None, Some(found)) => {
            let offset = found.start();
            let text = string(object, place, "base64", faults)?;
            BASE64
                .decode(text.as_bytes())
                .map_err(|error| {
                    faults.add(
                        offset,
                        key_path(place, "base64"),
                        Complaint::new(format!("is not base64: {error}")),
                    );
                })
                .ok()
        }
        (Some(_), Some(found)) => {
            faults.add(
                found.start(),
                key_path(place, "base64"),
                Complaint::new("stands beside text; one of them is wrong"),
            );
            None
        }
    }
}

fn read_acl(object: &Object<'_>, place: &str, faults: &mut Collector<'_>) -> Option<Vec<String>> {
    let place = key_path(place, "acl");
    match value(object, "acl") {
        None => Some(Vec::new()),
        Some(Value::Array(entries)) => {
            let texts = entries.elements.iter().map(|entry| match entry {
                Value::StringLit(text) => Some(text.value.to_string()),
                _ => None,
            });
            let acl = texts.collect::<Option<Vec<String>>>();
            if acl.is_none() {
                faults.add(entries.start(), place, Complaint::new("is not a list of texts"));
            }
            acl
        }
        Some(other) => {
            faults.add(other.start(), place, Complaint::new("is not a list of texts"));
            None
        }
    }
}

fn value<'v, 't>(object: &'v Object<'t>, key: &str) -> Option<&'v Value<'t>> {
    object.properties.iter().find(|property| property.name.as_str() == key).map(|property| &property.value)
}

fn string(object: &Object<'_>, place: &str, key: &str, faults: &mut Collector<'_>) -> Option<String> {
    match value(object, key)? {
        Value::StringLit(text) => Some(text.value.to_string()),
        other => {
            faults.add(other.start(), key_path(place, key), Complaint::new("is not a text"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<String> {
        parse_backup(text)
            .map_or_else(|faults| faults.iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    fn with(znodes: &str) -> String {
        format!("{{\"format\": \"arcusctl backup\", \"version\": 1, \"znodes\": [\n{znodes}\n]}}")
    }

    #[test]
    fn what_is_no_backup_is_refused_at_once() {
        assert_eq!(told("[]"), ["1:1  $: is no backup: it is not one JSON object"]);
        assert_eq!(
            told("{\"serviceCode\": \"c\"}"),
            ["1:1  $.format: is not 'arcusctl backup': this is no backup of arcusctl"]
        );
        assert_eq!(
            told("{\"format\": \"arcusctl backup\", \"version\": 2}"),
            ["1:42  $.version: is 2; this arcusctl reads version 1"]
        );
        let whole = with("{\"path\": \"/arcus\"}");
        assert!(told(&whole).is_empty());
        assert_eq!(told(&whole[..whole.len() - 5]).len(), 1);
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let text = with(concat!(
            "{\"path\": \"/arcus\"},\n",
            "{\"path\": \"/arcus/x/y\"},\n",
            "{\"path\": \"/zookeeper/config\"},\n",
            "{\"path\": \"/arcus/../etc\"},\n",
            "{\"path\": \"/arcus/cache_list/c/10.0.0.1:1-h\"},\n",
            "{\"path\": \"/arcus\"},\n",
            "{\"path\": \"/arcus/a\", \"base64\": \"%\"},\n",
            "{\"path\": \"/arcus/b\", \"text\": 1, \"acl\": 2},\n",
            "{\"text\": \"\"}, 7"
        ));
        assert_eq!(
            told(&text),
            [
                "3:1  $.znodes[1]: '/arcus/x/y': its parent is not in the file",
                "4:10  $.znodes[2].path: '/zookeeper/config' is outside of /arcus and /arcus_repl",
                "5:10  $.znodes[3].path: '/arcus/../etc' is no path of a znode",
                "6:10  $.znodes[4].path: '/arcus/cache_list/c/10.0.0.1:1-h' stands for a live member or client; only who is there may create it",
                "7:1  $.znodes[5]: '/arcus' is there twice, first on line 2",
                "8:32  $.znodes[6].base64: is not base64: invalid length at 0",
                "9:30  $.znodes[7].text: is not a text",
                "9:40  $.znodes[7].acl: is not a list of texts",
                "10:1  $.znodes[8].path: is missing",
                "10:15  $.znodes[9]: is not an object",
            ]
        );
    }

    #[test]
    fn a_file_that_was_changed_on_its_way_is_told_by_its_checksum() {
        let saved = SavedZnode { data: b"100".to_vec(), acl: Vec::new() };
        let backup = Backup { znodes: BTreeMap::from([("/arcus".into(), saved)]), ..Backup::default() };
        let text = backup.to_text();
        assert!(told(&text).is_empty());
        let damaged = text.replace("\"text\":\"100\"", "\"text\":\"900\"");
        assert_ne!(damaged, text);
        assert!(told(&damaged)[0].contains("$.sha256: is not the checksum"), "{:?}", told(&damaged));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            znodes in proptest::collection::btree_map("[a-z ^:é.]{1,8}x", (any::<Vec<u8>>(), proptest::option::of("[a-z:]{1,9}")), 0..8),
            text in any::<String>(),
        ) {
            let mut backup = Backup { at: text.clone(), by: text, with_log: true, ..Backup::default() };
            backup.znodes.insert("/arcus".to_owned(), SavedZnode::default());
            for (name, (data, acl)) in znodes {
                backup.znodes.insert(format!("/arcus/{name}"), SavedZnode { data, acl: acl.into_iter().collect() });
            }
            prop_assert_eq!(parse_backup(&backup.to_text()), Ok(backup));
        }
    }
}

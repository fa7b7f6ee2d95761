//! What `locate` shows: which node has a key, and what it has.

use comfy_table::Cell;
use serde::Serialize;

use super::tables::{finish, number, table};
use crate::model::{NodeAddr, human_age, human_bytes};

/// Where keys are, and what part of all keys each node has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyReport {
    pub keys: Vec<KeyOwner>,
    pub nodes: Vec<NodeShare>,
}

/// The node that has a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyOwner {
    pub key: String,
    pub node: NodeAddr,
    /// What the node has under it; `None` when it was not asked, or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<KeyItem>,
}

/// A node on the ring.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeShare {
    pub node: NodeAddr,
    /// From 0 to 1.
    pub share: f64,
    /// It is a member now.
    pub live: bool,
}

/// What a node has under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum KeyItem {
    /// Nothing.
    Absent,
    Present {
        /// `kv`, `list`, `set`, `map` or `b+tree`; `None` when the node does not say.
        kind: Option<String>,
        /// Of the value; `None` for a collection.
        bytes: Option<u64>,
        /// Of a collection.
        #[serde(skip_serializing_if = "Option::is_none")]
        elements: Option<u64>,
        flags: u32,
        expiry: Expiry,
    },
}

/// When an item goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// Not by time.
    Never,
    /// Neither by time nor for want of memory.
    Sticky,
    /// In so many seconds.
    Seconds(u64),
    /// The node does not say.
    Unknown,
}

impl Expiry {
    /// Reads `expiretime` of arcus-memcached: the seconds left, 0 for never, -1 for a sticky item.
    pub fn read(text: Option<&str>) -> Self {
        match text.and_then(|text| text.parse::<i64>().ok()) {
            Some(0) => Self::Never,
            Some(-1) => Self::Sticky,
            Some(seconds) => u64::try_from(seconds).map_or(Self::Unknown, Self::Seconds),
            None => Self::Unknown,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Never => "never".to_owned(),
            Self::Sticky => "never, sticky".to_owned(),
            Self::Seconds(seconds) => format!("in {}", human_age(seconds)),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

pub(super) fn render(report: &KeyReport) -> String {
    let asked = report.keys.iter().any(|owner| owner.item.is_some());
    let mut headings = vec!["key", "node", "share of all keys", ""];
    if asked {
        headings.extend(["type", "size", "flags", "expires"]);
    }
    let mut keys = table(&headings);
    for owner in &report.keys {
        let seen = report.nodes.iter().find(|seen| seen.node == owner.node);
        let mut row = vec![
            Cell::new(&owner.key),
            Cell::new(owner.node),
            number(seen.map_or_else(String::new, |seen| format!("{:.1} %", seen.share * 100.0))),
            Cell::new(if seen.is_some_and(|seen| seen.live) { "" } else { "offline" }),
        ];
        match &owner.item {
            None => {}
            Some(KeyItem::Absent) => row.push(Cell::new("no such item")),
            Some(KeyItem::Present { kind, bytes, elements, flags, expiry }) => row.extend([
                Cell::new(kind.as_deref().unwrap_or("unknown")),
                number(match (bytes, elements) {
                    (Some(bytes), _) => human_bytes(*bytes),
                    (None, Some(elements)) => format!("{elements} elements"),
                    (None, None) => "unknown".to_owned(),
                }),
                number(flags),
                Cell::new(expiry.describe()),
            ]),
        }
        keys.add_row(row);
    }
    finish(&keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_that_is_not_told_is_not_guessed() {
        let read = |text| Expiry::read(text).describe();
        assert_eq!(read(Some("0")), "never");
        assert_eq!(read(Some("-1")), "never, sticky");
        assert_eq!(read(Some("3725")), "in 1h2m");
        assert_eq!(
            (read(Some("-2")), read(Some("x")), read(None)),
            ("unknown".into(), "unknown".into(), "unknown".into())
        );
    }
}

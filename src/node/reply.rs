//! What a cache node answers.

use serde::Serialize;

use crate::error::Failure;
use crate::model::NodeAddr;

/// The answer to `ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    Ready,
    /// It has not joined its cloud, or lost its place there.
    NotReady,
    /// It is older than the command (arcus-memcached 1.13.5).
    Unknown,
}

/// An item as `get` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub flags: u32,
    /// Of the whole value, in bytes.
    pub length: u64,
    /// Its beginning: 1 MB at most.
    pub value: Vec<u8>,
}

/// The head of an item: `VALUE key flags bytes`.
pub(super) fn item_head(line: &str) -> Option<(u32, u64)> {
    let mut words = line.strip_prefix("VALUE ")?.split(' ').skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// `STAT name value`; a value may hold blanks.
pub(super) fn stat(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
    Some((name.to_owned(), value.to_owned()))
}

/// The failure that a line stands for, if it stands for one.
pub(super) fn refusal(addr: NodeAddr, asked: &str, line: &str) -> Option<Failure> {
    let refuses = ["ERROR", "CLIENT_ERROR", "SERVER_ERROR", "DENIED", "NOT_SUPPORTED"];
    let word = line.split(' ').next().unwrap_or_default();
    if !refuses.contains(&word) {
        return None;
    }
    let failure =
        Failure::refused(format!("{addr}: does not take '{asked}'")).cause(format!("it said: {line}"));
    // Administration needs a login where SASL is required (contract: admin commands want the `admin` permission).
    let secured = line.contains("unauthenticated") || line.contains("unauthorized");
    Some(if secured {
        failure.hint("the node wants a login (SASL) for its administration; arcusctl has none")
    } else {
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_protocol_writes_them() {
        assert_eq!(item_head("VALUE key 5 12"), Some((5, 12)));
        assert_eq!(item_head("VALUE key 5 12 99"), Some((5, 12)));
        assert_eq!(item_head("END"), None);
        assert_eq!(stat("STAT version 1.15.0"), Some(("version".into(), "1.15.0".into())));
        assert_eq!(stat("STAT command a b"), Some(("command".into(), "a b".into())));
    }

    #[test]
    fn what_a_node_does_not_take_is_a_failure_with_its_words() {
        let addr = "10.0.0.1:11211".parse().unwrap();
        let failure = refusal(addr, "shutdown 5", "DENIED").unwrap();
        assert_eq!(failure.message, "10.0.0.1:11211: does not take 'shutdown 5'");
        assert!(refusal(addr, "ready", "READY").is_none());
        let secured = refusal(addr, "shutdown 5", "CLIENT_ERROR unauthorized").unwrap();
        assert!(secured.hints[0].contains("SASL"));
    }
}

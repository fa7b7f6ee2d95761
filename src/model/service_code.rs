//! The name of one cache cloud.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest service code a cache node accepts, in bytes (`arcus_zk.c`: its buffer holds 128 characters).
pub(super) const MAX_LENGTH: usize = 128;

/// A cache cloud's name, usable as one znode name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceCode(String);

/// Why a text is no service code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceCodeFault {
    #[error("is empty")]
    Empty,
    #[error("has {0} characters; a cache node accepts {MAX_LENGTH} at most")]
    TooLong(usize),
    #[error("contains '{0}', which would split the znode's path")]
    Separator(char),
    #[error("is '{0}', which ZooKeeper does not allow as a znode name")]
    Relative(String),
    #[error("contains the character {0:?}, which ZooKeeper does not allow in a znode name")]
    Unprintable(char),
    #[error("contains '^', which a cache node takes for the end of the service code")]
    Caret,
    #[error("starts or ends with white space")]
    Blank,
}

impl ServiceCode {
    /// Checks `text` against what ZooKeeper and arcus-memcached accept.
    ///
    /// # Errors
    /// The first rule that `text` breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, ServiceCodeFault> {
        let text = text.into();
        if text.trim().is_empty() {
            return Err(ServiceCodeFault::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(ServiceCodeFault::TooLong(text.len()));
        }
        if text == "." || text == ".." {
            return Err(ServiceCodeFault::Relative(text));
        }
        if text.trim() != text {
            return Err(ServiceCodeFault::Blank);
        }
        for character in text.chars() {
            match character {
                '/' => return Err(ServiceCodeFault::Separator(character)),
                '^' => return Err(ServiceCodeFault::Caret),
                _ if !allowed_in_znode(character) => return Err(ServiceCodeFault::Unprintable(character)),
                _ => {}
            }
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// ZooKeeper's rule for path characters (ZooKeeper programmer's guide, "The ZooKeeper Data Model").
pub(super) fn allowed_in_znode(character: char) -> bool {
    !matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

impl fmt::Display for ServiceCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for ServiceCode {
    type Err = ServiceCodeFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for ServiceCode {
    type Error = ServiceCodeFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<ServiceCode> for String {
    fn from(code: ServiceCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_operators_use() {
        for text in ["ruo91-cloud", "a", "캐시", "x y", &"n".repeat(MAX_LENGTH)] {
            assert_eq!(ServiceCode::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_no_znode_can_be_named() {
        use ServiceCodeFault::*;
        assert_eq!(ServiceCode::new("  "), Err(Empty));
        assert_eq!(ServiceCode::new("a/b"), Err(Separator('/')));
        assert_eq!(ServiceCode::new(".."), Err(Relative("..".into())));
        assert_eq!(ServiceCode::new("a\u{1}"), Err(Unprintable('\u{1}')));
        assert_eq!(ServiceCode::new("a^g"), Err(Caret));
        assert_eq!(ServiceCode::new(" a"), Err(Blank));
        assert_eq!(ServiceCode::new("n".repeat(129)), Err(TooLong(129)));
    }
}

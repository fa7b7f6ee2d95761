//! The name of one build as it lies on hosts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of the package's SHA-256 that name a release: enough to tell a site's builds apart, short enough
/// to be read aloud.
const DIGITS: usize = 12;

/// A release is named after its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(String);

/// How an archive is compressed for its way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// What every host can unpack.
    Gzip,
    /// Smaller and much faster to unpack, where the host has it.
    Zstd,
}

impl Compression {
    /// The end of an archive's name, by which hosts and partial uploads tell the two apart.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "tar.gz",
            Self::Zstd => "tar.zst",
        }
    }
}

/// A text that names no release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no release; releases are named by lower-case letters, digits, '.', '-' and '_'")]
pub struct ReleaseIdFault(String);

impl ReleaseId {
    /// The release whose package has this SHA-256, written in hexadecimal.
    pub fn of_sha256(sha256: &str) -> Self {
        Self(sha256.chars().take(DIGITS).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReleaseId {
    type Err = ReleaseIdFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if text.is_empty() || text.starts_with(['.', '-']) || !text.bytes().all(usable) {
            return Err(ReleaseIdFault(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = ReleaseIdFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReleaseId> for String {
    fn from(release: ReleaseId) -> Self {
        release.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_after_its_content() {
        let release = ReleaseId::of_sha256("0123456789abcdef0123456789abcdef");
        assert_eq!(release.as_str(), "0123456789ab");
    }

    #[test]
    fn a_name_cannot_leave_the_releases_directory() {
        for text in ["", "..", ".x", "a/b", "-rf", "A", "a b"] {
            assert!(text.parse::<ReleaseId>().is_err(), "{text}");
        }
    }
}

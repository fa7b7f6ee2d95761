//! What can be changed on a host before a first deploy.

use std::fmt;

use serde::Serialize;

use crate::inspect::PackageManager;

/// One change of a host, down to the last value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "make", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum HostChange {
    /// A system user that cannot log in.
    User { user: String },
    /// A directory below `/var/run`; `tmpfiles` is the line by which systemd makes it anew at each boot.
    RunDirectory { path: String, owner: String, tmpfiles: Option<String> },
    /// The install path; it and all in it that is root's are given to `owner`, when that is somebody else's so far.
    InstallPath { path: String, owner: Option<String> },
    /// All lines of `/etc/security/limits.d/arcus.conf`, comments and those of others too.
    Limits { lines: Vec<String> },
    /// A Java runtime by the host's package manager. Never without being asked for.
    Java { manager: PackageManager, package: &'static str },
}

impl HostChange {
    /// It brings software of others to the host, so somebody must have agreed to it.
    pub fn needs_consent(&self) -> bool {
        matches!(self, Self::Java { .. })
    }
}

impl fmt::Display for HostChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { user } => write!(out, "create the user {user}, who cannot log in"),
            Self::RunDirectory { path, owner, tmpfiles } => {
                write!(out, "make {path}, owned by {owner}")?;
                if tmpfiles.is_some() { write!(out, ", now and at each boot") } else { Ok(()) }
            }
            Self::InstallPath { path, owner: Some(owner) } => {
                write!(out, "make {path} and give it to {owner}, with all in it that is root's")
            }
            Self::InstallPath { path, owner: None } => write!(out, "make {path}"),
            Self::Limits { lines } => {
                let said = lines.iter().map(|line| line.trim()).filter(|line| !is_comment(line));
                let said: Vec<&str> = said.collect();
                write!(out, "write to /etc/security/limits.d/arcus.conf: {}", said.join("; "))
            }
            Self::Java { manager, package } => {
                write!(out, "install a Java runtime: {package} by {}", manager.as_str())
            }
        }
    }
}

/// It says nothing, or only to people.
fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

//! What a host has of what must be there before a first deploy: user, directories, limits, a Java runtime.

use std::time::Duration;

use futures::future::join_all;

use super::Inspected;
use super::hosts::{MachineId, unreadable, value, values};
use crate::model::HostName;
use crate::remote::{Fleet, Script, scripts};

/// What was seen of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedSeen {
    /// The login user.
    pub login: String,
    pub rights: Rights,
    pub machine: Option<MachineId>,
    /// The shell of the cache nodes' user; `None` when there is no such user.
    pub account: Option<String>,
    pub run: RunPlace,
    pub install: InstallPlace,
    pub limits: LimitsSeen,
    /// As Java says itself, or `unknown`; `None` when there is none, or nobody asked.
    pub java: Option<String>,
    pub manager: Option<PackageManager>,
}

/// How the login can do what only root may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It is root.
    Root,
    /// It may run anything by sudo without being asked.
    Sudo,
    /// Not at all; why, in the host's own words.
    None(String),
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Missing,
    Directory {
        owner: String,
    },
    /// A file, a link that leads nowhere, or a link where none is followed.
    Other,
}

/// The directory below `/var/run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlace {
    /// Where it is once `/var/run` is resolved.
    pub path: String,
    pub entry: Entry,
    /// It lies in memory and is gone after a reboot.
    pub volatile: bool,
    /// systemd can make it anew at each boot.
    pub tmpfiles: bool,
    /// All lines of `/etc/tmpfiles.d/arcus.conf`.
    pub lines: Vec<String>,
}

/// The install path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallPlace {
    pub entry: Entry,
    /// By the login user; of a missing one, whether it can be made.
    pub writable: bool,
    pub empty: bool,
}

impl InstallPlace {
    /// Something is there that may be running.
    pub fn is_in_use(&self) -> bool {
        matches!(self.entry, Entry::Directory { .. }) && !self.empty
    }
}

/// The hard limits of logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsSeen {
    /// Open files; `None` is no limit.
    pub nofile: Option<u64>,
    /// Blocks of a core file; `None` is no limit.
    pub core: Option<u64>,
    /// The login may raise them itself.
    pub raises: bool,
    /// What the kernel allows one process to open.
    pub most: Option<u64>,
    /// All lines of `/etc/security/limits.d/arcus.conf`.
    pub lines: Vec<String>,
}

/// A package manager that a Java runtime can be had from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageManager {
    AptGet,
    Dnf,
    Yum,
}

impl PackageManager {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }

    /// The package that brings a Java runtime without a screen.
    pub fn java_package(self) -> &'static str {
        match self {
            Self::AptGet => "default-jre-headless",
            // Each openjdk package of these distributions provides this name.
            Self::Dnf | Self::Yum => "java-headless",
        }
    }
}

/// Looks at every host; `wants_java` says of which a Java runtime is to be looked for.
pub async fn inspect_prepared(
    fleet: &Fleet,
    hosts: &[HostName],
    user: &str,
    install_path: &str,
    wants_java: impl Fn(&HostName) -> bool,
    limit: Duration,
) -> Vec<(HostName, Inspected<PreparedSeen>)> {
    join_all(hosts.iter().map(|host| {
        let script = Script::new("look at what is prepared", scripts::PREPARED)
            .arg(user)
            .arg(install_path)
            .arg(if wants_java(host) { "java" } else { "" });
        async move { (host.clone(), look(fleet, host, &script, limit).await) }
    }))
    .await
}

async fn look(fleet: &Fleet, host: &HostName, script: &Script, limit: Duration) -> Inspected<PreparedSeen> {
    let text = fleet.host(host).await?.check(script, limit).await?;
    read(&text).ok_or_else(|| unreadable(host, "what is prepared there", &text))
}

fn read(text: &str) -> Option<PreparedSeen> {
    let flag = |key| value(text, key).map(|word| word == "yes");
    let lines = |key| values(text, key).map(str::to_owned).collect();
    Some(PreparedSeen {
        login: value(text, "login")?.to_owned(),
        rights: match value(text, "rights")?.split_once(' ') {
            None if value(text, "rights") == Some("root") => Rights::Root,
            None => Rights::Sudo,
            Some((_, reason)) => Rights::None(reason.to_owned()),
        },
        machine: value(text, "machine").map(|id| MachineId(id.to_owned())),
        account: values(text, "account").next().map(str::to_owned),
        run: RunPlace {
            path: value(text, "run")?.to_owned(),
            entry: entry(value(text, "run_entry")?),
            volatile: flag("volatile")?,
            tmpfiles: flag("tmpfiles")?,
            lines: lines("tmpfile"),
        },
        install: InstallPlace {
            entry: entry(value(text, "install_entry")?),
            writable: flag("writable")?,
            empty: flag("empty")?,
        },
        limits: LimitsSeen {
            nofile: limit(value(text, "nofile")?),
            core: limit(value(text, "core")?),
            raises: flag("raises")?,
            most: value(text, "most").and_then(limit),
            lines: lines("limit"),
        },
        java: value(text, "java").map(str::to_owned),
        manager: match value(text, "manager") {
            Some("apt-get") => Some(PackageManager::AptGet),
            Some("dnf") => Some(PackageManager::Dnf),
            Some("yum") => Some(PackageManager::Yum),
            _ => None,
        },
    })
}

fn entry(words: &str) -> Entry {
    match words.split_once(' ') {
        Some(("directory", owner)) => Entry::Directory { owner: owner.to_owned() },
        None if words == "missing" => Entry::Missing,
        _ => Entry::Other,
    }
}

/// A number, or `unlimited`.
fn limit(word: &str) -> Option<u64> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_from_its_lines() {
        let text = "login deploy\nrights none sudo: a password is required\nmachine m b h\n\
            run /run/memcached\nrun_entry missing\nvolatile yes\ntmpfiles yes\ntmpfile d /run/x 0755 root - -\n\
            install_entry directory root\nwritable no\nempty yes\nnofile 1024\ncore unlimited\nraises no\nmost 1048576\n\
            limit deploy hard nofile 2048\njava 1.8.0_372\nmanager dnf\n";
        let seen = read(text).unwrap();
        assert_eq!(seen.rights, Rights::None("sudo: a password is required".into()));
        assert_eq!((seen.account, seen.run.entry), (None, Entry::Missing));
        assert_eq!(seen.install.entry, Entry::Directory { owner: "root".into() });
        assert_eq!((seen.limits.nofile, seen.limits.core), (Some(1024), None));
        assert_eq!(seen.limits.lines, ["deploy hard nofile 2048"]);
        assert_eq!((seen.java.as_deref(), seen.manager), (Some("1.8.0_372"), Some(PackageManager::Dnf)));
    }

    #[test]
    fn an_account_without_a_shell_of_its_own_is_an_account() {
        let text = "login root\nrights root\naccount \nrun /run/memcached\nrun_entry directory memcached\nvolatile no\n\
            tmpfiles no\ninstall_entry missing\nwritable yes\nempty no\nnofile unlimited\ncore 0\nraises yes\n";
        let seen = read(text).unwrap();
        assert_eq!((seen.rights, seen.account.as_deref()), (Rights::Root, Some("")));
        assert_eq!((seen.limits.nofile, seen.limits.core), (None, Some(0)));
    }
}

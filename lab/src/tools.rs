//! What the machine must offer: programs (and the Debian packages that bring them) and kernel features.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::namespace::{self, PATH};
use crate::state::base_dir;

/// Why there can be no lab on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Namespaces and mounts are root's.
    #[error("a lab needs root: run this as root or with sudo")]
    NotRoot,
    /// The kernel or a container's policy says no.
    #[error("this machine doesn't permit namespaces ({0}); inside a container it must be a privileged one")]
    Namespaces(&'static str),
    /// The hosts' disks can't be made.
    #[error(
        "no overlay with its upper layer at {dir} ({reason}); set ARCUS_LAB_DIR to a directory on an ordinary disk",
        dir = dir.display()
    )]
    Overlay {
        /// The upper layer that was refused.
        dir: PathBuf,
        /// The kernel's answer.
        reason: &'static str,
    },
    /// The lab's network can't be made.
    #[error("this machine doesn't permit virtual networks: {0}")]
    Network(String),
    /// Programs are not installed.
    #[error("missing: {}. Install them: apt-get install {}", .missing.join(", "), .packages.join(" "))]
    Tools {
        /// What was looked for.
        missing: Vec<String>,
        /// The packages that bring it.
        packages: Vec<&'static str>,
    },
}

/// Programs and files the lab uses, each with the package that brings it.
const NEEDED: [(&str, &str); 13] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("setpriv", "util-linux"),
    ("ps", "procps"),
    ("install", "coreutils"),
    ("java", "default-jre-headless"),
    ("memcached", "memcached"),
    ("/usr/share/zookeeper/bin/zkServer.sh", "zookeeper"),
    ("/usr/share/java/zookeeper.jar", "libzookeeper-java"),
];

/// The packages to install on Debian or Ubuntu, as listed in `lab/packages.txt`.
#[must_use]
pub fn packages() -> Vec<&'static str> {
    include_str!("../packages.txt")
        .lines()
        .filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Fails with [`Unavailable`] when a program that a lab or its sample Arcus tree needs is not installed.
pub(crate) fn require_tools() -> Result<(), Unavailable> {
    let is_there = |what: &str| {
        Path::new(what).is_absolute() && Path::new(what).exists()
            || !what.starts_with('/') && PATH.split(':').any(|dir| Path::new(dir).join(what).exists())
    };
    let absent: Vec<_> = NEEDED.iter().filter(|(what, _)| !is_there(what)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = absent.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(Unavailable::Tools { missing: absent.iter().map(|(what, _)| (*what).to_owned()).collect(), packages })
}

pub(crate) fn require_root() -> Result<(), Unavailable> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Unavailable::NotRoot) }
}

/// Tries whether a lab can be made here, leaving nothing behind.
///
/// # Errors
///
/// [`Unavailable`] (to be had by downcast) says what is missing.
pub fn probe() -> Result<()> {
    require_root()?;
    require_tools()?;
    std::fs::create_dir_all(base_dir())?;
    let scratch = tempfile::Builder::new().prefix(".probe-").tempdir_in(base_dir())?;
    namespace::try_everything(scratch.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_needed_package_is_listed_for_installation() {
        let listed = packages();
        for (what, package) in NEEDED {
            assert!(listed.contains(&package), "{package}, which brings {what}, is not in packages.txt");
        }
    }
}

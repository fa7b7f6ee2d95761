//! The operation lock: at most one run at a time changes a host, or a cloud's znodes and nodes.
//!
//! A host's lock is `flock` on a file there, held by a script on the run's own ssh connection; a cloud's is an ephemeral
//! znode. Both vanish when their holder dies. Nobody polls: a host's lock is waited for by `flock` itself, a cloud's by a
//! watch.
//!
//! Boundary: takes and frees what it is told to and says who has it; asks nobody and prints nothing.

mod cloud;
mod host;
mod process;
#[cfg(test)]
mod script_tests;
mod status;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::model::{HostName, ServiceCode};
use crate::zk::ZooKeeper;

pub use cloud::{CloudLook, look_at_cloud};
pub use status::{LockState, LockStatus, cloud_status, host_status};
pub use taking::{Taken, Taking, Waiting};

pub use process::this_process;

use cloud::CloudLock;
use host::HostLock;

/// Who has a lock, since when, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Tells one run from every other.
    pub run: String,
    pub user: String,
    /// The operator's machine.
    pub host: String,
    /// Of the run, there.
    pub pid: u32,
    /// Tells that machine, as it runs now, from every other: where the process lives, and which of that number it is.
    pub process: ProcessKey,
    /// RFC 3339, UTC.
    pub since: String,
    /// The command line.
    pub command: String,
}

/// One process of the whole world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessKey {
    /// The boot of the machine, and the process namespace there.
    pub world: String,
    /// In clock ticks since that boot.
    pub started: u64,
}

/// What is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Host(HostName),
    Cloud(ServiceCode),
}

/// What a plan needs for itself alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub hosts: BTreeSet<HostName>,
    pub clouds: BTreeSet<ServiceCode>,
}

/// The locks of one run.
#[derive(Debug)]
pub struct Locks {
    holder: Holder,
    install_path: String,
    hosts: Mutex<BTreeMap<HostName, HostHold>>,
    cloud: Mutex<BTreeMap<ServiceCode, CloudLock>>,
}

/// What was come to at one host.
#[derive(Debug)]
enum HostHold {
    Held(HostLock),
    /// The same machine is locked by this other of its names.
    Ours(HostName),
    /// It cannot be locked, and the run goes on without.
    Without,
    /// It could not be asked; nothing may be done there.
    Lost(Failure),
}

impl Locks {
    /// None yet; `holder` is what others will be told.
    pub fn new(holder: Holder, install_path: String) -> Self {
        Self { holder, install_path, hosts: Mutex::default(), cloud: Mutex::default() }
    }

    /// That what the step needs is still held.
    ///
    /// # Errors
    /// When it was lost: somebody else may be at work there by now.
    pub fn check(&self, host: Option<&HostName>) -> Result<(), Failure> {
        if let Some(lost) = guard(&self.cloud).values().find_map(CloudLock::lost) {
            return Err(lost);
        }
        self.check_host(host)
    }

    /// The same for a step to which no lock of a cloud matters.
    ///
    /// # Errors
    /// When the lock of the host was lost.
    pub fn check_host(&self, host: Option<&HostName>) -> Result<(), Failure> {
        let hosts = guard(&self.hosts);
        let Some(mut hold) = host.and_then(|host| hosts.get(host)) else { return Ok(()) };
        if let HostHold::Ours(name) = hold {
            hold = hosts.get(name).unwrap_or(hold);
        }
        hold.check()
    }

    /// Frees everything, and returns when that is so.
    pub async fn release(&self) {
        let hosts = std::mem::take(&mut *guard(&self.hosts));
        let clouds = std::mem::take(&mut *guard(&self.cloud));
        let hosts = hosts.into_values().map(|hold| async move {
            if let HostHold::Held(lock) = hold {
                lock.release().await;
            }
        });
        let clouds = clouds.into_values().map(CloudLock::release);
        tokio::join!(join_all(hosts), join_all(clouds));
    }

    fn has(&self, wanted: &Wanted) -> bool {
        let hosts = guard(&self.hosts);
        let clouds = guard(&self.cloud);
        wanted.hosts.iter().all(|host| hosts.contains_key(host))
            && wanted.clouds.iter().all(|code| clouds.contains_key(code))
    }
}

impl HostHold {
    fn is_held(&self) -> bool {
        matches!(self, Self::Held(lock) if lock.check().is_ok())
    }

    fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Held(lock) => lock.check(),
            Self::Ours(_) | Self::Without => Ok(()),
            Self::Lost(failure) => Err(failure.clone()),
        }
    }
}

impl Holder {
    /// `kim@admin-1 since 2026-…: deploy cloud.json`
    pub fn describe(&self) -> String {
        format!("{}@{} (pid {}) since {}: {}", self.user, self.host, self.pid, self.since, self.command)
    }

    /// Known for certain: it was a process of the world that we live in, and it is no more.
    pub fn is_dead(&self, ours: &Self) -> bool {
        let same_world = !ours.process.world.is_empty() && self.process.world == ours.process.world;
        same_world && process::is_dead(self.pid, self.process.started)
    }

    /// What another run wrote; `None` for what is no holder.
    fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// One line.
    fn to_line(&self) -> String {
        to_line(self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(out, "{host}"),
            Self::Cloud(code) => write!(out, "service code {code}"),
        }
    }
}

fn to_line(entry: &impl Serialize) -> String {
    // Texts and numbers can always be written as JSON; line ends are escaped there.
    serde_json::to_string(entry).unwrap_or_default()
}

/// What a thread that panicked left there is as good as any.
fn guard<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session, where there is one.
pub type Session = Option<Arc<ZooKeeper>>;

//! `arcusctl.toml`: everything that is true of the operator's site rather than of one cloud.
//!
//! Boundary: what the settings are and what they are when nobody says. Where the file is looked for is in `load`, what
//! may stand in it in `parse`.

mod checks;
mod load;
mod parse;
mod section;
mod zookeeper;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Ensemble, EnsembleMember};

pub use self::load::SettingsLookup;
pub use self::parse::parse_settings;

/// Where `arcus.sh`'s users have Arcus.
const DEFAULT_INSTALL_PATH: &str = "/opt/arcus";
/// The user that the Arcus guides create for cache nodes.
const DEFAULT_MEMCACHED_USER: &str = "memcached";
const DEFAULT_CONCURRENCY: usize = 32;
const DEFAULT_PEER_PORT: NonZeroU16 = port(2888);
const DEFAULT_ELECTION_PORT: NonZeroU16 = port(3888);

const fn port(number: u16) -> NonZeroU16 {
    match NonZeroU16::new(number) {
        Some(port) => port,
        None => NonZeroU16::MIN,
    }
}

/// The settings of one site, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The file they were read from, if there was one.
    pub source: Option<PathBuf>,
    /// Where Arcus lives on every host; absolute.
    pub install_path: String,
    /// What `deploy` sends when it is given no `--package`.
    pub package: Option<PathBuf>,
    /// How many hosts are worked on at once.
    pub concurrency: usize,
    pub ssh: SshSettings,
    pub memcached: MemcachedSettings,
    pub zookeeper: ZooKeeperSettings,
    pub timeouts: Timeouts,
}

/// How to log in; what is `None` is left to the operator's own ssh configuration.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SshSettings {
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity: Option<PathBuf>,
}

/// How cache nodes are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedSettings {
    /// The user that cache nodes run as when the login user is root.
    pub user: String,
    /// ZooKeeper session timeout asked for with `-o`, in seconds (10 to 2000); `None` leaves memcached's 30.
    pub session_timeout: Option<u32>,
    /// Further arguments, appended as they are, each one argument.
    pub extra_args: Vec<String>,
}

/// How the ensemble is laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct ZooKeeperSettings {
    /// `None` when the file names no ensemble.
    pub servers: Option<Ensemble>,
    /// First of the ports that followers use toward the leader; members on one machine count up from it.
    pub peer_port: NonZeroU16,
    /// First of the ports that leader election uses; members on one machine count up from it.
    pub election_port: NonZeroU16,
    /// Where members keep their data; `None` means `<install>/zookeeper/data`, as `arcus.sh` has it.
    pub data_dir: Option<String>,
    /// Lines of `zoo.cfg` laid over the defaults.
    pub properties: BTreeMap<String, String>,
    /// What differs for single members.
    pub members: BTreeMap<EnsembleMember, MemberSettings>,
}

/// What one member has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MemberSettings {
    pub id: Option<u32>,
    pub peer_port: Option<NonZeroU16>,
    pub election_port: Option<NonZeroU16>,
    pub data_dir: Option<String>,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For an ssh connection to stand.
    pub connect: Duration,
    /// For one command on a host that should answer at once.
    pub command: Duration,
    /// For the ensemble to serve after a start, and for members to go after a stop.
    pub ensemble: Duration,
    /// For a started cache node to join.
    pub join: Duration,
    /// For a cache node to leave and exit.
    pub stop: Duration,
    /// For one answer of ZooKeeper.
    pub zookeeper: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: None,
            install_path: DEFAULT_INSTALL_PATH.to_owned(),
            package: None,
            concurrency: DEFAULT_CONCURRENCY,
            ssh: SshSettings::default(),
            memcached: MemcachedSettings::default(),
            zookeeper: ZooKeeperSettings::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for MemcachedSettings {
    fn default() -> Self {
        Self { user: DEFAULT_MEMCACHED_USER.to_owned(), session_timeout: None, extra_args: Vec::new() }
    }
}

impl Default for ZooKeeperSettings {
    fn default() -> Self {
        Self {
            servers: None,
            peer_port: DEFAULT_PEER_PORT,
            election_port: DEFAULT_ELECTION_PORT,
            data_dir: None,
            properties: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(60),
            ensemble: Duration::from_secs(90),
            join: Duration::from_secs(60),
            stop: Duration::from_secs(30),
            zookeeper: Duration::from_secs(10),
        }
    }
}

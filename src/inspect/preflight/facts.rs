//! What a host can say of itself, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::inspect::MachineId;
use crate::model::{EnsembleMember, GlibcVersion};

/// What is said of a file that the loader does not know what to do with: empty, a script, or linked statically.
pub const NOT_DYNAMIC: &str = "is no dynamic program or library";

/// What a host answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    pub clock: Option<ClockOffset>,
    /// The login user's number; 0 is root.
    pub uid: Option<u32>,
    /// The login user's name.
    pub login: String,
    pub machine: Option<MachineId>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub os: Option<String>,
    /// `Linux`.
    pub kernel: Option<String>,
    /// As `uname -m` says.
    pub architecture: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Programs that were looked for and not found.
    pub lacks: BTreeSet<String>,
    pub places: Vec<PlaceSeen>,
    /// `/var/run/memcached`.
    pub run_directory: Option<RunDirectory>,
    /// The cache nodes' user; looked for only where the login user is root.
    pub account: Account,
    /// Whether `sudo` works without a password; asked only where the login user is not root.
    pub sudo: Option<bool>,
    /// Hard limit of open files.
    pub files: Limit,
    /// The limit of open files that a cache node needs could be set.
    pub files_granted: bool,
    /// The highest core limit to be had.
    pub core: Limit,
    pub java: Option<JavaSeen>,
    /// `myid` by client port.
    pub ids: BTreeMap<u16, u32>,
    /// The `zoo.cfg` of each member that has one, links resolved, by client port.
    pub configs: BTreeMap<u16, String>,
    /// Who listens on the ports that were asked about; `None` when that cannot be told.
    pub listeners: Option<Vec<Listener>>,
    /// The address that it uses toward each host asked about; `None` when that cannot be told.
    pub routes: Option<BTreeMap<String, Route>>,
    /// What became of each connection tried; `None` when none could be tried. One without an answer is not in it.
    pub reach: Option<BTreeMap<(String, u16), Reach>>,
    pub glibc: Option<GlibcVersion>,
    /// Libraries asked about that it does not have; `None` when none was asked about.
    pub absent: Option<BTreeSet<String>>,
    /// What the loader misses for the release in use; `None` when none is installed.
    pub unloadable: Option<Vec<String>>,
}

/// How far the host's clock is ahead of ours, in seconds: somewhere between the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockOffset {
    pub least: f64,
    pub most: f64,
}

/// A path that is going to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceSeen {
    pub path: String,
    /// The nearest part of it that exists.
    pub existing: String,
    pub is_directory: bool,
    pub writable: bool,
    /// Bytes free for the login user.
    pub free: Option<u64>,
}

/// `/var/run/memcached`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunDirectory {
    Missing,
    NoDirectory,
    Present { writable: bool, owner: String },
}

/// The user that cache nodes are to run as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Account {
    /// Nobody asked, or the host cannot tell.
    #[default]
    Unknown,
    Missing,
    Present {
        uid: u32,
        shell: String,
    },
}

/// A resource limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    #[default]
    Unknown,
    At(u64),
    Unlimited,
}

/// A Java runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaSeen {
    pub path: String,
    /// `17.0.15` or `1.8.0_402`.
    pub version: Option<String>,
}

/// A process that listens on a TCP port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    /// Unknown for processes of other users, unless root looks.
    pub pid: Option<u32>,
    pub name: Option<String>,
    pub executable: Option<String>,
    /// How it was called, for a `memcached`.
    pub program: Option<String>,
    /// The `zoo.cfg` of a ZooKeeper server.
    pub config: Option<String>,
}

/// The way to another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The name has no IPv4 address there.
    Unresolved,
    /// The kernel knows no way.
    None {
        address: Ipv4Addr,
    },
    From {
        address: Ipv4Addr,
        source: Ipv4Addr,
    },
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Open,
    /// The host is reached; nothing listens there.
    Refused,
    /// In the host's words.
    Failed(String),
}

impl HostFacts {
    /// The `myid` of a member of this host.
    pub fn id_of(&self, member: &EnsembleMember) -> Option<u32> {
        self.ids.get(&member.client_port.get()).copied()
    }

    /// The place that was looked at for `path`.
    pub fn place(&self, path: &str) -> Option<&PlaceSeen> {
        self.places.iter().find(|place| place.path == path)
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use jiff::SignedDuration;

pub use super::apply::{Apply, Wish};
pub use super::backup::{Backup, Restore};
pub use super::check::Check;
use super::complete;
pub use super::destroy::Destroy;
pub use super::exec::Exec;
pub use super::history::{History, HistoryShow, Resume};
pub use super::lock::Lock;
pub use super::logs::{Logs, MemberLogs};
use super::offline::Offline;
pub use super::resize::ResizeArgs;
pub use super::restart::Restart;
pub use super::status::Status;
pub use super::top::TopArgs;
use crate::model::{EnsembleMember, ServiceCode};
use crate::plan::Selector;

/// Deploys and operates Arcus cache clouds: SSH hosts, the ZooKeeper ensemble, the cache nodes.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 success, 1 failed, 2 usage, 3 some of it failed, 4 invalid config, 5 refused, 6 unreachable, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The ZooKeeper ensemble, host:port,… [default: $ARCUSCTL_ZOOKEEPER, the settings, 127.0.0.1:2181]
    #[arg(short = 'z', long, alias = "zklist", value_name = "HOST:PORT,…", global = true)]
    pub zookeeper: Option<String>,
    /// The settings file [default: $ARCUSCTL_SETTINGS, arcusctl.toml here, in ~/.config/arcusctl, in /etc/arcusctl]
    #[arg(long, value_name = "FILE", global = true)]
    pub settings: Option<PathBuf>,
    /// Output for people or one JSON document for programs, on standard output
    #[arg(long, value_enum, default_value_t = Output::Human, global = true)]
    pub output: Output,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
    /// How many hosts are worked on at once [default: the settings, then 32]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: Option<u16>,
    /// Seconds to wait for what is started or stopped [default: the settings]
    #[arg(long, value_name = "SECONDS", global = true, value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub timeout: Option<u32>,
    /// Record the keys of hosts that known_hosts does not have; a changed key is refused all the same
    #[arg(long, global = true)]
    pub accept_new_host_keys: bool,
    /// Ask nothing: what interrupts or destroys is done
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// How long to wait for a run of somebody else that has what is needed locked, such as 5m [default: not at all]
    #[arg(long, value_name = "TIME", global = true, value_parser = length_of_time)]
    pub lock_wait: Option<Duration>,
    /// Tell more; twice, what is asked of hosts and ZooKeeper as well
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Write all that -vv tells, and all that is said, to the end of this file as well
    #[arg(long, value_name = "FILE", global = true)]
    pub log_file: Option<PathBuf>,
    /// Tell only what failed
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// What every command takes that changes something.
#[derive(Args, Clone, Copy, Debug)]
pub struct Change {
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the build to every host of the cloud and the ensemble, and switch to it
    Deploy(Deploy),
    /// Look at every host and the cloud as a whole: what is well, what is not, and how to mend it
    Check(Check),
    /// Switch every host back to a release that it still has
    Rollback {
        /// The cloud JSON
        #[arg(value_name = "CONF")]
        conf: PathBuf,
        /// A release by id, by the beginning of its id, or by label [default: the one that was current before]
        #[arg(long, value_name = "RELEASE")]
        to: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Show the releases on every host, and which processes still run an older one
    Releases {
        /// The cloud JSON
        #[arg(value_name = "CONF")]
        conf: PathBuf,
    },
    /// The hosts themselves: what must be so before a first deploy
    #[command(subcommand)]
    Hosts(super::hosts::Hosts),
    /// The ZooKeeper ensemble: set up, start, stop, look
    #[command(subcommand)]
    Zookeeper(ZooKeeper),
    /// The cache clouds: register, start, stop, list
    #[command(subcommand)]
    Memcached(Memcached),
    /// Show what is missing for a cloud to be as its JSON says, and what it would cost; changes nothing
    Plan(Wish),
    /// Make a cloud what its JSON says: nodes join, leave and restart one by one, and the znodes are mended
    Apply(Apply),
    /// Tell which cache node has a key
    Locate(Locate),
    /// Show what cache nodes wrote to their logs, by time, and with -f what they write
    Logs(Logs),
    /// Run a command on the hosts of a cloud at once: exec CONF -- uptime
    Exec(Exec),
    /// Stop a cloud's nodes, unregister it and remove what was installed for it alone; its name has to be typed
    Destroy(Destroy),
    /// Write what is registered of all clouds to one file
    Backup(Backup),
    /// Put back what a backup has and ZooKeeper lacks; live members are never touched
    Restore(Restore),
    /// Show each node as registered, running, a member and by its own answer, and where these disagree
    Status(Status),
    /// The status of the nodes, live: members by watch, figures again and again
    Top(TopArgs),
    /// Write, read back and delete a key on each live node, as a client would
    Smoke {
        /// The service code
        #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
        code: ServiceCode,
    },
    /// Have nodes that run but lost their membership go back to their cloud
    Rejoin(Nodes),
    /// Time an answer from every member, host and cache node of a cloud
    Ping {
        /// The service code
        #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
        code: ServiceCode,
    },
    /// The operation locks: who has which
    #[command(subcommand)]
    Lock(Lock),
    /// Show which runs changed something, the newest first, and what became of each
    History(History),
    /// Go on with a run that was not finished: looks and plans anew, with the same command
    Resume(Resume),
    /// Deploy, set up ZooKeeper, register, start and list, in order; goes on from where things stand
    Quicksetup(Deploy),
    #[command(flatten)]
    Offline(Offline),
}

#[derive(Args, Debug)]
pub struct Deploy {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    /// A .tar.gz of an Arcus build, or the directory it was installed to [default: the settings, then the install path]
    #[arg(long, value_name = "FILE|DIR")]
    pub package: Option<PathBuf>,
    /// A name for the release, such as 1.16.1
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub label: Option<String>,
    /// Switch the hosts that are ready even when others are not
    #[arg(long)]
    pub partial: bool,
    /// How many releases a host keeps, besides those in use
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub keep: u16,
    /// Bytes a second that one host is sent at most, such as 5M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub limit_rate: Option<u64>,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Subcommand)]
pub enum ZooKeeper {
    /// Write the configuration, start the ensemble and create the base znodes
    Init(Change),
    /// Start members and wait until they serve
    Start(Members),
    /// Stop members and wait until their ports are closed
    Stop(Members),
    /// Restart members one at a time, the leader last, each in sync before the next; the quorum is never lost
    Restart(RestartMembers),
    /// Add members, one at a time; every member takes the new list over, and live cache nodes are told of it
    Add(ResizeArgs),
    /// Remove members, one at a time; they are stopped at the end, and their data is left
    Remove(ResizeArgs),
    /// Show how members stand: lag behind the leader, snapshots, disks, and what is wrong
    Status,
    /// Show what members wrote to their logs, by time, and with -f what they write
    Logs(MemberLogs),
    /// Show every member; exit code 0 only if all serve
    Stat(MemberSelection),
}

#[derive(Args, Clone, Debug)]
pub struct MemberSelection {
    /// Only this member; may be repeated [default: all]
    #[arg(long = "member", value_name = "HOST:PORT", add = ArgValueCandidates::new(complete::members))]
    pub members: Vec<EnsembleMember>,
}

#[derive(Args, Debug)]
pub struct Members {
    #[command(flatten)]
    pub selection: MemberSelection,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Args, Debug)]
pub struct RestartMembers {
    #[command(flatten)]
    pub members: Members,
    /// One member at a time; this is the default
    #[arg(long)]
    pub rolling: bool,
    /// All at once: the ensemble is interrupted until they are up again
    #[arg(long, conflicts_with = "rolling")]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub enum Memcached {
    /// Enter a cloud in ZooKeeper, or change it there
    Register {
        /// The cloud JSON
        #[arg(value_name = "CONF")]
        conf: PathBuf,
        #[command(flatten)]
        change: Change,
    },
    /// Take a cloud out of ZooKeeper; its nodes must be stopped
    Unregister {
        /// The service code
        #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
        code: ServiceCode,
        #[command(flatten)]
        change: Change,
    },
    /// Start cache nodes and see each join
    Start(Nodes),
    /// Stop cache nodes and see each leave
    Stop {
        #[command(flatten)]
        nodes: Nodes,
        /// Kill what does not end in time
        #[arg(long)]
        force: bool,
    },
    /// Restart cache nodes, one after the other, each seen to join and to be ready before the next
    Restart(Restart),
    /// Show a cloud and its nodes; without a code, all clouds
    List {
        /// The service code
        #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
        code: Option<ServiceCode>,
    },
    /// Show all clouds
    Listall,
}

#[derive(Args, Debug)]
pub struct Locate {
    /// The service code
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub code: ServiceCode,
    /// The keys
    #[arg(value_name = "KEY", required = true, value_parser = key)]
    pub keys: Vec<String>,
    /// Where keys will be once every node of this cloud JSON is live [default: where they are now]
    #[arg(long, value_name = "CONF", conflicts_with = "registered")]
    pub config: Option<PathBuf>,
    /// Where keys will be once every registered node is live
    #[arg(long)]
    pub registered: bool,
    /// Ask the node that has a key for the item's type, size, flags and expiry; its value is not shown
    #[arg(long, conflicts_with_all = ["config", "registered"])]
    pub get: bool,
}

#[derive(Args, Debug)]
pub struct Nodes {
    /// The service code
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub code: ServiceCode,
    /// Only these nodes: ip:port, ip, hostname (* and ? stand for anything), @offline, @outdated; with commas between, ! excludes [default: all]
    #[arg(value_name = "NODES", add = ArgValueCandidates::new(complete::nodes))]
    pub nodes: Vec<Selector>,
    #[command(flatten)]
    pub change: Change,
}

/// What the ASCII protocol takes for a key: no blanks, no control characters, 4000 bytes at most.
fn key(text: &str) -> Result<String, String> {
    if (1..=4000).contains(&text.len())
        && !text.chars().any(|character| character == ' ' || character.is_control())
    {
        return Ok(text.to_owned());
    }
    Err("a key has 1 to 4000 bytes, none of them a blank or a control character".to_owned())
}

/// A length of time with its unit, a day at most.
pub(super) fn length_of_time(text: &str) -> Result<Duration, String> {
    match text.parse::<SignedDuration>() {
        Ok(length) if !length.is_negative() && length <= SignedDuration::from_hours(24) => {
            Ok(length.unsigned_abs())
        }
        _ => Err("write a length of time with its unit, such as 30s, 5m or 1h; a day at most".to_owned()),
    }
}

/// A release's name is shown in tables and kept in a file of one line.
fn label(text: &str) -> Result<String, String> {
    let usable = |character: char| character.is_ascii_alphanumeric() || ".-_+".contains(character);
    if (1..=64).contains(&text.len()) && text.chars().all(usable) {
        return Ok(text.to_owned());
    }
    Err("a label has 1 to 64 letters, digits, '.', '-', '_' or '+'".to_owned())
}

/// Bytes a second, with k, M or G for powers of 1000.
fn rate(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'K', 'M', 'G']) {
        Some(digits) if text.ends_with(['k', 'K']) => (digits, 1000),
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000_000_000),
        None => (text, 1),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err("a rate is a number of bytes a second, such as 500k or 5M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(length_of_time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(length_of_time("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "-1s", "25h", "soon"] {
            assert!(length_of_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_with_their_units() {
        assert_eq!((rate("1500"), rate("500k"), rate("5M")), (Ok(1500), Ok(500_000), Ok(5_000_000)));
        for text in ["", "0", "M", "-1", "5MB", "99999999999G"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}

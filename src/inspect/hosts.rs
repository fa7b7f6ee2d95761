//! What hosts say of themselves: the install, the ZooKeeper member, the memcached processes.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::Inspected;
use crate::error::Failure;
use crate::model::{Compression, EnsembleMember, HostName, ReleaseId};
use crate::remote::{Fleet, Script, scripts};

/// Separates the arguments of one process in a line; no argument can contain it and be passed through a shell script.
const ARGUMENT_SEPARATOR: char = '\u{1f}';

/// Tells one running machine from every other, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId(pub String);

/// The install path of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSeen {
    pub install_path: String,
    /// The login user.
    pub user: String,
    pub writable: bool,
    /// As `uname -m` says.
    pub architecture: String,
    pub machine: Option<MachineId>,
    pub current: Option<ReleaseId>,
    /// The one that was current before.
    pub previous: Option<ReleaseId>,
    /// Complete releases, whether in use or not.
    pub releases: BTreeMap<ReleaseId, ReleaseSeen>,
    /// Bytes of uploads that were cut short.
    pub partial: BTreeMap<(ReleaseId, Compression), u64>,
    /// The best compression that it can unpack.
    pub compression: Compression,
    /// Bytes free for the login user.
    pub free: Option<u64>,
    /// What runs that were cut short left behind.
    pub leftovers: Vec<String>,
    /// What keeps a release from being put in place.
    pub obstacle: Option<String>,
    /// Entries that are no links into a release, as `arcus.sh` leaves them: `bin`, `lib`, `zookeeper/bin`, ….
    pub plain_entries: Vec<String>,
}

/// One release on a host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct ReleaseSeen {
    /// The name the operator gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was staged, in seconds since 1970 by the host's clock.
    pub staged: u64,
    /// What it takes up on the host's disk; links that it shares with an adopted install count too.
    pub bytes: u64,
    /// Processes that execute it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<ReleaseUser>,
}

/// A process that executes a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseUser {
    pub pid: u32,
    /// `memcached` or `java`.
    pub name: String,
    /// The port of a cache node, `zookeeper` for a member.
    pub what: String,
}

/// A ZooKeeper member, seen from its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSeen {
    pub myid: Option<u32>,
    /// Text of its `zoo.cfg`.
    pub config: Option<String>,
    /// It keeps znodes: snapshots or transactions.
    pub has_data: bool,
    /// The server that runs with this `zoo.cfg`.
    pub pid: Option<u32>,
    /// `zkServer.sh` is there.
    pub installed: bool,
    /// A Java runtime is to be found.
    pub java: bool,
}

/// Where to look for a member's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPlace {
    pub member: EnsembleMember,
    pub conf_dir: String,
    pub data_dir: String,
}

/// The memcached processes of a host, and what they are held against.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ProcessesSeen {
    /// The release that a node would be started from.
    pub current: Option<ReleaseId>,
    /// Seconds since boot.
    pub uptime: f64,
    /// How many of the ticks that start times are counted in are a second.
    pub ticks_per_second: f64,
    /// Whoever started them.
    pub processes: Vec<NodeProcess>,
}

impl ProcessesSeen {
    /// How long a process has been running.
    pub fn age(&self, process: &NodeProcess) -> Duration {
        let seconds = self.uptime - process.started as f64 / self.ticks_per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

/// A process called `memcached`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProcess {
    pub pid: u32,
    /// In clock ticks since boot.
    pub started: u64,
    /// The TCP port its arguments name; `None` when it serves a local socket.
    pub port: Option<NonZeroU16>,
    /// It is a cache node (`-z`) of this install.
    pub ours: bool,
    /// What it was given as `-z`.
    pub zookeeper: Option<String>,
    pub exe: String,
    /// The release that it executes; `None` when it is in none.
    pub release: Option<ReleaseId>,
    pub argv: Vec<String>,
}

impl NodeProcess {
    /// The value of a one-letter option as its getopt reads it.
    pub fn option(&self, letter: char) -> Option<&str> {
        option(&self.argv, letter)
    }

    pub fn command_line(&self) -> String {
        self.argv.join(" ")
    }
}

/// Looks at the install path of every host.
pub async fn inspect_installs(
    fleet: &Fleet,
    hosts: &[HostName],
    install_path: &str,
    limit: Duration,
) -> Vec<(HostName, Inspected<InstallSeen>)> {
    join_all(
        hosts.iter().map(|host| async move {
            (host.clone(), inspect_install(fleet, host, install_path, limit).await)
        }),
    )
    .await
}

/// Looks at the install path of one host.
///
/// # Errors
/// When the host cannot be reached, or its answer makes no sense.
pub async fn inspect_install(
    fleet: &Fleet,
    host: &HostName,
    install_path: &str,
    limit: Duration,
) -> Inspected<InstallSeen> {
    let script = Script::new("look at the install path", scripts::INSTALL).arg(install_path);
    let text = fleet.host(host).await?.check(&script, limit).await?;
    read_install(&text, install_path).ok_or_else(|| unreadable(host, "its install path", &text))
}

/// Which machine each host is; `None` for one that cannot tell.
pub async fn inspect_machines(
    fleet: &Fleet,
    hosts: &[HostName],
    limit: Duration,
) -> Vec<(HostName, Inspected<Option<MachineId>>)> {
    let script = Script::new("tell which machine it is", scripts::MACHINE);
    let answers = ask_all(fleet, hosts, |_| script.clone(), limit).await;
    let read = |text: String| value(&text, "machine").map(|id| MachineId(id.to_owned()));
    answers.into_iter().map(|(host, answer)| (host, answer.map(read))).collect()
}

/// Looks at the files and the process of every member.
pub async fn inspect_members(
    fleet: &Fleet,
    places: &[MemberPlace],
    install_path: &str,
    limit: Duration,
) -> Vec<Inspected<MemberSeen>> {
    join_all(places.iter().map(|place| async move {
        let script = Script::new("look at its ZooKeeper server", scripts::MEMBER)
            .arg(install_path)
            .arg(&place.conf_dir)
            .arg(&place.data_dir);
        let host = &place.member.host;
        let text = fleet.host(host).await?.check(&script, limit).await?;
        read_member(&text).ok_or_else(|| unreadable(host, "its ZooKeeper server", &text))
    }))
    .await
}

/// Looks at the memcached processes of every host, and at the release that they would be started from.
pub async fn inspect_processes(
    fleet: &Fleet,
    hosts: &[HostName],
    install_path: &str,
    limit: Duration,
) -> BTreeMap<HostName, Inspected<ProcessesSeen>> {
    let script = Script::new("look at its memcached processes", scripts::PROCESSES).arg(install_path);
    let answers = ask_all(fleet, hosts, |_| script.clone(), limit).await;
    let read = |(host, answer): (HostName, Inspected<String>)| {
        let seen = answer.and_then(|text| {
            read_processes(&text, install_path)
                .ok_or_else(|| unreadable(&host, "its memcached processes", &text))
        });
        (host, seen)
    };
    answers.into_iter().map(read).collect()
}

async fn ask_all(
    fleet: &Fleet,
    hosts: &[HostName],
    script: impl Fn(&HostName) -> Script,
    limit: Duration,
) -> Vec<(HostName, Inspected<String>)> {
    join_all(hosts.iter().map(|host| {
        let script = script(host);
        async move {
            let answer = async { fleet.host(host).await?.check(&script, limit).await }.await;
            (host.clone(), answer)
        }
    }))
    .await
}

pub(super) fn unreadable(host: &HostName, what: &str, text: &str) -> Failure {
    Failure::failed(format!("{host}: cannot make out {what}"))
        .cause(format!("it answered {:?}", text.chars().take(200).collect::<String>()))
        .hint(
            "something on the host writes to the output of non-interactive shells, perhaps its shell profile",
        )
}

/// `key value` lines; a key may come several times.
pub(super) fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim_end)
}

pub(super) fn value<'a>(text: &'a str, key: &'a str) -> Option<&'a str> {
    values(text, key).next().filter(|value| !value.is_empty())
}

fn read_install(text: &str, install_path: &str) -> Option<InstallSeen> {
    Some(InstallSeen {
        install_path: install_path.to_owned(),
        user: value(text, "user")?.to_owned(),
        writable: value(text, "writable")? == "yes",
        architecture: value(text, "architecture")?.to_owned(),
        machine: value(text, "machine").map(|id| MachineId(id.to_owned())),
        current: value(text, "current").and_then(|name| name.parse().ok()),
        previous: value(text, "previous").and_then(|name| name.parse().ok()),
        releases: read_releases(text),
        partial: values(text, "partial")
            .filter_map(|line| {
                let (archive, bytes) = line.split_once(' ')?;
                let fits = |compression: Compression| {
                    Some((archive.strip_suffix(compression.extension())?.strip_suffix('.')?, compression))
                };
                let (release, compression) = fits(Compression::Gzip).or_else(|| fits(Compression::Zstd))?;
                Some(((release.parse().ok()?, compression), bytes.parse().ok()?))
            })
            .collect(),
        compression: match value(text, "zstd")? {
            "yes" => Compression::Zstd,
            _ => Compression::Gzip,
        },
        leftovers: values(text, "leftover").map(str::to_owned).collect(),
        obstacle: value(text, "obstacle").map(str::to_owned),
        free: value(text, "free").and_then(|blocks| blocks.parse::<u64>().ok()).map(|blocks| blocks * 1024),
        plain_entries: values(text, "plain").map(str::to_owned).collect(),
    })
}

/// `release NAME SECONDS KILOBYTES LABEL` and `runs NAME PID COMMAND WHAT`.
fn read_releases(text: &str) -> BTreeMap<ReleaseId, ReleaseSeen> {
    let mut releases: BTreeMap<ReleaseId, ReleaseSeen> = BTreeMap::new();
    for line in values(text, "release") {
        let mut words = line.splitn(4, ' ');
        let Some(release) = words.next().and_then(|name| name.parse().ok()) else { continue };
        let staged = words.next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
        let kilobytes: u64 = words.next().and_then(|size| size.parse().ok()).unwrap_or_default();
        let label = words.next().filter(|label| !label.is_empty()).map(str::to_owned);
        releases.insert(release, ReleaseSeen { label, staged, bytes: kilobytes * 1024, users: Vec::new() });
    }
    for line in values(text, "runs") {
        let words: Vec<&str> = line.split(' ').collect();
        let [release, pid, name, what] = words.as_slice() else { continue };
        let (Ok(release), Ok(pid)) = (release.parse::<ReleaseId>(), pid.parse()) else { continue };
        let user = ReleaseUser { pid, name: (*name).to_owned(), what: (*what).to_owned() };
        // A process may go on executing a release that was removed by hand; that one is not listed.
        if let Some(seen) = releases.get_mut(&release) {
            seen.users.push(user);
        }
    }
    releases
}

fn read_member(text: &str) -> Option<MemberSeen> {
    let (head, config) = text.split_once("config\n")?;
    Some(MemberSeen {
        myid: value(head, "myid").and_then(|id| id.parse().ok()),
        config: (value(head, "configured")? == "yes").then(|| config.to_owned()),
        has_data: value(head, "data")? == "yes",
        pid: value(head, "pid").and_then(|pid| pid.parse().ok()),
        installed: value(head, "installed")? == "yes",
        java: value(head, "java")? == "yes",
    })
}

fn read_processes(text: &str, install_path: &str) -> Option<ProcessesSeen> {
    let mut host = text.lines().find_map(|line| line.strip_prefix("host\t"))?.split('\t');
    Some(ProcessesSeen {
        current: host.next()?.parse().ok(),
        uptime: host.next()?.parse().ok()?,
        ticks_per_second: host.next()?.trim().parse().ok()?,
        processes: text.lines().filter_map(|line| read_process(line, install_path)).collect(),
    })
}

fn read_process(line: &str, install_path: &str) -> Option<NodeProcess> {
    let mut fields = line.splitn(4, '\t');
    let pid = fields.next()?.parse().ok()?;
    let started = fields.next()?.parse().ok()?;
    let exe = fields.next()?.to_owned();
    let argv: Vec<String> = fields
        .next()?
        .trim_end_matches(ARGUMENT_SEPARATOR)
        .split(ARGUMENT_SEPARATOR)
        .map(str::to_owned)
        .collect();
    let below_install =
        |path: &str| path.strip_prefix(install_path).is_some_and(|rest| rest.starts_with('/'));
    let zookeeper = option(&argv, 'z').map(str::to_owned);
    let ours =
        zookeeper.is_some() && (below_install(&exe) || argv.first().is_some_and(|name| below_install(name)));
    let port = match (option(&argv, 's'), option(&argv, 'p')) {
        (Some(_), _) => None,
        (None, Some(port)) => port.parse().ok(),
        (None, None) => NonZeroU16::new(11211),
    };
    // The install path may be a link; what is executed is told without it.
    let program = exe.trim_end_matches(" (deleted)").strip_suffix("/bin/memcached");
    let release = program.and_then(|release| release.rsplit_once("/releases/")?.1.parse().ok());
    Some(NodeProcess { pid, started, port, ours, zookeeper, exe, release, argv })
}

/// The value of a one-letter option, attached (`-p11211`) or not (`-p 11211`); the last one counts, as for getopt.
fn option(argv: &[String], letter: char) -> Option<&str> {
    let mut given = read_options(argv.get(1..).unwrap_or_default()).into_iter();
    given.rfind(|(current, _)| *current == letter).and_then(|(_, value)| value)
}

/// One-letter options in their order, as getopt reads them; flags have no value.
pub(crate) fn read_options(words: &[String]) -> Vec<(char, Option<&str>)> {
    /// Options of arcus-memcached that take a value (its getopt string); the others are flags.
    const WITH_VALUE: &str = "apsUmgcluPfntDRbBIEeXzox";
    const FLAGS: &str = "MkhirvdLCSq";
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else { continue };
        for (position, current) in letters.char_indices() {
            if FLAGS.contains(current) {
                found.push((current, None));
                continue;
            }
            if !WITH_VALUE.contains(current) {
                break;
            }
            let attached = &letters[position + current.len_utf8()..];
            let value = if attached.is_empty() { words.next().map(String::as_str) } else { Some(attached) };
            found.push((current, value));
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(exe: &str, argv: &[&str]) -> String {
        format!("42\t9001\t{exe}\t{}", argv.join("\u{1f}") + "\u{1f}")
    }

    fn port(argv: &[&str]) -> Option<u16> {
        read_process(&line("/opt/arcus/bin/memcached", argv), "/opt/arcus").unwrap().port.map(NonZeroU16::get)
    }

    #[test]
    fn the_port_is_read_as_getopt_reads_it() {
        assert_eq!(port(&["memcached", "-d", "-v", "-r", "-R5", "-p", "11212", "-c", "1000"]), Some(11212));
        assert_eq!(port(&["memcached", "-dvp11213"]), Some(11213));
        assert_eq!(port(&["memcached", "-C", "-L", "-p", "11214"]), Some(11214));
        assert_eq!(port(&["memcached", "-D:", "-b", "8192"]), Some(11211));
        assert_eq!(port(&["memcached", "-p", "1", "-p", "2"]), Some(2));
        assert_eq!(port(&["memcached", "-s", "/tmp/x.sock"]), None);
        assert_eq!(port(&["memcached", "-z", "-p", "-p", "5"]), Some(5));
    }

    #[test]
    fn only_cache_nodes_of_this_install_are_ours() {
        let ours = |exe: &str, argv: &[&str]| read_process(&line(exe, argv), "/opt/arcus").unwrap().ours;
        assert!(ours("/opt/arcus/releases/1a/bin/memcached", &["/opt/arcus/bin/memcached", "-z", "zk:2181"]));
        assert!(ours("/opt/arcus/bin/memcached (deleted)", &["/opt/arcus/bin/memcached", "-z", "zk:2181"]));
        assert!(!ours("/usr/bin/memcached", &["memcached", "-p", "11211"]));
        assert!(!ours("/opt/arcus/bin/memcached", &["/opt/arcus/bin/memcached", "-p", "11211"]));
        assert!(!ours("/opt/arcus-old/bin/memcached", &["/opt/arcus-old/bin/memcached", "-z", "zk:2181"]));
    }

    #[test]
    fn a_process_is_known_by_its_release_and_its_age() {
        let exe = "/opt/arcus/releases/ab12/bin/memcached";
        let text = format!("host\tcd34\t100.25\t100\n{}\n", line(exe, &["memcached", "-m", "64"]));
        let seen = read_processes(&text, "/opt/arcus").unwrap();
        assert_eq!(seen.current.as_ref().unwrap().as_str(), "cd34");
        let process = &seen.processes[0];
        assert_eq!(process.release.as_ref().unwrap().as_str(), "ab12");
        assert_eq!(process.option('m'), Some("64"));
        assert_eq!(seen.age(process), Duration::from_millis(10_240));
        assert_eq!(read_processes("", "/opt/arcus"), None);
    }

    #[test]
    fn an_install_is_read_from_its_lines() {
        let text = "user root\nwritable yes\narchitecture x86_64\nmachine m b h\nfree 1000\ncurrent ab12\nprevious cd34\n\
            release ab12 1700000000 9000 1.16.1\nrelease cd34 1600000000 9000 \nruns cd34 77 memcached 11211\npartial ef56.tar.zst 4096\nzstd no\nplain bin\n";
        let seen = read_install(text, "/opt/arcus").unwrap();
        assert_eq!(seen.current.unwrap().as_str(), "ab12");
        assert_eq!(seen.free, Some(1_024_000));
        let labels: Vec<Option<&str>> =
            seen.releases.values().map(|release| release.label.as_deref()).collect();
        assert_eq!(labels, [Some("1.16.1"), None]);
        assert_eq!(seen.releases[&"cd34".parse().unwrap()].users[0].what, "11211");
        assert_eq!(seen.partial[&("ef56".parse().unwrap(), Compression::Zstd)], 4096);
        assert_eq!(seen.plain_entries, ["bin"]);
    }

    #[test]
    fn a_member_is_read_with_its_config_whole() {
        let text = "myid 3\nconfigured yes\ndata no\npid \ninstalled yes\njava no\nconfig\ntickTime=2000\nserver.1=a:1:2\n";
        let seen = read_member(text).unwrap();
        assert_eq!((seen.myid, seen.pid, seen.java), (Some(3), None, false));
        assert_eq!(seen.config.as_deref(), Some("tickTime=2000\nserver.1=a:1:2\n"));
    }
}

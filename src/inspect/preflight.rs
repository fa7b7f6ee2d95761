//! What a host says of itself before anything is done there: one script for each host, and the reading of its answer.
//!
//! Boundary: facts only. Whether they will do is judged in `check`. What a host cannot tell stays `None`.

mod facts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::hosts::{unreadable, value, values};
use super::{Inspected, MachineId};
use crate::error::Failure;
use crate::model::HostName;
use crate::remote::{Fleet, Output, Script, scripts};

pub use facts::{
    Account, ClockOffset, HostFacts, JavaSeen, Limit, Listener, NOT_DYNAMIC, PlaceSeen, Reach, Route,
    RunDirectory,
};

/// What is asked of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    pub install_path: String,
    /// Who cache nodes run as when the login user is root.
    pub user: String,
    /// Open files that the largest cache node there needs; 0 when there is none.
    pub files: u32,
    /// Ports of its cache nodes.
    pub ports: BTreeSet<u16>,
    /// The ZooKeeper members it is to run.
    pub members: Vec<MemberQuestion>,
    /// Hosts that its own address is asked toward.
    pub towards: BTreeSet<String>,
    /// Ports of other hosts that it is to reach.
    pub reach: BTreeSet<(String, u16)>,
    /// Names of shared libraries that the package wants of it.
    pub libraries: BTreeSet<String>,
}

/// A ZooKeeper member that a host is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberQuestion {
    pub client_port: u16,
    pub peer_port: u16,
    pub election_port: u16,
    pub conf_dir: String,
    pub data_dir: String,
    pub log_dir: String,
}

/// Asks one host. `questions` may take their time to come: the connection is made meanwhile.
///
/// # Errors
/// When the host cannot be reached, or its answer makes no sense.
pub async fn inspect_host(
    fleet: &Fleet,
    host: &HostName,
    questions: impl Future<Output = Questions>,
    limit: Duration,
) -> Inspected<HostFacts> {
    let (remote, questions) = tokio::join!(fleet.host(host), questions);
    let remote = remote?;
    let script = script(&questions);
    let sent = SystemTime::now();
    let answered = async {
        let mut process = remote.spawn(&script).await?;
        if let Some(mut stdin) = process.stdin.take() {
            let _closed = stdin.shutdown().await;
        }
        // The time is the first thing that the script says; what comes after it must not blur the bounds.
        let mut head = vec![0; 4096];
        let mut length = 0;
        if let Some(stdout) = process.stdout.as_mut() {
            length = stdout.read(&mut head).await.unwrap_or_default();
        }
        let received = SystemTime::now();
        head.truncate(length);
        let Output { status, stdout, stderr } = process.finish().await?;
        let stdout = String::from_utf8_lossy(&head).into_owned() + &stdout;
        Ok((Output { status, stdout, stderr }.success(host, &script)?, received))
    };
    let (text, received) = tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| {
        Err(Failure::unreachable(format!(
            "{host}: no answer within {} s while trying to {}",
            limit.as_secs(),
            script.purpose
        ))
        .hint("see whether the host hangs; raise [timeouts] command in arcusctl.toml if it is only slow"))
    })?;
    read(&text, &questions, seconds(sent), seconds(received))
        .ok_or_else(|| unreadable(host, "what it answers", &text))
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn script(questions: &Questions) -> Script {
    let Questions { install_path, user, files, ports, members, towards, reach, libraries } = questions;
    let mut script = Script::new("look at the host", scripts::PREFLIGHT)
        .arg(install_path)
        .arg(user)
        .arg(files.to_string());
    for port in ports {
        script = script.arg("port").arg(port.to_string());
    }
    for member in members {
        let ports = [member.client_port, member.peer_port, member.election_port].map(|port| port.to_string());
        let paths = [&member.conf_dir, &member.data_dir, &member.log_dir];
        script = script.arg("member").args(ports).args(paths);
    }
    for host in towards {
        script = script.arg("toward").arg(host);
    }
    for (host, port) in reach {
        script = script.arg("reach").arg(host).arg(port.to_string());
    }
    for library in libraries {
        script = script.arg("library").arg(library);
    }
    script
}

fn read(text: &str, questions: &Questions, sent: f64, received: f64) -> Option<HostFacts> {
    // An answer that was cut short would pass for a host that lacks nothing.
    text.lines().any(|line| line == "end").then_some(())?;
    let (uid, login) = value(text, "user")?.split_once(' ').unwrap_or((value(text, "user")?, ""));
    let clock = value(text, "time").and_then(|time| time.parse::<f64>().ok());
    Some(HostFacts {
        clock: clock.map(|time| ClockOffset { least: time - received, most: time - sent }),
        uid: uid.parse().ok(),
        login: login.to_owned(),
        machine: value(text, "machine").map(|id| MachineId(id.to_owned())),
        os: value(text, "os").map(|os| os.trim_matches(['"', '\'']).to_owned()),
        kernel: value(text, "kernel").map(str::to_owned),
        architecture: value(text, "architecture").map(str::to_owned),
        memory: value(text, "memory").and_then(|size| size.parse::<u64>().ok()).map(|size| size * 1024),
        lacks: values(text, "lacks").map(str::to_owned).collect(),
        places: read_places(text),
        run_directory: value(text, "run").and_then(read_run_directory),
        account: read_account(text, uid),
        sudo: value(text, "sudo").map(|sudo| sudo == "yes"),
        files: value(text, "files")
            .and_then(|both| both.split_once(' '))
            .map_or(Limit::Unknown, |both| limit(both.1)),
        files_granted: value(text, "files-granted") == Some("yes"),
        core: value(text, "core").map_or(Limit::Unknown, limit),
        java: value(text, "java").map(read_java),
        ids: values(text, "myid")
            .filter_map(by_port)
            .filter_map(|(port, id)| Some((port, id.parse().ok()?)))
            .collect(),
        configs: values(text, "configured")
            .filter_map(by_port)
            .map(|(port, path)| (port, path.to_owned()))
            .collect(),
        listeners: value(text, "listening").map(|_| read_listeners(text)),
        routes: value(text, "routes").map(|_| read_routes(text)),
        reach: value(text, "reaching").map(|_| values(text, "reach").filter_map(read_reach).collect()),
        glibc: value(text, "libc").and_then(|libc| libc.strip_prefix("glibc ")?.parse().ok()),
        absent: (!questions.libraries.is_empty())
            .then(|| values(text, "absent").map(str::to_owned).collect()),
        unloadable: value(text, "installed").map(|_| read_loader(text)),
    })
}

fn by_port(line: &str) -> Option<(u16, &str)> {
    let (port, value) = line.split_once(' ')?;
    Some((port.parse().ok()?, value.trim()))
}

fn limit(text: &str) -> Limit {
    match text {
        "unlimited" => Limit::Unlimited,
        text => text.parse().map_or(Limit::Unknown, Limit::At),
    }
}

/// `place PATH<tab>EXISTING<tab>KIND<tab>ACCESS` and, in the same order, the lines of `df -Pk`.
fn read_places(text: &str) -> Vec<PlaceSeen> {
    let mut disks = values(text, "disk").map(|line| {
        let free = line.split_whitespace().rev().find(|word| word.ends_with('%'))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.iter().position(|word| *word == free)?;
        words.get(place.checked_sub(1)?)?.parse::<u64>().ok().map(|blocks| blocks * 1024)
    });
    let place = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, existing, kind, access] = fields.as_slice() else { return None };
        Some(PlaceSeen {
            path: (*path).to_owned(),
            existing: (*existing).to_owned(),
            is_directory: *kind == "directory",
            writable: *access == "rw",
            free: None,
        })
    };
    let mut places: Vec<PlaceSeen> = values(text, "place").filter_map(place).collect();
    for place in &mut places {
        place.free = disks.next().flatten();
    }
    places
}

fn read_run_directory(line: &str) -> Option<RunDirectory> {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["none"] => Some(RunDirectory::Missing),
        ["other"] => Some(RunDirectory::NoDirectory),
        ["directory", access, owner] => {
            Some(RunDirectory::Present { writable: *access == "rw", owner: (*owner).to_owned() })
        }
        _ => None,
    }
}

fn read_account(text: &str, uid: &str) -> Account {
    match value(text, "account") {
        Some("unknown") => Account::Unknown,
        None if uid == "0" => Account::Missing,
        None => Account::Unknown,
        Some(line) => {
            let fields: Vec<&str> = line.split(':').collect();
            match (fields.get(2).and_then(|uid| uid.parse().ok()), fields.get(6)) {
                (Some(uid), Some(shell)) => Account::Present { uid, shell: (*shell).to_owned() },
                _ => Account::Unknown,
            }
        }
    }
}

fn read_java(line: &str) -> JavaSeen {
    let (path, version) = line.split_once('\t').unwrap_or((line, ""));
    let version = version.trim_matches('"');
    JavaSeen { path: path.to_owned(), version: (!version.is_empty()).then(|| version.to_owned()) }
}

/// Lines of `ss -ltnp`, and what is known of the processes named there.
fn read_listeners(text: &str) -> Vec<Listener> {
    let of_pid = |key: &'static str, pid: u32| {
        let pid = pid.to_string();
        values(text, key)
            .find_map(|line| line.strip_prefix(&pid)?.strip_prefix(' ').map(str::trim))
            .filter(|found| !found.is_empty())
            .map(str::to_owned)
    };
    let mut found: BTreeMap<(u16, Option<u32>), Listener> = BTreeMap::new();
    for line in values(text, "listen") {
        let local = line.split_whitespace().nth(3);
        let Some(port) = local.and_then(|local| local.rsplit_once(':')?.1.parse().ok()) else { continue };
        let pid = line.split_once("pid=").and_then(|(_, rest)| {
            rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
        });
        let name = line.split_once("((\"").and_then(|(_, rest)| rest.split('"').next());
        let listener = Listener {
            port,
            pid,
            name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            executable: pid.and_then(|pid| of_pid("holder", pid)),
            program: pid.and_then(|pid| of_pid("program", pid)),
            config: pid.and_then(|pid| of_pid("config", pid)),
        };
        found.insert((port, pid), listener);
    }
    found.into_values().collect()
}

/// `resolved HOST ADDRESS`, and the lines of `ip -o route get`: `[local] ADDRESS … src SOURCE …`.
fn read_routes(text: &str) -> BTreeMap<String, Route> {
    let mut sources: BTreeMap<Ipv4Addr, Ipv4Addr> = BTreeMap::new();
    for line in values(text, "route") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = words.iter().take(2).find_map(|word| word.parse().ok());
        let source =
            words.iter().skip_while(|word| **word != "src").nth(1).and_then(|word| word.parse().ok());
        if let (Some(address), Some(source)) = (address, source) {
            sources.insert(address, source);
        }
    }
    let unresolved = values(text, "unresolved").map(|host| (host.to_owned(), Route::Unresolved));
    let resolved = values(text, "resolved").filter_map(|line| {
        let (host, address) = line.split_once(' ')?;
        let address = address.parse().ok()?;
        let route = match sources.get(&address) {
            Some(source) => Route::From { address, source: *source },
            None => Route::None { address },
        };
        Some((host.to_owned(), route))
    });
    unresolved.chain(resolved).collect()
}

fn read_reach(line: &str) -> Option<((String, u16), Reach)> {
    let mut words = line.splitn(3, ' ');
    let (host, port) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let reach = match words.next()? {
        "ok" => Reach::Open,
        "Connection refused" => Reach::Refused,
        other => Reach::Failed(other.to_owned()),
    };
    Some(((host, port), reach))
}

/// `loader FILE WORDS`: what the loader says is wrong, each once and with the file it is about.
fn read_loader(text: &str) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for line in values(text, "loader") {
        let Some((file, words)) = line.split_once(' ') else { continue };
        let words = words.trim();
        if let Some((library, _)) = words.split_once(" => not found") {
            wrong.insert(format!("{file} lacks {library}"));
        } else if let Some((_, version)) = words.split_once("version `") {
            let version = version.split('\'').next().unwrap_or_default();
            wrong.insert(format!("{file} wants {version}"));
        } else if ["invalid ELF", "file too short", "not a dynamic"].iter().any(|known| words.contains(known))
        {
            wrong.insert(format!("{file} {NOT_DYNAMIC}"));
        } else {
            wrong.insert(format!("{file}: {}", words.rsplit(": ").next().unwrap_or(words)));
        }
    }
    wrong.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "time 1000.5\nuser 0 root\narchitecture x86_64\nos \"Debian GNU/Linux 12\"\nkernel Linux\n\
        machine m b h\nmemory 1000\nlacks flock\nplace /opt/arcus\t/opt\tdirectory\trw\nplace /data dir\t/\tdirectory\tro\n\
        disk /dev/vda 264 47 48 50% /\ndisk my disk 264 47 7 50% /data dir\nrun directory rw memcached\n\
        account memcached:x:112:65534::/nonexistent:/bin/false\nfiles 1024 524288\nfiles-granted yes\ncore 0\n\
        java /usr/bin/java\t\"17.0.15\"\nmyid 2181 3\nlistening known\n\
        listen LISTEN 0 1024 0.0.0.0:11211 0.0.0.0:* users:((\"memcached\",pid=172,fd=26))\n\
        listen LISTEN 0 50 *:2181 *:*\nholder 172 /opt/arcus/releases/1/bin/memcached\n\
        program 172 /opt/arcus/bin/memcached\nresolved zk1 10.0.0.9\nresolved 10.0.0.8 10.0.0.8\nunresolved zk3\nroutes known\n\
        route 10.0.0.9 via 10.0.0.1 dev eth1 src 10.0.0.2 uid 0\nreaching known\nreach 10.0.0.9 2181 ok\n\
        reach 10.0.0.8 2181 Connection refused\nreach 10.0.0.7 2181 No route to host\nlibc glibc 2.36\nabsent libx.so.1\n\
        installed yes\nloader bin/memcached \tlibevent-2.so => not found\n\
        loader lib/default_engine.so lib/default_engine.so: error while loading shared libraries: x: file too short\nend\n";

    fn facts() -> HostFacts {
        let questions =
            Questions { libraries: BTreeSet::from(["libx.so.1".to_owned()]), ..Questions::default() };
        read(ANSWER, &questions, 1000.0, 1001.0).unwrap()
    }

    #[test]
    fn the_clock_is_known_between_the_instants_of_asking_and_hearing() {
        assert_eq!(facts().clock, Some(ClockOffset { least: -0.5, most: 0.5 }));
    }

    #[test]
    fn places_have_their_disks_in_order_whatever_is_in_their_names() {
        let free: Vec<Option<u64>> = facts().places.iter().map(|place| place.free).collect();
        assert_eq!(free, [Some(48 * 1024), Some(7 * 1024)]);
        assert!(!facts().place("/data dir").unwrap().writable);
    }

    #[test]
    fn a_listener_is_known_by_its_process_and_without_one_by_its_port() {
        let listeners = facts().listeners.unwrap();
        assert_eq!((listeners[0].port, listeners[0].pid), (2181, None));
        assert_eq!((listeners[1].port, listeners[1].name.as_deref()), (11211, Some("memcached")));
        assert_eq!(listeners[1].program.as_deref(), Some("/opt/arcus/bin/memcached"));
    }

    #[test]
    fn routes_and_connections_are_read_with_their_reasons() {
        let facts = facts();
        let routes = facts.routes.unwrap();
        let address = "10.0.0.9".parse().unwrap();
        assert_eq!(routes["zk1"], Route::From { address, source: "10.0.0.2".parse().unwrap() });
        assert_eq!(routes["zk3"], Route::Unresolved);
        assert!(matches!(routes["10.0.0.8"], Route::None { .. }));
        let reach = facts.reach.unwrap();
        assert_eq!(reach[&("10.0.0.8".to_owned(), 2181)], Reach::Refused);
        assert_eq!(reach[&("10.0.0.7".to_owned(), 2181)], Reach::Failed("No route to host".into()));
    }

    #[test]
    fn limits_accounts_libraries_and_java_are_read() {
        let facts = facts();
        assert_eq!((facts.files, facts.core), (Limit::At(524_288), Limit::At(0)));
        assert_eq!(facts.account, Account::Present { uid: 112, shell: "/bin/false".into() });
        assert_eq!(facts.java.unwrap().version.as_deref(), Some("17.0.15"));
        let engine = format!("lib/default_engine.so {NOT_DYNAMIC}");
        assert_eq!(facts.unloadable.unwrap(), ["bin/memcached lacks libevent-2.so", &engine]);
        assert_eq!(facts.absent.unwrap().len(), 1);
    }

    #[test]
    fn an_answer_that_was_cut_short_is_none() {
        let cut = ANSWER.strip_suffix("end\n").unwrap();
        assert_eq!(read(cut, &Questions::default(), 0.0, 0.0), None);
    }
}

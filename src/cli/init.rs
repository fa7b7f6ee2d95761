//! `init`: a starter cloud JSON and a commented `arcusctl.toml`, after a few questions or out of options.
//!
//! Boundary: gathers values and puts files in place; what stands in them is made and checked in `config`.

mod questions;

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf, absolute};

use clap::Args;
use tempfile::NamedTempFile;

use super::args::Global;
use crate::config::{Starter, StarterHost};
use crate::error::{Failure, FailureKind, Failures};
use crate::report::{Document, NextStep};

const CLOUD_FILE: &str = "cloud.json";
const SETTINGS_FILE: &str = "arcusctl.toml";

const DEFAULT_NODES: &str = "1";
const DEFAULT_PORT: &str = "11211";
const DEFAULT_MEMLIMIT: &str = "1024";
const DEFAULT_INSTALL_PATH: &str = "/opt/arcus";
const CLIENT_PORT: u16 = 2181;

/// What is not given is asked for; where there is no terminal, it is the default.
#[derive(Args, Clone, Debug)]
pub struct Init {
    /// Where to write cloud.json and arcusctl.toml; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// The service code that clients will ask for
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// The hosts of the cache nodes, each a name, an IPv4 address or NAME=IP
    #[arg(long, value_name = "HOST,…")]
    pub hosts: Option<String>,
    /// How many cache nodes a host runs [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes_per_host: Option<u16>,
    /// The port of a host's first node; the others have those after it [default: 11211]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub first_port: Option<u16>,
    /// The memory of each node for items, in megabytes [default: 1024]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    pub memlimit: Option<u32>,
    /// Where Arcus is to live on every host [default: /opt/arcus]
    #[arg(long, value_name = "PATH")]
    pub install_path: Option<String>,
    /// The .tar.gz of an Arcus build, or the directory it was installed to [default: none]
    #[arg(long, value_name = "FILE|DIR")]
    pub package: Option<String>,
}

pub(super) fn run(args: &Init, global: &Global) -> Result<Document, Failures> {
    let files = [CLOUD_FILE, SETTINGS_FILE].map(|name| match &args.directory {
        here if here == Path::new(".") => PathBuf::from(name),
        directory => directory.join(name),
    });
    nothing_there(&files)?;
    let answers = answers(args, global)?;
    let starter = starter(&answers, &args.directory)?;
    let [cloud, settings] = &files;
    starter.check(&cloud.display().to_string(), &settings.display().to_string())?;
    write_all(&args.directory, &[(cloud, starter.cloud_json()), (settings, starter.settings_toml())])?;
    Ok(Document::of_files("init", files.to_vec(), next_steps(&args.directory)))
}

/// Every value as it was given or typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answers {
    code: String,
    hosts: String,
    nodes_per_host: String,
    first_port: String,
    memlimit: String,
    ensemble: String,
    install_path: String,
    package: String,
}

fn answers(args: &Init, global: &Global) -> Result<Answers, Failures> {
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if may_ask {
        return questions::ask(args, global).map_err(Failures::from);
    }
    let missing: Vec<&str> = [("--code", &args.code), ("--hosts", &args.hosts)]
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        let are = if missing.len() == 1 { "is" } else { "are" };
        return Err(Failure::new(FailureKind::Usage, format!("{} {are} missing", missing.join(" and ")))
            .cause("there is no terminal to ask at")
            .hint("arcusctl init --code CODE --hosts HOST,… needs no terminal; arcusctl init --help names the rest")
            .into());
    }
    let hosts = args.hosts.clone().unwrap_or_default();
    let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
    Ok(Answers {
        code: args.code.clone().unwrap_or_default(),
        nodes_per_host: or(args.nodes_per_host.map(|number| number.to_string()), DEFAULT_NODES),
        first_port: or(args.first_port.map(|port| port.to_string()), DEFAULT_PORT),
        memlimit: or(args.memlimit.map(|megabytes| megabytes.to_string()), DEFAULT_MEMLIMIT),
        ensemble: match &global.zookeeper {
            Some(list) => list.clone(),
            None => read_hosts(&hosts).map(|hosts| usual_ensemble(&hosts)).unwrap_or_default(),
        },
        install_path: or(args.install_path.clone(), DEFAULT_INSTALL_PATH),
        package: args.package.clone().unwrap_or_default(),
        hosts,
    })
}

fn starter(answers: &Answers, directory: &Path) -> Result<Starter, Failures> {
    let hosts = read_hosts(&answers.hosts)?;
    let number = |name: &str, text: &str| {
        text.trim()
            .parse::<u32>()
            .map_err(|_| Failure::config(format!("{name}: {text:?} is no whole number")))
    };
    let small = |name: &str, text: &str| {
        u16::try_from(number(name, text)?).map_err(|_| Failure::config(format!("{name}: {text} is too much")))
    };
    Ok(Starter {
        code: answers.code.clone(),
        hosts,
        nodes_per_host: small("nodes per host", &answers.nodes_per_host)?,
        first_port: small("first port", &answers.first_port)?,
        memlimit: number("memlimit", &answers.memlimit)?,
        ensemble: answers.ensemble.split(',').map(|member| member.trim().to_owned()).collect(),
        install_path: answers.install_path.clone(),
        package: package(&answers.package, directory)?,
    })
}

/// A relative path was meant from here; in the settings it starts where they lie.
fn package(typed: &str, directory: &Path) -> Result<Option<String>, Failure> {
    if typed.is_empty() {
        return Ok(None);
    }
    if typed.starts_with('~') || directory == Path::new(".") {
        return Ok(Some(typed.to_owned()));
    }
    let path = absolute(typed).map_err(|error| {
        Failure::config(format!("package: {typed:?} cannot be made an absolute path")).cause(error)
    })?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

/// Reads hosts, by commas or white space, each `NAME`, `IP` or `NAME=IP`; all that are wrong are named.
fn read_hosts(text: &str) -> Result<Vec<StarterHost>, Failures> {
    let mut hosts = Vec::new();
    let mut failures = Vec::new();
    for word in text.split(|character: char| character == ',' || character.is_whitespace()) {
        if word.is_empty() {
            continue;
        }
        match read_host(word) {
            Ok(host) => hosts.push(host),
            Err(failure) => failures.push(failure),
        }
    }
    if hosts.is_empty() && failures.is_empty() {
        failures.push(Failure::config("hosts: none is named").hint("name them as NAME=IP,NAME=IP,…"));
    }
    Failures::none_of(failures)?;
    Ok(hosts)
}

fn read_host(word: &str) -> Result<StarterHost, Failure> {
    if let Some((name, ip)) = word.split_once('=') {
        let ip = ip.parse().map_err(|_| {
            Failure::config(format!("hosts: {ip:?} of {word:?} is no IPv4 address")).hint("write NAME=IP")
        })?;
        return Ok(StarterHost { name: name.to_owned(), ip });
    }
    if let Ok(ip) = word.parse::<Ipv4Addr>() {
        return Ok(StarterHost { name: word.to_owned(), ip });
    }
    let unknown = |cause: String| {
        Failure::config(format!("hosts: the address of {word:?} is not known"))
            .cause(cause)
            .hint(format!("write the address that it uses toward ZooKeeper: {word}=IP"))
    };
    let found = (word, 0).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let mut addresses = found.filter_map(|address| match address {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    });
    match addresses.next() {
        // Many distributions give a machine's own name a loopback address, which no other host can use.
        Some(ip) if ip.is_loopback() && word != "localhost" => Err(unknown(format!("here it is {ip}"))),
        Some(ip) => Ok(StarterHost { name: word.to_owned(), ip }),
        None => Err(unknown("it has no IPv4 address".to_owned())),
    }
}

/// ZooKeeper on the first three hosts, or on the first where there are fewer: a majority of two is both.
fn usual_ensemble(hosts: &[StarterHost]) -> String {
    let members = if hosts.len() < 3 { 1 } else { 3 };
    let members: Vec<String> =
        hosts.iter().take(members).map(|host| format!("{}:{CLIENT_PORT}", host.ip)).collect();
    members.join(",")
}

fn nothing_there(files: &[PathBuf]) -> Result<(), Failures> {
    let there = files.iter().filter(|file| file.symlink_metadata().is_ok());
    let failures = there.map(|file| {
        Failure::refused(format!("{} is there already", file.display()))
            .cause("init overwrites nothing")
            .hint("edit it, move it away, or name another directory: arcusctl init DIR")
    });
    Failures::none_of(failures.collect())
}

/// Puts all files in place, each whole, or none.
fn write_all(directory: &Path, files: &[(&PathBuf, String)]) -> Result<(), Failures> {
    let failure = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("{}: cannot be written", path.display()))
            .cause(error)
            .hint("nothing was written")
    };
    std::fs::create_dir_all(directory).map_err(|error| failure(directory, error))?;
    let mut ready = Vec::new();
    for (path, text) in files {
        let written = || {
            let mut file = NamedTempFile::new_in(directory)?;
            file.write_all(text.as_bytes())?;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        ready.push((path, written().map_err(|error| failure(path, error))?));
    }
    let mut placed: Vec<&PathBuf> = Vec::new();
    for (path, file) in ready {
        if let Err(error) = file.persist_noclobber(path) {
            for path in placed {
                // It is this run's own, and half of what was asked for is nothing to keep.
                let _gone_already = std::fs::remove_file(path);
            }
            return Err(failure(path, error.error).into());
        }
        placed.push(path);
    }
    Ok(())
}

fn next_steps(directory: &Path) -> Vec<NextStep> {
    let step = |run: String, does: &'static str| NextStep { run, does };
    let mut steps = Vec::new();
    if directory != Path::new(".") {
        steps.push(step(
            format!("cd {}", directory.display()),
            "the settings are found in the current directory",
        ));
    }
    steps.push(step(
        format!("arcusctl hosts trust {CLOUD_FILE}"),
        "sets up logging in by key, where it is not yet",
    ));
    steps.push(step(
        format!("arcusctl hosts prepare {CLOUD_FILE}"),
        "makes the hosts ready, after showing how",
    ));
    steps.push(step(
        format!("arcusctl check {CLOUD_FILE}"),
        "looks at every host, and says how to mend what is amiss",
    ));
    steps.push(step(format!("arcusctl quicksetup {CLOUD_FILE} --dry-run"), "shows what would be done"));
    steps.push(step(
        format!("arcusctl quicksetup {CLOUD_FILE}"),
        "deploys, sets up ZooKeeper, starts the nodes",
    ));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_by_name_and_address() {
        let host = |name: &str, ip: [u8; 4]| StarterHost { name: name.to_owned(), ip: ip.into() };
        assert_eq!(
            read_hosts("a=10.0.0.1, 10.0.0.2\nlocalhost").unwrap(),
            [host("a", [10, 0, 0, 1]), host("10.0.0.2", [10, 0, 0, 2]), host("localhost", [127, 0, 0, 1])]
        );
    }

    #[test]
    fn every_host_that_is_wrong_is_named() {
        let failures = read_hosts("a=b,c.invalid,10.0.0.1").unwrap_err();
        let told: Vec<&str> = failures.as_slice().iter().map(|failure| failure.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "hosts: \"b\" of \"a=b\" is no IPv4 address",
                "hosts: the address of \"c.invalid\" is not known"
            ]
        );
        assert!(read_hosts(" , ").is_err());
    }

    #[test]
    fn an_ensemble_is_suggested_that_can_have_a_majority() {
        let hosts = |count: u8| -> Vec<StarterHost> {
            (1..=count).map(|n| StarterHost { name: n.to_string(), ip: Ipv4Addr::new(10, 0, 0, n) }).collect()
        };
        assert_eq!(usual_ensemble(&hosts(2)), "10.0.0.1:2181");
        assert_eq!(usual_ensemble(&hosts(5)), "10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept_and_the_other_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let [cloud, settings] = [CLOUD_FILE, SETTINGS_FILE].map(|name| directory.path().join(name));
        std::fs::write(&settings, "mine").unwrap();
        let files = [(&cloud, "new".to_owned()), (&settings, "new".to_owned())];
        let failures = write_all(directory.path(), &files).unwrap_err();
        assert!(failures.to_string().contains("arcusctl.toml: cannot be written"), "{failures}");
        assert_eq!(std::fs::read_to_string(&settings).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_package_is_found_from_where_the_settings_lie() {
        let elsewhere = Path::new("site");
        let here = std::env::current_dir().unwrap();
        assert_eq!(package("a.tgz", Path::new(".")).unwrap().unwrap(), "a.tgz");
        assert_eq!(package("a.tgz", elsewhere).unwrap().unwrap(), here.join("a.tgz").to_str().unwrap());
        assert_eq!(package("~/a.tgz", elsewhere).unwrap().unwrap(), "~/a.tgz");
        assert_eq!(package("", elsewhere).unwrap(), None);
    }

    #[test]
    fn what_is_to_be_typed_next_can_be_typed() {
        use clap::Parser as _;
        for step in next_steps(Path::new(".")) {
            let words = step.run.split(' ');
            assert!(super::super::args::Cli::try_parse_from(words).is_ok(), "{}", step.run);
        }
    }
}

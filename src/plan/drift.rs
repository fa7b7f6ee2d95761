//! How a running cache node differs from the one that would be started in its place now.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::NodesSeen;
use crate::config::settings::MemcachedSettings;
use crate::inspect::{NodeProcess, RegisteredNode, read_options};
use crate::model::{HostName, NodeAddr, NodeOptions, ReleaseId};

/// One difference; a restart does away with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "differs", rename_all = "kebab-case")]
pub enum Drift {
    /// It executes another release than the current one of its host; `None`: a file that is in no release.
    Release { runs: Option<ReleaseId>, current: ReleaseId },
    /// One of its options. `runs` is `None` where it was not given, `wanted` where it would not be given any more.
    Option { option: String, runs: Option<String>, wanted: Option<String> },
}

/// Every difference between `process` and a node of `options` started from release `current`. A release that is not known
/// is not held against it. The addresses of ZooKeeper are not compared: a node can have been told of others since.
pub fn drifts(
    process: &NodeProcess,
    options: &NodeOptions,
    current: Option<&ReleaseId>,
    settings: &MemcachedSettings,
) -> Vec<Drift> {
    let release = current.filter(|current| process.release.as_ref() != Some(*current));
    let release =
        release.map(|current| Drift::Release { runs: process.release.clone(), current: current.clone() });
    let numbers = [
        ('m', Some(options.memlimit)),
        ('c', Some(options.connections)),
        ('t', Some(options.threads)),
        ('o', settings.session_timeout),
    ];
    let differing = numbers.into_iter().filter_map(|(letter, wanted)| {
        let runs = process.option(letter);
        let same = match wanted {
            Some(wanted) => runs.and_then(|runs| runs.parse::<u32>().ok()) == Some(wanted),
            None => runs.is_none(),
        };
        (!same).then(|| Drift::Option {
            option: format!("-{letter}"),
            runs: runs.map(str::to_owned),
            wanted: wanted.map(|wanted| wanted.to_string()),
        })
    });
    let (mut runs, wanted) =
        (further(process.argv.get(1..).unwrap_or_default()), further(&settings.extra_args));
    // Every node is given one -v; each further one makes it say more.
    if let Some(position) = runs.iter().position(|(letter, _)| *letter == 'v') {
        runs.remove(position);
    }
    let told = |options: &[(char, Option<&str>)]| (!options.is_empty()).then(|| in_words(options));
    let extra = (runs != wanted).then(|| Drift::Option {
        option: "further arguments".to_owned(),
        runs: told(&runs),
        wanted: told(&wanted),
    });
    release.into_iter().chain(differing).chain(extra).collect()
}

/// What is left of a node's arguments without those that each is started with (start_nodes.sh; arcus.sh, too). They come
/// last there, so further ones of the same letters have no effect.
fn further(words: &[String]) -> Vec<(char, Option<&str>)> {
    const OWN: &str = "mctopzuEdPrRUDb";
    let is_module = |library: &str| {
        let name = library.rsplit('/').next().unwrap_or_default();
        ["syslog_logger.so", "ascii_scrub.so"].contains(&name)
    };
    let mut options = read_options(words);
    options.retain(|(letter, value)| {
        let module = *letter == 'X' && value.is_some_and(is_module);
        !module && !OWN.contains(*letter)
    });
    // Which of several letters comes first makes no difference; of the same letter it does.
    options.sort_by_key(|(letter, _)| *letter);
    options
}

fn in_words(options: &[(char, Option<&str>)]) -> String {
    let word = |(letter, value): &(char, Option<&str>)| match value {
        Some(value) => format!("-{letter} {value}"),
        None => format!("-{letter}"),
    };
    options.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The nodes that do not run what they would be started with now. Where `stopped_too`, those count of which nothing runs:
/// to a restart that was cut short between their end and their start they are the ones that are left in the middle. What
/// cannot be looked at counts for neither.
pub fn outdated_nodes(
    registered: &[RegisteredNode],
    seen: &NodesSeen,
    settings: &MemcachedSettings,
    stopped_too: bool,
) -> BTreeSet<NodeAddr> {
    let is_outdated = |node: &&RegisteredNode| {
        let host = seen.processes.get(&HostName::from(node.addr.ip)).and_then(|host| host.as_ref().ok());
        let Some((host, options)) = host.zip(node.options.as_ref().ok()) else { return false };
        let mut running =
            host.processes.iter().filter(|process| process.port == Some(node.addr.port)).peekable();
        if running.peek().is_none() {
            return stopped_too && node.mapped;
        }
        running.any(|process| {
            process.ours && !drifts(process, options, host.current.as_ref(), settings).is_empty()
        })
    };
    registered.iter().filter(is_outdated).map(|node| node.addr).collect()
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { runs: Some(runs), current } => write!(out, "runs release {runs}, not {current}"),
            Self::Release { runs: None, current } => {
                write!(out, "runs a program that is in no release, not {current}")
            }
            Self::Option { option, runs: Some(runs), wanted: Some(wanted) } => {
                write!(out, "runs with {option} {runs}, not {wanted}")
            }
            Self::Option { option, runs: Some(runs), wanted: None } => {
                write!(out, "runs with {option} {runs}, which is not asked for any more")
            }
            Self::Option { option, runs: None, wanted } => {
                write!(out, "runs without {option} {}", wanted.as_deref().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::ProcessesSeen;

    const WANTED: NodeOptions = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };

    fn process(argv: &[&str]) -> NodeProcess {
        NodeProcess {
            pid: 7,
            started: 1,
            port: std::num::NonZeroU16::new(11211),
            ours: true,
            zookeeper: Some("zk:2181".into()),
            exe: "/opt/arcus/releases/ab12/bin/memcached".into(),
            release: Some("ab12".parse().unwrap()),
            argv: argv.iter().map(ToString::to_string).collect(),
        }
    }

    fn told(argv: &[&str], current: &str, settings: &MemcachedSettings) -> Vec<String> {
        let current = current.parse().ok();
        let drifts = drifts(&process(argv), &WANTED, current.as_ref(), settings);
        drifts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_that_runs_what_it_would_be_started_with_does_not_differ() {
        let settings = MemcachedSettings {
            session_timeout: Some(15),
            extra_args: vec!["-e".into(), "x=1;".into()],
            ..MemcachedSettings::default()
        };
        let argv = ["memcached", "-o", "15", "-e", "x=1;", "-v", "-m100", "-c", "1000", "-t", "6"];
        assert!(told(&argv, "ab12", &settings).is_empty());
        assert!(told(&argv, "", &settings).is_empty());
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_a_difference() {
        let plain = ["memcached", "-m", "100", "-c", "1000", "-t", "6"];
        let with = |more: &[&'static str]| [&plain[..], more].concat();
        let none = MemcachedSettings::default();
        assert_eq!(
            told(&with(&["-o", "15", "-e", "x=1;"]), "ab12", &none),
            [
                "runs with -o 15, which is not asked for any more",
                "runs with further arguments -e x=1;, which is not asked for any more"
            ]
        );
        let one = MemcachedSettings { extra_args: vec!["-ex=1;".into()], ..MemcachedSettings::default() };
        assert!(told(&with(&["-e", "x=1;"]), "ab12", &one).is_empty());
        assert_eq!(
            told(&with(&["-e", "x=1;", "-L", "-X", "/lib/own.so"]), "ab12", &one),
            ["runs with further arguments -L -X /lib/own.so -e x=1;, not -e x=1;"]
        );
    }

    #[test]
    fn what_every_node_is_started_with_is_no_difference_whoever_started_it() {
        let started = "/opt/arcus/bin/memcached -E /opt/arcus/lib/default_engine.so -X /opt/arcus/lib/syslog_logger.so \
                       -X /opt/arcus/lib/ascii_scrub.so -u arcus -v -r -R5 -U 0 -D: -b 8192 -m100 -p 11211 -c 1000 -t 6 \
                       -z zk:2181";
        let words: Vec<&str> = started.split_whitespace().collect();
        assert!(told(&words, "ab12", &MemcachedSettings::default()).is_empty());
        let by_arcus_sh = "/opt/arcus/bin/memcached -E /opt/arcus/lib/default_engine.so -X /opt/arcus/lib/syslog_logger.so \
                           -X /opt/arcus/lib/ascii_scrub.so -d -v -r -R5 -U 0 -D: -b 8192 -m100 -p 11211 -c 1000 -t 6 \
                           -z 10.0.0.1:2181";
        let words: Vec<&str> = by_arcus_sh.split_whitespace().collect();
        assert!(told(&words, "ab12", &MemcachedSettings::default()).is_empty());
    }

    #[test]
    fn every_difference_is_told() {
        let settings = MemcachedSettings {
            session_timeout: Some(15),
            extra_args: vec!["-e".into(), "x=1;".into()],
            ..MemcachedSettings::default()
        };
        assert_eq!(
            told(&["memcached", "-m", "64", "-c", "1000"], "cd34", &settings),
            [
                "runs release ab12, not cd34",
                "runs with -m 64, not 100",
                "runs without -t 6",
                "runs without -o 15",
                "runs without further arguments -e x=1;",
            ]
        );
    }

    #[test]
    fn a_node_that_was_stopped_to_be_restarted_and_not_started_again_is_outdated_to_a_restart() {
        let node = |port: u16, mapped| RegisteredNode {
            addr: format!("10.0.0.1:{port}").parse().unwrap(),
            mapped,
            options: Ok(WANTED),
        };
        let running = process(&["memcached", "-m", "100", "-c", "1000", "-t", "6"]);
        let host = ProcessesSeen { processes: vec![running], ..ProcessesSeen::default() };
        let mut seen = NodesSeen::default();
        seen.processes.insert(HostName::new("10.0.0.1"), Ok(host));
        // One runs what it should, one was stopped, one is named by the document alone, one is who knows where.
        let mut nodes = vec![node(11211, true), node(11212, true), node(11213, false)];
        nodes.push(RegisteredNode { addr: "10.0.0.2:1".parse().unwrap(), ..node(1, true) });
        let outdated =
            |stopped_too| outdated_nodes(&nodes, &seen, &MemcachedSettings::default(), stopped_too);
        assert_eq!(outdated(true), [nodes[1].addr].into());
        assert!(outdated(false).is_empty());
    }
}

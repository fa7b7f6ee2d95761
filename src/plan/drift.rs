//! How a running cache node differs from the one that would be started in its place now.

use std::fmt;

use serde::Serialize;

use crate::config::settings::MemcachedSettings;
use crate::inspect::NodeProcess;
use crate::model::{NodeOptions, ReleaseId};

/// One difference; a restart does away with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "differs", rename_all = "kebab-case")]
pub enum Drift {
    /// It executes another release than the current one of its host; `None`: a file that is in no release.
    Release { runs: Option<ReleaseId>, current: ReleaseId },
    /// One of its options. `runs` is `None` where it was not given.
    Option { option: String, runs: Option<String>, wanted: String },
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
        let wanted = wanted?;
        let runs = process.option(letter);
        let same = runs.and_then(|runs| runs.parse::<u32>().ok()) == Some(wanted);
        (!same).then(|| Drift::Option {
            option: format!("-{letter}"),
            runs: runs.map(str::to_owned),
            wanted: wanted.to_string(),
        })
    });
    let extra = &settings.extra_args;
    let has_extra =
        extra.is_empty() || process.argv.windows(extra.len()).any(|words| words == extra.as_slice());
    let extra = (!has_extra).then(|| Drift::Option {
        option: "further arguments".to_owned(),
        runs: None,
        wanted: extra.join(" "),
    });
    release.into_iter().chain(differing).chain(extra).collect()
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { runs: Some(runs), current } => write!(out, "runs release {runs}, not {current}"),
            Self::Release { runs: None, current } => {
                write!(out, "runs a program that is in no release, not {current}")
            }
            Self::Option { option, runs: Some(runs), wanted } => {
                write!(out, "runs with {option} {runs}, not {wanted}")
            }
            Self::Option { option, runs: None, wanted } => write!(out, "runs without {option} {wanted}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! The administration commands that arcus-memcached has and memcached hasn't.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use crate::log;
use crate::node::Shared;

/// The version this stand-in claims to be.
pub(crate) const VERSION: &str = "1.15.0-lab";
/// `shutdown` without an argument.
const DEFAULT_DELAY: u64 = 0;
const LONGEST_DELAY: u64 = 600;
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

/// Names commands, with commas between, that this node is to be too old for.
const LACKS: &str = "ARCUS_LAB_CACHE_NODE_LACKS";

/// Answers a command; `words` has at least one.
pub(crate) async fn answer(words: &[&str], shared: &Shared) -> String {
    let lacks = std::env::var(LACKS).unwrap_or_default();
    if lacks.split(',').any(|lacking| words[0] == lacking) {
        return "ERROR no matching command\r\n".to_owned();
    }
    match words {
        ["version"] => format!("VERSION {VERSION}\r\n"),
        ["ready"] => ready(shared),
        ["stats", "zookeeper"] => stats_zookeeper(shared),
        ["shutdown"] => shut_down(DEFAULT_DELAY, shared),
        ["shutdown", seconds] => match seconds.parse() {
            Ok(seconds) if seconds <= LONGEST_DELAY => shut_down(seconds, shared),
            _ => BAD_FORMAT.to_owned(),
        },
        ["zkensemble", rest @ ..] => zkensemble(rest, shared).await,
        ["config", rest @ ..] => config(rest, shared).await,
        _ => BAD_FORMAT.to_owned(),
    }
}

fn ready(shared: &Shared) -> String {
    let ready = shared.cloud.as_ref().is_none_or(|cloud| cloud.status().ready);
    if ready { "READY\r\n" } else { "NOT_READY\r\n" }.to_owned()
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn stats_zookeeper(shared: &Shared) -> String {
    let mut text = String::new();
    if let Some(cloud) = &shared.cloud {
        let status = cloud.status();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "STAT zk_libversion lab-stand-in\r\nSTAT zk_timeout {}\r\nSTAT zk_failstop {}\r\n\
             STAT zk_connected {}\r\nSTAT zk_ready {}\r\n",
            status.timeout.as_millis(),
            on_off(cloud.failstop()),
            status.connected,
            status.ready
        );
    }
    text + "END\r\n"
}

fn shut_down(delay: u64, shared: &Shared) -> String {
    match shared.stop.try_send(delay) {
        Ok(()) => "OK\r\n",
        Err(_) => "DENIED\r\n",
    }
    .to_owned()
}

async fn zkensemble(words: &[&str], shared: &Shared) -> String {
    let Some(cloud) = &shared.cloud else {
        return "ERROR not using ZooKeeper\r\n".to_owned();
    };
    let (done, success, failure) = match words {
        // Addresses are taken with commas and given with blanks between.
        ["get"] => return format!("{} \r\n\n\r\n", cloud.status().ensemble.replace(',', " ")),
        ["set", list] => (cloud.set_ensemble((*list).to_owned()).await, "OK", "set the new ensemble address"),
        ["rejoin"] => (cloud.rejoin().await, "Successfully rejoined", "rejoin ensemble"),
        _ => return BAD_FORMAT.to_owned(),
    };
    match done {
        Ok(()) => format!("{success}\r\n"),
        Err(reason) => {
            log::error(&format!("failed to {failure}: {reason}"));
            format!("ERROR failed to {failure}\r\n")
        }
    }
}

async fn config(words: &[&str], shared: &Shared) -> String {
    let shown = |value: &dyn std::fmt::Display| format!("{} {value}\r\nEND\r\n", words[0]);
    let settings = &shared.settings;
    let set = match words {
        ["maxconns"] => return shown(&settings.connections.load(Ordering::Relaxed)),
        ["memlimit"] => return shown(&settings.memory_mb.load(Ordering::Relaxed)),
        ["verbosity"] => return shown(&log::level()),
        ["zkfailstop"] => match &shared.cloud {
            Some(cloud) => return shown(&on_off(cloud.failstop())),
            None => false,
        },
        ["maxconns", value] => match value.parse() {
            Ok(value @ 1..=1_000_000) => {
                settings.connections.store(value, Ordering::Relaxed);
                true
            }
            _ => false,
        },
        ["memlimit", value] => match value.parse() {
            Ok(value) if value > 0 && shared.set_memory(value).await => {
                settings.memory_mb.store(value, Ordering::Relaxed);
                true
            }
            _ => false,
        },
        ["verbosity", value] => match value.parse() {
            Ok(level @ 0..=2) => {
                log::set_level(level);
                true
            }
            _ => false,
        },
        ["zkfailstop", value @ ("on" | "off")] => match &shared.cloud {
            Some(cloud) => {
                cloud.set_failstop(*value == "on");
                true
            }
            None => false,
        },
        _ => false,
    };
    if set { "END\r\n" } else { "CLIENT_ERROR bad value or unknown configuration\r\n" }.to_owned()
}

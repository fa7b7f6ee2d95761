//! `logs` and `zookeeper logs`: what cache nodes and members wrote, together and by time, and what they write.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use futures::future::join_all;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use tokio::sync::mpsc;

use super::args::MemberSelection;
use super::complete;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use super::selecting::select;
use super::zookeeper;
use crate::error::{Failure, Failures};
use crate::inspect::{LogPlace, LogQuestion, LogsHeard, members_of, read_logs, registered_cloud};
use crate::logs::{Since, Wanted, merge};
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::plan::{EnsembleWish, Selector, Target};
use crate::report::Document;

/// Of each log, unless something is sought in it.
const LAST: usize = 100;
/// Of each log, where something is.
const SOUGHT: usize = 10_000;
/// Lines that wait to be printed; a reader that is slower than the logs makes the hosts wait.
const WAITING: usize = 1024;

#[derive(Args, Debug)]
pub struct Logs {
    /// The service code
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub code: ServiceCode,
    /// Only these nodes: ip:port, ip, hostname (* and ? stand for anything), @offline, @outdated; with commas between, ! excludes [default: all]
    #[arg(value_name = "NODES", add = ArgValueCandidates::new(complete::nodes))]
    pub nodes: Vec<Selector>,
    #[command(flatten)]
    pub view: LogView,
}

#[derive(Args, Debug)]
pub struct MemberLogs {
    #[command(flatten)]
    pub selection: MemberSelection,
    #[command(flatten)]
    pub view: LogView,
}

/// Which lines are shown.
#[derive(Args, Debug)]
pub struct LogView {
    /// Go on with the lines to come, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines of the last 10m, 2h, …, or since a time such as 2026-11-22T17:00 (here) or 2026-11-22T08:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Only lines in which this regular expression is found; (?i) at its beginning takes all cases alike
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub grep: Option<Regex>,
    /// How many lines of each log, the last ones [default: 100; 10000 with --since or --grep]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub lines: Option<u32>,
}

impl LogView {
    fn wanted(&self) -> Wanted {
        let is_sought = self.since.is_some() || self.grep.is_some();
        let default = if is_sought { SOUGHT } else { LAST };
        let lines = self.lines.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(default);
        Wanted { since: self.since, grep: self.grep.clone(), lines }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(span) = text.parse::<SignedDuration>() {
        return Ok(Since::Ago(span.abs()));
    }
    let here = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::system()).ok();
    let moment = text.parse::<Timestamp>().ok().or_else(|| here().map(|zoned| zoned.timestamp()));
    moment
        .map(Since::At)
        .ok_or_else(|| "write how long ago, such as 10m or 2h, or a time such as 2026-11-22T17:00".to_owned())
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

pub(super) async fn of_nodes(context: &Context, args: &Logs) -> Result<Document, Failures> {
    let tree = read_tree(context).await?;
    let registered = registered_cloud(&args.code, &tree).ok_or_else(|| unknown(&args.code, &tree))?;
    let members = tree.codes.get(args.code.as_str()).map(members_of).unwrap_or_default();
    let selection = select(context, &args.code, &tree, &args.nodes, false).await?;
    let known: BTreeSet<NodeAddr> =
        registered.iter().map(|node| node.addr).chain(members.into_keys()).collect();
    let mut places: BTreeMap<HostName, Vec<LogPlace>> = BTreeMap::new();
    for addr in known.into_iter().filter(|addr| selection.contains(*addr)) {
        let place = (Target::Node(addr), format!("node:{}", addr.port));
        places.entry(HostName::from(addr.ip)).or_default().push(place);
    }
    show(context, "logs", places, &args.view).await
}

pub(super) async fn of_members(context: &Context, args: &MemberLogs) -> Result<Document, Failures> {
    let selected = zookeeper::select(context, &args.selection)?;
    let wish = EnsembleWish::new(&context.ensemble, &context.settings);
    let mut places: BTreeMap<HostName, Vec<LogPlace>> = BTreeMap::new();
    for member in selected {
        let log = format!("member:{}", wish.dirs(&member).log);
        places.entry(member.host.clone()).or_default().push((Target::Member(member), log));
    }
    show(context, "zookeeper logs", places, &args.view).await
}

async fn show(
    context: &Context,
    command: &'static str,
    places: BTreeMap<HostName, Vec<LogPlace>>,
    view: &LogView,
) -> Result<Document, Failures> {
    let wanted = view.wanted();
    let question = LogQuestion {
        fleet: &context.fleet,
        install_path: &context.settings.install_path,
        wanted: &wanted,
        follow: view.follow,
        limit: context.settings.timeouts.command,
    };
    if view.follow {
        return Ok(follow(context, command, &question, &places).await);
    }
    let reading = places.iter().map(|(host, logs)| async {
        // Each host tells its past in one.
        let (sender, mut heard) = mpsc::channel(1);
        let read = read_logs(&question, host, logs, &sender).await;
        drop(sender);
        let mut past = Vec::new();
        while let Some(told) = heard.recv().await {
            if let LogsHeard::Past(logs) = told {
                past.extend(logs);
            }
        }
        (past, read.err())
    });
    let (past, failures): (Vec<_>, Vec<_>) = context.look(join_all(reading)).await?.into_iter().unzip();
    let lines = merge(past.into_iter().flatten().collect());
    if lines.is_empty() {
        context.printer.progress("no log has a line to show");
    }
    Ok(Document::of_logs(command, lines, places.len(), failures.into_iter().flatten().collect()))
}

/// What is told of one host while all are followed.
enum Heard {
    Logs(LogsHeard),
    /// No more will come of it.
    Lost(Failure),
}

/// Shows what there is once every host has told it or is lost, and then each line as it comes. Ctrl-C is how it ends, or a
/// reader that has enough (`| head`).
async fn follow(
    context: &Context,
    command: &'static str,
    question: &LogQuestion<'_>,
    places: &BTreeMap<HostName, Vec<LogPlace>>,
) -> Document {
    let (sender, mut heard) = mpsc::channel(WAITING);
    let reading = join_all(places.iter().map(|(host, logs)| pass_on(question, host, logs, sender.clone())));
    drop(sender);
    tokio::pin!(reading);
    let mut is_read = false;
    let mut failures = Vec::new();
    let mut awaited: BTreeSet<&HostName> = places.keys().collect();
    let (mut past, mut early) = (Vec::new(), Vec::new());
    loop {
        let told = tokio::select! {
            _ = &mut reading, if !is_read => {
                is_read = true;
                continue;
            }
            told = heard.recv() => told,
            () = context.stop.gently.cancelled() => break,
        };
        let Some((host, told)) = told else { break };
        let was_awaited = !awaited.is_empty();
        match told {
            Heard::Logs(LogsHeard::Past(logs)) => {
                past.extend(logs);
                awaited.remove(host);
            }
            Heard::Logs(LogsHeard::Line(line)) if was_awaited => early.push(line),
            Heard::Logs(LogsHeard::Line(line)) => {
                if !context.printer.log_line(&line) {
                    break;
                }
            }
            Heard::Lost(failure) => {
                context.printer.warning(&failure);
                failures.push(failure);
                awaited.remove(host);
            }
        }
        if was_awaited && awaited.is_empty() {
            let mut lines = merge(std::mem::take(&mut past)).into_iter().chain(std::mem::take(&mut early));
            if !lines.all(|line| context.printer.log_line(&line)) {
                break;
            }
        }
    }
    Document::of_followed_logs(command, places.len(), failures)
}

/// Reads the logs of one host and passes on what is heard of it, to the end.
async fn pass_on<'a>(
    question: &LogQuestion<'_>,
    host: &'a HostName,
    logs: &[LogPlace],
    told: mpsc::Sender<(&'a HostName, Heard)>,
) {
    let (sender, mut lines) = mpsc::channel(WAITING);
    let read = async {
        let read = read_logs(question, host, logs, &sender).await;
        drop(sender);
        read
    };
    let passing = async {
        while let Some(logs) = lines.recv().await {
            if told.send((host, Heard::Logs(logs))).await.is_err() {
                return;
            }
        }
    };
    let (read, ()) = tokio::join!(read, passing);
    if let Err(failure) = read {
        let _nobody_listens = told.send((host, Heard::Lost(failure))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_how_long_ago_or_when() {
        assert_eq!(since("10m"), Ok(Since::Ago(SignedDuration::from_mins(10))));
        assert_eq!(since("2h30m"), Ok(Since::Ago(SignedDuration::from_mins(150))));
        let moment = "2026-11-22T08:00:00Z".parse().unwrap();
        assert_eq!(since("2026-11-22T08:00Z"), Ok(Since::At(moment)));
        let here = "2026-11-22T08:00".parse::<DateTime>().unwrap().to_zoned(TimeZone::system()).unwrap();
        assert_eq!(since("2026-11-22T08:00"), Ok(Since::At(here.timestamp())));
        assert_eq!(since("2026-11-22 08:00"), Ok(Since::At(here.timestamp())));
        for text in ["", "10", "yesterday", "25:00"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}

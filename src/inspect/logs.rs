//! Logs on hosts: what is in them, and what comes. One channel for each host, however many logs it has.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use super::{Inspected, hosts::unreadable};
use crate::error::Failure;
use crate::logs::{HostClock, LogLine, Stream, Wanted};
use crate::model::HostName;
use crate::plan::Target;
use crate::remote::{Fleet, Script, scripts};

/// What one line may take up; of a longer one the beginning is kept.
const LONGEST_LINE: usize = 8000;
/// Of one log this much is read at most, from its end.
const MOST_BYTES: u64 = 20_000_000;

/// One log: who writes it, and what `logs.sh` calls it.
pub type LogPlace = (Target, String);

/// How logs are to be read.
#[derive(Clone, Debug)]
pub struct LogQuestion<'a> {
    pub fleet: &'a Fleet,
    pub install_path: &'a str,
    pub wanted: &'a Wanted,
    /// Go on with the lines to come.
    pub follow: bool,
    /// For a host to say something while it tells what there is.
    pub limit: Duration,
}

/// What is heard of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogsHeard {
    /// What there is already, once.
    Past(Vec<Vec<(Timestamp, LogLine)>>),
    /// A line that has just been written.
    Line(LogLine),
}

/// Reads the logs of one host and tells `heard`; returns when all is told, or when the host is lost.
///
/// # Errors
/// When the host cannot be reached, is lost, or does not answer. What it told before stands.
pub async fn read_logs(
    question: &LogQuestion<'_>,
    host: &HostName,
    places: &[LogPlace],
    heard: &mpsc::Sender<LogsHeard>,
) -> Inspected<()> {
    let script = script(question, places);
    let mut process = question.fleet.host(host).await?.spawn(&script).await?;
    let missing = || Failure::failed(format!("{host}: a channel came without its pipes"));
    let mut lines = BufReader::new(process.stdout.take().ok_or_else(missing)?);
    let mut reading = Reading { wanted: question.wanted, places, clock: None, streams: BTreeMap::new() };
    let lost =
        |error: std::io::Error| Failure::unreachable(format!("{host}: the connection was lost")).cause(error);
    let mut live = false;
    loop {
        let line = async {
            let next = next_line(&mut lines);
            if live {
                return next.await.map_err(lost);
            }
            tokio::time::timeout(question.limit, next)
                .await
                .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
                .map_err(lost)
        };
        let Some(line) = line.await? else { break };
        if !live && line == "live" {
            live = true;
            let _nobody_listens = heard.send(LogsHeard::Past(reading.take())).await;
            continue;
        }
        if let Some(line) = reading.line(&line, live)
            && heard.send(LogsHeard::Line(line)).await.is_err()
        {
            return Ok(());
        }
    }
    let is_clear = reading.clock.is_some();
    if !live {
        let _nobody_listens = heard.send(LogsHeard::Past(reading.take())).await;
    }
    let finished = tokio::time::timeout(question.limit, process.finish()).await;
    if live {
        // Nothing but the end of this run ends it.
        let failure = Failure::unreachable(format!("{host}: its logs are no longer followed"));
        return Err(match finished {
            Ok(Err(lost)) => failure.cause(lost),
            _ => failure.cause("the connection was lost"),
        });
    }
    finished.map_err(|_| lost(std::io::ErrorKind::TimedOut.into()))??;
    if is_clear { Ok(()) } else { Err(unreadable(host, "its logs", "")) }
}

fn script(question: &LogQuestion<'_>, places: &[LogPlace]) -> Script {
    // What is sought may be anywhere; what is only looked at is at the end.
    let is_sought = question.wanted.since.is_some() || question.wanted.grep.is_some();
    let lines = if is_sought { String::new() } else { question.wanted.lines.to_string() };
    Script::new("read logs", scripts::LOGS)
        .arg(question.install_path)
        .arg(if question.follow { "follow" } else { "once" })
        .arg(lines)
        .arg(MOST_BYTES.to_string())
        .args(places.iter().map(|(_, log)| log.as_str()))
}

struct Reading<'a> {
    wanted: &'a Wanted,
    places: &'a [LogPlace],
    clock: Option<HostClock>,
    /// By the tag that the script gives to their lines.
    streams: BTreeMap<String, Stream>,
}

impl Reading<'_> {
    /// Takes a line of the script; gives back the line of a log that is live and wanted.
    fn line(&mut self, line: &str, live: bool) -> Option<LogLine> {
        let Some(clock) = self.clock else {
            self.clock = line.strip_prefix("clock ").and_then(HostClock::parse);
            return None;
        };
        if let Some(log) = line.strip_prefix("log ") {
            let (tag, modified) = log.split_once(' ')?;
            let modified = Timestamp::from_second(modified.parse().ok()?).ok()?;
            self.add(tag, clock, modified);
            return None;
        }
        let (tag, text) = line.split_once(':')?;
        if !self.streams.contains_key(tag) {
            self.add(tag, clock, clock.now);
        }
        let stream = self.streams.get_mut(tag)?;
        if live {
            return stream.live(text.to_owned());
        }
        stream.push(text.to_owned());
        None
    }

    fn add(&mut self, tag: &str, clock: HostClock, modified: Timestamp) {
        let number = tag.trim_end_matches('s').parse::<usize>().ok();
        if let Some((target, _)) = number.and_then(|number| self.places.get(number)) {
            let stream = Stream::new(target.clone(), clock, modified, self.wanted);
            self.streams.insert(tag.to_owned(), stream);
        }
    }

    fn take(&mut self) -> Vec<Vec<(Timestamp, LogLine)>> {
        self.streams.values_mut().map(Stream::take).collect()
    }
}

/// The next line without its end; no more than [`LONGEST_LINE`] of it is ever held.
async fn next_line(lines: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut ended = false;
    loop {
        let chunk = lines.fill_buf().await?;
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        lines.consume(used);
        ended = end.is_some();
        if ended {
            break;
        }
    }
    if line.is_empty() && !ended {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_end_takes_up_little() {
        let text = format!("{}\nb\n\nc", "a".repeat(100_000));
        let mut lines = BufReader::new(text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut lines).await.unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [LONGEST_LINE, 1, 0, 1]);
    }
}

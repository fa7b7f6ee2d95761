//! The lines of one log, and those of all logs together.

use std::collections::VecDeque;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde::Serialize;

use super::time_of;
use crate::plan::Target;

/// The clock of the host that a log is on: its lines go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostClock {
    pub now: Timestamp,
    pub offset: Offset,
}

impl HostClock {
    /// Reads `SECONDS ZONE`, as `date '+%s %z'` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, zone) = text.split_once(' ')?;
        let now = Timestamp::from_second(seconds.parse().ok()?).ok()?;
        let (sign, digits) = zone.split_at_checked(1)?;
        let number = digits.parse::<i32>().ok().filter(|_| digits.len() == 4)?;
        let seconds = (number / 100) * 3600 + (number % 100) * 60;
        let offset = Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()?;
        Some(Self { now, offset })
    }
}

/// From when on lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long before the host's own time.
    Ago(SignedDuration),
    At(Timestamp),
}

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub since: Option<Since>,
    pub grep: Option<Regex>,
    /// So many of each log, the last ones.
    pub lines: usize,
}

/// One line of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The cache node or the member that wrote it.
    pub target: Target,
    /// When, as it says or as the line before it does; `None` where no line of the log says.
    pub at: Option<Timestamp>,
    pub line: String,
}

/// The lines of one log, as they come.
#[derive(Debug)]
pub struct Stream {
    target: Target,
    clock: HostClock,
    since: Option<Timestamp>,
    grep: Option<Regex>,
    most: usize,
    /// When it was last written to; for a log of which no line says when.
    modified: Timestamp,
    first: Option<Timestamp>,
    latest: Option<Timestamp>,
    kept: VecDeque<(Option<Timestamp>, String)>,
}

impl Stream {
    /// A log of `target` on a host with that clock.
    pub fn new(target: Target, clock: HostClock, modified: Timestamp, wanted: &Wanted) -> Self {
        let since = wanted.since.map(|since| match since {
            Since::At(moment) => moment,
            Since::Ago(span) => clock.now.checked_sub(span).unwrap_or(Timestamp::MIN),
        });
        Self {
            target,
            clock,
            since,
            grep: wanted.grep.clone(),
            most: wanted.lines,
            modified,
            first: None,
            latest: None,
            kept: VecDeque::new(),
        }
    }

    /// Takes the next line. A line that says nothing of when is of the time of the one before.
    pub fn push(&mut self, line: String) {
        self.see(&line);
        if self.is_wanted(self.latest, &line) {
            self.kept.push_back((self.latest, line));
            if self.kept.len() > self.most {
                self.kept.pop_front();
            }
        }
    }

    /// Takes a line that has just been written; gives it back if it is wanted.
    pub fn live(&mut self, line: String) -> Option<LogLine> {
        self.see(&line);
        let wanted = self.is_wanted(self.latest, &line);
        wanted.then(|| LogLine { target: self.target.clone(), at: self.latest, line })
    }

    /// What was kept. Lines before the first that says when are of its time; without any, the file's time stands for all.
    pub fn take(&mut self) -> Vec<(Timestamp, LogLine)> {
        let kept = std::mem::take(&mut self.kept);
        let lines = kept.into_iter().filter_map(|(at, line)| {
            let at = at.or(self.first);
            let order = at.unwrap_or(self.modified);
            let is_wanted = self.since.is_none_or(|since| order >= since);
            is_wanted.then(|| (order, LogLine { target: self.target.clone(), at, line }))
        });
        lines.collect()
    }

    fn see(&mut self, line: &str) {
        let Some(at) = time_of(line, self.clock.offset, self.clock.now) else { return };
        self.first.get_or_insert(at);
        // A clock that was set back does not change the order in which lines were written.
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
    }

    fn is_wanted(&self, at: Option<Timestamp>, line: &str) -> bool {
        let late_enough = match (at, self.since) {
            (Some(at), Some(since)) => at >= since,
            // Whether it is, the first line that says when will tell.
            _ => true,
        };
        late_enough && self.grep.as_ref().is_none_or(|grep| grep.is_match(line))
    }
}

/// All lines by time; those of one log stay in their order.
pub fn merge(logs: Vec<Vec<(Timestamp, LogLine)>>) -> Vec<LogLine> {
    let mut all: Vec<(Timestamp, LogLine)> = logs.into_iter().flatten().collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}Z").parse().unwrap()
    }

    fn clock() -> HostClock {
        HostClock { now: at("12:00:00"), offset: Offset::UTC }
    }

    fn all() -> Wanted {
        Wanted { since: None, grep: None, lines: 100 }
    }

    fn node(port: u16) -> Target {
        Target::Node(format!("10.0.0.1:{port}").parse().unwrap())
    }

    fn log(port: u16, wanted: &Wanted, lines: &[&str]) -> Vec<(Timestamp, LogLine)> {
        let mut stream = Stream::new(node(port), clock(), at("11:30:00"), wanted);
        for line in lines {
            stream.push((*line).to_owned());
        }
        stream.take()
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.line.as_str()).collect()
    }

    #[test]
    fn lines_of_all_come_by_time_and_a_line_without_one_stays_behind_its_own() {
        let one = log(1, &all(), &["2026-01-01 10:00:00,000 a", "  a goes on", "2026-01-01 10:00:02,000 c"]);
        let two = log(2, &all(), &["2026-01-01 10:00:01,000 b", "2026-01-01 10:00:03,000 d"]);
        let merged = merge(vec![two, one]);
        assert_eq!(
            texts(&merged),
            [
                "2026-01-01 10:00:00,000 a",
                "  a goes on",
                "2026-01-01 10:00:01,000 b",
                "2026-01-01 10:00:02,000 c",
                "2026-01-01 10:00:03,000 d"
            ]
        );
        assert_eq!(merged[1].at, Some(at("10:00:00")));
    }

    #[test]
    fn a_log_that_never_says_when_is_of_the_time_of_its_file_and_says_so() {
        let silent = log(1, &all(), &["x", "y"]);
        let spoken =
            log(2, &all(), &["before", "2026-01-01 11:00:00,000 early", "2026-01-01 11:45:00,000 late"]);
        let merged = merge(vec![silent, spoken]);
        assert_eq!(
            texts(&merged),
            ["before", "2026-01-01 11:00:00,000 early", "x", "y", "2026-01-01 11:45:00,000 late"]
        );
        assert_eq!((merged[2].at, merged[0].at), (None, Some(at("11:00:00"))));
    }

    #[test]
    fn a_clock_that_was_set_back_changes_no_order() {
        let log = log(1, &all(), &["2026-01-01 10:00:05,000 a", "2026-01-01 10:00:01,000 b"]);
        assert_eq!(merge(vec![log]).len(), 2);
    }

    #[test]
    fn since_goes_by_the_clock_of_the_host() {
        let lines = ["2026-01-01 11:49:59,000 a", " a", "2026-01-01 11:50:00,000 b", " b"];
        let wanted = Wanted { since: Some(Since::Ago(SignedDuration::from_mins(10))), ..all() };
        let kept: Vec<LogLine> = log(1, &wanted, &lines).into_iter().map(|(_, line)| line).collect();
        assert_eq!(texts(&kept), ["2026-01-01 11:50:00,000 b", " b"]);
        // What comes before the first time in a log is as old as that.
        let wanted = Wanted { since: Some(Since::At(at("11:50:00"))), ..all() };
        let kept = log(1, &wanted, &["x", "2026-01-01 11:49:00,000 a"]);
        assert!(kept.is_empty(), "{kept:?}");
    }

    #[test]
    fn grep_and_the_number_of_lines_are_of_each_log() {
        let wanted = Wanted { grep: Some(Regex::new("b|c|d").unwrap()), lines: 2, ..all() };
        let kept: Vec<LogLine> =
            log(1, &wanted, &["a", "b", "c", "x", "d"]).into_iter().map(|(_, line)| line).collect();
        assert_eq!(texts(&kept), ["c", "d"]);
    }

    #[test]
    fn the_clock_of_a_host_is_read_with_its_zone() {
        let clock = HostClock::parse("1764000000 +0930").unwrap();
        assert_eq!(clock.offset.seconds(), 34_200);
        assert_eq!(HostClock::parse("1764000000 -0500").unwrap().offset.seconds(), -18_000);
        assert!(HostClock::parse("1764000000").is_none());
    }
}

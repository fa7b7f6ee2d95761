//! One thing wrong with what the operator wrote, and where; and the list that such things are gathered on.
//!
//! Boundary: knows text and places in it, not what the text means.

use std::fmt;

use serde::Serialize;

use crate::error::{Failure, Failures};

/// Longest piece of the operator's text that a message repeats.
const SHOWN: usize = 60;

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong, as a path in the document: `$.servers[2].config.port`, `zookeeper.peer_port`. Empty when the
    /// text is no such document.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// How it is wrong, to be read after the path.
    pub message: String,
    /// What to do about it, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// The same, for a person who knows the document by `name`.
    #[must_use]
    pub fn into_failure(self, name: &str) -> Failure {
        let Self { path, line, column, message, hint } = self;
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let failure = Failure::config(format!("{name}:{line}:{column}: {place}{message}"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, message, hint: _ } = self;
        write!(out, "{line}:{column}  ")?;
        if !path.is_empty() {
            write!(out, "{path}: ")?;
        }
        out.write_str(message)
    }
}

/// All faults of the document called `name`, as failures.
pub(super) fn failures(name: &str, faults: Vec<Fault>) -> Failures {
    let collected = faults.into_iter().map(|fault| fault.into_failure(name)).collect();
    match Failures::none_of(collected) {
        Err(failures) => failures,
        Ok(()) => Failure::config(format!("{name} cannot be used")).into(),
    }
}

/// What is wrong with a value, before it is said where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    message: String,
    hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Stands in for a value whose fault is on the list already, so that it is not complained about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported;

/// The faults of one text, gathered in any order.
#[derive(Debug)]
pub(super) struct Collector<'t> {
    text: &'t str,
    /// Byte offset of the first character of each line.
    lines: Vec<usize>,
    found: Vec<(usize, String, Complaint)>,
}

impl<'t> Collector<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Self { text, lines: std::iter::once(0).chain(breaks).collect(), found: Vec::new() }
    }

    /// Puts a fault on the list; `offset` is where it stands, in bytes.
    pub(super) fn add(&mut self, offset: usize, path: impl Into<String>, complaint: Complaint) -> Reported {
        self.found.push((offset, path.into(), complaint));
        Reported
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The line, counted from 1, that `offset` stands on.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// The offset of a line and a column, both counted from 1 and the column in bytes.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        (start + column.saturating_sub(1)).min(self.text.len())
    }

    /// The start of the character that `offset` falls into.
    fn at_character(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        (0..=offset).rev().find(|place| self.text.is_char_boundary(*place)).unwrap_or_default()
    }

    /// The faults in the order of the document.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|(offset, ..)| *offset);
        let mut faults = Vec::with_capacity(self.found.len());
        // Columns are counted on from the fault before, so that one long line is gone through once.
        let (mut counted_to, mut column, mut line) = (0, 1, 1);
        for (offset, path, complaint) in std::mem::take(&mut self.found) {
            let offset = self.at_character(offset);
            let own_line = self.line(offset);
            if own_line != line {
                (line, column) = (own_line, 1);
                counted_to = self.lines.get(own_line - 1).copied().unwrap_or_default();
            }
            column += self.text.get(counted_to..offset).map_or(0, |between| between.chars().count());
            counted_to = offset;
            let Complaint { message, hint } = complaint;
            faults.push(Fault { path, line, column, message, hint });
        }
        faults
    }
}

/// The operator's own text for use in a message: in quotes, nothing unprintable, not too long.
pub(super) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(SHOWN).collect();
    let rest = if characters.next().is_some() { "…" } else { "" };
    // The quotes around it are single ones, so a double quote may stand as it is.
    let escaped = head.escape_debug().to_string().replace("\\\"", "\"");
    format!("'{escaped}{rest}'")
}

/// The one of `candidates` that `word` was probably meant to be.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&folded(word), &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, offsets: &[usize]) -> Vec<(usize, usize)> {
        let mut faults = Collector::new(text);
        for offset in offsets {
            faults.add(*offset, "", Complaint::new(""));
        }
        faults.finish().iter().map(|fault| (fault.line, fault.column)).collect()
    }

    #[test]
    fn faults_come_out_in_the_order_of_the_document() {
        assert_eq!(places("ab\ncd\n\nef", &[8, 0, 4, 6, 3]), [(1, 1), (2, 1), (2, 2), (3, 1), (4, 2)]);
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(places("캐시 x", &[7, 3]), [(1, 2), (1, 4)]);
    }

    #[test]
    fn a_place_beyond_the_end_is_the_end() {
        assert_eq!(places("ab\n", &[3, 99]), [(2, 1), (2, 1)]);
        assert_eq!(Collector::new("ab\ncd").offset(9, 9), 5);
    }

    #[test]
    fn what_is_shown_is_printable_and_short() {
        assert_eq!(shown("a\n\u{1b}[1m"), r"'a\n\u{1b}[1m'");
        assert_eq!(shown(r#"say "hi""#), r#"'say "hi"'"#);
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN + 3);
    }

    #[test]
    fn a_typing_error_finds_its_word() {
        let words = ["memlimit", "connections", "threads"];
        assert_eq!(nearest("memLimit", words), Some("memlimit"));
        assert_eq!(nearest("conections", words), Some("connections"));
        assert_eq!(nearest("colour", words), None);
    }
}

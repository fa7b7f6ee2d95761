//! Lines of logs, each with the name of who wrote it in front and in a colour of its own.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use owo_colors::{AnsiColors, OwoColorize as _};

use super::terminal::colourless;
use crate::logs::LogLine;
use crate::plan::Target;

/// Told apart on dark and bright terminals alike.
const COLOURS: [AnsiColors; 6] = [
    AnsiColors::Cyan,
    AnsiColors::Green,
    AnsiColors::Magenta,
    AnsiColors::Yellow,
    AnsiColors::Blue,
    AnsiColors::BrightRed,
];

/// `10.0.0.1:11211  text`, one line for each.
pub(super) fn render(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for LogLine { target, line, .. } in lines {
        // What one line says must not look like another's.
        let line = colourless(line).trim_end_matches('\r').replace(['\n', '\r'], " ");
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{}  {line}", target.to_string().color(colour_of(target)));
    }
    text
}

/// The same at every run, and for each line as it comes.
fn colour_of(target: &Target) -> AnsiColors {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    COLOURS[usize::try_from(hasher.finish() % COLOURS.len() as u64).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_writer_in_front() {
        let line = |port: u16, line: &str| LogLine {
            target: Target::Node(format!("10.0.0.1:{port}").parse().unwrap()),
            at: None,
            line: line.to_owned(),
        };
        let text = render(&[line(1, "one\r"), line(2, "two\rover")]);
        assert!(!render(&[line(1, "\u{1b}[8mhidden")]).contains("[8m"));
        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "10.0.0.1:1  one\n10.0.0.1:2  two over\n"
        );
    }
}

//! A command line that cannot be understood: said as clap says it, and as a document where one was asked for.
//!
//! Boundary: the words themselves, since nothing of them was parsed.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{Error, ErrorKind};

use super::args::{Color, Output};
use super::logging::set_color;
use crate::error::{Failure, FailureKind};
use crate::report::{Document, Printer, exit_code_of};

/// Says what is wrong, or what was asked to be explained.
pub(super) fn explain(error: &Error) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(color) = option::<Color>(&words, "--color") {
        set_color(color);
    }
    let told = error.print();
    match (error.kind(), told) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => return ExitCode::SUCCESS,
        _ if option::<Output>(&words, "--output") == Some(Output::Json) => {
            let document = Document::of_failures("arcusctl", &failure(error).into());
            // For people all is said.
            Printer::new(true, true).json(&document);
        }
        _ => {}
    }
    ExitCode::from(exit_code_of(FailureKind::Usage))
}

/// The value of a global option, wherever on the line.
fn option<T: clap::ValueEnum>(words: &[OsString], name: &str) -> Option<T> {
    let mut words = words.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    let mut found = None;
    while let Some(word) = words.next() {
        let value = if word == name {
            words.next()
        } else {
            word.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
                .map(|value| value.to_owned().into())
        };
        found = value.and_then(|value| T::from_str(&value, false).ok()).or(found);
    }
    found
}

/// What clap prints, taken apart: its first line says what, the others what to do.
fn failure(error: &Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::new(FailureKind::Usage, "a command is missing").hint("see arcusctl --help");
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    let hints = paragraphs.filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with("For more"));
    hints.fold(Failure::new(FailureKind::Usage, what), |failure, hint| {
        failure.hint(hint.strip_prefix("tip: ").unwrap_or(&hint))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_options_that_matter_are_found_in_what_cannot_be_parsed() {
        for line in ["--output json nonsense", "memcached --output=json", "--output human x --output json"] {
            assert_eq!(option::<Output>(&words(line), "--output"), Some(Output::Json), "{line}");
        }
        for line in ["--output xml x", "x -- --output json", "--output", "--outputs json"] {
            assert_eq!(option::<Output>(&words(line), "--output"), None, "{line}");
        }
    }

    #[test]
    fn what_clap_says_becomes_a_failure() {
        let said = |line: &str| failure(&Cli::try_parse_from(words(line)).unwrap_err());
        insta::assert_debug_snapshot!(said("arcusctl deplyo x"));
        insta::assert_debug_snapshot!(said("arcusctl memcached start a/b"));
        assert_eq!(said("arcusctl memcached").message, "a command is missing");
    }
}

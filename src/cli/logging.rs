//! What the program tells of its own doings: on the terminal as much as asked for, in a log file everything.
//!
//! Boundary: where it goes and how much. No value of a configuration or of a script is ever told, only names: scripts by
//! their purpose, requests by their path.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use super::args::{Color, Global};
use crate::error::{Failure, Failures};
use crate::report::SAID;

/// Sets colours and logging for the rest of the run.
///
/// # Errors
/// When the log file cannot be written.
pub(super) fn start(global: &Global) -> Result<(), Failures> {
    set_color(global.color);
    let file = global.log_file.as_deref().map(open).transpose()?;
    let colored = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let terminal = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colored)
        // What is said is on the terminal already.
        .with_filter(targets(global.verbose).with_target(SAID, LevelFilter::OFF));
    let file = file.map(|file| {
        fmt::layer()
            .with_writer(Mutex::new(file))
            .with_ansi(false)
            // Layers with one formatter share what they made of a span, colours included.
            .fmt_fields(debug_fn(|out, field, value| write!(out, "{field}={value:?}")).delimited(" "))
            .with_filter(targets(u8::MAX))
    });
    Registry::default().with(terminal).with(file).init();
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?words, "begins");
    Ok(())
}

/// What is told for so many `-v`.
fn targets(verbose: u8) -> Targets {
    let (own, session) = match verbose {
        0 => (LevelFilter::OFF, LevelFilter::OFF),
        1 => (LevelFilter::DEBUG, LevelFilter::OFF),
        // Below that the client tells the passwords of sessions.
        _ => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    Targets::new().with_target("arcusctl", own).with_target("zookeeper_client", session)
}

pub(super) fn set_color(color: Color) {
    match color {
        // A continuous-integration job counts as a terminal with colours, whatever TERM says of it.
        Color::Auto if is_dumb() && !anstyle_query::clicolor_force() => {
            anstream::ColorChoice::Never.write_global();
        }
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// The log of one run after the other, for its owner's eyes.
fn open(path: &Path) -> Result<File, Failure> {
    let failure = |error: std::io::Error| {
        Failure::config(format!("{}: the log file cannot be written", path.display()))
            .cause(error)
            .hint("name a file in a directory that you may write: --log-file FILE")
    };
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failure)?;
    // One that was there may be open to others; a device is nobody's to close.
    if file.metadata().map_err(failure)?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failure)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_is_appended_to_and_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open(&path).unwrap().write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nafter\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_a_fault_of_the_command_line() {
        let failure = open(Path::new("/no/such/directory/log")).unwrap_err();
        assert!(failure.to_string().contains("/no/such/directory/log: the log file cannot be written"));
    }

    #[test]
    fn the_passwords_of_sessions_are_never_told() {
        assert!(!targets(u8::MAX).would_enable("zookeeper_client::session", &tracing::Level::DEBUG));
        assert!(targets(2).would_enable("arcusctl::remote", &tracing::Level::TRACE));
        assert!(!targets(1).would_enable("arcusctl::remote", &tracing::Level::TRACE));
    }
}

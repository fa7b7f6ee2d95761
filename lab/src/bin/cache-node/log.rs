//! Lines on standard error. Errors always; what happens with `-v`; details with `-vv`.
//!
//! A write that fails is ignored: the other end of a daemon's standard error may be long gone.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

static LEVEL: AtomicU8 = AtomicU8::new(0);

pub(crate) fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

pub(crate) fn level() -> u8 {
    LEVEL.load(Ordering::Relaxed)
}

pub(crate) fn error(message: &str) {
    line(message);
}

pub(crate) fn info(message: &str) {
    if level() >= 1 {
        line(message);
    }
}

pub(crate) fn debug(message: &str) {
    if level() >= 2 {
        line(message);
    }
}

fn line(message: &str) {
    // One write, so that lines of several nodes in one file don't mix.
    let _ = std::io::stderr().write_all(format!("memcached[{}]: {message}\n", std::process::id()).as_bytes());
}

/// Text for standard output, as asked for with `-h`.
pub(crate) fn plain(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

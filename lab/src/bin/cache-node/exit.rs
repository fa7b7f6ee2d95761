//! How the program ends: the exit codes of arcus-memcached, most of them from `sysexits.h`.

use std::process::ExitCode;

/// What an exit code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Stopped as asked; or, of the process that was started with `-d`, the daemon has been started.
    Done = 0,
    /// A bad option value, or an engine or extension that can't be loaded.
    Failure = 1,
    /// EX_USAGE: run as root without `-u`, or options that don't go together.
    Usage = 64,
    /// EX_DATAERR: the host's name is too long.
    LongName = 65,
    /// EX_NOUSER: the user of `-u` is unknown.
    NoUser = 67,
    /// EX_UNAVAILABLE: no ZooKeeper host of `-z` resolves.
    NoSuchHost = 69,
    /// EX_SOFTWARE: the memcached underneath has ended.
    Software = 70,
    /// EX_OSERR: the port can't be bound, or a limit can't be raised.
    System = 71,
    /// EX_TEMPFAIL: the ZooKeeper session has expired and failstop is on.
    SessionExpired = 75,
    /// EX_PROTOCOL: the cloud can't be joined.
    NotJoined = 76,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An end with a cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fatal {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Fatal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

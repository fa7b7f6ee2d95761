//! The seam to a host: run a script there, or talk with one while it runs.
//!
//! Boundary: knows ssh and local processes, nothing of Arcus. Every script is a constant; what varies goes in as its
//! positional parameters, so no value is ever read by a shell as code.

mod fleet;
mod local;
mod process;
pub mod scripts;
mod ssh;

use std::fmt::Debug;
use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Failure;
use crate::model::HostName;

pub use fleet::{Connect, Fleet};
pub use process::{Caught, Process};
pub use ssh::{HostKeys, Login, SshConnector};

/// A POSIX shell script and the values it is given as `$1`, `$2`, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What the script does, for messages: `unpack the release`.
    pub purpose: &'static str,
    pub text: &'static str,
    pub args: Vec<String>,
    /// Run as root by way of `sudo -n`, which never asks.
    pub elevated: bool,
}

/// What a finished script left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + n when signal n ended it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A connection to a port of a machine.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A machine that scripts can be run on.
#[async_trait]
pub trait Remote: Debug + Send + Sync {
    fn host(&self) -> &HostName;

    /// Starts `script` with its input and output open to the caller.
    ///
    /// # Errors
    /// When the machine cannot be reached or refuses to start it.
    async fn spawn(&self, script: &Script) -> Result<Process, Failure>;

    /// Runs `script` to its end with nothing on its input.
    ///
    /// # Errors
    /// When the machine is lost or `limit` passes; a status other than 0 is no error here.
    async fn run(&self, script: &Script, limit: Duration) -> Result<Output, Failure> {
        let finished = async { self.spawn(script).await?.finish().await };
        tokio::time::timeout(limit, finished).await.unwrap_or_else(|_| {
            Err(Failure::unreachable(format!(
                "{}: no answer within {} s while trying to {}",
                self.host(),
                limit.as_secs(),
                script.purpose
            ))
            .hint("see whether the host hangs; raise [timeouts] command in arcusctl.toml if it is only slow"))
        })
    }

    /// Runs `script` and takes a status other than 0 for a failure.
    ///
    /// # Errors
    /// As [`Remote::run`], and when the script fails; then with what it wrote to its standard error.
    async fn check(&self, script: &Script, limit: Duration) -> Result<String, Failure> {
        let output = self.run(script, limit).await?;
        output.success(self.host(), script)
    }

    /// Connects to a port of the machine's own loopback address. Where nobody listens, or its sshd forwards nothing, the
    /// stream may come all the same and end at once.
    ///
    /// # Errors
    /// When the machine cannot be reached, or says at once that nobody listens.
    async fn dial(&self, port: NonZeroU16) -> Result<Box<dyn Stream>, Failure>;

    /// Ends the connection; scripts still running on the host are left alone.
    async fn close(&self);
}

impl Script {
    pub fn new(purpose: &'static str, text: &'static str) -> Self {
        Self { purpose, text, args: Vec::new(), elevated: false }
    }

    /// Has it run as root by way of sudo, where the login user is not root.
    #[must_use]
    pub fn elevate(mut self, elevated: bool) -> Self {
        self.elevated = elevated;
        self
    }

    /// The program and its arguments, each one word. The script stays a constant whoever runs it.
    pub(crate) fn words(&self) -> (&'static str, Vec<&str>) {
        let shell = ["-c", self.text, "sh"].into_iter().chain(self.args.iter().map(String::as_str));
        if self.elevated {
            ("sudo", ["-n", "sh"].into_iter().chain(shell).collect())
        } else {
            ("sh", shell.collect())
        }
    }

    #[must_use]
    pub fn arg(mut self, value: impl Into<String>) -> Self {
        self.args.push(value.into());
        self
    }

    #[must_use]
    pub fn args(mut self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(values.into_iter().map(Into::into));
        self
    }
}

impl Output {
    /// The standard output of a script that ended with status 0.
    ///
    /// # Errors
    /// With what the script wrote to its standard error, for any other status.
    pub fn success(self, host: &HostName, script: &Script) -> Result<String, Failure> {
        if self.status == 0 {
            return Ok(self.stdout);
        }
        let told = last_lines(&self.stderr, 20);
        let failure = Failure::failed(format!("{host}: could not {}", script.purpose));
        // The last line often says only that there was an error above.
        let known = told.iter().find(|line| scripts::hint(line).is_some());
        let failure = match known.or(told.last()) {
            Some(line) => failure.cause(line).log(if told.len() > 1 { told } else { Vec::new() }),
            None => failure.cause(format!("exit status {}", self.status)),
        };
        Err(match scripts::hint(&self.stderr) {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }
}

/// The last `count` lines of `text` that are not blank.
pub fn last_lines(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

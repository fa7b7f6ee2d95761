//! A script that is running on a host.

use std::fmt;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Instant;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Output;
use crate::error::Failure;
use crate::model::HostName;

type Sink = Pin<Box<dyn AsyncWrite + Send>>;
type Source = Pin<Box<dyn AsyncRead + Send>>;

/// A running script. Dropping it closes its input, which every script of ours takes as the order to end.
pub struct Process {
    pub(super) host: HostName,
    /// What the script does; its values are not for the log.
    pub(super) purpose: &'static str,
    pub(super) started: Instant,
    pub stdin: Option<Sink>,
    pub stdout: Option<Source>,
    pub(super) stderr: Source,
    pub(super) exit: BoxFuture<'static, Result<i32, Failure>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Process").field("host", &self.host).finish_non_exhaustive()
    }
}

/// What was caught of an output that may have no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    /// Its beginning.
    pub kept: Vec<u8>,
    /// How many bytes came after that, and were dropped.
    pub cut: u64,
}

impl Caught {
    async fn read(&mut self, source: &mut (impl AsyncRead + Unpin), most: usize) -> std::io::Result<()> {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let read = source.read(&mut chunk).await?;
            if read == 0 {
                return Ok(());
            }
            let kept = read.min(most.saturating_sub(self.kept.len()));
            self.kept.extend_from_slice(&chunk[..kept]);
            self.cut += (read - kept) as u64;
        }
    }
}

impl Process {
    /// Reads both outputs to their end, of each at most so many bytes, and gives the exit status. The input stays open until
    /// then: whoever drops this ends the script.
    ///
    /// # Errors
    /// When the connection is lost before the script ends.
    pub async fn catch(
        mut self,
        stdout: &mut Caught,
        stderr: &mut Caught,
        most: usize,
    ) -> Result<i32, Failure> {
        let read_stdout = async {
            match self.stdout.as_mut() {
                Some(source) => stdout.read(source, most).await,
                None => Ok(()),
            }
        };
        let (one, other) = tokio::join!(read_stdout, stderr.read(&mut self.stderr, most));
        one.and(other).map_err(|error| {
            Failure::unreachable(format!("{}: the connection was lost", self.host)).cause(error)
        })?;
        let status = self.exit.await?;
        drop(self.stdin.take());
        Ok(status)
    }

    /// Closes the input, reads both outputs to their end and waits for the exit status.
    ///
    /// # Errors
    /// When the connection is lost before the script ends.
    pub async fn finish(mut self) -> Result<Output, Failure> {
        if let Some(mut stdin) = self.stdin.take() {
            // The script may have ended without reading; its status says why, a broken pipe would not.
            let _closed = stdin.shutdown().await;
        }
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        let read_stdout = async {
            match self.stdout.as_mut() {
                Some(source) => source.read_to_end(&mut stdout).await,
                None => Ok(0),
            }
        };
        let (one, other) = tokio::join!(read_stdout, self.stderr.read_to_end(&mut stderr));
        let lost = |error: std::io::Error| {
            Failure::unreachable(format!("{}: the connection was lost", self.host)).cause(error)
        };
        one.map_err(lost)?;
        other.map_err(lost)?;
        let status = self.exit.await?;
        tracing::trace!(
            host = %self.host,
            script = self.purpose,
            status,
            seconds = self.started.elapsed().as_secs_f32(),
            stdout = stdout.len(),
            stderr = stderr.len(),
            "script ended"
        );
        Ok(Output {
            status,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }
}

/// The status as a shell would report it: signal n is 128 + n.
pub(super) fn shell_status(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

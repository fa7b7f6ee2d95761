//! The machine that `arcusctl` itself runs on: the same scripts, without ssh.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::process::shell_status;
use super::{Process, Remote, Script, Stream};
use crate::error::Failure;
use crate::model::HostName;

/// A process that was stopped takes no more connections than its queue has room for; the kernel would try for minutes.
const DIAL_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct LocalHost {
    pub(super) host: HostName,
}

#[async_trait]
impl Remote for LocalHost {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn spawn(&self, script: &Script) -> Result<Process, Failure> {
        let (program, words) = script.words();
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal goes to the whole foreground group; the script must be able to finish its step.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                Failure::failed(format!("{}: cannot start {program}", self.host)).cause(error)
            })?;
        let missing = || Failure::failed(format!("{}: sh started without its pipes", self.host));
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let host = self.host.clone();
        let exit = Box::pin(async move {
            let status = child.wait().await;
            let status =
                status.map_err(|error| Failure::failed(format!("{host}: lost sight of sh")).cause(error))?;
            shell_status(status).ok_or_else(|| Failure::failed(format!("{host}: sh ended without a status")))
        });
        tracing::trace!(host = %self.host, script = script.purpose, "script started on this machine");
        Ok(Process {
            host: self.host.clone(),
            purpose: script.purpose,
            started: Instant::now(),
            stdin: Some(Box::pin(stdin)),
            stdout: Some(Box::pin(stdout)),
            stderr: Box::pin(stderr),
            exit,
        })
    }

    async fn dial(&self, port: NonZeroU16) -> Result<Box<dyn Stream>, Failure> {
        let failure = || Failure::unreachable(format!("{}: nobody answers at port {port}", self.host));
        match timeout(DIAL_LIMIT, TcpStream::connect((Ipv4Addr::LOCALHOST, port.get()))).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(failure().cause(error)),
            Err(_) => Err(failure().cause(format!("no connection within {} s", DIAL_LIMIT.as_secs()))),
        }
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn a_process_that_takes_no_connection_any_more_costs_the_limit() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let stopped = socket.listen(1).unwrap();
        let port = stopped.local_addr().unwrap().port();
        let host = LocalHost { host: HostName::new("localhost") };
        let mut queued = Vec::new();
        let begun = Instant::now();
        let failure = loop {
            match host.dial(NonZeroU16::new(port).unwrap()).await {
                Ok(stream) => queued.push(stream),
                Err(failure) => break failure,
            }
            assert!(queued.len() < 100, "the queue is never full");
        };
        assert!(failure.causes[0].contains("no connection within 2 s"), "{failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

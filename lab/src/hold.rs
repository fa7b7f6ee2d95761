//! The processes that hold namespaces alive: naming one safely, waiting for its end, killing it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process by number *and* start time, so that a recycled number is never mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRef {
    pub(crate) pid: u32,
    started: u64,
}

impl ProcessRef {
    /// Names the running process `pid`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let (_, started) = stat(pid)?.with_context(|| format!("process {pid} is already gone"))?;
        Ok(Self { pid, started })
    }

    /// Names this process.
    pub(crate) fn current() -> Result<Self> {
        Self::of(std::process::id())
    }

    /// Whether the very process named still runs (a zombie doesn't).
    pub(crate) fn is_alive(&self) -> bool {
        matches!(stat(self.pid), Ok(Some((state, started))) if state != 'Z' && state != 'X' && started == self.started)
    }

    /// Reads a pid file written by [`Self::save`]; `None` when there is none or its process is gone.
    pub(crate) fn load_alive(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let this: Self = serde_json::from_str(&text).ok()?;
        this.is_alive().then_some(this)
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string(self)?).with_context(|| format!("writing {}", path.display()))
    }

    /// Sends SIGKILL and waits until the process has ended. Fine when it already has.
    pub(crate) fn kill_and_wait(&self) -> Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            bail!("{} is no process number", self.pid);
        };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        // Only now, with the descriptor pinning the process, does the check of the start time settle who it is.
        if !self.is_alive() {
            return Ok(());
        }
        pidfd_send_signal(&fd, Signal::KILL).with_context(|| format!("killing process {}", self.pid))?;
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit))? == 0 {
            bail!("process {} did not end within {:?} of SIGKILL", self.pid, Duration::from_secs(20));
        }
        Ok(())
    }
}

/// State letter and start time of a process; `None` when there is no such process.
fn stat(pid: u32) -> Result<Option<(char, u64)>> {
    let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        // ESRCH: the process ended between open and read.
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("reading /proc/{pid}/stat")),
    };
    // The command name, in parentheses, may itself hold spaces and parentheses.
    let fields: Vec<&str> =
        text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    match (fields.first().and_then(|f| f.chars().next()), fields.get(19).and_then(|f| f.parse().ok())) {
        (Some(state), Some(started)) => Ok(Some((state, started))),
        _ => bail!("/proc/{pid}/stat reads unlike any known kernel's: {text:?}"),
    }
}

/// The numbers of all processes whose namespace of `kind` (`net`, `pid`, …) is that of the process `holder`.
pub(crate) fn sharing_namespace(kind: &str, holder: u32) -> Result<Vec<u32>> {
    let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    let wanted =
        link(&holder.to_string()).with_context(|| format!("reading the {kind} namespace of {holder}"))?;
    let found =
        all_pids()?.into_iter().filter(|pid| link(&pid.to_string()).is_ok_and(|ns| ns == wanted)).collect();
    Ok(found)
}

/// The numbers of all processes whose command line holds the two arguments `first`, `second` in a row.
pub(crate) fn with_arguments(first: &str, second: &str) -> Result<Vec<u32>> {
    let marker = [b"\0", first.as_bytes(), b"\0", second.as_bytes(), b"\0"].concat();
    let holds = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(marker.len()).any(|w| w == marker))
    };
    Ok(all_pids()?.into_iter().filter(holds).collect())
}

fn all_pids() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("reading /proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_itself_and_survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let me = ProcessRef::current().unwrap();
        me.save(&path).unwrap();
        assert_eq!(ProcessRef::load_alive(&path), Some(me));
    }

    #[test]
    fn another_start_time_is_another_process() {
        let me = ProcessRef::current().unwrap();
        assert!(me.is_alive());
        assert!(!ProcessRef { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn killing_waits_for_the_end() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let named = ProcessRef::of(child.id()).unwrap();
        named.kill_and_wait().unwrap();
        assert!(!named.is_alive());
        child.wait().unwrap();
        named.kill_and_wait().unwrap();
    }
}

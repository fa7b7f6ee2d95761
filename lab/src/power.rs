//! Ends things: a whole lab, or the patience of a host's sshd.

use std::fs;
use std::io::ErrorKind;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::hold::{self, ProcessRef};
use crate::namespace::MARK;
use crate::state::Layout;

/// Kills every process of a lab, and removes its directory. Works on labs that are half-made or half-removed.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    let dir = layout.dir.to_string_lossy().into_owned();
    // The admin namespace has no process 1 of its own that would take the rest along (ssh masters, say).
    let stray = ProcessRef::load_alive(&layout.admin_pid())
        .map_or_else(|| Ok(Vec::new()), |admin| hold::sharing_namespace("net", admin.pid))?;
    let holders = hold::with_arguments(MARK, &dir)?;
    let doomed = holders.iter().chain(&stray).filter(|pid| **pid != std::process::id());
    // One thread each: a host takes a moment to die, and they can do so together.
    thread::scope(|scope| {
        let threads: Vec<_> = doomed
            .filter_map(|pid| ProcessRef::of(*pid).ok())
            .map(|process| scope.spawn(move || process.kill_and_wait()))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a killing thread panicked"))?)
    })?;
    match fs::remove_dir_all(&layout.dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", layout.dir.display()))
        }
        _ => Ok(()),
    }
}

/// Signals all sshd processes of the host whose process 1 is `init`.
pub(crate) fn signal_sshd(init: u32, signal: Signal) -> Result<()> {
    for pid in hold::sharing_namespace("pid", init)? {
        // sshd, and what newer versions split off: sshd-session, sshd-auth.
        let is_sshd =
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with("sshd"));
        if is_sshd && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            match kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error).context("signalling sshd"),
            }
        }
    }
    Ok(())
}

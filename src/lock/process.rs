//! Telling one process from every other, so that a holder of this machine can be known to be dead.

use super::ProcessKey;

/// The key of this process; of no world where `/proc` does not tell.
pub fn this_process() -> ProcessKey {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let started = started(std::process::id());
    let world = match (boot.trim(), namespace.to_str(), started) {
        ("", ..) | (_, None | Some(""), _) | (.., None) => String::new(),
        (boot, Some(namespace), Some(_)) => format!("{boot} {namespace}"),
    };
    ProcessKey { world, started: started.unwrap_or_default() }
}

/// Whether the process of this number that started then is certainly no more. Where `/proc` hides the processes of others,
/// one that cannot be seen lives unless the kernel knows no such number.
pub(super) fn is_dead(pid: u32, started: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let unknown = || {
        let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        number.map(rustix::process::test_kill_process) == Some(Err(rustix::io::Errno::SRCH))
    };
    was_ended(stat.ok().as_deref(), started, unknown)
}

fn was_ended(stat: Option<&str>, started: u64, unknown: impl FnOnce() -> bool) -> bool {
    match stat.and_then(state_and_start) {
        // A process that has ended and is not buried yet does nothing any more.
        Some((state, start)) => start != started || matches!(state, "Z" | "X"),
        None => unknown(),
    }
}

pub(super) fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    state_and_start(&stat).map(|(_, start)| start)
}

fn state_and_start(stat: &str) -> Option<(&str, u64)> {
    // The name, in brackets, may hold anything; what follows are numbers.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((fields.first()?, fields.get(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_ended_does_not() {
        let key = this_process();
        assert!(!key.world.is_empty());
        assert!(!is_dead(std::process::id(), key.started));
        assert!(is_dead(std::process::id(), key.started + 1));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let start = started(child.id()).unwrap();
        child.wait().unwrap();
        assert!(is_dead(child.id(), start));
        assert!(!is_dead(0, start), "of no process nothing is known");
    }

    #[test]
    fn a_process_that_is_hidden_lives() {
        assert!(!was_ended(None, 7, || false));
        assert!(was_ended(None, 7, || true));
        let stat = |state: &str| format!("1 (a) b) {state} {} 7 0", ["0"; 18].join(" "));
        assert!(!was_ended(Some(&stat("S")), 7, || true));
        assert!(was_ended(Some(&stat("S")), 8, || false));
        assert!(was_ended(Some(&stat("Z")), 7, || false));
        assert!(!was_ended(Some("1 (cut"), 7, || false));
    }
}

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

/// When the process of this number started, in clock ticks since boot; `None` when there is none.
pub(super) fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; what follows are numbers. A process that has ended and is not buried yet
    // does nothing any more.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_ended_does_not() {
        let key = this_process();
        assert!(!key.world.is_empty());
        assert_eq!(started(std::process::id()), Some(key.started));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(started(child.id()), None);
    }
}

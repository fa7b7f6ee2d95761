//! Clocks: a host's may be off by what nobody could see, but not by more.
//!
//! Each clock is known to lie between two bounds: those of the instants at which its time was asked for and heard.

use super::{Check, CheckItem, Scene};
use crate::inspect::ClockOffset;

/// Seconds. Logs of several hosts can no longer be read side by side.
const NOTICEABLE: f64 = 1.0;
/// Seconds. Items with a time of their own to expire are gone on one host and still there on another; certificates,
/// tickets and ZooKeeper's logs are of another time.
const WRONG: f64 = 10.0;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    let reference = reference(scene);
    for (host, facts) in scene.answered() {
        let check = Check::of_host("clock", host, "the time of the other hosts, within a second");
        let mend = "set the clock and keep it: install and start chrony, or systemctl enable --now systemd-timesyncd";
        let Some(clock) = facts.clock else {
            items.push(
                check.warn("cannot be told, its date says no time in seconds", "see for yourself: date"),
            );
            continue;
        };
        let off = certainly_off(clock, reference);
        let seen = || {
            let direction = if clock.least > reference { "ahead" } else { "behind" };
            format!("at least {off:.1} s {direction}")
        };
        items.push(if off > WRONG {
            check.fail(seen(), mend)
        } else if off > NOTICEABLE {
            check.warn(seen(), mend)
        } else {
            check.pass("agrees with the others")
        });
    }
}

/// The middle one of all clocks, this machine's among them, so that one that is off cannot make the others look wrong.
fn reference(scene: &Scene<'_>) -> f64 {
    let middle = |clock: ClockOffset| f64::midpoint(clock.least, clock.most);
    let mut offsets: Vec<f64> = scene.answered().filter_map(|(_, facts)| facts.clock.map(middle)).collect();
    offsets.push(0.0);
    offsets.sort_by(f64::total_cmp);
    offsets[offsets.len() / 2]
}

/// By how much a clock is off even if all that is uncertain speaks for it.
fn certainly_off(clock: ClockOffset, reference: f64) -> f64 {
    (clock.least - reference).max(reference - clock.most).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_uncertain_speaks_for_a_clock() {
        let clock = |least, most| ClockOffset { least, most };
        assert_eq!(certainly_off(clock(-0.5, 3.0), 0.0), 0.0);
        assert_eq!(certainly_off(clock(1.5, 3.0), 0.0), 1.5);
        assert_eq!(certainly_off(clock(-30.0, -20.0), 0.0), 20.0);
    }
}

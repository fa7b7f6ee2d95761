//! Lengths of time as people read them.

/// `45s`, `3m20s`, `4h5m`, `12d3h`: two units at most, of so many seconds.
pub fn human_age(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m{}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h{}m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{}d{}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::human_age;

    #[test]
    fn ages_are_given_in_two_units() {
        let given = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 1_000_000].map(human_age);
        assert_eq!(given, ["0s", "59s", "1m0s", "59m59s", "1h0m", "23h59m", "1d0h", "11d13h"]);
    }
}

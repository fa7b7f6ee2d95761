//! Lengths of time as people read them.

/// `3 min 30 s`: the two greatest units that it has.
pub fn human_seconds(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(length, _)| seconds >= *length) else {
        return "0 s".to_owned();
    };
    let mut rest = seconds;
    let parts = units[first..].iter().take(2).filter_map(|(length, unit)| {
        let count = rest / length;
        rest %= length;
        (count > 0).then(|| format!("{count} {unit}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::human_seconds;

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        let given = [0, 59, 60, 210, 3600, 3661, 7384, 90_000].map(human_seconds);
        assert_eq!(given, ["0 s", "59 s", "1 min", "3 min 30 s", "1 h", "1 h 1 min", "2 h 3 min", "1 d 1 h"]);
    }
}

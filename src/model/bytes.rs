//! Sizes as people read them.

/// `12.3 MB`: three digits, decimal units, as disk and network figures are given.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 || size >= 100.0 {
        format!("{size:.0} {}", UNITS[unit])
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn sizes_are_given_in_decimal_units() {
        let given = [0, 999, 1_500, 34_600_000, 250_000_000_000].map(human_bytes);
        assert_eq!(given, ["0 B", "999 B", "1.5 kB", "34.6 MB", "250 GB"]);
    }
}

//! When a line was written, as it says itself.
//!
//! arcus-memcached's own lines say nothing of it on standard error; ZooKeeper's C client among them does
//! (`2026-11-22 11:28:52,334:307(0x7f…):ZOO_INFO@…`), as do the server's logs (log4j and logback, `%d{ISO8601}`), syslog and
//! the journal, and the line that `arcusctl` writes at each start.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// A line says when it was written within its first so many bytes.
const HEAD: usize = 48;

/// The time that stands at the beginning of `line`. What names no zone is of `offset`; what names no year, of the year of
/// `now`, or of the one before where it would be in the future.
pub fn time_of(line: &str, offset: Offset, now: Timestamp) -> Option<Timestamp> {
    let line = line.strip_prefix("--- ").unwrap_or(line).trim_start_matches('[');
    let mut end = line.len().min(HEAD);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let head = &line[..end];
    iso(head, offset).or_else(|| syslog(head, offset, now))
}

/// `2026-11-22 17:31:07,123`, `2026-11-22T17:31:07.123456+09:00`, `2026-11-22T17:31:07Z`.
fn iso(head: &str, offset: Offset) -> Option<Timestamp> {
    let bytes = head.as_bytes();
    let shape = b"dddd-dd-dd?dd:dd:dd";
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'?' => matches!(byte, b' ' | b'T' | b't' | b'_'),
        other => byte == other,
    };
    if bytes.len() < shape.len() || !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| head.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let rest = &head[shape.len()..];
    let (nanoseconds, rest) = fraction(rest);
    // A leap second is the one before, to those who count without it.
    let second = small(17)?.min(59);
    let moment =
        DateTime::new(number(0, 4)?, small(5)?, small(8)?, small(11)?, small(14)?, second, nanoseconds)
            .ok()?;
    let offset = zone(rest).unwrap_or(offset);
    offset.to_timestamp(moment).ok()
}

/// `,123` or `.123456`, in nanoseconds, and what stands behind it.
fn fraction(text: &str) -> (i32, &str) {
    let Some(digits) = text.strip_prefix([',', '.']) else { return (0, text) };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return (0, text);
    }
    let nine: String = digits[..length].chars().chain("000000000".chars()).take(9).collect();
    (nine.parse().unwrap_or_default(), &digits[length..])
}

/// `Z`, `+09:00` or `+0900`.
fn zone(text: &str) -> Option<Offset> {
    if text.starts_with(['Z', 'z']) {
        return Some(Offset::UTC);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|character| *character != ':').take(4).collect();
    if digits.len() < 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// `Nov 22 17:31:07`, as syslog writes it.
fn syslog(head: &str, offset: Offset, now: Timestamp) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = head.split_ascii_whitespace();
    let (month, day, clock) = (words.next()?, words.next()?, words.next()?);
    let month = i8::try_from(MONTHS.iter().position(|name| *name == month)? + 1).ok()?;
    let mut parts = clock.splitn(3, ':').map(|part| part.get(..2).and_then(|two| two.parse::<i8>().ok()));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let year = Zoned::new(now, TimeZone::fixed(offset)).year();
    let of = |year| {
        let moment = DateTime::new(year, month, day.parse().ok()?, hour, minute, second.min(59), 0).ok()?;
        offset.to_timestamp(moment).ok()
    };
    let this_year = of(year)?;
    // A clock may be a little ahead.
    if this_year.as_second() > now.as_second() + 86_400 { of(year - 1) } else { Some(this_year) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(line: &str) -> String {
        let seoul = Offset::from_hours(9).unwrap();
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        time_of(line, seoul, now).map_or_else(|| "-".to_owned(), |time| time.to_string())
    }

    #[test]
    fn every_kind_of_line_that_says_when_is_understood() {
        let lines = [
            (
                "2026-01-01 20:28:52,334:307(0x7f6b5caf6040):ZOO_INFO@log_env@1250: Client",
                "2026-01-01T11:28:52.334Z",
            ),
            ("2026-01-01 20:28:52,334 [myid:1] - INFO  [main:QuorumPeer@1] - x", "2026-01-01T11:28:52.334Z"),
            ("--- 2026-01-01T11:28:52Z started by arcusctl", "2026-01-01T11:28:52Z"),
            ("2026-01-01T20:28:52.123456+0900 cache-1 memcached[12]: Joined", "2026-01-01T11:28:52.123456Z"),
            ("2026-01-01T11:28:52.5+00:00 cache-1 memcached[12]: Joined", "2026-01-01T11:28:52.5Z"),
            ("[2026-01-01 20:28:52] x", "2026-01-01T11:28:52Z"),
            ("Jan  1 20:28:52 cache-1 memcached[12]: Joined", "2026-01-01T11:28:52Z"),
            // Of the year before, seen in January.
            ("Nov 22 20:28:52 cache-1 memcached[12]: Joined", "2025-11-22T11:28:52Z"),
        ];
        for (line, expected) in lines {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn other_lines_say_nothing_of_it() {
        for line in [
            "",
            "Joined Arcus cloud at …(ver=0)",
            "0.0.0.0:11211 start to listen",
            "2026-13-01 00:00:00 no month",
            "2026-01-01",
            "Foo  1 20:28:52 x",
            "캐시 캐시 캐시 캐시 캐시 캐시 캐시 캐시 캐시",
            "\tat java.lang.Thread.run(Thread.java:829)",
        ] {
            assert_eq!(told(line), "-", "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in any::<String>()) {
            told(&line);
        }
    }
}

//! What a client's line means to the stand-in: pure functions over bytes.

/// How a request line is dealt with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Answered here.
    Admin(Vec<&'a str>),
    /// Forwarded with the `bytes` of data (and their line end) that follow it.
    Store { bytes: u64, noreply: bool },
    /// Forwarded; answered by values up to `END`.
    Retrieve,
    /// Forwarded; answered by lines up to `END` or the like.
    Stats,
    /// Asked of memcached in its own words.
    Attributes { key: &'a [u8] },
    /// Forwarded; answered by one line, or by none.
    Simple { noreply: bool },
    /// The client wants to go.
    Quit,
    /// Nothing on it.
    Empty,
}

/// Commands that arcus-memcached has, or answers unlike the memcached below.
const ADMIN: [&str; 5] = ["ready", "shutdown", "zkensemble", "config", "version"];
const STORES: [&str; 6] = ["set", "add", "replace", "append", "prepend", "cas"];
const RETRIEVALS: [&str; 4] = ["get", "gets", "gat", "gats"];
/// What memcached allows a key.
const LONGEST_KEY: usize = 250;

/// Reads one line as a client sent it, line end included.
pub(crate) fn classify(line: &[u8]) -> Line<'_> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    let Some(command) = words.first().and_then(|word| std::str::from_utf8(word).ok()) else {
        return if words.is_empty() { Line::Empty } else { Line::Simple { noreply: false } };
    };
    let noreply = words.last().is_some_and(|word| *word == b"noreply");
    if ADMIN.contains(&command)
        || command == "stats" && words.get(1).is_some_and(|word| *word == b"zookeeper")
    {
        return Line::Admin(words.iter().filter_map(|word| std::str::from_utf8(word).ok()).collect());
    }
    if STORES.contains(&command) {
        let length = words.get(4).and_then(|word| std::str::from_utf8(word).ok()?.parse::<i32>().ok());
        let well_formed = words.len() >= 5 && words.get(1).is_some_and(|key| key.len() <= LONGEST_KEY);
        return match length.and_then(|length| u64::try_from(length).ok()).filter(|_| well_formed) {
            Some(bytes) => Line::Store { bytes, noreply },
            // memcached refuses such a line without waiting for data.
            None => Line::Simple { noreply: false },
        };
    }
    match command {
        _ if RETRIEVALS.contains(&command) => Line::Retrieve,
        "stats" => Line::Stats,
        "getattr" if words.len() >= 2 => Line::Attributes { key: words[1] },
        "quit" => Line::Quit,
        _ => Line::Simple { noreply },
    }
}

/// The number of data bytes that follow a `VALUE` line; `None` for any other line, which ends the answer.
pub(crate) fn value_length(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.strip_prefix(b"VALUE ")?).ok();
    match text {
        Some(text) => text.split_whitespace().nth(2)?.parse().ok(),
        // A key need not be UTF-8; what follows it is.
        None => {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            std::str::from_utf8(words.get(3)?).ok()?.trim().parse().ok()
        }
    }
}

/// What arcus-memcached answers to `getattr` of a key-value item, from memcached's answer to `mg KEY f t`.
pub(crate) fn attributes(line: &[u8]) -> Option<String> {
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    match words.next()? {
        "EN" => return Some("NOT_FOUND\r\n".to_owned()),
        "HD" => {}
        _ => return None,
    }
    let (mut flags, mut seconds) = ("0", "-1");
    for word in words {
        match word.split_at_checked(1)? {
            ("f", value) => flags = value,
            ("t", value) => seconds = value,
            _ => {}
        }
    }
    // Never: memcached says -1, which here would be a sticky item.
    let seconds = if seconds == "-1" { "0" } else { seconds };
    Some(format!("ATTR flags={flags}\r\nATTR expiretime={seconds}\r\nATTR type=kv\r\nEND\r\n"))
}

/// Whether this line ends the answer to `stats …`.
pub(crate) fn ends_stats(line: &[u8]) -> bool {
    let ends: [&[u8]; 6] = [b"END", b"RESET", b"OK", b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"];
    let first = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    ends.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_commands_are_answered_here() {
        assert_eq!(classify(b"ready\r\n"), Line::Admin(vec!["ready"]));
        assert_eq!(classify(b"stats zookeeper\r\n"), Line::Admin(vec!["stats", "zookeeper"]));
        assert_eq!(classify(b"config zkfailstop  off\n"), Line::Admin(vec!["config", "zkfailstop", "off"]));
    }

    #[test]
    fn only_whole_words_are_commands() {
        assert_eq!(classify(b"readying\r\n"), Line::Simple { noreply: false });
        assert_eq!(classify(b"get ready\r\n"), Line::Retrieve);
        assert_eq!(classify(b"stats settings\r\n"), Line::Stats);
    }

    #[test]
    fn data_follows_a_well_formed_store() {
        assert_eq!(classify(b"set k 0 0 7\r\n"), Line::Store { bytes: 7, noreply: false });
        assert_eq!(classify(b"cas k 0 0 7 99 noreply\r\n"), Line::Store { bytes: 7, noreply: true });
        assert_eq!(classify(b"set k 0 0 -1\r\n"), Line::Simple { noreply: false });
        assert_eq!(classify(b"set k 0 0\r\n"), Line::Simple { noreply: false });
        let long = format!("set {} 0 0 7\r\n", "k".repeat(251));
        assert_eq!(classify(long.as_bytes()), Line::Simple { noreply: false });
    }

    #[test]
    fn empty_and_binary_rubbish() {
        assert_eq!(classify(b"\r\n"), Line::Empty);
        assert_eq!(classify(b"\xff\xfe\r\n"), Line::Simple { noreply: false });
    }

    #[test]
    fn values_announce_their_length() {
        assert_eq!(value_length(b"VALUE k 0 12\r\n"), Some(12));
        assert_eq!(value_length(b"VALUE k\xff 0 12 77\r\n"), Some(12));
        assert_eq!(value_length(b"END\r\n"), None);
    }

    #[test]
    fn attributes_are_told_in_the_words_of_arcus() {
        assert_eq!(classify(b"getattr k flags\r\n"), Line::Attributes { key: b"k" });
        assert_eq!(classify(b"getattr\r\n"), Line::Simple { noreply: false });
        let told = attributes(b"HD f5 t-1\r\n").unwrap();
        assert_eq!(told, "ATTR flags=5\r\nATTR expiretime=0\r\nATTR type=kv\r\nEND\r\n");
        assert!(attributes(b"HD f5 t57\r\n").unwrap().contains("expiretime=57\r\n"));
        assert_eq!(attributes(b"EN\r\n").unwrap(), "NOT_FOUND\r\n");
        assert_eq!(attributes(b"CLIENT_ERROR bad\r\n"), None);
    }

    #[test]
    fn stats_end() {
        assert!(ends_stats(b"END\r\n") && ends_stats(b"RESET\r\n") && ends_stats(b"CLIENT_ERROR bad\r\n"));
        assert!(!ends_stats(b"STAT END 1\r\n") && !ends_stats(b"PREFIX a get 1\r\n"));
    }
}

//! What the entries of a package may be called.
//!
//! Boundary: one name at a time; what names mean to each other is the listing's.

/// Linux takes no longer path.
const LONGEST: usize = 4095;
/// Linux takes no longer file name.
const LONGEST_PART: usize = 255;
/// Deeper than any install; keeps the cost of a name in bounds.
const DEEPEST: usize = 100;
/// Files that arcusctl makes for itself on hosts.
const OWN_PREFIX: &str = ".arcusctl";
const OWN_SUFFIX: &str = ".arcusctl-new";
/// What an install path holds besides the links into its release.
const RESERVED_AT_TOP: [&str; 6] = ["current", "logs", "previous", "releases", "run", "work"];
/// Where a host keeps what a release brings as `zookeeper/conf`.
const RESERVED_CONF: &str = "zookeeper/conf.dist";

/// The name of an entry without what says nothing (`./`, `//`); empty for the top of the tree itself.
///
/// # Errors
/// What is wrong with the name, to be read after it.
pub(super) fn checked(raw: &[u8]) -> Result<String, &'static str> {
    if raw.is_empty() {
        return Err("has no name");
    }
    let Ok(text) = str::from_utf8(raw) else { return Err("has a name that is not UTF-8") };
    if text.contains(char::is_control) {
        return Err("has control characters in its name");
    }
    if text.starts_with('/') {
        return Err("is an absolute path");
    }
    if text.len() > LONGEST {
        return Err("has a name longer than a path can be");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("leads out of the package or back, by '..'");
    }
    if parts.iter().any(|part| part.len() > LONGEST_PART) {
        return Err("has a name longer than a file name can be");
    }
    if parts.len() > DEEPEST {
        return Err("lies too deep");
    }
    if parts.iter().any(|part| part.starts_with(OWN_PREFIX) || part.ends_with(OWN_SUFFIX)) {
        return Err("has a name that arcusctl keeps for its own files");
    }
    Ok(parts.join("/"))
}

/// What is wrong with a name that is good in itself, when it stands at `path` below the root of the tree.
///
/// # Errors
/// What is wrong, to be read after the name.
pub(super) fn fits_install(path: &str) -> Result<(), &'static str> {
    if RESERVED_AT_TOP.contains(&path) || path == RESERVED_CONF {
        return Err("has a name that the install path of a host keeps for itself");
    }
    // A host links these names one by one, and the shell that does it takes them for words.
    let linked = if path.contains('/') { path.strip_prefix("zookeeper/") } else { Some(path) };
    let unfit = |name: &str| name.starts_with('-') || name.contains([' ', '*', '?', '[', ']', '\\']);
    match linked {
        Some(name) if !name.contains('/') && unfit(name) => {
            Err("has a space, a leading '-' or one of * ? [ ] \\ in its name; so near the top none may")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out_of_a_name() {
        for (raw, name) in [("./arcus//bin/./memcached", "arcus/bin/memcached"), ("./", ""), ("캐시", "캐시")]
        {
            assert_eq!(checked(raw.as_bytes()).unwrap(), name);
        }
    }

    #[test]
    fn names_that_no_host_may_see_are_refused() {
        let long = "x".repeat(256);
        let deep = "x/".repeat(101);
        let both = "x/".repeat(2050);
        for raw in [
            &b""[..],
            b"/etc/passwd",
            b"../x",
            b"a/../b",
            b"a/..",
            b"a\nb",
            b"a\0b",
            b"a\x1b[1m",
            b"caf\xe9",
            b".arcusctl-old-bin",
            b"a/.arcusctl",
            b"bin.arcusctl-new",
            long.as_bytes(),
            deep.as_bytes(),
            both.as_bytes(),
        ] {
            assert!(checked(raw).is_err(), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn names_near_the_top_are_words_to_a_shell() {
        for path in
            ["a b", "-rf", "*", "zookeeper/a b", "zookeeper/-x", "releases", "run", "zookeeper/conf.dist"]
        {
            assert!(fits_install(path).is_err(), "{path}");
        }
        for path in ["bin", "lib/a b", "share/releases", "zookeeper/lib/-x", ".hidden", "c++"] {
            assert_eq!(fits_install(path), Ok(()), "{path}");
        }
    }
}

//! What single values of the settings file must be.
//!
//! Boundary: one value in, what it means or what is wrong with it out; knows no place in the file.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use toml::de::{DeInteger, DeValue};

use super::section::kind;
use crate::config::fault::{Complaint, shown};

const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);

/// Deploying puts a new tree in the place of the old one, which must not be one of these.
const SYSTEM_DIRECTORIES: [&str; 22] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/lib",
];

/// What `arcusctl` itself tells a cache node, and where it takes that from.
const OWN_OPTIONS: [(char, &str); 9] = [
    ('c', "it is 'connections' in the cloud's JSON"),
    ('d', "cache nodes always run in the background"),
    ('m', "it is 'memlimit' in the cloud's JSON"),
    ('o', "use memcached.session_timeout"),
    ('p', "it is 'port' in the cloud's JSON"),
    ('P', "arcusctl chooses the pid file"),
    ('t', "it is 'threads' in the cloud's JSON"),
    ('u', "use memcached.user"),
    ('z', "use zookeeper.servers or -z"),
];

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Complaint> {
    match value {
        DeValue::String(text) if text.is_empty() => Err(Complaint::new("is empty")),
        DeValue::String(text) => Ok(text),
        other => Err(Complaint::new(format!("is {}, not a string", kind(other)))),
    }
}

/// A whole number within `range`.
pub(super) fn number(value: &DeValue<'_>, range: &RangeInclusive<u32>) -> Result<u32, Complaint> {
    let rule = format!("it is a whole number from {} to {}", range.start(), range.end());
    let DeValue::Integer(integer) = value else {
        return Err(Complaint::new(format!("is {}; {rule}", kind(value))));
    };
    integer_value(integer)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| Complaint::new(format!("is {integer}; {rule}")))
}

pub(super) fn integer_value(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn port(value: &DeValue<'_>) -> Result<NonZeroU16, Complaint> {
    let number = number(value, &(1..=u16::MAX.into()))?;
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| Complaint::new(format!("is {number}; it is a whole number from 1 to {}", u16::MAX)))
}

/// A length of time such as `10s`, more than none and at most a day.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    const RULE: &str = "write a length of time with its unit, such as \"10s\" or \"2m 30s\"";
    let text = match value {
        DeValue::Integer(number) => {
            let complaint = Complaint::new(format!("is {number} without a unit"));
            return Err(complaint.hint(format!("write \"{number}s\" for seconds")));
        }
        other => text(other)?,
    };
    let Ok(length) = text.parse::<SignedDuration>() else {
        return Err(Complaint::new(format!("is {}, which is no length of time", shown(text))).hint(RULE));
    };
    if length <= SignedDuration::ZERO || length > LONGEST_WAIT {
        return Err(Complaint::new(format!("is {}; it is more than none and at most 24h", shown(text))));
    }
    Ok(length.unsigned_abs())
}

/// A user name as POSIX has it, which is also what keeps it from being taken for an option.
pub(super) fn user_name(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = text(value)?;
    let portable = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.starts_with('-') || !text.bytes().all(portable) {
        let complaint = format!(
            "is {}; a user name has letters, digits, '.', '_' and '-', and does not start with '-'",
            shown(text)
        );
        return Err(Complaint::new(complaint));
    }
    Ok(text.to_owned())
}

/// A directory on the hosts.
pub(super) fn remote_directory(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = text(value)?;
    let written = shown(text);
    if !text.starts_with('/') {
        return Err(Complaint::new(format!("is {written}, which is not absolute"))
            .hint("write the whole path from / on; it is a path on every host"));
    }
    // zkServer.sh leaves its variables unquoted, Java splits its class path at ':', zoo.cfg takes '\' for an escape.
    let stands = |character: &char| character.is_alphanumeric() || "/._-+@,=%".contains(*character);
    if let Some(character) = text.chars().find(|character| !stands(character)) {
        return Err(Complaint::new(format!(
            "is {written}; ZooKeeper's own scripts stand no {character:?} in a path"
        )));
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return Err(Complaint::new(format!("is {written}; write the path without '.' and '..'")));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(Complaint::new(format!("is {written}, the root of the host's whole file system")));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// Where Arcus lives on the hosts: a directory that nothing else lives in.
pub(super) fn install_path(value: &DeValue<'_>) -> Result<String, Complaint> {
    let path = remote_directory(value)?;
    if SYSTEM_DIRECTORIES.contains(&path.as_str()) {
        return Err(Complaint::new(format!("is '{path}', which the host needs for other things"))
            .hint(format!("give Arcus a directory of its own, such as {path}/arcus")));
    }
    Ok(path)
}

/// A file or directory on this machine; `base` is the settings file's own directory.
pub(super) fn local_path(
    value: &DeValue<'_>,
    base: &Path,
    home: Option<&Path>,
) -> Result<PathBuf, Complaint> {
    let text = text(value)?;
    if text.chars().any(char::is_control) {
        return Err(Complaint::new(format!("is {}; a path has no control characters", shown(text))));
    }
    let Some(rest) = text.strip_prefix('~') else { return Ok(base.join(text)) };
    let Some(below) = rest.strip_prefix('/').or(rest.is_empty().then_some("")) else {
        return Err(Complaint::new(format!("is {}; only your own home can be written as ~/", shown(text))));
    };
    match home {
        // Further slashes would make the rest absolute.
        Some(home) => Ok(home.join(below.trim_start_matches('/'))),
        None => Err(Complaint::new(format!("is {}, and no home directory is known", shown(text)))),
    }
}

/// One argument for a cache node.
pub(super) fn extra_arg(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = text(value)?;
    if text.chars().any(char::is_control) {
        return Err(Complaint::new(format!("is {}; an argument has no control characters", shown(text))));
    }
    let letter = text.strip_prefix('-').and_then(|option| option.chars().next());
    match OWN_OPTIONS.iter().find(|(own, _)| Some(*own) == letter) {
        Some((_, instead)) => {
            Err(Complaint::new(format!("is {}, which arcusctl sets itself", shown(text))).hint(*instead))
        }
        None => Ok(text.to_owned()),
    }
}

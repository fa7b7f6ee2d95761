//! What single values of the cloud JSON must be: numbers, addresses, host names.
//!
//! Boundary: one value in, what it means or what is wrong with it out; knows no place in the document.

use std::net::{Ipv4Addr, Ipv6Addr};

use jsonc_parser::ast::Value;

use crate::config::fault::{Complaint, shown};
use crate::config::json::kind;

/// Longest host name a cache node can make part of its znode's name (`arcus_zk.c`; it exits with 65 otherwise).
const LONGEST_HOSTNAME: usize = 128;

/// A whole number that a cache node is started with, from 1 up.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) name: &'static str,
    most: u32,
    /// How it reads in "… is a number of megabytes from 1 to …".
    what: &'static str,
}

pub(super) const PORT: Number =
    Number { name: "port", most: u16::MAX as u32, what: "a port is a whole number" };

/// The cache node reads it with `atoi`, which knows nothing beyond an `int`.
pub(super) const MEMLIMIT: Number =
    Number { name: "memlimit", most: i32::MAX as u32, what: "memlimit is a whole number of megabytes" };

/// The most that a cache node grants even when told to at run time.
pub(super) const CONNECTIONS: Number =
    Number { name: "connections", most: 1_000_000, what: "connections is a whole number" };

pub(super) const THREADS: Number =
    Number { name: "threads", most: i32::MAX as u32, what: "threads is a whole number" };

impl Number {
    /// Takes `100` and `"100"` alike, as `arcus.sh` does.
    pub(super) fn read(&self, value: &Value<'_>) -> Result<u32, Complaint> {
        let (text, written) = match value {
            Value::NumberLit(literal) => (literal.value, literal.value.to_owned()),
            Value::StringLit(literal) => (literal.value.as_ref(), shown(&literal.value)),
            other => return Err(self.complaint(&format!("is {}", kind(other)))),
        };
        if text.is_empty() {
            return Err(self.complaint("is empty"));
        }
        if text.trim() != text {
            return Err(Complaint::new(format!("is {written}, with white space around the number")));
        }
        if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Complaint::new(format!("is {written}, which starts with a zero")));
        }
        // u32's own parser takes a leading plus sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|number| digits && (1..=self.most).contains(number))
            .ok_or_else(|| self.complaint(&format!("is {written}")))
    }

    fn complaint(&self, found: &str) -> Complaint {
        Complaint::new(format!("{found}; {} from 1 to {}", self.what, self.most))
    }
}

pub(super) fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Complaint> {
    match value {
        Value::StringLit(literal) => Ok(&literal.value),
        other => Err(Complaint::new(format!("is {}, not a string", kind(other)))),
    }
}

/// The address that a cache node is known by.
pub(super) fn ip(value: &Value<'_>) -> Result<Ipv4Addr, Complaint> {
    let text = text(value)?;
    if text.trim().is_empty() {
        return Err(Complaint::new("is empty"));
    }
    let written = shown(text);
    let Ok(ip) = text.parse::<Ipv4Addr>() else { return Err(no_ipv4(text, &written)) };
    let unusable = if ip.is_unspecified() {
        "the unspecified address"
    } else if ip.is_multicast() {
        "a multicast address"
    } else if ip.is_broadcast() {
        "the broadcast address"
    } else {
        return Ok(ip);
    };
    Err(Complaint::new(format!("is {written}, {unusable}; no cache node can have it")))
}

fn no_ipv4(text: &str, written: &str) -> Complaint {
    if text.trim() != text {
        return Complaint::new(format!("is {written}, with white space around the address"));
    }
    let bare = text.trim_start_matches('[').split([']', '%']).next().unwrap_or(text);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Complaint::new(format!("is {written}, an IPv6 address; arcus-memcached speaks IPv4 only"));
    }
    if text.split_once(':').is_some_and(|(ip, _)| ip.parse::<Ipv4Addr>().is_ok()) {
        return Complaint::new(format!("is {written}, an address with a port"))
            .hint("the port stands by itself, in the server's config");
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Complaint::new(format!("is {written}, which is no IPv4 address such as 172.17.0.3"));
    }
    Complaint::new(format!("is {written}, which is no IPv4 address")).hint(
        "a cache node is known by the IPv4 address that it reaches ZooKeeper from; a name goes into hostname",
    )
}

/// What the host calls itself. It becomes part of a znode's name, so it must be fit for one.
pub(super) fn hostname(value: &Value<'_>) -> Result<String, Complaint> {
    let text = text(value)?;
    let written = shown(text);
    if text.trim().is_empty() {
        return Err(Complaint::new("is empty"));
    }
    if text.len() > LONGEST_HOSTNAME {
        let length = text.len();
        let complaint = format!("has {length} characters; a cache node accepts {LONGEST_HOSTNAME} at most");
        return Err(Complaint::new(complaint));
    }
    if text.starts_with('-') {
        return Err(Complaint::new(format!("is {written}; a host name does not start with '-'")));
    }
    match text
        .chars()
        .find(|character| *character == '/' || character.is_whitespace() || character.is_control())
    {
        Some(character) => Err(Complaint::new(format!("is {written}; a host name has no {character:?}"))),
        None => Ok(text.to_owned()),
    }
}

//! The ZooKeeper ensemble as the operator writes it: `host:port,host:port,…`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HostName;

/// The client port that ZooKeeper and `arcus.sh` use unless told otherwise.
pub(super) const DEFAULT_CLIENT_PORT: u16 = 2181;

/// One ZooKeeper server, by the address clients use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnsembleMember {
    pub host: HostName,
    pub client_port: NonZeroU16,
}

/// The servers of one ensemble, in the operator's order, none twice, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ensemble(Vec<EnsembleMember>);

/// Why an ensemble list cannot be used; each variant names the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnsembleFault {
    #[error("the ensemble list is empty")]
    Empty,
    #[error("entry {index} of the ensemble list is empty")]
    EmptyEntry { index: usize },
    #[error("entry {index}, '{entry}', has no port; write it as {entry}:{DEFAULT_CLIENT_PORT}")]
    NoPort { index: usize, entry: String },
    #[error("entry {index}, '{entry}', has the port '{port}'; a port is a number from 1 to 65535")]
    BadPort { index: usize, entry: String, port: String },
    #[error(
        "entry {index}, '{entry}', has no usable host name; use letters, digits, '.', '-' and '_', or an IPv4 address"
    )]
    BadHost { index: usize, entry: String },
    #[error(
        "entry {index}, '{entry}', ends in a chroot; Arcus keeps its znodes at the root, so leave '/…' away"
    )]
    Chroot { index: usize, entry: String },
    #[error("entry {index}, '{entry}', is an IPv6 address; arcus-memcached speaks IPv4 only")]
    Ipv6 { index: usize, entry: String },
    #[error("entry {index}, '{entry}', stands in the list twice")]
    Duplicate { index: usize, entry: String },
}

impl Ensemble {
    /// Reads `host:port,host:port,…`.
    ///
    /// # Errors
    /// Every bad entry, not just the first.
    pub fn parse(text: &str) -> Result<Self, Vec<EnsembleFault>> {
        Self::from_entries(text.split(',').map(str::trim))
    }

    /// Reads entries of the form `host:port`.
    ///
    /// # Errors
    /// Every bad entry, not just the first.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<EnsembleFault>> {
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        let mut faults = Vec::new();
        for (position, entry) in entries.into_iter().enumerate() {
            let index = position + 1;
            match parse_entry(index, entry) {
                Ok(member) if seen.insert(member.clone()) => members.push(member),
                Ok(_) => faults.push(EnsembleFault::Duplicate { index, entry: entry.to_owned() }),
                Err(fault) => faults.push(fault),
            }
        }
        if members.is_empty() && faults.is_empty()
            || faults == [EnsembleFault::EmptyEntry { index: 1 }] && members.is_empty()
        {
            return Err(vec![EnsembleFault::Empty]);
        }
        if faults.is_empty() { Ok(Self(members)) } else { Err(faults) }
    }

    /// An ensemble of these members; `None` when there are none or one stands there twice.
    pub fn of(members: Vec<EnsembleMember>) -> Option<Self> {
        let once: BTreeSet<&EnsembleMember> = members.iter().collect();
        (!members.is_empty() && once.len() == members.len()).then_some(Self(members))
    }

    pub fn members(&self) -> &[EnsembleMember] {
        &self.0
    }

    /// The machines the members live on, each once, in order.
    pub fn hosts(&self) -> Vec<HostName> {
        let mut seen = BTreeSet::new();
        self.0.iter().map(|member| member.host.clone()).filter(|host| seen.insert(host.clone())).collect()
    }

    /// How many members must agree before the ensemble serves.
    pub fn quorum(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// True when some member is named by a loopback address, which only this machine may be told.
    pub fn has_loopback(&self) -> bool {
        self.0.iter().any(|member| member.host.is_loopback())
    }
}

fn parse_entry(index: usize, entry: &str) -> Result<EnsembleMember, EnsembleFault> {
    let named = || entry.to_owned();
    if entry.is_empty() {
        return Err(EnsembleFault::EmptyEntry { index });
    }
    if entry.contains('/') {
        return Err(EnsembleFault::Chroot { index, entry: named() });
    }
    if entry.starts_with('[') || entry.matches(':').count() > 1 {
        return Err(EnsembleFault::Ipv6 { index, entry: named() });
    }
    let Some((host, port)) = entry.split_once(':') else {
        return Err(EnsembleFault::NoPort { index, entry: named() });
    };
    // A leading '-' would be read as an option by ssh.
    let unspecified = host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_unspecified());
    let usable = !host.is_empty()
        && !unspecified
        && !host.starts_with(['-', '.'])
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !usable {
        return Err(EnsembleFault::BadHost { index, entry: named() });
    }
    let bad_port = || EnsembleFault::BadPort { index, entry: named(), port: port.to_owned() };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad_port());
    }
    let client_port = port.parse().map_err(|_| bad_port())?;
    Ok(EnsembleMember { host: HostName::new(host), client_port })
}

impl fmt::Display for EnsembleMember {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.client_port)
    }
}

impl FromStr for EnsembleMember {
    type Err = EnsembleFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_entry(1, text.trim())
    }
}

impl TryFrom<String> for EnsembleMember {
    type Error = EnsembleFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The list that has this member alone.
impl From<EnsembleMember> for Ensemble {
    fn from(member: EnsembleMember) -> Self {
        Self(vec![member])
    }
}

impl From<EnsembleMember> for String {
    fn from(member: EnsembleMember) -> Self {
        member.to_string()
    }
}

impl fmt::Display for Ensemble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, member) in self.0.iter().enumerate() {
            if position > 0 {
                out.write_str(",")?;
            }
            write!(out, "{member}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_operators_order() {
        let ensemble = Ensemble::parse("b:2181, a:2181,c:2182").unwrap();
        assert_eq!(ensemble.to_string(), "b:2181,a:2181,c:2182");
        assert_eq!(ensemble.quorum(), 2);
    }

    #[test]
    fn names_every_bad_entry() {
        let faults = Ensemble::parse("a:2181,b,:1,c:0,d:x,,[::1]:2181,e:2181/root,a:2181,-o:1,0.0.0.0:2181")
            .unwrap_err();
        let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 10, "{text:#?}");
        assert!(text[0].contains("entry 2, 'b', has no port"), "{}", text[0]);
        assert!(text[8].contains("'-o:1'"), "{}", text[8]);
    }

    #[test]
    fn an_empty_list_is_named_as_such() {
        assert_eq!(Ensemble::parse(""), Err(vec![EnsembleFault::Empty]));
    }

    #[test]
    fn several_members_of_a_machine_are_one_host() {
        let ensemble = Ensemble::parse("127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183").unwrap();
        assert_eq!(ensemble.hosts().len(), 1);
        assert!(ensemble.has_loopback());
    }
}

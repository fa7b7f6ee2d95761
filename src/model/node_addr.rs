//! The identity of one cache node: the address its znode is named after.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A cache node's `ip:port`. IPv4 only: arcus-memcached derives its identity from an IPv4 route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeAddr {
    pub ip: Ipv4Addr,
    pub port: NonZeroU16,
}

/// Why a text is no node address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an ip:port such as 10.0.0.7:11211")]
pub struct NodeAddrFault(pub String);

impl NodeAddr {
    /// Reads the `ip:port` at the head of a `cache_list` child, whose name goes on with `-<hostname>`.
    ///
    /// # Errors
    /// When what stands before the first `-` is no address (server and clients cut there too).
    pub fn from_ephemeral_name(name: &str) -> Result<Self, NodeAddrFault> {
        name.split_once('-').map_or(name, |(address, _)| address).parse()
    }
}

impl fmt::Display for NodeAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.ip, self.port)
    }
}

impl FromStr for NodeAddr {
    type Err = NodeAddrFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || NodeAddrFault(text.to_owned());
        let (ip, port) = text.split_once(':').ok_or_else(fault)?;
        // u16's own parser takes a leading plus sign.
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault());
        }
        Ok(Self { ip: ip.parse().map_err(|_| fault())?, port: port.parse().map_err(|_| fault())? })
    }
}

impl TryFrom<String> for NodeAddr {
    type Error = NodeAddrFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NodeAddr> for String {
    fn from(addr: NodeAddr) -> Self {
        addr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let addr: NodeAddr = "10.0.0.7:11211".parse().unwrap();
        assert_eq!(addr.to_string(), "10.0.0.7:11211");
    }

    #[test]
    fn takes_the_address_out_of_an_ephemeral_name() {
        let addr = NodeAddr::from_ephemeral_name("10.0.0.7:11211-cache-7.example").unwrap();
        assert_eq!(addr.to_string(), "10.0.0.7:11211");
    }

    #[test]
    fn refuses_half_addresses() {
        for text in [
            "10.0.0.7",
            "10.0.0.7:",
            ":11211",
            "10.0.0.7:0",
            "10.0.0.7:+1",
            "10.0.0.7:65536",
            "host:1",
            "::1:1",
        ] {
            assert!(text.parse::<NodeAddr>().is_err(), "{text}");
        }
    }
}

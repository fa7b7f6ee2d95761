//! A machine as the operator names it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// What `ssh` is given to reach a machine: an address, a name, or an alias of the operator's `~/.ssh/config`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(String);

impl HostName {
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `localhost` and the loopback range: a name that means another machine on every machine.
    pub fn is_loopback(&self) -> bool {
        self.0.eq_ignore_ascii_case("localhost") || self.0.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl From<Ipv4Addr> for HostName {
    fn from(ip: Ipv4Addr) -> Self {
        Self(ip.to_string())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

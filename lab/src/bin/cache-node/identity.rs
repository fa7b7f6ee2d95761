//! Under which name a node appears in the cloud: `ip:port-hostname`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::{Command, Stdio};

use crate::exit::{Code, Fatal};

/// Host names longer than this end a start.
const LONGEST_NAME: usize = 128;

/// A node's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) hostname: String,
}

impl Identity {
    /// Finds the address that faces ZooKeeper, and its name; both can be overridden by the environment.
    pub(crate) fn detect(ensemble: &str, port: u16) -> Result<Self, Fatal> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let facing = facing(ensemble)?;
        let hostname = set("ARCUS_CACHE_HOSTNAME_OVERWRITE")
            .or_else(|| reverse_lookup(facing))
            .or_else(|| nix::unistd::gethostname().ok()?.into_string().ok())
            .unwrap_or_else(|| "localhost".to_owned());
        if hostname.len() > LONGEST_NAME {
            let message = format!("hostname is longer than {LONGEST_NAME} characters: {hostname}");
            return Err(Fatal { code: Code::LongName, message });
        }
        Ok(Self { ip: set("ARCUS_CACHE_PUBLIC_IP").unwrap_or_else(|| facing.to_string()), port, hostname })
    }

    /// The name of the node's znode in the cache list.
    pub(crate) fn znode(&self) -> String {
        format!("{}:{}-{}", self.ip, self.port, self.hostname)
    }

    /// The children of the mapping directory that may stand for this node, in the order they are looked up.
    pub(crate) fn mapping_keys(&self) -> [String; 3] {
        [format!("{}:{}", self.ip, self.port), format!("{}:{}", self.hostname, self.port), self.ip.clone()]
    }
}

/// The local address that packets to the first resolvable ZooKeeper server leave from. Nothing is sent.
fn facing(ensemble: &str) -> Result<Ipv4Addr, Fatal> {
    let ensemble = ensemble.split('/').next().unwrap_or_default();
    for entry in ensemble.split(',') {
        let host = entry.rsplit_once(':').map_or(entry, |(host, _)| host).trim();
        let Ok(addresses) = (host, 514).to_socket_addrs() else { continue };
        for address in addresses.filter(SocketAddr::is_ipv4) {
            let local = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
                .and_then(|socket| socket.connect(address).and_then(|()| socket.local_addr()));
            if let Ok(SocketAddr::V4(local)) = local {
                return Ok(*local.ip());
            }
        }
    }
    Err(Fatal::new(
        Code::NoSuchHost,
        format!("cannot find the own address: no ZooKeeper host of {ensemble:?} resolves"),
    ))
}

/// The machine's name for one of its addresses; getent asks whatever nsswitch.conf says.
fn reverse_lookup(ip: Ipv4Addr) -> Option<String> {
    let output = Command::new("getent")
        .args(["hosts", &IpAddr::V4(ip).to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys() {
        let identity =
            Identity { ip: "10.77.1.1".to_owned(), port: 11211, hostname: "memcached-1".to_owned() };
        assert_eq!(identity.znode(), "10.77.1.1:11211-memcached-1");
        assert_eq!(identity.mapping_keys(), ["10.77.1.1:11211", "memcached-1:11211", "10.77.1.1"]);
    }

    #[test]
    fn the_first_host_that_resolves_decides() {
        assert_eq!(facing("no.such.host.invalid:2181,127.0.0.1:2182/chroot").unwrap(), Ipv4Addr::LOCALHOST);
        assert_eq!(facing("no.such.host.invalid:2181").unwrap_err().code, Code::NoSuchHost);
    }
}

//! Every machine of one run: each is connected to once, when first needed, and no more at a time than allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::local::LocalHost;
use super::{Remote, SshConnector};
use crate::error::Failure;
use crate::model::HostName;

/// Makes the connection to a machine.
#[async_trait]
pub trait Connect: Debug + Send + Sync {
    /// # Errors
    /// When the machine cannot be reached or logged in to.
    async fn connect(&self, host: &HostName) -> Result<Arc<dyn Remote>, Failure>;
}

#[async_trait]
impl Connect for SshConnector {
    async fn connect(&self, host: &HostName) -> Result<Arc<dyn Remote>, Failure> {
        if is_this_machine(host).await {
            return Ok(Arc::new(LocalHost { host: host.clone() }));
        }
        SshConnector::connect(self, host).await
    }
}

/// A resolver that does not answer must not hold up what needs no names.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// A connection that takes longer waits for its host and costs this machine nothing; others may start meanwhile, so that
/// hosts which hang cost their own time only.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

type Connection = Arc<OnceCell<Result<Arc<dyn Remote>, Failure>>>;

/// The connections of one run.
#[derive(Debug)]
pub struct Fleet {
    connector: Box<dyn Connect>,
    connections: Mutex<BTreeMap<HostName, Connection>>,
    starts: Semaphore,
}

impl Fleet {
    /// At most `starts` connections are being set up at any moment, not counting those whose hosts do not answer.
    pub fn new(connector: impl Connect + 'static, starts: usize) -> Self {
        Self {
            connector: Box::new(connector),
            connections: Mutex::default(),
            starts: Semaphore::new(starts.max(1)),
        }
    }

    /// The connection to `host`; a failed attempt is not repeated within the run.
    ///
    /// # Errors
    /// When the host cannot be reached or logged in to.
    pub async fn host(&self, host: &HostName) -> Result<Arc<dyn Remote>, Failure> {
        let connection = Arc::clone(self.connections.lock().await.entry(host.clone()).or_default());
        let outcome = connection.get_or_init(|| async {
            let permit = self.starts.acquire().await;
            tracing::debug!(%host, "connecting");
            let start = Instant::now();
            let mut connecting = self.connector.connect(host);
            let connected = match tokio::time::timeout(BUSY_LIMIT, &mut connecting).await {
                Ok(connected) => connected,
                Err(_) => {
                    drop(permit);
                    connecting.await
                }
            };
            let seconds = start.elapsed().as_secs_f32();
            match &connected {
                Ok(_) => tracing::debug!(%host, seconds, "connected"),
                Err(failure) => tracing::debug!(%host, seconds, %failure, "not connected"),
            }
            connected
        });
        outcome.await.clone()
    }

    /// Has `host` connected to anew when it is asked for next: for who runs so long that a host may come back meanwhile.
    pub async fn forget(&self, host: &HostName) {
        let forgotten = self.connections.lock().await.remove(host);
        if let Some(Ok(remote)) = forgotten.as_ref().and_then(|connection| connection.get()) {
            remote.close().await;
        }
    }

    /// Those of `hosts` that are the machine this program runs on.
    pub async fn here(&self, hosts: &[HostName]) -> BTreeSet<HostName> {
        let judged =
            join_all(hosts.iter().map(|host| async move { (host, is_this_machine(host).await) })).await;
        judged.into_iter().filter(|(_, here)| *here).map(|(host, _)| host.clone()).collect()
    }

    /// Ends every connection, so that no ssh master outlives the run.
    pub async fn close(&self) {
        let connections = std::mem::take(&mut *self.connections.lock().await);
        join_all(connections.values().map(|connection| async {
            if let Some(Ok(remote)) = connection.get() {
                remote.close().await;
            }
        }))
        .await;
    }
}

/// True when `host` names this machine by any of its own addresses; a name that does not resolve names another.
async fn is_this_machine(host: &HostName) -> bool {
    if host.is_loopback() {
        return true;
    }
    if let Ok(ip) = host.as_str().parse() {
        return is_own_address(ip);
    }
    let resolving = tokio::net::lookup_host((host.as_str(), 0));
    match tokio::time::timeout(RESOLVE_LIMIT, resolving).await {
        Ok(Ok(mut addresses)) => addresses.any(|address| is_own_address(address.ip())),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Toward an address of its own a machine speaks from that address; connecting a datagram socket sends nothing. (Binding
/// to it would tell as much, but for machines that are set up to bind addresses which they do not have yet.)
fn is_own_address(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, 9))?;
        socket.local_addr()
    };
    own().is_ok_and(|address| address.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts whose names begin with "hung" answer after a minute, all others at once.
    #[derive(Debug)]
    struct Network;

    #[async_trait]
    impl Connect for Network {
        async fn connect(&self, host: &HostName) -> Result<Arc<dyn Remote>, Failure> {
            if host.as_str().starts_with("hung") {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Err(Failure::unreachable("nobody can log in"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_hang_cost_their_own_time_only() {
        let fleet = Fleet::new(Network, 1);
        let begun = tokio::time::Instant::now();
        let asked = async |name: &str| {
            assert!(fleet.host(&HostName::new(name)).await.is_err());
            begun.elapsed()
        };
        let (hung, _, sound) = tokio::join!(asked("hung-1"), asked("hung-2"), asked("sound"));
        assert_eq!(hung, Duration::from_secs(60));
        assert!(sound < Duration::from_secs(5), "{sound:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_connected_to_once_until_it_is_forgotten() {
        let fleet = Fleet::new(Network, 1);
        let host = HostName::new("hung");
        let asked = async || {
            let begun = tokio::time::Instant::now();
            assert!(fleet.host(&host).await.is_err());
            begun.elapsed().as_secs()
        };
        assert_eq!((asked().await, asked().await), (60, 0));
        fleet.forget(&host).await;
        assert_eq!(asked().await, 60);
    }

    #[tokio::test]
    async fn loopback_is_this_machine_and_a_documentation_address_is_not() {
        assert!(is_this_machine(&HostName::new("127.0.0.1")).await);
        assert!(is_this_machine(&HostName::new("localhost")).await);
        assert!(!is_this_machine(&HostName::new("192.0.2.1")).await);
    }
}

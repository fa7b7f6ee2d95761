//! Every machine of one run: each is connected to once, when first needed, and no more at a time than allowed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

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
        if is_this_machine(host) {
            return Ok(Arc::new(LocalHost { host: host.clone() }));
        }
        SshConnector::connect(self, host).await
    }
}

type Connection = Arc<OnceCell<Result<Arc<dyn Remote>, Failure>>>;

/// The connections of one run.
#[derive(Debug)]
pub struct Fleet {
    connector: Box<dyn Connect>,
    connections: Mutex<BTreeMap<HostName, Connection>>,
    starts: Semaphore,
}

impl Fleet {
    /// At most `starts` connections are being set up at any moment.
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
            let _permit = self.starts.acquire().await;
            tracing::debug!(%host, "connecting");
            self.connector.connect(host).await
        });
        outcome.await.clone()
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

/// True when `host` names this machine by any of its own addresses.
///
/// A datagram socket can be bound to an address only if it is this machine's, so no list of interfaces is needed and
/// a name that resolves to several addresses is judged by the first that answers.
pub fn is_this_machine(host: &HostName) -> bool {
    if host.is_loopback() {
        return true;
    }
    let mine = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    match host.as_str().parse::<IpAddr>() {
        Ok(ip) => mine(ip),
        Err(_) => {
            (host.as_str(), 0).to_socket_addrs().is_ok_and(|mut addresses| addresses.any(|to| mine(to.ip())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_and_a_documentation_address_is_not() {
        assert!(is_this_machine(&HostName::new("127.0.0.1")));
        assert!(is_this_machine(&HostName::new("localhost")));
        assert!(!is_this_machine(&HostName::new("192.0.2.1")));
    }
}

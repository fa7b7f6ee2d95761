//! Which servers an ensemble consists of: what a running server says of it, and having ZooKeeper change it.

use std::time::Duration;

use zookeeper_client::{EnsembleUpdate, Error};

use super::ZooKeeper;
use crate::error::Failure;
use crate::model::{Ensemble, EnsembleMember};

/// The servers that this one member runs with, as lines `server.N=…`. Every server keeps its own view at
/// `/zookeeper/config` (from 3.5 on), which may be another than its `zoo.cfg` by now.
///
/// # Errors
/// When it does not serve.
pub async fn running_config(member: &EnsembleMember, limit: Duration) -> Result<String, Failure> {
    let alone = Ensemble::from(member.clone());
    let zookeeper = ZooKeeper::connect(&alone, limit).await?;
    let asked = zookeeper.bounded("read /zookeeper/config", zookeeper.client.get_config()).await;
    std::sync::Arc::new(zookeeper).close().await;
    Ok(String::from_utf8_lossy(&asked?.0).into_owned())
}

impl ZooKeeper {
    /// Has ZooKeeper make these its servers, `server.N=host:peer:election:participant;client`, in one step that a quorum
    /// of old and new members agrees to.
    ///
    /// # Errors
    /// When reconfiguration is off, is not allowed to everybody, or has no quorum.
    pub async fn reconfigure(&self, servers: &[String]) -> Result<(), Failure> {
        let what = "change its servers";
        let update = EnsembleUpdate::New { ensemble: servers.iter().map(String::as_str) };
        let by_hand =
            format!("zkCli.sh: addauth digest super:PASSWORD, then reconfig -members {}", servers.join(","));
        let changed = async { self.client.update_ensemble(update, None).await.map(|_| ()) };
        let refused = async {
            match changed.await {
                Err(error @ (Error::NoAuth | Error::ReconfigDisabled)) => Ok(Err(error)),
                Err(error) => Err(error),
                Ok(()) => Ok(Ok(())),
            }
        };
        match self.bounded(what, refused).await? {
            Ok(()) => Ok(()),
            Err(Error::NoAuth) => Err(Failure::refused("ZooKeeper does not let arcusctl change its servers")
                .cause("/zookeeper/config may be written by the super user alone; skipACL is not set")
                .hint(format!(
                    "do it by hand as the super user, with {by_hand}; then run the command again"
                ))),
            Err(_) => Err(Failure::refused("ZooKeeper does not change its servers at run time")
                .cause("reconfigEnabled is not true in the members that run")
                .hint(
                    "set reconfigEnabled = true in [zookeeper.properties], zookeeper init, zookeeper restart",
                )),
        }
    }
}

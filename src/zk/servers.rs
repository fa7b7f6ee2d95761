//! Which servers an ensemble consists of: what a running server says of it, and having ZooKeeper change it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use zookeeper_client::{EnsembleUpdate, Error};

use super::{ZooKeeper, ask_word};
use crate::error::Failure;
use crate::model::{Ensemble, EnsembleMember};

/// The servers that this one member runs with, as lines `server.N=…`; none where it serves alone. It tells them at the word
/// `conf`, below `membership:`. Where that is not whitelisted, there is `/zookeeper/config` (from 3.5 on), which can be one
/// restart behind: a member that has little to catch up with keeps what its own snapshot has there.
///
/// # Errors
/// When it does not serve.
pub async fn running_config(member: &EnsembleMember, limit: Duration) -> Result<String, Failure> {
    if let Some(told) = ask_word(member, "conf", limit).await.filter(|told| told.contains("serverId=")) {
        return Ok(told.split_once("membership:").map(|(_, servers)| servers.to_owned()).unwrap_or_default());
    }
    let alone = Ensemble::from(member.clone());
    let zookeeper = ZooKeeper::connect(&alone, limit).await?;
    let asked = zookeeper.bounded("read /zookeeper/config", zookeeper.client.get_config()).await;
    std::sync::Arc::new(zookeeper).close().await;
    Ok(String::from_utf8_lossy(&asked?.0).into_owned())
}

/// What the members' addresses are called in the ensemble list: Arcus's own ZooKeeper client tells addresses where it was
/// given names. A name that takes longer than `limit` to resolve is left out.
pub async fn names_by_address(ensemble: &Ensemble, limit: Duration) -> BTreeMap<String, String> {
    let resolving = ensemble.members().iter().map(|member| async move {
        let lookup = tokio::net::lookup_host((member.host.as_str(), member.client_port.get()));
        let found = tokio::time::timeout(limit, lookup).await.ok()?.ok()?;
        Some(found.map(|address| (address.to_string(), member.to_string())).collect::<Vec<_>>())
    });
    join_all(resolving).await.into_iter().flatten().flatten().collect()
}

/// The members that a cache node says it follows, `list` with commas between, by the names that they have in the ensemble
/// list.
pub fn by_name(list: &str, named: &BTreeMap<String, String>) -> BTreeSet<String> {
    list.split(',').map(|entry| named.get(entry).map_or(entry, String::as_str).to_owned()).collect()
}

impl ZooKeeper {
    /// The servers as [`running_config`] has them, and the version of that list: the zxid of its last change.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn servers(&self) -> Result<(String, i64), Failure> {
        let (text, stat) = self.bounded("read /zookeeper/config", self.client.get_config()).await?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let version =
            text.lines().find_map(|line| i64::from_str_radix(line.strip_prefix("version=")?, 16).ok());
        Ok((text, version.unwrap_or(stat.mzxid)))
    }

    /// Has ZooKeeper make these its servers, `server.N=host:peer:election:participant;client`, in one step that a quorum
    /// of old and new members agrees to. False when the list is not the one of `version` any more.
    ///
    /// # Errors
    /// When reconfiguration is off, is not allowed to everybody, or has no quorum.
    pub async fn reconfigure(&self, servers: &[String], version: i64) -> Result<bool, Failure> {
        let what = "change its servers";
        let update = EnsembleUpdate::New { ensemble: servers.iter().map(String::as_str) };
        let by_hand =
            format!("zkCli.sh: addauth digest super:PASSWORD, then reconfig -members {}", servers.join(","));
        let changed = async { self.client.update_ensemble(update, Some(version)).await.map(|_| ()) };
        let refused = async {
            match changed.await {
                Err(error @ (Error::NoAuth | Error::ReconfigDisabled | Error::BadVersion)) => Ok(Err(error)),
                Err(error) => Err(error),
                Ok(()) => Ok(Ok(())),
            }
        };
        match self.bounded(what, refused).await? {
            Ok(()) => Ok(true),
            Err(Error::BadVersion) => Ok(false),
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

//! Who is in a cloud right now, kept current by a watch on `cache_list/<code>`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use futures::future::try_join_all;
use serde::Serialize;

use super::ZooKeeper;
use crate::error::Failure;
use crate::model::{NodeAddr, ServiceCode, znode};

/// Who is in a cloud, address → name of the ephemeral znode; or why that is not known any more.
pub type Members = Result<BTreeMap<NodeAddr, String>, Failure>;

/// The session that holds a node's znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemberSession {
    /// Its number (`ephemeralOwner`).
    pub id: i64,
    /// When the znode was made, in milliseconds since 1970 by ZooKeeper's clock (`ctime`).
    pub since: i64,
}

impl ZooKeeper {
    /// The members of `code` at this moment; none when it is not registered (any more).
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn members(&self, code: &ServiceCode) -> Result<BTreeMap<NodeAddr, String>, Failure> {
        let path = znode::cache_list(code);
        Ok(self.children(&path).await?.map(by_address).unwrap_or_default())
    }

    /// The sessions of these members of `code`, asked for all at once. Those that have left meanwhile are left out.
    ///
    /// # Errors
    /// When ZooKeeper does not answer.
    pub async fn sessions(
        &self,
        code: &ServiceCode,
        members: &BTreeMap<NodeAddr, String>,
    ) -> Result<BTreeMap<NodeAddr, MemberSession>, Failure> {
        let list = znode::cache_list(code);
        let answers = try_join_all(members.iter().map(|(addr, name)| {
            let path = format!("{list}/{name}");
            async move {
                let stat = self.bounded(&format!("look at {path}"), self.client.check_stat(&path)).await?;
                Ok(stat.map(|stat| (*addr, MemberSession { id: stat.ephemeral_owner, since: stat.ctime })))
            }
        }));
        Ok(answers.await?.into_iter().flatten().collect())
    }
}

/// The live members of one cloud: address → name of the ephemeral znode.
#[derive(Debug)]
pub struct Membership {
    members: watch::Receiver<Members>,
    _follower: AbortOnDropHandle<()>,
}

impl Membership {
    /// Starts to follow the members of `code`.
    ///
    /// # Errors
    /// When ZooKeeper does not answer or the code is not registered.
    pub async fn follow(zookeeper: Arc<ZooKeeper>, code: &ServiceCode) -> Result<Self, Failure> {
        let path = znode::cache_list(code);
        let (names, mut watcher) = zookeeper.watch_children(&path).await?;
        let (sender, members) = watch::channel(Ok(by_address(names)));
        let follower = tokio::spawn(async move {
            loop {
                watcher.changed().await;
                // A lost connection fires the watch too; the next question waits until the session is back.
                match zookeeper.watch_children(&path).await {
                    Ok((names, next)) => {
                        watcher = next;
                        if sender.send(Ok(by_address(names))).is_err() {
                            return;
                        }
                    }
                    Err(failure) => {
                        let _nobody_listens = sender.send(Err(failure));
                        return;
                    }
                }
                if !zookeeper.is_alive() {
                    let lost =
                        Failure::unreachable("the ZooKeeper session expired while members were followed");
                    let _nobody_listens = sender.send(Err(lost));
                    return;
                }
            }
        });
        Ok(Self { members, _follower: AbortOnDropHandle::new(follower) })
    }

    /// True while the members are known; false once ZooKeeper was lost.
    pub fn is_followed(&self) -> bool {
        self.members.borrow().is_ok()
    }

    /// The members as they are now.
    ///
    /// # Errors
    /// When ZooKeeper is lost.
    pub fn now(&self) -> Members {
        self.members.borrow().clone()
    }

    /// Whether `node` is a member now.
    pub fn has(&self, node: NodeAddr) -> bool {
        self.members.borrow().as_ref().is_ok_and(|members| members.contains_key(&node))
    }

    /// The members as they change, for whoever shows them.
    pub fn changes(&self) -> watch::Receiver<Members> {
        self.members.clone()
    }

    /// Waits until `node` is a member.
    ///
    /// # Errors
    /// When ZooKeeper is lost.
    pub async fn joined(&self, node: NodeAddr) -> Result<(), Failure> {
        self.wait(|members| members.contains_key(&node)).await
    }

    /// Waits until `node` is no member.
    ///
    /// # Errors
    /// When ZooKeeper is lost.
    pub async fn left(&self, node: NodeAddr) -> Result<(), Failure> {
        self.wait(|members| !members.contains_key(&node)).await
    }

    async fn wait(&self, mut fits: impl FnMut(&BTreeMap<NodeAddr, String>) -> bool) -> Result<(), Failure> {
        let mut receiver = self.members.clone();
        let lost = || Failure::unreachable("ZooKeeper was lost while members were followed");
        let seen = receiver
            .wait_for(|members| members.as_ref().map_or(true, &mut fits))
            .await
            .map_err(|_| lost())?;
        seen.as_ref().map(|_| ()).map_err(Clone::clone)
    }
}

fn by_address(names: Vec<String>) -> BTreeMap<NodeAddr, String> {
    names.into_iter().filter_map(|name| Some((NodeAddr::from_ephemeral_name(&name).ok()?, name))).collect()
}

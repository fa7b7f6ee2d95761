//! The lock of one cloud: an ephemeral znode, gone with the session of the run.

use std::sync::Arc;

use super::Holder;
use crate::error::Failure;
use crate::model::ServiceCode;
use crate::zk::ZooKeeper;

/// Apart from `/arcus`, which cache nodes and clients read.
const ROOT: &str = "/arcusctl/locks";

/// A lock that is held.
#[derive(Debug)]
pub(super) struct CloudLock {
    zookeeper: Arc<ZooKeeper>,
    code: ServiceCode,
}

/// How often the lock of a cloud had been taken or freed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudLook(i32);

/// What ZooKeeper answered.
#[derive(Debug)]
pub(super) enum CloudAnswer {
    Locked {
        lock: CloudLock,
        /// Nobody else had it since that look.
        same: bool,
    },
    Busy(Option<Holder>),
}

/// Remembers whose turn it is, to be compared once the lock is held.
///
/// # Errors
/// When ZooKeeper does not answer.
pub async fn look_at_cloud(zookeeper: &ZooKeeper, code: &ServiceCode) -> Result<CloudLook, Failure> {
    Ok(CloudLook(zookeeper.changes_below(&parent(code)).await?))
}

fn parent(code: &ServiceCode) -> String {
    format!("{ROOT}/{code}")
}

fn path(code: &ServiceCode) -> String {
    format!("{ROOT}/{code}/holder")
}

/// Takes the lock, unless somebody has it.
///
/// # Errors
/// When ZooKeeper does not answer.
pub(super) async fn take(
    zookeeper: &Arc<ZooKeeper>,
    code: &ServiceCode,
    holder: &Holder,
    look: Option<CloudLook>,
) -> Result<CloudAnswer, Failure> {
    let path = path(code);
    zookeeper.ensure(&parent(code)).await?;
    let mut held = zookeeper.hold(&path, holder.to_line().as_bytes()).await?;
    if !held {
        let Some((data, _)) = zookeeper.read(&path).await? else { return Ok(CloudAnswer::Busy(None)) };
        let theirs = Holder::parse(&data);
        // An answer that was lost with a connection does not make ours somebody else's.
        held = theirs.as_ref().is_some_and(|theirs| theirs.run == holder.run);
        if !held {
            return Ok(CloudAnswer::Busy(theirs));
        }
    }
    let lock = CloudLock { zookeeper: Arc::clone(zookeeper), code: code.clone() };
    // Ours is the one change there may be.
    let now = zookeeper.changes_below(&parent(code)).await?;
    Ok(CloudAnswer::Locked { lock, same: look.is_some_and(|CloudLook(then)| now == then.wrapping_add(1)) })
}

/// Waits until nobody has the lock.
///
/// # Errors
/// When ZooKeeper is lost.
pub(super) async fn freed(zookeeper: &ZooKeeper, code: &ServiceCode) -> Result<(), Failure> {
    zookeeper.gone(&path(code)).await
}

/// Who has the lock.
///
/// # Errors
/// When ZooKeeper does not answer.
pub(super) async fn holder_of(zookeeper: &ZooKeeper, code: &ServiceCode) -> Result<Option<Vec<u8>>, Failure> {
    Ok(zookeeper.read(&path(code)).await?.map(|(data, _)| data))
}

impl CloudLock {
    pub(super) fn lost(&self) -> Option<Failure> {
        if self.zookeeper.is_alive() {
            return None;
        }
        Some(
            Failure::refused(format!("service code {}: the operation lock was lost", self.code))
                .cause("the ZooKeeper session that held it has expired; somebody else may be at work by now")
                .hint("run the command again: it looks first and does what is missing"),
        )
    }

    pub(super) async fn release(self) {
        // An ensemble that this run stopped is not waited for.
        if !self.zookeeper.is_connected() {
            return;
        }
        // It goes with the session at the latest.
        if let Err(failure) = self.zookeeper.release(&path(&self.code)).await {
            tracing::debug!(%failure, "the lock of a cloud was left to its session");
        }
    }
}

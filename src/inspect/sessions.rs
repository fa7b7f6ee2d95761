//! What cache nodes say of their ZooKeeper sessions.

use std::time::Duration;

use futures::future::join_all;

use crate::model::NodeAddr;
use crate::node::NodeLink;
use crate::remote::Fleet;

/// The session timeout that each of these nodes has negotiated, in milliseconds (`zk_timeout` of `stats zookeeper`);
/// `None` for one that does not say.
pub async fn inspect_session_timeouts(
    fleet: &Fleet,
    nodes: impl IntoIterator<Item = NodeAddr>,
    limit: Duration,
) -> Vec<Option<u64>> {
    let asked = nodes.into_iter().map(|addr| async move {
        let mut link = NodeLink::open(fleet, addr, limit).await.ok()?;
        link.stats("zookeeper").await.ok()?.get("zk_timeout")?.parse().ok()
    });
    join_all(asked).await
}

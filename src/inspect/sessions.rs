//! What cache nodes say of their ZooKeeper sessions.

use std::time::Duration;

use futures::future::join_all;

use crate::model::NodeAddr;
use crate::node::NodeLink;
use crate::remote::Fleet;

/// The session timeouts that these nodes have negotiated, in milliseconds (`zk_timeout` of `stats zookeeper`). Nodes that
/// do not answer are left out.
pub async fn inspect_session_timeouts(
    fleet: &Fleet,
    nodes: impl IntoIterator<Item = NodeAddr>,
    limit: Duration,
) -> Vec<u64> {
    let asked = nodes.into_iter().map(|addr| async move {
        let mut link = NodeLink::open(fleet, addr, limit).await.ok()?;
        link.stats("zookeeper").await.ok()?.get("zk_timeout")?.parse().ok()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

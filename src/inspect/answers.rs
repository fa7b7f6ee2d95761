//! What cache nodes say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::Inspected;
use crate::error::{Failure, FailureKind};
use crate::model::NodeAddr;
use crate::node::{NodeLink, Readiness};
use crate::remote::Fleet;

/// What a node answers. Whether it is in its cloud only ZooKeeper knows: a node goes on saying READY after it was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAnswer {
    pub version: String,
    pub ready: Readiness,
    #[serde(flatten)]
    pub figures: Figures,
    pub zookeeper: ZooKeeperSaid,
}

/// Some of `stats`. What a server does not count is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Seconds since its start.
    pub uptime: u64,
    pub items: u64,
    /// Memory in use, in bytes.
    pub bytes: u64,
    /// The memory limit, in bytes.
    pub limit_bytes: u64,
    pub connections: u64,
    /// Commands carried out since the start: the sum of the counters `cmd_…`.
    pub operations: u64,
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
}

/// What a node says of ZooKeeper; `None` where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZooKeeperSaid {
    /// The addresses that it follows.
    pub follows: Option<String>,
    /// It has a ZooKeeper handle; says nothing of the connection.
    pub connected: Option<bool>,
    /// It ends when its session expires.
    pub failstop: Option<bool>,
    /// As negotiated, in milliseconds.
    pub session_timeout: Option<u64>,
}

impl Figures {
    /// Reads `stats` of arcus-memcached.
    pub fn read(stats: &BTreeMap<String, String>) -> Self {
        let number = |name| number(stats, name).unwrap_or_default();
        // Other commands are no load: whoever flushes or logs in does so once.
        let is_load = |name: &str| {
            name.strip_prefix("cmd_")
                .is_some_and(|command| !["flush", "flush_prefix", "auth", "meta"].contains(&command))
        };
        let operations = stats.iter().filter(|(name, _)| is_load(name));
        Self {
            uptime: number("uptime"),
            items: number("curr_items"),
            bytes: number("bytes"),
            limit_bytes: number("limit_maxbytes"),
            connections: number("curr_connections"),
            operations: operations.filter_map(|(_, value)| value.parse().ok()).fold(0, u64::saturating_add),
            hits: number("get_hits"),
            misses: number("get_misses"),
            evictions: number("evictions"),
        }
    }

    /// The part of reads that found something, from 0 to 1; `None` before the first read.
    pub fn hit_ratio(&self) -> Option<f64> {
        let reads = self.hits.saturating_add(self.misses);
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }

    /// The figures of several nodes as if they were one; its uptime is that of the oldest.
    pub fn sum<'f>(figures: impl IntoIterator<Item = &'f Self>) -> Self {
        figures.into_iter().fold(Self::default(), |sum, one| Self {
            uptime: sum.uptime.max(one.uptime),
            items: sum.items.saturating_add(one.items),
            bytes: sum.bytes.saturating_add(one.bytes),
            limit_bytes: sum.limit_bytes.saturating_add(one.limit_bytes),
            connections: sum.connections.saturating_add(one.connections),
            operations: sum.operations.saturating_add(one.operations),
            hits: sum.hits.saturating_add(one.hits),
            misses: sum.misses.saturating_add(one.misses),
            evictions: sum.evictions.saturating_add(one.evictions),
        })
    }
}

impl ZooKeeperSaid {
    fn read(stats: &BTreeMap<String, String>, follows: Option<String>) -> Self {
        let truth = |name| match stats.get(name).map(String::as_str) {
            Some("true" | "on") => Some(true),
            Some("false" | "off") => Some(false),
            _ => None,
        };
        Self {
            follows,
            connected: truth("zk_connected"),
            failstop: truth("zk_failstop"),
            session_timeout: number(stats, "zk_timeout"),
        }
    }
}

fn number<N: FromStr>(stats: &BTreeMap<String, String>, name: &str) -> Option<N> {
    stats.get(name)?.parse().ok()
}

/// Asks every node at once; each answer takes `limit` at most.
pub async fn inspect_answers(
    fleet: &Fleet,
    nodes: &BTreeSet<NodeAddr>,
    limit: Duration,
) -> BTreeMap<NodeAddr, Inspected<NodeAnswer>> {
    let asked = nodes.iter().map(|addr| async move {
        let answer = async { inspect_answer(&mut NodeLink::open(fleet, *addr, limit).await?).await };
        (*addr, answer.await)
    });
    join_all(asked).await.into_iter().collect()
}

/// Asks one node over a connection that stands.
///
/// # Errors
/// When it does not answer.
pub async fn inspect_answer(link: &mut NodeLink) -> Result<NodeAnswer, Failure> {
    link.ahead(&["ready", "stats", "stats zookeeper", "zkensemble get"]).await?;
    let ready = link.ready().await?;
    let figures = Figures::read(&link.stats("").await?);
    // A node without ZooKeeper, or of another make, refuses these; it is a node all the same.
    let stats = unless_refused(link.stats("zookeeper").await)?.unwrap_or_default();
    let follows = unless_refused(link.zookeeper().await)?;
    let zookeeper = ZooKeeperSaid::read(&stats, follows);
    Ok(NodeAnswer { version: link.version().to_owned(), ready, figures, zookeeper })
}

fn unless_refused<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.kind == FailureKind::Refused => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(text: &str) -> BTreeMap<String, String> {
        let pair = |word: &str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split_whitespace().filter_map(pair).collect()
    }

    #[test]
    fn the_load_of_a_node_is_what_clients_ask_of_it() {
        let figures = Figures::read(&stats(
            "uptime=60 curr_items=3 bytes=100 limit_maxbytes=1000 curr_connections=5 get_hits=3 get_misses=1 \
             evictions=2 cmd_get=4 cmd_set=7 cmd_bop_insert=9 cmd_flush=100 cmd_flush_prefix=100 cmd_auth=100",
        ));
        assert_eq!((figures.operations, figures.items, figures.limit_bytes), (20, 3, 1000));
        assert_eq!(figures.hit_ratio(), Some(0.75));
        assert_eq!(Figures::default().hit_ratio(), None);
        let both = Figures::sum([&figures, &figures]);
        assert_eq!((both.operations, both.uptime, both.evictions), (40, 60, 4));
    }

    #[test]
    fn figures_that_a_peer_makes_up_are_no_reason_to_fail() {
        let most = u64::MAX;
        let figures = Figures::read(&stats(&format!(
            "get_hits={most} get_misses={most} cmd_get={most} cmd_set={most} curr_items={most}"
        )));
        assert_eq!(figures.operations, most);
        assert_eq!(figures.hit_ratio(), Some(1.0));
        assert_eq!(Figures::sum([&figures, &figures]).items, most);
    }

    #[test]
    fn only_a_refusal_passes_for_a_node_that_knows_no_zookeeper() {
        assert_eq!(unless_refused::<()>(Err(Failure::refused("ERROR"))), Ok(None));
        assert!(unless_refused::<()>(Err(Failure::unreachable("nothing within 3 s"))).is_err());
    }

    #[test]
    fn what_is_said_of_zookeeper_is_read_as_the_node_writes_it() {
        let said = ZooKeeperSaid::read(
            &stats("zk_timeout=30000 zk_failstop=on zk_connected=false zk_ready=false"),
            Some("zk1:2181".into()),
        );
        assert_eq!(
            (said.connected, said.failstop, said.session_timeout),
            (Some(false), Some(true), Some(30000))
        );
        assert_eq!(ZooKeeperSaid::read(&BTreeMap::new(), None), ZooKeeperSaid::default());
    }
}

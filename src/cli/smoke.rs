//! `smoke`: does the cloud serve, as a client sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream;

use super::context::Context;
use super::memcached::{read_tree, unknown};
use crate::error::{Failure, Failures};
use crate::inspect::members_of;
use crate::model::{NodeAddr, ServiceCode};
use crate::node::NodeLink;
use crate::report::{Document, SmokeResult, SmokeTimes};
use crate::ring::Ring;

/// For each answer; a client would have given up by then.
const LIMIT: Duration = Duration::from_secs(3);
/// What a run that was cut short leaves behind is gone after so many seconds.
const EXPIRY: u32 = 60;
/// So many keys are tried for a node before its part of the ring is called too small.
const TRIES: usize = 1_000_000;

pub(super) async fn smoke(context: &Context, code: &ServiceCode) -> Result<Document, Failures> {
    let tree = read_tree(context).await?;
    let registered = tree.codes.get(code.as_str()).ok_or_else(|| unknown(code, &tree))?;
    let live: BTreeSet<NodeAddr> = members_of(registered).into_keys().collect();
    if live.is_empty() {
        return Err(Failure::refused(format!(
            "{code}: no cache node is live, so there is nothing to write to"
        ))
        .hint(format!("start them: arcusctl memcached start {code}"))
        .into());
    }
    let keys = keys(&live, &context.invocation.id);
    let asking = keys.into_iter().map(|(node, key)| async move {
        match key {
            Some(key) => {
                let mut times = SmokeTimes::default();
                let failure = try_node(node, &key, &mut times).await.err();
                SmokeResult { node, key, times, failure }
            }
            None => {
                let failure = Failure::failed(format!("{node}: found no key that the ring maps to it"));
                SmokeResult { node, key: String::new(), times: SmokeTimes::default(), failure: Some(failure) }
            }
        }
    });
    let asking = stream::iter(asking).buffer_unordered(context.settings.concurrency).collect::<Vec<_>>();
    let mut results = context.look(asking).await?;
    results.sort_by_key(|result| result.node);
    Ok(Document::of_smoke(results))
}

/// For each node a key that the ring of `live` maps to it. `run` is in no other run's keys.
fn keys(live: &BTreeSet<NodeAddr>, run: &str) -> BTreeMap<NodeAddr, Option<String>> {
    let ring = Ring::new(live.iter().copied());
    let mut keys: BTreeMap<NodeAddr, Option<String>> = live.iter().map(|node| (*node, None)).collect();
    let mut missing = live.len();
    for number in 0..TRIES {
        if missing == 0 {
            break;
        }
        let key = format!("arcusctl:smoke:{run}:{number}");
        let slot = ring.owner(key.as_bytes()).and_then(|owner| keys.get_mut(&owner));
        if let Some(slot @ None) = slot {
            *slot = Some(key);
            missing -= 1;
        }
    }
    keys
}

/// Writes, reads back and deletes `key`, over a connection of the sort that clients make.
async fn try_node(node: NodeAddr, key: &str, times: &mut SmokeTimes) -> Result<(), Failure> {
    let mut begun = Instant::now();
    let mut lap = || {
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
        begun = Instant::now();
        Some((milliseconds * 10.0).round() / 10.0)
    };
    let mut link = NodeLink::open_directly(node, LIMIT).await?;
    times.connect = lap();
    // `add` leaves a key alone that is there, whoever wrote it.
    link.add(key, key.as_bytes(), EXPIRY).await?;
    times.write = lap();
    let item = link.get(key).await;
    times.read = lap();
    let deleted = link.delete(key).await;
    times.delete = lap();
    match item? {
        Some(item) if item.value == key.as_bytes() => {}
        Some(_) => return Err(Failure::failed(format!("{node}: gives another value than was written"))),
        None => {
            return Err(Failure::failed(format!("{node}: has nothing of what was just written"))
                .cause("it took the value and lost it at once: its memory may be too small for any item"));
        }
    }
    if !deleted? {
        return Err(Failure::failed(format!("{node}: cannot delete what was just read")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_tried_with_a_key_of_its_own() {
        let live: BTreeSet<NodeAddr> =
            (1..=50).map(|host| format!("10.0.0.{host}:11211").parse().unwrap()).collect();
        let ring = Ring::new(live.iter().copied());
        let found = keys(&live, "run");
        assert_eq!(found.len(), 50);
        for (node, key) in found {
            let key = key.unwrap();
            assert!(key.starts_with("arcusctl:smoke:run:"), "{key}");
            assert_eq!(ring.owner(key.as_bytes()), Some(node), "{key}");
        }
    }
}

//! `locate`: which cache node has a key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use super::args::Locate;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use crate::config::load_cloud;
use crate::error::{Failure, FailureKind, Failures};
use crate::inspect::{members_of, registered_cloud};
use crate::model::NodeAddr;
use crate::node::NodeLink;
use crate::report::{Document, Expiry, KeyItem, KeyOwner, KeyReport, NodeShare};
use crate::ring::Ring;

/// For each answer of a node.
const LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn locate(context: &Context, args: &Locate) -> Result<Document, Failures> {
    // Clients look at the members only; a planned ring is made of what is registered or going to be.
    let file = args.config.as_deref().map(load_cloud).transpose()?;
    if let Some(cloud) = file.as_ref().filter(|cloud| cloud.code != args.code) {
        return Err(Failure::config(format!(
            "the cloud JSON is of service code {}, not {}",
            cloud.code, args.code
        ))
        .hint("name the code that the file has, or another file")
        .into());
    }
    let tree = read_tree(context).await?;
    let registered = registered_cloud(&args.code, &tree);
    let live: BTreeSet<NodeAddr> = tree
        .codes
        .get(args.code.as_str())
        .map(|registered| members_of(registered).into_keys().collect())
        .unwrap_or_default();
    let nodes: BTreeSet<NodeAddr> = match &file {
        Some(cloud) => cloud.nodes.iter().map(|node| node.addr).collect(),
        None => {
            let registered = registered.ok_or_else(|| unknown(&args.code, &tree))?;
            let mapped = registered.iter().filter(|node| node.mapped).map(|node| node.addr);
            if args.registered { mapped.collect() } else { live.clone() }
        }
    };
    let ring = Ring::new(nodes.iter().copied());
    let owner =
        |key: &String| Some(KeyOwner { key: key.clone(), node: ring.owner(key.as_bytes())?, item: None });
    let mut keys: Vec<KeyOwner> = args.keys.iter().filter_map(owner).collect();
    if keys.is_empty() {
        return Err(Failure::refused(format!(
            "{}: no cache node is live, so no node has any key",
            args.code
        ))
        .hint(format!(
            "start them with arcusctl memcached start {}; --registered tells where keys will be then",
            args.code
        ))
        .into());
    }
    let failures = if args.get { context.look(look_at_items(context, &mut keys)).await? } else { Vec::new() };
    let share = |node| NodeShare { node, share: ring.share(node), live: live.contains(&node) };
    let nodes = nodes.iter().copied().map(share).collect();
    Ok(Document::of_keys(KeyReport { keys, nodes }, failures))
}

/// Asks the owner of each key, and nobody else, what it has; gives what kept some from being told.
async fn look_at_items(context: &Context, keys: &mut [KeyOwner]) -> Vec<Failure> {
    let asked = keys.iter().map(|owner| async {
        let mut link = NodeLink::open(&context.fleet, owner.node, LIMIT).await?;
        item(&mut link, &owner.key).await
    });
    let asked: Vec<_> = stream::iter(asked).buffered(context.settings.concurrency).collect().await;
    let mut failures = Vec::new();
    for (owner, item) in keys.iter_mut().zip(asked) {
        match item {
            Ok(item) => owner.item = Some(item),
            Err(failure) => failures.push(failure.cause(format!("it has the key {}", owner.key))),
        }
    }
    failures
}

async fn item(link: &mut NodeLink, key: &str) -> Result<KeyItem, Failure> {
    let attributes = match link.attributes(key).await {
        Ok(Some(attributes)) => attributes,
        Ok(None) => return Ok(KeyItem::Absent),
        // A server without that command still tells the flags and the length of a value.
        Err(failure) if failure.kind == FailureKind::Refused => BTreeMap::new(),
        Err(failure) => return Err(failure),
    };
    let text = |name| attributes.get(name).map(String::as_str);
    let kind = text("type").map(str::to_owned);
    let is_value = kind.as_deref().is_none_or(|kind| kind == "kv");
    let value = if is_value { link.get(key).await? } else { None };
    if is_value && value.is_none() {
        return Ok(KeyItem::Absent);
    }
    let flags = text("flags").and_then(|flags| flags.parse().ok());
    Ok(KeyItem::Present {
        kind,
        bytes: value.as_ref().map(|item| item.length),
        elements: text("count").and_then(|count| count.parse().ok()),
        flags: flags.or(value.map(|item| item.flags)).unwrap_or_default(),
        expiry: Expiry::read(text("expiretime")),
    })
}

//! `locate`: which cache node has a key.

use std::collections::BTreeSet;

use super::args::Locate;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use crate::config::load_cloud;
use crate::error::{Failure, Failures};
use crate::inspect::{members_of, registered_cloud};
use crate::model::NodeAddr;
use crate::report::{Document, KeyOwner, KeyReport, NodeShare};
use crate::ring::Ring;

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
    let keys: Vec<KeyOwner> = args
        .keys
        .iter()
        .filter_map(|key| Some(KeyOwner { key: key.clone(), node: ring.owner(key.as_bytes())? }))
        .collect();
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
    let share = |node| NodeShare { node, share: ring.share(node), live: live.contains(&node) };
    Ok(Document::of_keys(KeyReport { keys, nodes: nodes.iter().copied().map(share).collect() }))
}

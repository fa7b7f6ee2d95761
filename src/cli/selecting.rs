//! Which nodes the operator means.

use std::collections::BTreeSet;

use super::context::Context;
use crate::error::Failures;
use crate::inspect::{ArcusTree, hostnames_of, inspect_processes, members_of, others_of, registered_cloud};
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::plan::{NodeFacts, NodesSeen, Selection, Selector, outdated_nodes};

/// The nodes of `code` that `selectors` mean; the hosts are looked at only where that takes it.
/// Nodes of which nothing runs are `@outdated` where `stopped_too`.
///
/// # Errors
/// When a selector fits no node.
pub(super) async fn select(
    context: &Context,
    code: &ServiceCode,
    tree: &ArcusTree,
    selectors: &[Selector],
    stopped_too: bool,
) -> Result<Selection, Failures> {
    let Some(selector) = Selector::all_of(selectors) else { return Ok(Selection::All) };
    let registered = registered_cloud(code, tree).unwrap_or_default();
    let cloud = tree.codes.get(code.as_str());
    let members = cloud.map(members_of).unwrap_or_default();
    let hostnames = cloud.map(hostnames_of).unwrap_or_default();
    let known: BTreeSet<NodeAddr> =
        registered.iter().map(|node| node.addr).chain(members.keys().copied()).collect();
    let outdated = if selector.asks_for_outdated() {
        let seen = context.look(observe(context, code, tree, known.clone())).await?;
        outdated_nodes(&registered, &seen, &context.settings.memcached, stopped_too)
    } else {
        BTreeSet::new()
    };
    let facts = known.iter().map(|addr| NodeFacts {
        addr: *addr,
        hostnames: hostnames.get(addr).cloned().unwrap_or_default(),
        offline: !members.contains_key(addr),
        outdated: outdated.contains(addr),
    });
    Ok(Selection::Only(selector.pick(code, &facts.collect::<Vec<_>>())?))
}

/// Looks at the hosts of these nodes.
pub(super) async fn observe(
    context: &Context,
    code: &ServiceCode,
    tree: &ArcusTree,
    nodes: BTreeSet<NodeAddr>,
) -> NodesSeen {
    let hosts: BTreeSet<HostName> = nodes.iter().map(|addr| HostName::from(addr.ip)).collect();
    let hosts: Vec<HostName> = hosts.into_iter().collect();
    let processes = inspect_processes(
        &context.fleet,
        &hosts,
        &context.settings.install_path,
        context.settings.timeouts.command,
    );
    NodesSeen {
        members: tree.codes.get(code.as_str()).map(members_of).unwrap_or_default(),
        others: others_of(code, tree),
        processes: processes.await,
        this_machine: context.fleet.here(&hosts).await,
    }
}

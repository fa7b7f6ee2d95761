//! Which nodes the operator means.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::context::Context;
use super::zookeeper::PROBE_LIMIT;
use crate::error::{Failure, Failures};
use crate::inspect::{
    ArcusTree, Inspected, ProcessesSeen, hostnames_of, inspect_processes, members_of, others_of,
    registered_cloud,
};
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};
use crate::plan::{NodeFacts, NodesSeen, Selection, Selector, outdated_nodes};
use crate::zk::names_by_address;

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
    let (outdated, unseen) = if selector.asks_for_outdated() {
        let seen = context.look(observe(context, code, tree, known.clone())).await?;
        let outdated = outdated_nodes(&registered, &seen, &context.settings.memcached, stopped_too);
        (outdated, unseen(context, &known, &seen))
    } else {
        Default::default()
    };
    let facts = known.iter().map(|addr| NodeFacts {
        addr: *addr,
        hostnames: hostnames.get(addr).cloned().unwrap_or_default(),
        offline: !members.contains_key(addr),
        outdated: (!unseen.contains(addr)).then(|| outdated.contains(addr)),
    });
    Ok(Selection::Only(selector.pick(code, &facts.collect::<Vec<_>>())?))
}

/// Nodes whose hosts could not be looked at, each told of.
fn unseen(context: &Context, known: &BTreeSet<NodeAddr>, seen: &NodesSeen) -> BTreeSet<NodeAddr> {
    let failed = |addr: &NodeAddr| seen.processes.get(&HostName::from(addr.ip))?.as_ref().err();
    for (addr, failure) in known.iter().filter_map(|addr| Some((addr, failed(addr)?))) {
        let warning =
            Failure::unreachable(format!("{addr}: is left out: whether it is @outdated is not known"));
        context.printer.warning(&warning.cause(&failure.message));
    }
    known.iter().filter(|addr| failed(addr).is_some()).copied().collect()
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
    let processes = processes.await;
    NodesSeen {
        aliases: aliases(&context.ensemble, processes.values()).await,
        members: tree.codes.get(code.as_str()).map(members_of).unwrap_or_default(),
        others: others_of(code, tree),
        processes,
        this_machine: context.fleet.here(&hosts).await,
    }
}

/// Of what these processes of the install were given as addresses of ZooKeeper: those that are a member of the ensemble by
/// another name, as when one side was given names and the other addresses.
pub(super) async fn aliases<'p>(
    ensemble: &Ensemble,
    processes: impl IntoIterator<Item = &'p Inspected<ProcessesSeen>>,
) -> BTreeSet<String> {
    let processes = processes.into_iter().filter_map(|host| host.as_ref().ok());
    let given = processes.flat_map(|host| &host.processes).filter(|process| process.ours);
    let given = given.filter_map(|process| process.zookeeper.as_deref());
    let mut strange: BTreeSet<String> =
        given.flat_map(|list| list.split(',')).map(|address| address.trim().to_owned()).collect();
    strange.retain(|address| ensemble.members().iter().all(|member| member.to_string() != *address));
    if strange.is_empty() {
        return strange;
    }
    let names = names_by_address(ensemble, PROBE_LIMIT).await;
    let resolving = strange.into_iter().map(|address| async {
        if names.contains_key(&address) {
            return Some(address);
        }
        let lookup = tokio::time::timeout(PROBE_LIMIT, tokio::net::lookup_host(&address));
        let found = lookup.await.ok()?.ok()?.any(|found| names.contains_key(&found.to_string()));
        found.then_some(address)
    });
    join_all(resolving).await.into_iter().flatten().collect()
}

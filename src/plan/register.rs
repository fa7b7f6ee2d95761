//! Entering a cloud in ZooKeeper, changing it there, and taking it out: the znodes are those of `arcus.sh`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Action, Plan, Risk, Step, Target};
use crate::error::{Failure, Failures};
use crate::inspect::{ArcusTree, document_server};
use crate::model::{Cloud, NodeAddr, NodeSpec, ServiceCode, ZnodeChange, znode};

/// Keys that registering adds to the document, as `arcus.sh` does.
const CREATED: &str = "created";
const MODIFIED: &str = "modified";

/// A transaction that makes the tree say something else of a cloud.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration {
    /// Empty when the tree says it already.
    pub(super) changes: Vec<ZnodeChange>,
    /// Each change that an operator thinks of as one, in words.
    pub(super) summary: Vec<String>,
    /// It alters or removes what is registered of nodes. Nodes that are added change the cloud's own document, too, but
    /// take nothing from anybody.
    pub(super) takes_away: bool,
}

/// Plans to make the tree say what `cloud` says, in one transaction. `now` is written as the time of the change.
///
/// # Errors
/// Every reason not to: a code under the other root, an address that another code has, a node to remove that is online.
pub fn register(cloud: &Cloud, tree: &ArcusTree, now: &str) -> Result<Plan, Failures> {
    let mut plan = Plan::new("memcached register");
    let mut failures = refusals(cloud, tree);
    refuse_online(cloud, tree, &mut failures);
    Failures::none_of(failures)?;
    let Registration { changes, summary, takes_away } = registration(cloud, &BTreeSet::new(), tree, now);
    if changes.is_empty() {
        plan.hold(Target::Tree, is_registered(cloud));
        return Ok(plan);
    }
    let live = tree.codes.get(cloud.code.as_str()).map_or(0, |registered| registered.members.len());
    if live > 0 && takes_away {
        let what =
            format!("{} has {live} live cache node(s), and what is registered of it will change", cloud.code);
        plan.risk = Risk::Interrupts { what };
    }
    plan.stage("Register", vec![Step::new(Target::Tree, Action::CommitZnodes { changes, summary })]);
    Ok(plan)
}

pub(super) fn is_registered(cloud: &Cloud) -> String {
    format!("{} is registered with these {} node(s)", cloud.code, cloud.nodes.len())
}

/// What stands against registering this cloud, whatever of it is registered already.
pub(super) fn refusals(cloud: &Cloud, tree: &ArcusTree) -> Vec<Failure> {
    let mut failures = Vec::new();
    refuse_missing_structure(tree, &mut failures);
    refuse_replicated(&cloud.code, tree, &mut failures);
    for node in &cloud.nodes {
        refuse_foreign(&cloud.code, node, tree, &mut failures);
    }
    failures
}

/// The transaction after which the tree says what `cloud` says, and of the mappings called `kept`, which `cloud` has no
/// longer, what it says now.
pub(super) fn registration(
    cloud: &Cloud,
    kept: &BTreeSet<String>,
    tree: &ArcusTree,
    now: &str,
) -> Registration {
    let mut changes = Vec::new();
    let mut summary = Vec::new();
    change_code(cloud, kept, tree, now, &mut changes, &mut summary);
    for node in &cloud.nodes {
        change_mapping(&cloud.code, node, tree, &mut changes, &mut summary);
    }
    for name in removed_mappings(cloud, tree).difference(kept) {
        remove_mapping(&cloud.code, name, tree, &mut changes);
        summary.push(format!("remove node {name}"));
    }
    if !changes.is_empty() {
        add_code_check(&cloud.code, tree, &mut changes);
    }
    let takes_away = changes.iter().any(takes_away);
    Registration { changes, summary, takes_away }
}

/// Plans to take `code` out of the tree, in one transaction.
///
/// # Errors
/// When nodes of it are online or clients are connected; names them.
pub fn unregister(code: &ServiceCode, tree: &ArcusTree) -> Result<Plan, Failures> {
    let mut plan = Plan::new("memcached unregister");
    let mut failures = Vec::new();
    let registered = tree.codes.get(code.as_str());
    let online = registered.map(|registered| registered.members.as_slice()).unwrap_or_default();
    if !online.is_empty() {
        failures.push(
            Failure::refused(format!("{code}: {} node(s) are online", online.len()))
                .cause(online.join(", "))
                .hint(format!("stop them first: arcusctl memcached stop {code}")),
        );
    }
    failures.extend(clients_connected(code, tree));
    Failures::none_of(failures)?;
    let (changes, summary) = unregister_changes(code, tree);
    if changes.is_empty() {
        plan.hold(Target::Tree, format!("{code} is not registered"));
    } else {
        let what = format!("service code {code} will be gone, with what is registered of its nodes");
        plan.risk = Risk::Destroys { what, name: code.to_string() };
        plan.stage("Unregister", vec![Step::new(Target::Tree, Action::CommitZnodes { changes, summary })]);
    }
    Ok(plan)
}

/// Why a cloud must not go: somebody uses it.
pub(super) fn clients_connected(code: &ServiceCode, tree: &ArcusTree) -> Option<Failure> {
    let clients = tree.clients.get(code.as_str()).map(Vec::as_slice).unwrap_or_default();
    if clients.is_empty() {
        return None;
    }
    Some(
        Failure::refused(format!("{code}: {} client(s) are connected", clients.len()))
            .cause(first_few(clients))
            .hint("stop the applications first, or wait until their sessions have expired"),
    )
}

/// What takes `code` out of the tree once nobody is online, and in words.
pub(super) fn unregister_changes(code: &ServiceCode, tree: &ArcusTree) -> (Vec<ZnodeChange>, Vec<String>) {
    let mut changes = Vec::new();
    let mut summary = Vec::new();
    for name in mappings_of(code, tree) {
        remove_mapping(code, &name, tree, &mut changes);
        summary.push(format!("remove node {name}"));
    }
    if tree.clients.contains_key(code.as_str()) {
        changes.push(ZnodeChange::Delete { path: znode::client_list(code), version: None });
    }
    if let Some(registered) = tree.codes.get(code.as_str()) {
        // Whoever registered the code anew meanwhile must not lose that.
        let version = Some(registered.version);
        changes.push(ZnodeChange::Delete { path: znode::cache_list(code), version });
        summary.push(format!("remove service code {code}"));
    }
    (changes, summary)
}

fn takes_away(change: &ZnodeChange) -> bool {
    match change {
        ZnodeChange::SetData { path, .. } | ZnodeChange::Delete { path, .. } => {
            path.starts_with(znode::CACHE_SERVER_MAPPING)
        }
        ZnodeChange::Create { .. } | ZnodeChange::PutBytes { .. } | ZnodeChange::Check { .. } => false,
    }
}

fn refuse_missing_structure(tree: &ArcusTree, failures: &mut Vec<Failure>) {
    let missing: Vec<&str> =
        znode::STRUCTURE.iter().filter(|path| !tree.structure.contains(**path)).copied().collect();
    if !missing.is_empty() {
        failures.push(
            Failure::refused("the base znodes of Arcus are missing")
                .cause(missing.join(", "))
                .hint("set the ensemble up first: arcusctl zookeeper init"),
        );
    }
}

fn refuse_replicated(code: &ServiceCode, tree: &ArcusTree, failures: &mut Vec<Failure>) {
    if tree.replication_codes.contains(code.as_str()) {
        failures.push(
            Failure::refused(format!("service code {code} exists under {}", znode::REPLICATION_CACHE_LIST))
                .cause("clients look there first and would never see this cloud")
                .hint(
                    "choose another service code, or remove the replicated cloud with the tool that made it",
                ),
        );
    }
}

fn refuse_foreign(code: &ServiceCode, node: &NodeSpec, tree: &ArcusTree, failures: &mut Vec<Failure>) {
    for owner in foreign_owners(code, node, tree) {
        failures.push(
            Failure::refused(format!("{} belongs to service code {owner}", node.addr))
                .cause("a cache node that finds two service codes for its address refuses to start")
                .hint(format!("take it out of {owner} first, or give this node another port")),
        );
    }
}

/// Other service codes that have the address of `node`.
pub fn foreign_owners<'t>(code: &ServiceCode, node: &NodeSpec, tree: &'t ArcusTree) -> BTreeSet<&'t str> {
    // A cache node is found by any of three names; the one with the address itself would win over the owner's.
    let names = names_of(node);
    let mapped = names
        .iter()
        .filter_map(|name| tree.mappings.get(name))
        .flat_map(|mapping| &mapping.codes)
        .filter(|owner| !names_code(owner, code));
    let online = tree.codes.iter().filter(|(owner, registered)| {
        owner.as_str() != code.as_str()
            && registered
                .members
                .iter()
                .any(|name| NodeAddr::from_ephemeral_name(name).as_ref() == Ok(&node.addr))
    });
    mapped.map(String::as_str).chain(online.map(|(owner, _)| owner.as_str())).collect()
}

fn refuse_online(cloud: &Cloud, tree: &ArcusTree, failures: &mut Vec<Failure>) {
    let live = leaving_online(cloud, tree);
    if !live.is_empty() {
        let code = &cloud.code;
        failures.push(
            Failure::refused(format!(
                "{code}: {} node(s) that the document no longer has are online",
                live.len()
            ))
            .cause(live.join(", "))
            .hint(format!(
                "have them drained, stopped and taken out in order: arcusctl apply CONF; or stop them first: arcusctl memcached stop {code} {}",
                live.join(" ")
            )),
        );
    }
}

/// Registered nodes of the cloud that are online and that its document no longer has.
pub fn leaving_online(cloud: &Cloud, tree: &ArcusTree) -> Vec<String> {
    let Some(registered) = tree.codes.get(cloud.code.as_str()) else { return Vec::new() };
    let online: BTreeSet<String> = registered
        .members
        .iter()
        .filter_map(|name| NodeAddr::from_ephemeral_name(name).ok())
        .map(|addr| addr.to_string())
        .collect();
    removed_mappings(cloud, tree).into_iter().filter(|name| online.contains(name)).collect()
}

/// The znode of the code itself is written in place: were it deleted and created, every live node would leave.
fn change_code(
    cloud: &Cloud,
    kept: &BTreeSet<String>,
    tree: &ArcusTree,
    now: &str,
    changes: &mut Vec<ZnodeChange>,
    summary: &mut Vec<String>,
) {
    let code = &cloud.code;
    match tree.codes.get(code.as_str()) {
        None => {
            let data = document(&cloud.document, Value::from(now), Value::Null);
            changes.push(ZnodeChange::Create { path: znode::cache_list(code), data });
            summary.push(format!("add service code {code}"));
        }
        Some(registered) => {
            let before = serde_json::from_slice::<Map<String, Value>>(&registered.data).ok();
            let wanted = with_kept(cloud, kept, before.as_ref());
            if !before.as_ref().is_some_and(|before| same_document(before, &wanted, !kept.is_empty())) {
                let created = before.and_then(|mut before| before.remove(CREATED)).unwrap_or(Value::Null);
                changes.push(ZnodeChange::SetData {
                    path: znode::cache_list(code),
                    data: document(&wanted, created, Value::from(now)),
                    version: registered.version,
                });
                summary.push(format!("change service code {code}"));
            }
        }
    }
    if !tree.clients.contains_key(code.as_str()) {
        changes.push(ZnodeChange::Create { path: znode::client_list(code), data: String::new() });
        if tree.codes.contains_key(code.as_str()) {
            summary.push(format!("add the client list of {code}"));
        }
    }
}

fn change_mapping(
    code: &ServiceCode,
    node: &NodeSpec,
    tree: &ArcusTree,
    changes: &mut Vec<ZnodeChange>,
    summary: &mut Vec<String>,
) {
    let path = znode::mapping(node.addr);
    let data = Value::Object(node.config.clone()).to_string();
    let child = ZnodeChange::Create { path: format!("{path}/{code}"), data: String::new() };
    match tree.mappings.get(&node.addr.to_string()) {
        None => {
            changes.push(ZnodeChange::Create { path, data });
            changes.push(child);
            summary.push(format!("add node {}", node.addr));
        }
        Some(mapping) => {
            let before = serde_json::from_slice::<Map<String, Value>>(&mapping.data).ok();
            if before.as_ref() != Some(&node.config) {
                changes.push(ZnodeChange::SetData { path, data, version: mapping.version });
                summary.push(format!("change node {}", node.addr));
            }
            if mapping.codes.is_empty() {
                changes.push(child);
                summary.push(format!("add node {}", node.addr));
            }
        }
    }
}

fn remove_mapping(code: &ServiceCode, name: &str, tree: &ArcusTree, changes: &mut Vec<ZnodeChange>) {
    let path = format!("{}/{name}", znode::CACHE_SERVER_MAPPING);
    let Some(mapping) = tree.mappings.get(name) else { return };
    changes.extend(
        mapping
            .codes
            .iter()
            .filter(|child| names_code(child, code))
            .map(|child| ZnodeChange::Delete { path: format!("{path}/{child}"), version: None }),
    );
    if mapping.codes.iter().all(|child| names_code(child, code)) {
        changes.push(ZnodeChange::Delete { path, version: Some(mapping.version) });
    }
}

/// Whoever changed the code since it was read changed what this plan was made from.
fn add_code_check(code: &ServiceCode, tree: &ArcusTree, changes: &mut Vec<ZnodeChange>) {
    let path = znode::cache_list(code);
    let written = changes.iter().any(|change| {
        matches!(change, ZnodeChange::SetData { path: other, .. } | ZnodeChange::Create { path: other, .. } if *other == path)
    });
    if let Some(registered) = tree.codes.get(code.as_str())
        && !written
    {
        changes.insert(0, ZnodeChange::Check { path, version: registered.version });
    }
}

/// Mappings of the code that no node of the document accounts for.
pub(super) fn removed_mappings(cloud: &Cloud, tree: &ArcusTree) -> BTreeSet<String> {
    let kept: BTreeSet<String> = cloud.nodes.iter().flat_map(names_of).collect();
    mappings_of(&cloud.code, tree).into_iter().filter(|name| !kept.contains(name)).collect()
}

/// The names under which a cache node looks for its mapping (arcus-memcached `arcus_zk.c`).
pub fn names_of(node: &NodeSpec) -> [String; 3] {
    names_at(node.addr, &node.hostname)
}

fn names_at(addr: NodeAddr, hostname: &str) -> [String; 3] {
    [addr.to_string(), format!("{hostname}:{}", addr.port), addr.ip.to_string()]
}

fn mappings_of(code: &ServiceCode, tree: &ArcusTree) -> Vec<String> {
    tree.mappings
        .iter()
        .filter(|(_, mapping)| mapping.codes.iter().any(|child| names_code(child, code)))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A mapping's child is the service code, or `<code>^<group>^…` as the replicating edition writes it.
fn names_code(child: &str, code: &ServiceCode) -> bool {
    child.split('^').next() == Some(code.as_str())
}

/// The wanted document, and behind its servers those of the registered one whose mappings are kept.
fn with_kept(
    cloud: &Cloud,
    kept: &BTreeSet<String>,
    registered: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut document = cloud.document.clone();
    let Some(registered) = registered.filter(|_| !kept.is_empty()) else { return document };
    let wanted: BTreeSet<NodeAddr> = cloud.nodes.iter().map(|node| node.addr).collect();
    let entries = registered.get("servers").and_then(Value::as_array).into_iter().flatten();
    let staying = entries.filter(|entry| {
        let Some((addr, hostname)) = document_server(entry) else { return false };
        !wanted.contains(&addr) && names_at(addr, &hostname).iter().any(|name| kept.contains(name))
    });
    if let Some(Value::Array(servers)) = document.get_mut("servers") {
        servers.extend(staying.cloned());
    }
    document
}

/// Whether both say the same; the order of the servers is the file's own, unless some are there that it does not have.
fn same_document(registered: &Map<String, Value>, wanted: &Map<String, Value>, in_any_order: bool) -> bool {
    comparable(registered, in_any_order) == comparable(wanted, in_any_order)
}

fn comparable(document: &Map<String, Value>, in_any_order: bool) -> BTreeMap<&String, Value> {
    let told = document.iter().filter(|(key, _)| !matches!(key.as_str(), CREATED | MODIFIED | "$schema"));
    let told = told.map(|(key, value)| {
        let mut value = value.clone();
        if let Value::Array(servers) = &mut value
            && in_any_order
            && key == "servers"
        {
            servers.sort_by_key(Value::to_string);
        }
        (key, value)
    });
    told.collect()
}

fn document(wanted: &Map<String, Value>, created: Value, modified: Value) -> String {
    let mut document = wanted.clone();
    document.remove("$schema");
    document.insert(CREATED.to_owned(), created);
    document.insert(MODIFIED.to_owned(), modified);
    Value::Object(document).to_string()
}

fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;

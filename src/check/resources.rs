//! Memory, open files, core files: what cache nodes take of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::questions::OWN_FILES;
use super::{Check, CheckItem, Scene};
use crate::inspect::{HostFacts, Limit, registered_cloud};
use crate::model::{HostName, NodeAddr, ServiceCode};

const MEGABYTE: u64 = 1024 * 1024;
/// Of a host's memory; the rest is for connections, the kernel and everything else there.
const MUCH: u64 = 80;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    let limits = memory_limits(scene);
    for (host, facts) in scene.answered().filter(|(host, _)| scene.is_node_host(host)) {
        items.push(memory(scene, host, facts, &limits));
        items.push(connections(scene, host, facts));
        items.push(core_limit(host, facts));
    }
}

/// Every cache node of this cloud and of those registered, with its memory limit in megabytes.
fn memory_limits(scene: &Scene<'_>) -> BTreeMap<NodeAddr, u64> {
    let mut limits = BTreeMap::new();
    if let Ok(tree) = scene.tree {
        // What the document says of its own cloud counts, not what is registered of it.
        let others = tree.codes.keys().filter(|code| *code != scene.cloud.code.as_str());
        for code in others.filter_map(|code| ServiceCode::new(code).ok()) {
            for node in registered_cloud(&code, tree).unwrap_or_default() {
                if let Ok(options) = node.options {
                    limits.insert(node.addr, u64::from(options.memlimit));
                }
            }
        }
    }
    limits.extend(scene.cloud.nodes.iter().map(|node| (node.addr, u64::from(node.options.memlimit))));
    limits
}

fn memory(
    scene: &Scene<'_>,
    host: &HostName,
    facts: &HostFacts,
    limits: &BTreeMap<NodeAddr, u64>,
) -> CheckItem {
    // Other addresses of the same machine share its memory.
    let same = scene
        .answered()
        .filter(|(other, seen)| *other == host || facts.machine.is_some() && seen.machine == facts.machine);
    let addresses: BTreeSet<Ipv4Addr> = same.filter_map(|(host, _)| host.as_str().parse().ok()).collect();
    let nodes: Vec<u64> =
        limits.iter().filter(|(addr, _)| addresses.contains(&addr.ip)).map(|(_, limit)| *limit).collect();
    let sum = nodes.iter().sum::<u64>();
    let check =
        Check::of_host("memory", host, format!("cache nodes take at most {MUCH} % of the host's memory"));
    let told = format!("memlimit of {} node(s) makes {sum} MB", nodes.len());
    let told = if scene.tree.is_ok() { told } else { told + ", other clouds not counted" };
    let mend = "lower memlimit, or move nodes to other hosts";
    let Some(memory) = facts.memory.map(|bytes| bytes / MEGABYTE).filter(|memory| *memory > 0) else {
        return check
            .warn(format!("{told}; how much the host has cannot be told"), "see for yourself: free -m");
    };
    let percent = sum.saturating_mul(100) / memory;
    let seen = format!("{told}, {percent} % of {memory} MB");
    match percent {
        _ if sum > memory => check.fail(seen, mend),
        percent if percent > MUCH => check.warn(seen, mend),
        _ => check.pass(seen),
    }
}

fn connections(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> CheckItem {
    let nodes = scene.cloud.nodes.iter().filter(|node| node.host() == *host);
    let most = nodes.map(|node| node.options.connections).max().unwrap_or_default();
    let files = most.saturating_add(OWN_FILES);
    let check = Check::of_host(
        "connections",
        host,
        format!(
            "a limit of {files} open files, for {most} connections; else a cache node ends with status 71"
        ),
    );
    let mend = format!(
        "lower connections, or raise the limit: '{} hard nofile {files}' in /etc/security/limits.conf, and fs.nr_open if it is lower; then log in anew",
        facts.login
    );
    match facts.files {
        _ if facts.files_granted => check.pass(format!("{files} can be had")),
        Limit::Unknown => check.warn("cannot be told", mend),
        Limit::Unlimited => check.fail("the hard limit is unlimited, but the host refuses that many", mend),
        Limit::At(limit) => check.fail(format!("the hard limit is {limit}, and cannot be raised"), mend),
    }
}

fn core_limit(host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host(
        "core-limit",
        host,
        "core files may be written: cache nodes are started with -r, and end with status 71 if not",
    );
    let mend =
        format!("'{} hard core unlimited' in /etc/security/limits.conf, then log in anew", facts.login);
    match facts.core {
        Limit::Unlimited => check.pass("unlimited"),
        Limit::At(0) => check.fail("the hard limit is 0, and cannot be raised", mend),
        Limit::At(blocks) => check.warn(format!("a core file is cut off after {blocks} blocks"), mend),
        Limit::Unknown => check.warn("cannot be told", mend),
    }
}

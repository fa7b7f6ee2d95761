//! `exec`: a command of the operator's on the hosts of a cloud, all at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::args::Change;
use super::complete;
use super::context::Context;
use super::memcached::read_tree;
use super::selecting::select;
use crate::error::{Failure, Failures};
use crate::exec::CommandRunner;
use crate::inspect::inspect_machines;
use crate::model::{Cloud, HostName, NodeAddr};
use crate::plan::{self, NodeFacts, Selection, Selector};
use crate::report::Document;

/// For the command on each host, unless told otherwise; nothing is waited for without end.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Args, Debug)]
pub struct Exec {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    /// Only hosts of these nodes: ip:port, ip, hostname (* and ? stand for anything), @offline, @outdated; with commas between, ! excludes [default: all]
    #[arg(value_name = "NODES", add = ArgValueCandidates::new(complete::nodes))]
    pub nodes: Vec<Selector>,
    /// On the hosts of the ensemble as well
    #[arg(long)]
    pub members: bool,
    /// As root by way of sudo, which must not ask for a password
    #[arg(long)]
    pub sudo: bool,
    /// The command and its arguments, as they are: no shell reads them unless you write sh -c '…'
    #[arg(value_name = "CMD", last = true, required = true)]
    pub command: Vec<String>,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn exec(context: &Context, args: &Exec, timeout: Option<u32>) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let picked = pick(context, &cloud, &args.nodes).await?;
    let mut hosts: Vec<HostName> = Vec::new();
    let members = if args.members { context.ensemble.hosts() } else { Vec::new() };
    for host in picked.iter().map(|addr| HostName::from(addr.ip)).chain(members) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let limit = context.settings.timeouts.command;
    let machines = context.look(inspect_machines(&context.fleet, &hosts, limit)).await?;
    let plan = plan::run_command(&args.command, &machines);
    if args.change.dry_run {
        return Ok(Document::of_plan(plan));
    }
    let limit = timeout.map_or(LIMIT, |seconds| Duration::from_secs(u64::from(seconds)));
    let runner = CommandRunner::new(context.fleet.clone(), limit, args.sudo);
    let document = context.run_unlocked(plan, &runner).await;
    Ok(document.with_outputs(runner.into_outputs()))
}

/// The nodes of the cloud JSON that are meant. ZooKeeper is asked only about what it alone knows.
async fn pick(
    context: &Context,
    cloud: &Cloud,
    selectors: &[Selector],
) -> Result<BTreeSet<NodeAddr>, Failures> {
    let Some(selector) = Selector::all_of(selectors) else {
        return Ok(cloud.nodes.iter().map(|node| node.addr).collect());
    };
    if selector.asks_for_state() {
        let tree = read_tree(context).await?;
        let selection = select(context, &cloud.code, &tree, selectors, false).await?;
        let Selection::Only(picked) = selection else { return Ok(BTreeSet::new()) };
        return of_cloud(cloud, picked);
    }
    let facts: Vec<NodeFacts> = cloud
        .nodes
        .iter()
        .map(|node| NodeFacts {
            addr: node.addr,
            hostnames: BTreeSet::from([node.hostname.clone()]),
            offline: false,
            outdated: None,
        })
        .collect();
    selector.pick(&cloud.code, &facts)
}

/// Those of the cloud JSON: what is registered besides is nobody's whom the operator named.
fn of_cloud(cloud: &Cloud, mut picked: BTreeSet<NodeAddr>) -> Result<BTreeSet<NodeAddr>, Failures> {
    picked.retain(|addr| cloud.nodes.iter().any(|node| node.addr == *addr));
    if picked.is_empty() {
        return Err(Failure::refused("no node of the cloud JSON is meant")
            .cause("those that fit are registered, but not in that file")
            .hint(format!("compare the two: arcusctl memcached list {}", cloud.code))
            .into());
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_cloud;

    #[test]
    fn no_host_that_is_not_in_the_cloud_json_gets_the_command() {
        let text = r#"{"serviceCode": "c", "servers": [{"hostname": "a", "ip": "10.0.0.1", "config": {"port": "11211"}}], "config": {"threads": "6", "memlimit": "100", "connections": "1000"}}"#;
        let cloud = parse_cloud(text).unwrap();
        let picked =
            |addrs: &[&str]| of_cloud(&cloud, addrs.iter().map(|addr| addr.parse().unwrap()).collect());
        let own = picked(&["10.0.0.1:11211", "10.0.0.9:11211"]).unwrap();
        assert_eq!(own.into_iter().map(|addr| addr.to_string()).collect::<Vec<_>>(), ["10.0.0.1:11211"]);
        assert!(picked(&["10.0.0.9:11211"]).is_err());
    }
}

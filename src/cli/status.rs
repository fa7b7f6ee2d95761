//! `status`: what is registered, what runs, who is a member and what each node says, held against one another.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use futures::future::try_join_all;
use jiff::Timestamp;

use super::complete;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use super::resize::names_by_address;
use super::selecting::select;
use crate::config::load_cloud;
use crate::error::{Failure, FailureKind, Failures};
use crate::inspect::{
    ArcusTree, RegisteredNode, inspect_answers, inspect_processes, members_of, others_of, registered_cloud,
};
use crate::model::{Cloud, HostName, NodeAddr, ServiceCode};
use crate::plan::{NodeFacts, NodesSeen, Selection, Selector};
use crate::report::{Document, MemberReport, StatusReport};
use crate::status::{CloudSeen, CloudStatus, Wanted, judge};
use crate::zk::probe_members;

/// For one answer of a cache node or to `srvr`; what takes longer hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub struct Status {
    /// The service code [default: all clouds and the ensemble on one screen]
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub code: Option<ServiceCode>,
    /// Only these nodes: ip:port, ip, hostname (* and ? stand for anything), @offline, @outdated; with commas between, ! excludes [default: all]
    #[arg(value_name = "NODES", add = ArgValueCandidates::new(complete::nodes))]
    pub nodes: Vec<Selector>,
    /// The cloud JSON, to know the nodes by when ZooKeeper cannot be reached
    #[arg(long, value_name = "CONF")]
    pub config: Option<PathBuf>,
}

/// Nodes of one cloud that are to be looked at.
pub(super) struct Wish {
    pub(super) code: ServiceCode,
    pub(super) registered: Vec<RegisteredNode>,
    pub(super) nodes: BTreeSet<NodeAddr>,
}

pub(super) async fn status(context: &Context, args: &Status) -> Result<Document, Failures> {
    let file = args.config.as_deref().map(load_cloud).transpose()?;
    if let (Some(cloud), Some(code)) = (&file, &args.code)
        && cloud.code != *code
    {
        return Err(Failure::config(format!("the cloud JSON is of service code {}, not {code}", cloud.code))
            .hint("name the code that the file has, or another file")
            .into());
    }
    let ensemble = context.look(probe_members(&context.ensemble, ANSWER_LIMIT));
    let (ensemble, looked) = tokio::join!(ensemble, look(context, args, file.as_ref()));
    let (clouds, failures, zookeeper) = looked?;
    let ensemble = ensemble?.into_iter().map(|(member, state)| MemberReport { member, state }).collect();
    let report = StatusReport { ensemble, clouds };
    Ok(Document::of_status(report, failures, zookeeper, args.code.is_some()))
}

/// The clouds, what kept others from being looked at, and whether ZooKeeper answered.
type Looked = (Vec<CloudStatus>, Vec<Failure>, bool);

async fn look(context: &Context, args: &Status, file: Option<&Cloud>) -> Result<Looked, Failures> {
    let tree = match read_tree(context).await {
        Ok(tree) => tree,
        Err(failures) => return look_without_zookeeper(context, args, file, failures).await,
    };
    let (codes, failures) = match &args.code {
        Some(code) => (vec![code.clone()], Vec::new()),
        None => codes_of(&tree),
    };
    let mut wishes = Vec::new();
    for code in codes {
        let registered = registered_cloud(&code, &tree).ok_or_else(|| unknown(&code, &tree))?;
        let members = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
        let selection = select(context, &code, &tree, &args.nodes, false).await?;
        let known = registered.iter().map(|node| node.addr).chain(members.into_keys());
        let nodes = known.filter(|addr| selection.contains(*addr)).collect();
        wishes.push(Wish { code, registered, nodes });
    }
    let seen = context.look(observe(context, &wishes, Some(&tree))).await??;
    Ok((judged(context, &seen).await?, failures, true))
}

/// Every code of the tree, and those that no cache node could have.
fn codes_of(tree: &ArcusTree) -> (Vec<ServiceCode>, Vec<Failure>) {
    let mut failures = Vec::new();
    let mut codes = Vec::new();
    for name in tree.codes.keys() {
        match ServiceCode::new(name) {
            Ok(code) => codes.push(code),
            Err(fault) => failures.push(
                Failure::config(format!("{name:?} in /arcus/cache_list is no service code")).cause(fault),
            ),
        }
    }
    (codes, failures)
}

/// What can be seen when nobody knows who is a member.
async fn look_without_zookeeper(
    context: &Context,
    args: &Status,
    file: Option<&Cloud>,
    failures: Failures,
) -> Result<Looked, Failures> {
    if failures.as_slice().iter().any(|failure| failure.kind == FailureKind::Interrupted) {
        return Err(failures);
    }
    let mut failures = failures.as_slice().to_vec();
    let Some(cloud) = file else {
        if let Some(failure) = failures.first_mut() {
            failure.hints.push(
                "add --config CONF to see processes and answers of that cloud's nodes without ZooKeeper"
                    .to_owned(),
            );
        }
        return Ok((Vec::new(), failures, false));
    };
    let facts = cloud.nodes.iter().map(|node| NodeFacts {
        addr: node.addr,
        hostnames: BTreeSet::from([node.hostname.clone()]),
        offline: false,
        outdated: false,
    });
    let selection = match Selector::all_of(&args.nodes) {
        Some(selector) => Selection::Only(selector.pick(&cloud.code, &facts.collect::<Vec<_>>())?),
        None => Selection::All,
    };
    let registered = cloud.nodes.iter().map(|node| RegisteredNode {
        addr: node.addr,
        mapped: true,
        options: Ok(node.options),
    });
    let registered: Vec<RegisteredNode> = registered.collect();
    let nodes = registered.iter().map(|node| node.addr).filter(|addr| selection.contains(*addr)).collect();
    let wishes = [Wish { code: cloud.code.clone(), registered, nodes }];
    let seen = context.look(observe(context, &wishes, None)).await??;
    Ok((judged(context, &seen).await?, failures, false))
}

async fn judged(context: &Context, seen: &[CloudSeen]) -> Result<Vec<CloudStatus>, Failures> {
    let names = context.look(names_by_address(&context.ensemble)).await?;
    let wanted = Wanted {
        ensemble: &context.ensemble,
        names: &names,
        settings: &context.settings.memcached,
        now: Timestamp::now().as_millisecond(),
    };
    Ok(seen.iter().map(|seen| judge(seen, wanted)).collect())
}

/// Asks all hosts, all nodes and ZooKeeper at once.
pub(super) async fn observe(
    context: &Context,
    wishes: &[Wish],
    tree: Option<&ArcusTree>,
) -> Result<Vec<CloudSeen>, Failures> {
    let nodes: BTreeSet<NodeAddr> = wishes.iter().flat_map(|wish| wish.nodes.iter().copied()).collect();
    let hosts: BTreeSet<HostName> = nodes.iter().map(|addr| HostName::from(addr.ip)).collect();
    let hosts: Vec<HostName> = hosts.into_iter().collect();
    let settings = &context.settings;
    let processes =
        inspect_processes(&context.fleet, &hosts, &settings.install_path, settings.timeouts.command);
    let answers = inspect_answers(&context.fleet, &nodes, ANSWER_LIMIT);
    let sessions = try_join_all(wishes.iter().map(|wish| async move {
        let registered = tree.and_then(|tree| tree.codes.get(wish.code.as_str()));
        let Some(registered) = registered else { return Ok(Default::default()) };
        context.operator.zookeeper().await?.sessions(&wish.code, &members_of(registered)).await
    }));
    let (processes, answers, sessions) = tokio::join!(processes, answers, sessions);
    let answers_of = |wish: &Wish| {
        wish.nodes.iter().filter_map(|addr| Some((*addr, answers.get(addr)?.clone()))).collect()
    };
    let seen = wishes.iter().zip(sessions?).map(|(wish, sessions)| {
        let registered = tree.and_then(|tree| tree.codes.get(wish.code.as_str()));
        let mut members = registered.map(members_of).unwrap_or_default();
        members.retain(|addr, _| wish.nodes.contains(addr));
        CloudSeen {
            code: wish.code.clone(),
            registered: wish
                .registered
                .iter()
                .filter(|node| wish.nodes.contains(&node.addr))
                .cloned()
                .collect(),
            nodes: NodesSeen {
                members,
                others: tree.map(|tree| others_of(&wish.code, tree)).unwrap_or_default(),
                processes: processes.clone(),
                this_machine: BTreeSet::new(),
            },
            sessions,
            answers: answers_of(wish),
            zookeeper: tree.is_some(),
        }
    });
    Ok(seen.collect())
}

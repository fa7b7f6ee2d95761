//! `status`: what is registered, what runs, who is a member and what each node says, held against one another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use futures::future::try_join_all;
use jiff::Timestamp;

use super::complete;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use super::selecting::{aliases, select};
use super::zookeeper::PROBE_LIMIT;
use crate::config::{EnsembleSource, load_cloud};
use crate::error::{Failure, FailureKind, Failures};
use crate::inspect::{
    ArcusTree, RegisteredNode, inspect_answers, inspect_processes, members_of, others_of, registered_cloud,
};
use crate::model::{Cloud, HostName, NodeAddr, ServiceCode};
use crate::plan::{NodeFacts, NodesSeen, Selection, Selector};
use crate::report::{Document, MemberReport, StatusReport};
use crate::status::{CloudSeen, CloudStatus, Wanted, judge};
use crate::zk::{MemberSession, names_by_address, probe_members};

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
    let report = StatusReport { ensemble, clouds, zookeeper };
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
        outdated: None,
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
    let names = context.look(names_by_address(&context.ensemble, PROBE_LIMIT)).await?;
    let wanted = Wanted {
        ensemble: &context.ensemble,
        names: &names,
        settings: &context.settings.memcached,
        by_hand: matches!(context.ensemble_source, EnsembleSource::Flag),
        now: Timestamp::now().as_millisecond(),
    };
    Ok(seen.iter().map(|seen| judge(seen, wanted)).collect())
}

/// Who is in a cloud, by which sessions.
#[derive(Default)]
struct Joined {
    members: BTreeMap<NodeAddr, String>,
    sessions: BTreeMap<NodeAddr, MemberSession>,
}

impl Joined {
    /// Who came, left, or left and came back, between this and a later reading.
    fn changed(&self, later: &Self) -> BTreeSet<NodeAddr> {
        let known = self.members.keys().chain(later.members.keys()).copied();
        let session = |joined: &Self, addr: &NodeAddr| {
            joined.members.contains_key(addr).then(|| joined.sessions.get(addr).map(|session| session.id))
        };
        known.filter(|addr| session(self, addr) != session(later, addr)).collect()
    }
}

async fn joined(context: &Context, code: &ServiceCode) -> Result<Joined, Failure> {
    let zookeeper = context.operator.zookeeper().await?;
    let members = zookeeper.members(code).await?;
    let sessions = zookeeper.sessions(code, &members).await?;
    Ok(Joined { members, sessions })
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
    let before = try_join_all(wishes.iter().map(|wish| async move {
        let registered = tree.and_then(|tree| tree.codes.get(wish.code.as_str()));
        let Some(registered) = registered else { return Ok(Joined::default()) };
        let members = members_of(registered);
        let sessions = context.operator.zookeeper().await?.sessions(&wish.code, &members).await?;
        Ok::<_, Failure>(Joined { members, sessions })
    }));
    let (processes, answers, before) = tokio::join!(processes, answers, before);
    // Hosts and nodes took their time, in which a rolling restart goes on.
    let after = try_join_all(wishes.iter().map(|wish| async move {
        if tree.is_none() { Ok(Joined::default()) } else { joined(context, &wish.code).await }
    }));
    let (before, after) = (before?, after.await?);
    let aliases = aliases(&context.ensemble, processes.values()).await;
    let answers_of = |wish: &Wish| {
        wish.nodes.iter().filter_map(|addr| Some((*addr, answers.get(addr)?.clone()))).collect()
    };
    let seen = wishes.iter().zip(before.iter().zip(after)).map(|(wish, (before, after))| {
        let changing = before.changed(&after);
        let Joined { mut members, sessions } = after;
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
                aliases: aliases.clone(),
            },
            sessions,
            changing,
            answers: answers_of(wish),
            zookeeper: tree.is_some(),
        }
    });
    Ok(seen.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(sessions: &[(&str, i64)]) -> Joined {
        let addr = |addr: &str| addr.parse::<NodeAddr>().unwrap();
        Joined {
            members: sessions.iter().map(|(node, _)| (addr(node), format!("{node}-host"))).collect(),
            sessions: sessions
                .iter()
                .map(|(node, id)| (addr(node), MemberSession { id: *id, since: 0 }))
                .collect(),
        }
    }

    #[test]
    fn who_came_left_or_came_back_between_two_readings_is_known() {
        let before = joined(&[("10.0.0.1:1", 1), ("10.0.0.2:1", 2), ("10.0.0.3:1", 3)]);
        let after = joined(&[("10.0.0.1:1", 1), ("10.0.0.3:1", 9), ("10.0.0.4:1", 4)]);
        let changed: Vec<String> = before.changed(&after).iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"]);
        assert!(before.changed(&before).is_empty());
    }
}

//! `destroy`: a cloud is taken away, with all that only it needs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::args::Change;
use super::changing::Subject;
use super::context::Context;
use super::memcached::read_tree;
use super::selecting::observe;
use super::zookeeper;
use crate::error::{FailureKind, Failures};
use crate::inspect::{ArcusTree, Surroundings, inspect_installs, inspect_marks, inspect_remains};
use crate::model::{HostName, NodeAddr};
use crate::plan::{self, DestroySeen, DestroyWish, EnsembleWish};
use crate::report::Document;

#[derive(Args, Debug)]
pub struct Destroy {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    /// Stop the ZooKeeper members on the cloud's hosts as well and remove their data; refused while another cloud is registered
    #[arg(long)]
    pub with_data: bool,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn destroy(context: &Context, args: &Destroy) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let wish = DestroyWish {
        code: cloud.code.clone(),
        nodes: cloud.nodes.iter().map(|node| node.addr).collect(),
        ensemble: EnsembleWish::new(&context.ensemble, &context.settings),
        with_data: args.with_data,
    };
    let subject = match (serving_tree(context, args.with_data).await?, args.with_data) {
        // What has no session has no lock of a cloud; the hosts' locks remain.
        (None, _) => Subject::hosts_of(&cloud.code).and_ensemble(&context.ensemble),
        (Some(_), true) => Subject::cloud(&cloud.code).and_ensemble(&context.ensemble),
        (Some(_), false) => Subject::cloud(&cloud.code),
    };
    let prepare = async || {
        let tree = serving_tree(context, args.with_data).await?;
        let surroundings = surroundings(context, args.with_data && tree.is_some()).await?;
        let seen = DestroySeen { surroundings, ..context.look(look(context, &wish, tree)).await? };
        Ok(plan::destroy(&wish, &seen)?.into())
    };
    context.change(&subject, args.change, prepare).await
}

/// What is registered; `None` when nobody serves and `may_be_gone`: an earlier run may have stopped the ensemble already.
async fn serving_tree(context: &Context, may_be_gone: bool) -> Result<Option<ArcusTree>, Failures> {
    match read_tree(context).await {
        Ok(tree) => Ok(Some(tree)),
        Err(failures)
            if may_be_gone
                && failures.as_slice().iter().all(|failure| failure.kind == FailureKind::Unreachable) =>
        {
            Ok(None)
        }
        Err(failures) => Err(failures),
    }
}

/// What else is in the data that is to go.
async fn surroundings(context: &Context, are_wanted: bool) -> Result<Surroundings, Failures> {
    if !are_wanted {
        return Ok(Surroundings::default());
    }
    let reading = async { Surroundings::read(&*context.operator.zookeeper().await?).await };
    Ok(context.look(reading).await??)
}

async fn look(context: &Context, wish: &DestroyWish, tree: Option<ArcusTree>) -> DestroySeen {
    let (install_path, limit) = (&context.settings.install_path, context.settings.timeouts.command);
    let addrs = plan::nodes_of(&wish.code, &wish.nodes, tree.as_ref());
    // Nodes of the cloud JSON that are another cloud's by now leave their hosts to be looked at all the same.
    let hosts: BTreeSet<HostName> =
        addrs.iter().chain(&wish.nodes).map(|addr| HostName::from(addr.ip)).collect();
    let hosts: Vec<HostName> = hosts.into_iter().collect();
    let member_hosts = context.ensemble.hosts();
    let empty = ArcusTree::default();
    let nodes: BTreeSet<NodeAddr> = addrs;
    let members =
        async { if wish.with_data { zookeeper::observe(context, &wish.ensemble).await } else { Vec::new() } };
    let places: Vec<_> =
        wish.ensemble.ensemble.members().iter().map(|member| wish.ensemble.place(member)).collect();
    let mark = plan::destroy_mark(&wish.code, &context.ensemble);
    let marks = async {
        if !wish.with_data {
            return Vec::new();
        }
        inspect_marks(&context.fleet, &places, install_path, &mark, limit).await
    };
    let (nodes, hosts, member_hosts, members, marks) = tokio::join!(
        observe(context, &wish.code, tree.as_ref().unwrap_or(&empty), nodes),
        inspect_remains(&context.fleet, &hosts, install_path, limit),
        inspect_installs(&context.fleet, &member_hosts, install_path, limit),
        members,
        marks,
    );
    let marked = places.iter().zip(marks).filter(|(_, marked)| matches!(marked, Ok(true)));
    DestroySeen {
        tree,
        surroundings: Surroundings::default(),
        nodes,
        hosts,
        member_hosts: member_hosts.into_iter().collect(),
        members,
        marked: marked.map(|(place, _)| place.member.clone()).collect(),
    }
}

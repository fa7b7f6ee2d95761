//! `memcached register|unregister|start|stop|list|listall`; `restart` is beside it.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::args::{Change, Memcached, Nodes};
use super::changing::{Subject, Work};
use super::context::Context;
use super::restart::restart;
use super::selecting::{observe, select};
use crate::error::{Failure, Failures};
use crate::inspect::{ArcusTree, RegisteredNode, members_of, registered_cloud, report_cloud};
use crate::model::{NodeAddr, ServiceCode};
use crate::plan;
use crate::report::Document;

pub(super) async fn run(context: &Context, command: Memcached) -> Result<Document, Failures> {
    match command {
        Memcached::Register { conf, change } => register(context, &conf, change).await,
        Memcached::Unregister { code, change } => unregister(context, &code, change).await,
        Memcached::Start(nodes) => start(context, &nodes).await,
        Memcached::Stop { nodes, force } => stop(context, &nodes, force).await,
        Memcached::Restart(args) => restart(context, &args).await,
        Memcached::List { code } => list(context, code.as_ref()).await,
        Memcached::Listall => list(context, None).await,
    }
}

pub(super) async fn register(context: &Context, conf: &Path, change: Change) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(conf)?;
    let prepare = async || {
        let tree = read_tree(context).await?;
        let now = format!("{:.6}", Timestamp::now());
        Ok(plan::register(&cloud, &tree, &now)?.into())
    };
    context.change(&Subject::cloud(&cloud.code), change, prepare).await
}

async fn unregister(context: &Context, code: &ServiceCode, change: Change) -> Result<Document, Failures> {
    let prepare = async || Ok(plan::unregister(code, &read_tree(context).await?)?.into());
    context.change(&Subject::cloud(code), change, prepare).await
}

pub(super) async fn start(context: &Context, args: &Nodes) -> Result<Document, Failures> {
    let prepare = async || {
        let tree = read_tree(context).await?;
        let nodes = registered_cloud(&args.code, &tree).ok_or_else(|| unknown(&args.code, &tree))?;
        let selection = select(context, &args.code, &tree, &args.nodes, false).await?;
        let wanted = nodes.iter().map(|node| node.addr).filter(|addr| selection.contains(*addr));
        let seen = context.look(observe(context, &args.code, &tree, wanted.collect())).await?;
        Ok(plan::start_nodes(&args.code, &context.ensemble, &nodes, &selection, &seen)?.into())
    };
    context.change(&Subject::cloud(&args.code), args.change, prepare).await
}

async fn stop(context: &Context, args: &Nodes, force: bool) -> Result<Document, Failures> {
    let prepare = async || {
        let tree = read_tree(context).await?;
        let nodes: Vec<RegisteredNode> =
            registered_cloud(&args.code, &tree).ok_or_else(|| unknown(&args.code, &tree))?;
        let selection = select(context, &args.code, &tree, &args.nodes, false).await?;
        let registered: BTreeSet<NodeAddr> =
            nodes.iter().filter(|node| node.mapped).map(|node| node.addr).collect();
        let members = tree.codes.get(args.code.as_str()).map(members_of).unwrap_or_default();
        let known = registered.iter().chain(members.keys()).copied();
        let wanted = known.filter(|addr| selection.contains(*addr)).collect();
        let seen = context.look(observe(context, &args.code, &tree, wanted)).await?;
        let plan = plan::stop_nodes(&args.code, &context.ensemble, &registered, &selection, &seen)?;
        let mut operator = context.another_operator();
        operator.force = force;
        Ok(Work { plan, operator: Some(operator) })
    };
    context.change(&Subject::cloud(&args.code), args.change, prepare).await
}

pub(super) async fn list(context: &Context, code: Option<&ServiceCode>) -> Result<Document, Failures> {
    let tree = read_tree(context).await?;
    let wanted = |name: &String| code.is_none_or(|code| code.as_str() == name);
    let reports: Vec<_> = tree
        .codes
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, registered)| report_cloud(name, registered, &tree))
        .collect();
    match code {
        Some(code) if reports.is_empty() => Err(unknown(code, &tree).into()),
        _ => Ok(Document::of_clouds(reports, code.is_some())),
    }
}

pub(super) async fn read_tree(context: &Context) -> Result<ArcusTree, Failures> {
    let tree = context
        .look(async {
            let zookeeper = context.operator.zookeeper().await?;
            ArcusTree::read(&zookeeper).await
        })
        .await?;
    Ok(tree?)
}

pub(super) fn unknown(code: &ServiceCode, tree: &ArcusTree) -> Failure {
    let known: Vec<&str> = tree.codes.keys().map(String::as_str).collect();
    let failure = Failure::refused(format!("service code {code} is not registered"));
    let failure = if known.is_empty() {
        failure.cause("no service code is")
    } else {
        failure.cause(format!("registered are: {}", known.join(", ")))
    };
    failure.hint("register it from its cloud JSON: arcusctl memcached register CONF")
}

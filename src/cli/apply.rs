//! `plan` and `apply`: the cloud JSON is the wish.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::args::Change;
use super::changing::{Subject, Work};
use super::context::Context;
use super::memcached::read_tree;
use super::pacing::Pacing;
use super::selecting::observe;
use crate::error::Failures;
use crate::inspect::{mapped_nodes, members_of};
use crate::model::NodeAddr;
use crate::plan::{self, ApplyWish};
use crate::report::Document;

#[derive(Args, Debug)]
pub struct Wish {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    #[command(flatten)]
    pub pacing: Pacing,
    /// Restart nodes that run an older release, too
    #[arg(long)]
    pub releases: bool,
}

#[derive(Args, Debug)]
pub struct Apply {
    #[command(flatten)]
    pub wish: Wish,
    /// Kill what does not end in time
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn plan(context: &Context, args: &Wish) -> Result<Document, Failures> {
    change(context, args, false, Change { dry_run: true }).await
}

pub(super) async fn apply(context: &Context, args: &Apply) -> Result<Document, Failures> {
    change(context, &args.wish, args.force, args.change).await
}

async fn change(context: &Context, args: &Wish, force: bool, change: Change) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let prepare = async || {
        let tree = read_tree(context).await?;
        let members = tree.codes.get(cloud.code.as_str()).map(members_of).unwrap_or_default();
        let wanted = cloud.nodes.iter().map(|node| node.addr);
        let registered = mapped_nodes(&cloud.code, &tree).into_values().flatten();
        let known: BTreeSet<NodeAddr> = wanted.chain(registered).chain(members.keys().copied()).collect();
        let seen = context.look(observe(context, &cloud.code, &tree, known)).await?;
        let wish = ApplyWish {
            cloud: &cloud,
            ensemble: &context.ensemble,
            settings: &context.settings.memcached,
            pace: args.pacing.pace(context, None, members.into_keys()).await?,
            releases: args.releases,
        };
        let plan = plan::apply(&wish, &tree, &seen, &format!("{:.6}", Timestamp::now()))?;
        let mut operator = context.another_operator();
        operator.force = force;
        Ok(Work { plan, operator: Some(operator) })
    };
    context.change(&Subject::cloud(&cloud.code), change, prepare).await
}

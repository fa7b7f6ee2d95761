//! `memcached restart`.

use clap::Args;

use super::args::Nodes;
use super::changing::{Subject, Work};
use super::context::Context;
use super::history::since_begin;
use super::memcached::{read_tree, unknown};
use super::pacing::Pacing;
use super::selecting::{observe, select};
use crate::error::Failures;
use crate::inspect::{members_of, registered_cloud};
use crate::plan::{self, Manner, RestartWish};
use crate::report::Document;

#[derive(Args, Debug)]
pub struct Restart {
    #[command(flatten)]
    pub nodes: Nodes,
    /// One node after the other, or as many as --batch says; this is what is done without --all
    #[arg(long, conflicts_with = "all")]
    pub rolling: bool,
    /// All of them at the same time
    #[arg(long, conflicts_with_all = ["batch", "max_unavailable", "settle"])]
    pub all: bool,
    /// So many nodes of the cloud may be out at once, counting those that are out already [default: as --batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_unavailable: Option<u16>,
    #[command(flatten)]
    pub pacing: Pacing,
    /// Kill what does not end in time
    #[arg(long)]
    pub force: bool,
}

pub(super) async fn restart(context: &Context, args: &Restart) -> Result<Document, Failures> {
    let code = &args.nodes.code;
    let prepare = async || {
        let tree = read_tree(context).await?;
        let nodes = registered_cloud(code, &tree).ok_or_else(|| unknown(code, &tree))?;
        let selection = select(context, code, &tree, &args.nodes.nodes, true).await?;
        let members = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
        let selected = nodes.iter().map(|node| node.addr).filter(|addr| selection.contains(*addr));
        // Whether another node has just joined decides when the first may go.
        let looked_at = selected.chain(members.keys().copied().filter(|_| !args.all));
        let seen = context.look(observe(context, code, &tree, looked_at.collect())).await?;
        let manner = if args.all {
            Manner::AllAtOnce { drain: args.pacing.drain }
        } else {
            let pacing = args.pacing.pace(context, args.max_unavailable, members.into_keys());
            Manner::Rolling(pacing.await?)
        };
        let since = since_begin(context.invocation.resumes.as_deref());
        let wish = RestartWish { code, ensemble: &context.ensemble, selection: &selection, manner, since };
        let plan = plan::restart_nodes(&wish, &nodes, &seen)?;
        let mut operator = context.another_operator();
        operator.force = args.force;
        Ok(Work { plan, operator: Some(operator) })
    };
    context.change(&Subject::cloud(code), args.nodes.change, prepare).await
}

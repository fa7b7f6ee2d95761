//! `memcached restart`.

use std::time::Duration;

use clap::Args;

use super::args::Nodes;
use super::changing::{Subject, Work};
use super::context::Context;
use super::history::since_begin;
use super::memcached::{read_tree, unknown};
use super::selecting::{observe, select};
use crate::error::Failures;
use crate::inspect::{inspect_session_timeouts, members_of, registered_cloud};
use crate::model::NodeAddr;
use crate::plan::{self, Manner, Pace, RestartWish, settling_time};
use crate::report::Document;

/// A node that serves says at once what its session is; one that does not is not waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

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
    /// So many nodes at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// So many nodes of the cloud may be out at once, counting those that are out already [default: as --batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_unavailable: Option<u16>,
    /// For so many seconds a node that has left its cloud serves the connections it has; 0 stops it at once
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(..=600))]
    pub drain: u16,
    /// Seconds to wait after nodes have joined [default: the session timeout of the cloud's nodes]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=86400))]
    pub settle: Option<u32>,
    /// Kill what does not end in time
    #[arg(long)]
    pub force: bool,
}

pub(super) async fn restart(context: &Context, args: &Restart) -> Result<Document, Failures> {
    let code = &args.nodes.code;
    let prepare = async || {
        let tree = read_tree(context).await?;
        let nodes = registered_cloud(code, &tree).ok_or_else(|| unknown(code, &tree))?;
        let selection = select(context, code, &tree, &args.nodes.nodes).await?;
        let wanted = nodes.iter().map(|node| node.addr).filter(|addr| selection.contains(*addr));
        let seen = context.look(observe(context, code, &tree, wanted.collect())).await?;
        let manner = if args.all {
            Manner::AllAtOnce { drain: args.drain }
        } else {
            let members = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
            Manner::Rolling(Pace {
                batch: usize::from(args.batch),
                max_unavailable: usize::from(args.max_unavailable.unwrap_or(args.batch)),
                drain: args.drain,
                settle: settle(context, args.settle, members.into_keys()).await?,
            })
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

/// Seconds to wait after a join: as the operator says, or as the live nodes' sessions do.
pub(super) async fn settle(
    context: &Context,
    given: Option<u32>,
    members: impl Iterator<Item = NodeAddr>,
) -> Result<u32, Failures> {
    if let Some(seconds) = given {
        return Ok(seconds);
    }
    let observed = context.look(inspect_session_timeouts(&context.fleet, members, ANSWER_LIMIT)).await?;
    Ok(settling_time(observed, context.settings.memcached.session_timeout))
}

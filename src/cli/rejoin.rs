//! `rejoin`: nodes that lost their membership go back to their cloud.

use super::args::Nodes;
use super::changing::Subject;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use super::selecting::{observe, select};
use crate::error::Failures;
use crate::inspect::{members_of, registered_cloud};
use crate::plan;
use crate::report::Document;

pub(super) async fn rejoin(context: &Context, args: &Nodes) -> Result<Document, Failures> {
    let prepare = async || {
        let tree = read_tree(context).await?;
        let nodes = registered_cloud(&args.code, &tree).ok_or_else(|| unknown(&args.code, &tree))?;
        let selection = select(context, &args.code, &tree, &args.nodes, false).await?;
        // The hosts of members need not be asked.
        let members = tree.codes.get(args.code.as_str()).map(members_of).unwrap_or_default();
        let out = nodes.iter().map(|node| node.addr);
        let out = out.filter(|addr| selection.contains(*addr) && !members.contains_key(addr)).collect();
        let seen = context.look(observe(context, &args.code, &tree, out)).await?;
        Ok(plan::rejoin_nodes(&args.code, &context.ensemble, &nodes, &selection, &seen)?.into())
    };
    context.change(&Subject::cloud(&args.code), args.change, prepare).await
}

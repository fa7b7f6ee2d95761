//! `quicksetup`: the whole walkthrough, each part looking first, so that it goes on from where things stand.

use super::args::{Change, Deploy, Nodes};
use super::context::Context;
use super::{deploy, memcached, zookeeper};
use crate::error::Failures;
use crate::exec::Outcome;
use crate::report::Document;

pub(super) async fn quicksetup(context: &Context, args: &Deploy) -> Result<Document, Failures> {
    let code = context.invocation.load_cloud(&args.conf)?.code;
    let change: Change = args.change;
    let mut parts = Vec::new();

    context.printer.headline("1/5 deploy");
    add(&mut parts, "deploy", deploy::deploy(context, args).await);
    if go_on(context, &parts) {
        context.printer.headline("2/5 zookeeper init");
        add(&mut parts, "zookeeper init", zookeeper::init(context, change).await);
    }
    if go_on(context, &parts) {
        context.printer.headline("3/5 memcached register");
        add(&mut parts, "memcached register", memcached::register(context, &args.conf, change).await);
    }
    if go_on(context, &parts) {
        context.printer.headline("4/5 memcached start");
        let nodes = Nodes { code: code.clone(), nodes: Vec::new(), change };
        add(&mut parts, "memcached start", memcached::start(context, &nodes).await);
        if !context.stop.gently.is_cancelled() {
            context.printer.headline("5/5 memcached list");
            add(&mut parts, "memcached list", memcached::list(context, Some(&code)).await);
        }
    }
    Ok(Document::of_parts("quicksetup", parts))
}

fn add(parts: &mut Vec<Document>, command: &'static str, outcome: Result<Document, Failures>) {
    parts.push(outcome.unwrap_or_else(|failures| Document::of_failures(command, &failures)));
}

/// One host's failure keeps no other from going on; a part that came to nothing does.
fn go_on(context: &Context, parts: &[Document]) -> bool {
    let Some(last) = parts.last() else { return true };
    // What comes next is planned by what this part would have changed, so a dry run ends where it would have to guess.
    if last.dry_run && !last.is_unchanged() {
        context.printer.progress("the parts after this one can be planned once it is done");
        return false;
    }
    // What was skipped, such as a switch that is made everywhere or nowhere, is what the next part builds on.
    let skipped = last.results.iter().any(|result| matches!(result.outcome, Outcome::Skipped { .. }));
    !context.stop.gently.is_cancelled() && last.has_success() && !skipped
}

//! `quicksetup`: the whole walkthrough, each part looking first, so that it goes on from where things stand.

use super::args::{Change, Deploy, Nodes};
use super::context::Context;
use super::{deploy, memcached, zookeeper};
use crate::config::load_cloud;
use crate::error::Failures;
use crate::report::Document;

pub(super) async fn quicksetup(context: &Context, args: &Deploy) -> Result<Document, Failures> {
    let code = load_cloud(&args.conf)?.code;
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
    // What is not registered cannot be planned to start; a dry run ends where it would have to guess.
    let registered = parts.last().is_some_and(|part| part.dry_run && !part.is_unchanged());
    if go_on(context, &parts) && !registered {
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
    !context.stop.gently.is_cancelled() && parts.last().is_none_or(Document::has_success)
}

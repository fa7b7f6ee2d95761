//! `zookeeper status`: how each member stands towards the leader, and what it has on its disk.

use futures::future::{join_all, join4};

use super::context::Context;
use super::zookeeper::{PROBE_LIMIT, observe, wish};
use crate::check::{MemberLook, stand};
use crate::error::Failures;
use crate::inspect::inspect_storage;
use crate::model::EnsembleMember;
use crate::plan::{ServerList, server_list};
use crate::report::Document;
use crate::zk::{ask_word, running_config};

pub(super) async fn status(context: &Context) -> Result<Document, Failures> {
    let wish = wish(context);
    let members = wish.ensemble.members();
    let places: Vec<_> = members.iter().map(|member| wish.place(member)).collect();
    let limit = context.settings.timeouts.command;
    let looking = join4(
        observe(context, &wish),
        inspect_storage(&context.fleet, &places, limit),
        join_all(members.iter().map(running)),
        join_all(members.iter().map(|member| ask_word(member, "mntr", PROBE_LIMIT))),
    );
    let (observed, storage, running, figures) = context.look(looking).await?;
    let told = storage.into_iter().zip(running).zip(figures);
    let looks =
        observed.into_iter().zip(told).map(|((member, state, seen), ((storage, running), figures))| {
            MemberLook { member, state, seen, storage, running, figures }
        });
    Ok(Document::of_standing(stand(&context.ensemble, looks.collect())))
}

async fn running(member: &EnsembleMember) -> Option<ServerList> {
    let said = running_config(member, PROBE_LIMIT).await.ok()?;
    Some(server_list(&said)).filter(|list| !list.is_empty())
}

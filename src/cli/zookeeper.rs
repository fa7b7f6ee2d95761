//! `zookeeper init|start|stop|restart|stat`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::args::{Change, MemberSelection, Members, ZooKeeper};
use super::changing::Subject;
use super::context::Context;
use super::{logs, resize, standing};
use crate::error::{Failure, Failures};
use crate::inspect::inspect_members;
use crate::model::{EnsembleMember, znode};
use crate::plan::{self, EnsembleWish, Plan, ResizeSeen};
use crate::report::Document;
use crate::zk::{MemberState, probe_members};

/// For one answer to `srvr`.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &Context, command: ZooKeeper) -> Result<Document, Failures> {
    match command {
        ZooKeeper::Init(change) => init(context, change).await,
        ZooKeeper::Start(members) => change_members(context, &members, plan::start_members).await,
        ZooKeeper::Stop(members) => change_members(context, &members, plan::stop_members).await,
        ZooKeeper::Restart(restart) if restart.all => {
            change_members(context, &restart.members, plan::restart_at_once).await
        }
        ZooKeeper::Restart(restart) => restart_rolling(context, &restart.members).await,
        ZooKeeper::Add(args) => resize::add(context, &args).await,
        ZooKeeper::Remove(args) => resize::remove(context, &args).await,
        ZooKeeper::Status => standing::status(context).await,
        ZooKeeper::Logs(args) => logs::of_members(context, &args).await,
        ZooKeeper::Stat(selection) => stat(context, &selection).await,
    }
}

pub(super) async fn init(context: &Context, change: Change) -> Result<Document, Failures> {
    let wish = wish(context);
    let prepare = async || {
        let members = context.look(observe(context, &wish)).await?;
        let serves = members.iter().any(|(_, state, _)| matches!(state, MemberState::Serving(_)));
        let structure = if serves { context.look(structure(context)).await? } else { None };
        Ok(plan::init(&wish, &members, structure.as_ref())?.into())
    };
    context.change(&Subject::ensemble(&context.ensemble), change, prepare).await
}

type Planner = fn(&EnsembleWish, &plan::Members, &BTreeSet<EnsembleMember>) -> Result<Plan, Failures>;

async fn change_members(context: &Context, args: &Members, planner: Planner) -> Result<Document, Failures> {
    let wish = wish(context);
    let selected = select(context, &args.selection)?;
    let prepare = async || {
        let members = context.look(observe(context, &wish)).await?;
        Ok(planner(&wish, &members, &selected)?.into())
    };
    context.change(&Subject::ensemble(&context.ensemble), args.change, prepare).await
}

async fn restart_rolling(context: &Context, args: &Members) -> Result<Document, Failures> {
    let wish = wish(context);
    let selected = select(context, &args.selection)?;
    let prepare = async || {
        let ResizeSeen { members, running } = context.look(resize::look(context, &wish)).await?;
        Ok(plan::restart_rolling(&wish, &members, &running, &selected)?.into())
    };
    context.change(&Subject::ensemble(&context.ensemble), args.change, prepare).await
}

async fn stat(context: &Context, selection: &MemberSelection) -> Result<Document, Failures> {
    let selected = select(context, selection)?;
    let mut states = context.look(probe_members(&context.ensemble, PROBE_LIMIT)).await?;
    states.retain(|(member, _)| selected.contains(member));
    Ok(Document::of_ensemble(states, context.ensemble.members().len()))
}

pub(super) fn wish(context: &Context) -> EnsembleWish {
    EnsembleWish::new(&context.ensemble, &context.settings)
}

/// Members named on the command line must be of the ensemble.
pub(super) fn select(
    context: &Context,
    selection: &MemberSelection,
) -> Result<BTreeSet<EnsembleMember>, Failures> {
    let all: BTreeSet<EnsembleMember> = context.ensemble.members().iter().cloned().collect();
    if selection.members.is_empty() {
        return Ok(all);
    }
    let selected: BTreeSet<EnsembleMember> = selection.members.iter().cloned().collect();
    let strangers = selected.difference(&all).map(|stranger| {
        Failure::refused(format!("{stranger} is no member of {}", context.ensemble))
            .hint("name members as the ensemble list does")
    });
    Failures::none_of(strangers.collect())?;
    Ok(selected)
}

/// Asks every member at its client port and on its host, all at once.
pub(super) async fn observe(context: &Context, wish: &EnsembleWish) -> plan::Members {
    let places: Vec<_> = wish.ensemble.members().iter().map(|member| wish.place(member)).collect();
    let (states, seen) = tokio::join!(
        probe_members(&wish.ensemble, PROBE_LIMIT),
        inspect_members(
            &context.fleet,
            &places,
            &context.settings.install_path,
            context.settings.timeouts.command
        ),
    );
    states.into_iter().zip(seen).map(|((member, state), seen)| (member, state, seen)).collect()
}

/// Which base znodes exist, when the ensemble tells.
async fn structure(context: &Context) -> Option<BTreeSet<String>> {
    let paths: Vec<String> = znode::STRUCTURE.iter().map(ToString::to_string).collect();
    let zookeeper = context.operator.zookeeper().await.ok()?;
    Some(zookeeper.existing(&paths).await.ok()?.into_iter().collect())
}

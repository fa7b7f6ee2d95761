//! `zookeeper add` and `zookeeper remove`: one member after the other, then the cache nodes, then what to write down.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use futures::future::join_all;

use super::args::Change;
use super::changing::{Subject, Work};
use super::context::Context;
use super::zookeeper::{PROBE_LIMIT, observe};
use crate::error::{Failure, Failures};
use crate::exec::{Operator, Outcome};
use crate::inspect::{ArcusTree, Inspected, ProcessesSeen, members_of};
use crate::model::{Ensemble, EnsembleMember, NodeAddr};
use crate::node::NodeLink;
use crate::plan::{self, EnsembleWish, Resize, ResizeSeen, Risk, ServerList};
use crate::report::{Document, EnsembleList};
use crate::zk::running_config;

/// What a round may be about: a leader that is to go is restarted first, and an election may go on meanwhile.
const ROUNDS_OF_A_MEMBER: usize = 4;

#[derive(Args, Debug)]
pub struct ResizeArgs {
    /// The members, one after the other
    #[arg(value_name = "HOST:PORT", required = true)]
    pub members: Vec<EnsembleMember>,
    /// Restart all members at once for each change: the ensemble is interrupted for some seconds
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn add(context: &Context, args: &ResizeArgs) -> Result<Document, Failures> {
    let mut wanted = context.ensemble.members().to_vec();
    for member in &args.members {
        if !wanted.contains(member) {
            wanted.push(member.clone());
        }
    }
    let wanted = listing(wanted)?;
    let wish = EnsembleWish::new(&wanted, &context.settings);
    run(context, args, asked("zookeeper add", context, args, wish, wanted)).await
}

pub(super) async fn remove(context: &Context, args: &ResizeArgs) -> Result<Document, Failures> {
    let mut everybody = context.ensemble.members().to_vec();
    let wanted = everybody.iter().filter(|member| !args.members.contains(member)).cloned().collect();
    everybody
        .extend(args.members.iter().filter(|member| !context.ensemble.members().contains(member)).cloned());
    let wanted = listing(wanted)?;
    let wish = EnsembleWish::new(&listing(everybody)?, &context.settings);
    run(context, args, asked("zookeeper remove", context, args, wish, wanted)).await
}

fn asked(
    command: &'static str,
    context: &Context,
    args: &ResizeArgs,
    wish: EnsembleWish,
    wanted: Ensemble,
) -> Resize {
    let (listed, named) = (context.ensemble.clone(), args.members.clone());
    Resize { command, wish, listed, wanted, named, at_once: args.all }
}

fn listing(members: Vec<EnsembleMember>) -> Result<Ensemble, Failures> {
    Ensemble::of(members).ok_or_else(|| {
        Failure::refused("no member would be left, or one is named twice")
            .hint("name each member once, and leave some; to end the ensemble: arcusctl zookeeper stop")
            .into()
    })
}

async fn run(context: &Context, args: &ResizeArgs, asked: Resize) -> Result<Document, Failures> {
    let mut subject = Subject::ensemble(&asked.wish.ensemble);
    let mut parts: Vec<Document> = Vec::new();
    let mut settled = false;
    for _ in 0..ROUNDS_OF_A_MEMBER * asked.named.len() {
        let prepare = async || {
            let seen = context.look(look(context, &asked.wish)).await?;
            let mut plan = plan::resize(&asked, &seen)?;
            tell_of_the_rest(&asked, &mut plan);
            Ok(Work { plan, operator: Some(operator(context, &asked.wish.ensemble)) })
        };
        let part = match context.change(&subject, args.change, prepare).await {
            Ok(part) => part,
            Err(failures) if parts.is_empty() => return Err(failures),
            Err(failures) => Document::of_failures(asked.command, &failures),
        };
        // What was agreed to is the whole change.
        subject = subject.agreed();
        let (unchanged, went_well) = (part.is_unchanged() && part.failures.is_empty(), is_through(&part));
        parts.push(part);
        settled = unchanged;
        if unchanged || !went_well || args.change.dry_run {
            break;
        }
    }
    if settled {
        context.printer.headline("live cache nodes");
        parts.push(tell(context, &asked, args.change, &subject).await);
        parts.push(Document::of_list(
            asked.command,
            EnsembleList::new(&asked.wanted, &asked.listed, &context.ensemble_source),
        ));
    }
    Ok(Document::of_parts(asked.command, parts))
}

fn is_through(part: &Document) -> bool {
    let skipped = part.results.iter().any(|result| !matches!(result.outcome, Outcome::Done { .. }));
    part.failures.is_empty() && !skipped && !part.interrupted
}

/// One change is planned at a time, and the operator is asked once.
fn tell_of_the_rest(asked: &Resize, plan: &mut plan::Plan) {
    if plan.is_empty() || asked.named.len() < 2 {
        return;
    }
    let names: Vec<String> = asked.named.iter().map(ToString::to_string).collect();
    let rest = format!(
        "{} one after the other: each is planned like this once the one before is in sync",
        names.join(", ")
    );
    plan.notes.push(rest.clone());
    if let Risk::Interrupts { what } = &mut plan.risk {
        what.push_str("; ");
        what.push_str(&rest);
    }
}

fn operator(context: &Context, ensemble: &Ensemble) -> Operator {
    Operator::new(context.fleet.clone(), context.settings.clone(), ensemble.clone())
}

/// Everybody at their ports and on their hosts, and the servers that those who serve run with.
pub(super) async fn look(context: &Context, wish: &EnsembleWish) -> ResizeSeen {
    let members = observe(context, wish).await;
    let serving = members.iter().filter(|(_, state, _)| state.stats().is_some()).map(|(member, ..)| member);
    let running = join_all(serving.map(|member| async move {
        let said = running_config(member, PROBE_LIMIT).await;
        if let Err(failure) = &said {
            tracing::debug!(%failure, %member, "does not say which servers it runs with");
        }
        Some((member.clone(), plan::server_list(&said.ok()?)))
    }))
    .await;
    let running: BTreeMap<EnsembleMember, ServerList> = running.into_iter().flatten().collect();
    ResizeSeen { members, running }
}

/// Live nodes of every cloud are told of the ensemble as it is now.
async fn tell(context: &Context, asked: &Resize, change: Change, subject: &Subject) -> Document {
    let prepare = async || {
        let nodes = context.look(nodes(context, &asked.wanted)).await??;
        let plan = plan::tell_nodes(asked.command, &asked.wanted, &nodes);
        Ok(Work { plan, operator: Some(operator(context, &asked.wanted)) })
    };
    let told = context.change(subject, change, prepare).await;
    told.unwrap_or_else(|failures| {
        let hint = format!(
            "tell each live cache node by hand: telnet IP PORT, then: zkensemble set {}",
            asked.wanted
        );
        let failures = failures.as_slice().iter().map(|failure| failure.clone().hint(hint.clone())).collect();
        Failures::none_of(failures).map_or_else(
            |failures| Document::of_failures(asked.command, &failures),
            |()| Document::of_parts(asked.command, Vec::new()),
        )
    })
}

/// The live nodes of every cloud, each with the members that it follows.
async fn nodes(
    context: &Context,
    ensemble: &Ensemble,
) -> Result<Vec<(NodeAddr, Inspected<BTreeSet<String>>)>, Failures> {
    let reader = operator(context, ensemble);
    let tree = async { ArcusTree::read(&*reader.zookeeper().await?).await }.await;
    reader.close().await;
    let tree = tree?;
    let live = tree.codes.values().flat_map(|code| members_of(code).into_keys());
    let named = &names_by_address(ensemble).await;
    Ok(join_all(live.map(|addr| async move {
        let limit = context.settings.timeouts.zookeeper;
        let asked = async { NodeLink::open(&context.fleet, addr, limit).await?.zookeeper().await };
        let follows = asked.await.map(|list| {
            let entries = list.split(',');
            entries.map(|entry| named.get(entry).map_or(entry, String::as_str).to_owned()).collect()
        });
        (addr, follows)
    }))
    .await)
}

/// Of what these processes of the install were given as addresses of ZooKeeper: those that are a member of the ensemble by
/// another name, as when one side was given names and the other addresses.
pub(super) async fn aliases<'p>(
    ensemble: &Ensemble,
    processes: impl IntoIterator<Item = &'p Inspected<ProcessesSeen>>,
) -> BTreeSet<String> {
    let processes = processes.into_iter().filter_map(|host| host.as_ref().ok());
    let given = processes.flat_map(|host| &host.processes).filter(|process| process.ours);
    let given = given.filter_map(|process| process.zookeeper.as_deref());
    let mut strange: BTreeSet<String> =
        given.flat_map(|list| list.split(',')).map(|address| address.trim().to_owned()).collect();
    strange.retain(|address| ensemble.members().iter().all(|member| member.to_string() != *address));
    if strange.is_empty() {
        return strange;
    }
    let names = names_by_address(ensemble).await;
    let resolving = strange.into_iter().map(|address| async {
        if names.contains_key(&address) {
            return Some(address);
        }
        let lookup = tokio::time::timeout(PROBE_LIMIT, tokio::net::lookup_host(&address));
        let found = lookup.await.ok()?.ok()?.any(|found| names.contains_key(&found.to_string()));
        found.then_some(address)
    });
    join_all(resolving).await.into_iter().flatten().collect()
}

/// Arcus's own ZooKeeper client tells addresses where it was given names.
pub(super) async fn names_by_address(ensemble: &Ensemble) -> BTreeMap<String, String> {
    let resolving = ensemble.members().iter().map(|member| async move {
        let lookup = tokio::net::lookup_host((member.host.as_str(), member.client_port.get()));
        let found = tokio::time::timeout(PROBE_LIMIT, lookup).await.ok()?.ok()?;
        Some(found.map(|address| (address.to_string(), member.to_string())).collect::<Vec<_>>())
    });
    join_all(resolving).await.into_iter().flatten().flatten().collect()
}

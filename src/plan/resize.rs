//! Changing which members the ensemble has, by one member at a time: `zookeeper add` and `zookeeper remove`.
//!
//! What makes this safe. Members decide by majority of the list each was started with, so while a change goes on, members
//! with the old list and members with the new one live side by side. Majorities of two lists that differ by one member
//! always have a member in common; those of lists that differ by more may not, and then each could go its own way. So
//! a list is changed by one member, and no further change is begun before every member runs with it.
//!
//! What the members run with is observed, never remembered: where a change was cut short, planning again finishes it.

mod by_reconfig;
mod by_restarts;
mod change;

use std::collections::{BTreeMap, BTreeSet};

use super::ensemble_rolling::refuse_untold;
use super::zoo_cfg::{self, ServerList};
use super::{EnsembleWish, MemberLayout, Members, Plan, Target, layouts};
use crate::error::{Failure, Failures};
use crate::model::{Ensemble, EnsembleMember};
use change::Change;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// `zookeeper add` or `zookeeper remove`.
    pub command: &'static str,
    /// Everybody this is about: the ensemble as it is listed, and those named. Laid out as such.
    pub wish: EnsembleWish,
    /// The ensemble as the operator lists it.
    pub listed: Ensemble,
    /// The ensemble when all is done.
    pub wanted: Ensemble,
    /// Those who were named on the command line.
    pub named: Vec<EnsembleMember>,
    /// Interrupt the ensemble: all members at once.
    pub at_once: bool,
}

/// What was seen of everybody it is about.
#[derive(Clone, Debug)]
pub struct ResizeSeen {
    pub members: Members,
    /// The servers that each member which serves runs with.
    pub running: BTreeMap<EnsembleMember, ServerList>,
}

/// Plans the next change by one member, or what is left of one that was begun; no steps when the ensemble is as wanted.
///
/// # Errors
/// When the ensemble would lose its quorum or its data on the way, and when what the members run with fits neither what
/// is listed nor what is named.
pub fn resize(asked: &Resize, seen: &ResizeSeen) -> Result<Plan, Failures> {
    refuse_untold(&seen.members, &seen.running)?;
    let layouts = by_id(layouts(&asked.wish, &seen.members)?);
    refuse_moving(asked)?;
    let seen = &with_those_alone(seen, &layouts);
    // Where nobody serves and all may be restarted at once, it is what they would start with that counts.
    let at_rest = seen.running.is_empty() && asked.at_once;
    let lists = if at_rest { &lists_at_rest(seen, &layouts) } else { &seen.running };
    let (old, new) = next_change(asked, lists, &layouts)?;
    let members = seen.members.iter().map(|(member, state, seen)| (member, (state, seen.as_ref().ok())));
    let change =
        Change { asked, members: members.collect(), running: &seen.running, layouts: &layouts, old, new };
    let mut plan = Plan::new(asked.command);
    if change.is_reconfigured() {
        change.by_reconfig(&mut plan)?;
    } else {
        change.by_restarts(&mut plan)?;
    }
    let done = if plan.is_empty() { asked.named.as_slice() } else { &[] };
    for member in done {
        let fact = match asked.wanted.members().contains(member) {
            true => "is a member, in sync with the others",
            false => "is no member",
        };
        plan.hold(Target::Member(member.clone()), fact);
    }
    Ok(plan)
}

/// A server that serves alone runs with no list; it is the only one on its own.
fn with_those_alone(seen: &ResizeSeen, layouts: &BTreeMap<u32, MemberLayout>) -> ResizeSeen {
    let mut seen = seen.clone();
    for (member, list) in &mut seen.running {
        if list.is_empty() {
            *list = alone(member, layouts);
        }
    }
    seen
}

fn alone(member: &EnsembleMember, layouts: &BTreeMap<u32, MemberLayout>) -> ServerList {
    zoo_cfg::list_of(layouts.values().filter(|layout| layout.member == *member))
}

fn by_id(layouts: Vec<MemberLayout>) -> BTreeMap<u32, MemberLayout> {
    layouts.into_iter().map(|layout| (layout.id, layout)).collect()
}

/// A host's only member has other directories and ports than one of several; a member that is there must keep its own.
fn refuse_moving(asked: &Resize) -> Result<(), Failures> {
    let within = |ensemble: &Ensemble| EnsembleWish { ensemble: ensemble.clone(), ..asked.wish.clone() };
    let moved = asked.wish.ensemble.members().iter().filter(|member| {
        [&asked.listed, &asked.wanted].into_iter().any(|ensemble| {
            ensemble.members().contains(member)
                && within(ensemble).dirs(member).conf != asked.wish.dirs(member).conf
        })
    });
    let failures = moved.map(|member| {
        Failure::refused(format!("{member}: its directories and ports would have to change"))
            .cause("a host's only member has others than each of several members on one host")
            .hint("put the new member on a host of its own, or set this host up anew beside the others")
    });
    Failures::none_of(failures.collect())
}

/// The list that some members may still run with, and the one that all are to run with next.
fn next_change(
    asked: &Resize,
    seen: &BTreeMap<EnsembleMember, ServerList>,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Failures> {
    refuse_strangers(asked, seen, layouts)?;
    let ids = |list: &ServerList| list.keys().copied().collect::<BTreeSet<u32>>();
    let id_of = |member: &EnsembleMember| {
        layouts.values().find(|layout| layout.member == *member).map(|layout| layout.id)
    };
    let wanted: BTreeSet<u32> = asked.wanted.members().iter().filter_map(id_of).collect();
    // A member that was told to go may run on by itself with a list that nobody else has any more.
    let lists: BTreeSet<BTreeSet<u32>> = seen.values().map(ids).collect();
    let lists: Vec<BTreeSet<u32>> = lists.into_iter().collect();
    let distance = |list: &BTreeSet<u32>| list.symmetric_difference(&wanted).count();
    match lists.as_slice() {
        [] => Err(Failure::unreachable("no member of the ensemble serves")
            .hint(format!(
                "start it first: arcusctl -z {} zookeeper start; see arcusctl zookeeper status",
                asked.wish.ensemble
            ))
            .hint("a change by --all that was cut short goes on with --all, while nobody serves too")
            .into()),
        [settled] => one_further(asked, settled, &wanted, layouts),
        [one, other] if one.symmetric_difference(other).count() == 1 => {
            if distance(one) < distance(other) {
                Ok((other.clone(), one.clone()))
            } else {
                Ok((one.clone(), other.clone()))
            }
        }
        _ => {
            let said = seen.iter().map(|(member, list)| {
                let ids: Vec<String> = list.keys().map(ToString::to_string).collect();
                format!("{member} runs with servers {}", ids.join(","))
            });
            let said: Vec<String> = said.collect();
            Err(Failure::refused("the members run with lists that differ by more than one member")
                .cause(said.join("; "))
                .hint("two majorities could form that do not know of each other; give all one zoo.cfg and restart them at once: arcusctl zookeeper init, then zookeeper restart --all")
                .into())
        }
    }
}

/// The lists that members would start with: where a change of all at once was cut short, nobody serves. What ZooKeeper keeps
/// itself may be behind what the others have.
fn lists_at_rest(
    seen: &ResizeSeen,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> BTreeMap<EnsembleMember, ServerList> {
    let written = seen.members.iter().filter_map(|(member, _, seen)| {
        let here = seen.as_ref().ok()?;
        let config = here.config.as_deref().filter(|config| !zoo_cfg::is_reconfigured(config))?;
        let list = zoo_cfg::server_list(config);
        match list.is_empty() {
            true => here.has_data.then(|| (member.clone(), alone(member, layouts))),
            false => Some((member.clone(), list)),
        }
    });
    written.collect()
}

/// All run with `settled`: the next of those who are named comes or goes.
fn one_further(
    asked: &Resize,
    settled: &BTreeSet<u32>,
    wanted: &BTreeSet<u32>,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Failures> {
    let is_named = |id: &u32| layouts.get(id).is_some_and(|layout| asked.named.contains(&layout.member));
    let unnamed = settled.symmetric_difference(wanted).filter(|id| !is_named(id));
    let unnamed: Vec<String> =
        unnamed.filter_map(|id| layouts.get(id)).map(|layout| layout.member.to_string()).collect();
    if !unnamed.is_empty() {
        return Err(Failure::refused(format!(
            "the ensemble list and what the members run with differ in {}",
            unnamed.join(", ")
        ))
        .hint("list the members as they run (arcusctl zookeeper status), and name what is to come or go")
        .into());
    }
    let in_order = asked.named.iter().filter_map(|member| {
        layouts.values().find(|layout| layout.member == *member).map(|layout| layout.id)
    });
    let mut next = settled.clone();
    match in_order.into_iter().find(|id| wanted.contains(id) != settled.contains(id)) {
        Some(id) if wanted.contains(&id) => drop(next.insert(id)),
        Some(id) => drop(next.remove(&id)),
        None => {}
    }
    Ok((settled.clone(), next))
}

/// Every server that a member runs with must be one that is known here, at the address it has here.
fn refuse_strangers(
    asked: &Resize,
    seen: &BTreeMap<EnsembleMember, ServerList>,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> Result<(), Failures> {
    let known = zoo_cfg::list_of(layouts.values());
    let mut strangers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (member, list) in seen {
        for (id, server) in list.iter().filter(|(id, server)| known.get(id) != Some(server)) {
            strangers.entry(format!("server.{id}={server}")).or_default().push(member.to_string());
        }
    }
    let failures = strangers.into_iter().map(|(line, members)| {
        Failure::refused(format!("{} runs with {line}, which is nobody that is listed", members.join(", ")))
            .cause(format!("listed and named are {}", asked.wish.ensemble))
            .hint("list the ensemble by the names its zoo.cfg has: -z host:port,…; see arcusctl zookeeper status")
    });
    Failures::none_of(failures.collect())
}

#[cfg(test)]
#[path = "resize_tests.rs"]
mod tests;

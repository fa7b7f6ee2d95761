//! Making a cloud what its JSON says, from whatever it is: which nodes join, leave and restart, in what order, and what
//! that costs.

mod sorting;

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::refuse_loopback;
use super::price::{Change, Price, Pricing, percent};
use super::register::{is_registered, refusals, registration};
use super::rolling::{Round, least_seconds, stage_seconds};
use super::{
    Action, Gate, NodeLaunch, NodeRestart, NodeStop, NodesSeen, Pace, Plan, Risk, Rounds, Step, Target,
};
use crate::config::settings::MemcachedSettings;
use crate::error::Failures;
use crate::inspect::{ArcusTree, RegisteredNode, mapped_nodes};
use crate::model::{Cloud, Ensemble, HostName, NodeAddr, NodeSpec};
use sorting::{Joining, Sorted};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct ApplyWish<'a> {
    pub cloud: &'a Cloud,
    pub ensemble: &'a Ensemble,
    pub settings: &'a MemcachedSettings,
    pub pace: Pace,
    /// Restart nodes that run an older release, too, not only those with other options.
    pub releases: bool,
}

/// Plans to make the cloud what `wish` says. The tree is brought up to date first: a node joins only where it is mapped.
/// Then nodes join, so that there is room, then others leave, each of them unregistered once it has left; then those with
/// other options restart. Where nodes are live, that goes on round by round. `now` is written as the time of the changes.
///
/// # Errors
/// Every reason not to touch the cloud at all: base znodes that are missing, a code under the other root, an address that
/// another code has, an ensemble that nodes elsewhere could not reach.
pub fn apply(wish: &ApplyWish<'_>, tree: &ArcusTree, seen: &NodesSeen, now: &str) -> Result<Plan, Failures> {
    let cloud = wish.cloud;
    Failures::none_of(refusals(cloud, tree))?;
    let wanted =
        |node: &NodeSpec| RegisteredNode { addr: node.addr, mapped: true, options: Ok(node.options) };
    let wanted: Vec<RegisteredNode> = cloud.nodes.iter().map(wanted).collect();
    refuse_loopback(wish.ensemble, &wanted.iter().collect::<Vec<_>>(), seen)?;
    let mut plan = Plan::new("apply");
    let names = mapped_nodes(&cloud.code, tree);
    let sorted = sorting::sort(&mut plan, wish, &wanted, &names, seen);
    let mut composing = Composing {
        wish,
        now,
        tree: tree.clone(),
        names,
        staying: sorted.staying.clone(),
        live: seen.members.keys().copied().collect(),
        pricing: Pricing::new(seen.members.keys().copied().collect()),
        takes_away: false,
    };
    match composing.commit()? {
        Some(step) => plan.stage("Register", vec![step]),
        None if sorted.staying.is_empty() => plan.hold(Target::Tree, is_registered(cloud)),
        None => {}
    }
    composing.go_on_by_rounds(&mut plan, &sorted)?;
    let takes_away = composing.takes_away;
    let of_round = |round| plan.stages.iter().filter(move |stage| stage.round == Some(round));
    let price = composing
        .pricing
        .finish(|number| of_round(number + 1).map(stage_seconds).sum(), least_seconds(&plan));
    plan.risk = risk(wish, &sorted, seen, takes_away, &price);
    plan.price = Some(price);
    Ok(plan)
}

/// What happens in one round.
#[derive(Debug)]
enum Turn<'s> {
    /// Nodes leave, and after them others join, of which some had no place before.
    Change {
        change: Change,
        leaving: Vec<&'s NodeStop>,
        joining: Vec<&'s Joining>,
    },
    Restart(&'s [NodeRestart]),
}

/// The rounds, in their order: capacity first; options, which cost the most for the least, last.
fn turns(sorted: &Sorted, batch: usize) -> Vec<Turn<'_>> {
    let batch = batch.max(1);
    let mut turns = Vec::new();
    for registered in [true, false] {
        let joining: Vec<&Joining> =
            sorted.joining.iter().filter(|joining| joining.registered == registered).collect();
        turns.extend(joining.chunks(batch).map(|joining| Turn::Change {
            change: joins_as(registered),
            leaving: Vec::new(),
            joining: joining.to_vec(),
        }));
    }
    turns.extend(sorted.replacing.chunks(batch).map(|pairs| Turn::Change {
        change: Change::Replace,
        leaving: pairs.iter().map(|(stop, _)| stop).collect(),
        joining: pairs.iter().map(|(_, joining)| joining).collect(),
    }));
    turns.extend(sorted.leaving.chunks(batch).map(|stops| Turn::Change {
        change: Change::Remove,
        leaving: stops.iter().collect(),
        joining: Vec::new(),
    }));
    turns.extend(sorted.restarting.chunks(batch).map(Turn::Restart));
    turns
}

fn joins_as(registered: bool) -> Change {
    if registered { Change::Start } else { Change::Add }
}

/// A plan in the making, and the cloud as it will be after what is in it so far.
struct Composing<'a> {
    wish: &'a ApplyWish<'a>,
    now: &'a str,
    tree: ArcusTree,
    /// The nodes that each mapping of the cloud stands for.
    names: BTreeMap<String, BTreeSet<NodeAddr>>,
    /// Nodes that the cloud is not to have, and that have not left yet.
    staying: BTreeSet<NodeAddr>,
    live: BTreeSet<NodeAddr>,
    pricing: Pricing,
    /// What is registered of nodes is altered or removed.
    takes_away: bool,
}

impl Composing<'_> {
    /// The transaction that is due now: mappings of nodes that have not left stay.
    fn commit(&mut self) -> Result<Option<Step>, Failures> {
        let kept = self.names.iter().filter(|(_, nodes)| !nodes.is_disjoint(&self.staying));
        let kept = kept.map(|(name, _)| name.clone()).collect();
        let due = registration(self.wish.cloud, &kept, &self.tree, self.now);
        if due.changes.is_empty() {
            return Ok(None);
        }
        self.tree = self.tree.after(&due.changes)?;
        self.takes_away |= due.takes_away;
        let action = Action::CommitZnodes { changes: due.changes, summary: due.summary };
        Ok(Some(Step::new(Target::Tree, action)))
    }

    fn go_on_by_rounds(&mut self, plan: &mut Plan, sorted: &Sorted) -> Result<(), Failures> {
        let wish = self.wish;
        if self.live.is_empty() {
            return self.start_at_once(plan, sorted);
        }
        let turns = turns(sorted, wish.pace.batch);
        let mut rounds = Rounds::new(plan, &wish.cloud.code, wish.ensemble, wish.pace, self.live.clone());
        if !turns.is_empty() {
            rounds.after(&sorted.young);
        }
        for turn in turns {
            match turn {
                Turn::Change { change, leaving, joining } => {
                    rounds.push(self.leave_and_join(change, &leaving, &joining)?);
                }
                Turn::Restart(nodes) => {
                    let addrs: Vec<NodeAddr> = nodes.iter().map(|node| node.addr).collect();
                    self.pricing.restart(&addrs);
                    rounds.restart(nodes);
                }
            }
        }
        Ok(())
    }

    /// Nobody serves, so nobody has any keys: there is nothing to go on slowly for.
    fn start_at_once(&mut self, plan: &mut Plan, sorted: &Sorted) -> Result<(), Failures> {
        let leaving: Vec<&NodeStop> =
            sorted.replacing.iter().map(|(stop, _)| stop).chain(&sorted.leaving).collect();
        let joining: Vec<&Joining> =
            sorted.joining.iter().chain(sorted.replacing.iter().map(|(_, joining)| joining)).collect();
        let change = match (leaving.is_empty(), joining.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => joins_as(joining.iter().all(|joining| joining.registered)),
            (false, true) => Change::Remove,
            (false, false) => Change::Replace,
        };
        for (title, steps) in self.leave_and_join(change, &leaving, &joining)?.stages {
            plan.gated_stage(title, Gate::Unbroken, steps);
        }
        Ok(())
    }

    fn leave_and_join(
        &mut self,
        change: Change,
        leaving: &[&NodeStop],
        joining: &[&Joining],
    ) -> Result<Round, Failures> {
        let leave: Vec<NodeAddr> = leaving.iter().map(|stop| stop.addr).collect();
        let join: Vec<NodeAddr> = joining.iter().map(|joining| joining.launch.addr).collect();
        let before = self.live.len();
        for addr in &leave {
            self.staying.remove(addr);
            self.live.remove(addr);
        }
        let out = before - self.live.len();
        self.live.extend(&join);
        let unregister = if leave.is_empty() { None } else { self.commit()? };
        self.pricing.change(change, &leave, &join);
        Ok(Round {
            stages: vec![
                ("Stop", self.stop_steps(leaving)),
                ("Unregister", unregister.into_iter().collect()),
                ("Start", self.start_steps(joining)),
            ],
            out,
            joins: join,
            leaves: leave,
        })
    }

    fn stop_steps(&self, stops: &[&NodeStop]) -> Vec<Step> {
        let by_host = on_hosts(stops.iter().map(|stop| (stop.addr, (*stop).clone())));
        let step = |(host, nodes)| {
            let code = self.wish.cloud.code.clone();
            Step::new(Target::Host(host), Action::StopNodes { code, nodes, drain: self.wish.pace.drain })
        };
        by_host.into_iter().map(step).collect()
    }

    fn start_steps(&self, joining: &[&Joining]) -> Vec<Step> {
        let by_host = on_hosts(joining.iter().map(|joining| (joining.launch.addr, joining.launch.clone())));
        let step = |(host, nodes): (HostName, Vec<NodeLaunch>)| {
            let (code, zookeeper) = (self.wish.cloud.code.clone(), self.wish.ensemble.to_string());
            Step::new(Target::Host(host), Action::StartNodes { code, zookeeper, nodes })
        };
        by_host.into_iter().map(step).collect()
    }
}

fn on_hosts<T>(nodes: impl Iterator<Item = (NodeAddr, T)>) -> BTreeMap<HostName, Vec<T>> {
    let mut hosts: BTreeMap<HostName, Vec<T>> = BTreeMap::new();
    for (addr, node) in nodes {
        hosts.entry(HostName::from(addr.ip)).or_default().push(node);
    }
    hosts
}

/// What has to be agreed to: that nodes which run are stopped, that nodes join and so take keys from those that serve, and
/// that what is registered of live nodes changes.
fn risk(wish: &ApplyWish<'_>, sorted: &Sorted, seen: &NodesSeen, takes_away: bool, price: &Price) -> Risk {
    let code = &wish.cloud.code;
    let leaving = sorted.leaving.iter().chain(sorted.replacing.iter().map(|(stop, _)| stop));
    let leaving = leaving.filter(|stop| stop.process.is_some()).count();
    let restarting = sorted.restarting.len();
    let parts = [
        (leaving > 0).then(|| format!("{leaving} running cache node(s) of {code} will leave it for good")),
        (restarting > 0).then(|| format!("{restarting} running cache node(s) of {code} will be restarted")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let stopped = (!parts.is_empty()).then(|| format!("{}, and what they hold is lost", parts.join(", ")));
    let sentences: Vec<String> = stopped.into_iter().chain(joining(wish, sorted, seen, price)).collect();
    if !sentences.is_empty() {
        return Risk::Interrupts { what: sentences.join("; ") };
    }
    if takes_away && !seen.members.is_empty() {
        let live = seen.members.len();
        let what = format!("{code} has {live} live cache node(s), and what is registered of it will change");
        return Risk::Interrupts { what };
    }
    Risk::Harmless
}

/// What it means to those who are served that nodes join. One that runs and is about to join does so whatever is agreed to.
fn joining(wish: &ApplyWish<'_>, sorted: &Sorted, seen: &NodesSeen, price: &Price) -> Option<String> {
    let joining = sorted.joining.iter().chain(sorted.replacing.iter().map(|(_, joining)| joining));
    let joining = joining.filter(|joining| joining.launch.options.is_some()).count();
    (joining > 0 && !seen.members.is_empty() && price.moves > 0.0).then(|| {
        let (code, moves) = (&wish.cloud.code, percent(price.moves));
        format!("{joining} cache node(s) will join {code}; {moves} of the keys move to nodes that do not have them")
    })
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;

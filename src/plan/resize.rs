//! Changing which members the ensemble has, by one member at a time: `zookeeper add` and `zookeeper remove`.
//!
//! What makes this safe. Members decide by majority of the list each was started with, so while a change goes on, members
//! with the old list and members with the new one live side by side. Majorities of two lists that differ by one member
//! always have a member in common; those of lists that differ by more may not, and then each could go its own way. So
//! a list is changed by one member, and no further change is begun before every member runs with it.
//!
//! What the members run with is observed, never remembered: where a change was cut short, planning again finishes it.

use std::collections::{BTreeMap, BTreeSet};

use super::ensemble::unfit;
use super::ensemble_rolling::{one_at_a_time, turn};
use super::zoo_cfg::{self, Server, ServerList};
use super::{Action, EnsembleWish, Gate, MemberLayout, Members, Plan, Risk, Step, Target, Voters, layouts};
use crate::error::{Failure, Failures};
use crate::inspect::MemberSeen;
use crate::model::{Ensemble, EnsembleMember};
use crate::zk::{MemberState, Mode};

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

/// One member that comes or goes, and all that is known.
struct Change<'a> {
    asked: &'a Resize,
    members: BTreeMap<&'a EnsembleMember, (&'a MemberState, Option<&'a MemberSeen>)>,
    running: &'a BTreeMap<EnsembleMember, ServerList>,
    layouts: &'a BTreeMap<u32, MemberLayout>,
    /// By ids; what some members may still run with.
    old: BTreeSet<u32>,
    new: BTreeSet<u32>,
}

/// Plans the next change by one member, or what is left of one that was begun; no steps when the ensemble is as wanted.
///
/// # Errors
/// When the ensemble would lose its quorum or its data on the way, and when what the members run with fits neither what
/// is listed nor what is named.
pub fn resize(asked: &Resize, seen: &ResizeSeen) -> Result<Plan, Failures> {
    let layouts = by_id(layouts(&asked.wish, &seen.members)?);
    refuse_moving(asked)?;
    let seen = &with_those_alone(seen, &layouts);
    let (old, new) = next_change(asked, seen, &layouts)?;
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
            *list = zoo_cfg::list_of(layouts.values().filter(|layout| layout.member == *member));
        }
    }
    seen
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
    seen: &ResizeSeen,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Failures> {
    refuse_strangers(asked, seen, layouts)?;
    let ids = |list: &ServerList| list.keys().copied().collect::<BTreeSet<u32>>();
    let id_of = |member: &EnsembleMember| {
        layouts.values().find(|layout| layout.member == *member).map(|layout| layout.id)
    };
    let wanted: BTreeSet<u32> = asked.wanted.members().iter().filter_map(id_of).collect();
    // A member that was told to go may run on by itself with a list that nobody else has any more.
    let lists: BTreeSet<BTreeSet<u32>> = seen.running.values().map(ids).collect();
    let lists: Vec<BTreeSet<u32>> = lists.into_iter().collect();
    let distance = |list: &BTreeSet<u32>| list.symmetric_difference(&wanted).count();
    match lists.as_slice() {
        [] => Err(Failure::unreachable("no member of the ensemble serves")
            .hint("start it first: arcusctl zookeeper start; see arcusctl zookeeper status")
            .into()),
        [settled] => {
            let named: BTreeSet<u32> = asked.named.iter().filter_map(id_of).collect();
            let unnamed: Vec<String> = settled
                .symmetric_difference(&wanted)
                .filter(|id| !named.contains(id))
                .filter_map(|id| layouts.get(id))
                .map(|layout| layout.member.to_string())
                .collect();
            if !unnamed.is_empty() {
                return Err(Failure::refused(format!(
                    "the ensemble list and what the members run with differ in {}",
                    unnamed.join(", ")
                ))
                .hint("list the members as they run (arcusctl zookeeper status), and name what is to come or go")
                .into());
            }
            let joining =
                asked.named.iter().filter_map(id_of).find(|id| wanted.contains(id) && !settled.contains(id));
            let leaving =
                asked.named.iter().filter_map(id_of).find(|id| !wanted.contains(id) && settled.contains(id));
            let mut next = settled.clone();
            if let Some(id) = joining {
                next.insert(id);
            } else if let Some(id) = leaving {
                next.remove(&id);
            }
            Ok((settled.clone(), next))
        }
        [one, other] if one.symmetric_difference(other).count() == 1 => {
            if distance(one) < distance(other) {
                Ok((other.clone(), one.clone()))
            } else {
                Ok((one.clone(), other.clone()))
            }
        }
        _ => {
            let said = seen.running.iter().map(|(member, list)| {
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

/// Every server that a member runs with must be one that is known here, at the address it has here.
fn refuse_strangers(
    asked: &Resize,
    seen: &ResizeSeen,
    layouts: &BTreeMap<u32, MemberLayout>,
) -> Result<(), Failures> {
    let known = zoo_cfg::list_of(layouts.values());
    let mut strangers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (member, list) in &seen.running {
        for (id, server) in list.iter().filter(|(id, server)| known.get(id) != Some(server)) {
            let Server { host, peer_port, election_port, observer } = server;
            let role = if *observer { ":observer" } else { "" };
            let line = format!("server.{id}={host}:{peer_port}:{election_port}{role}");
            strangers.entry(line).or_default().push(member.to_string());
        }
    }
    let failures = strangers.into_iter().map(|(line, members)| {
        Failure::refused(format!("{} runs with {line}, which is nobody that is listed", members.join(", ")))
            .cause(format!("listed and named are {}", asked.wish.ensemble))
            .hint("list the ensemble by the names its zoo.cfg has: -z host:port,…; see arcusctl zookeeper status")
    });
    Failures::none_of(failures.collect())
}

impl Change<'_> {
    fn layouts_of<'b>(&'b self, ids: &'b BTreeSet<u32>) -> impl Iterator<Item = &'b MemberLayout> {
        ids.iter().filter_map(|id| self.layouts.get(id))
    }

    fn voters(&self, ids: &BTreeSet<u32>) -> Voters {
        Voters(self.layouts_of(ids).map(|layout| layout.member.clone()).collect())
    }

    fn state(&self, layout: &MemberLayout) -> Option<&MemberState> {
        self.members.get(&layout.member).map(|(state, _)| *state)
    }

    fn seen(&self, layout: &MemberLayout) -> Option<&MemberSeen> {
        self.members.get(&layout.member).and_then(|(_, seen)| *seen)
    }

    fn serves(&self, layout: &MemberLayout) -> bool {
        self.state(layout).is_some_and(|state| matches!(state, MemberState::Serving(_)))
    }

    fn leads(&self, layout: &MemberLayout) -> bool {
        let stats = self.state(layout).and_then(MemberState::stats);
        stats.is_some_and(|stats| matches!(stats.mode, Mode::Leader | Mode::Standalone))
    }

    fn runs_with(&self, layout: &MemberLayout, ids: &BTreeSet<u32>) -> bool {
        self.running.get(&layout.member).is_some_and(|list| list.keys().copied().eq(ids.iter().copied()))
    }

    /// ZooKeeper rewrote the `zoo.cfg` of those who vote; it is its own from then on.
    fn is_reconfigured(&self) -> bool {
        let both: BTreeSet<u32> = self.old.intersection(&self.new).copied().collect();
        self.layouts_of(&both).any(|layout| {
            let config = self.seen(layout).and_then(|seen| seen.config.as_deref());
            config.is_some_and(zoo_cfg::is_reconfigured)
        })
    }

    /// Members that are named and vote no more, but run or could be started.
    fn retired(&self) -> Vec<&MemberLayout> {
        let gone = |layout: &&MemberLayout| {
            !self.new.contains(&layout.id) && !self.asked.wanted.members().contains(&layout.member)
        };
        // A host that was named by mistake may have a member of another ensemble.
        let known = zoo_cfg::list_of(self.layouts.values());
        let left = |layout: &&MemberLayout| {
            self.seen(layout).and_then(|seen| seen.config.as_deref()).is_some_and(|config| {
                zoo_cfg::server_list(config).iter().all(|(id, server)| known.get(id) == Some(server))
            })
        };
        self.layouts.values().filter(gone).filter(left).collect()
    }

    fn config_of(&self, layout: &MemberLayout, list: &BTreeSet<u32>) -> String {
        let all: Vec<MemberLayout> = self.layouts_of(list).cloned().collect();
        zoo_cfg::render(layout, &all, &self.asked.wish.settings.properties)
    }

    /// The new `zoo.cfg`, where the one that is there has other servers.
    fn new_config(&self, layout: &MemberLayout, list: &BTreeSet<u32>, plan: &mut Plan) -> Option<String> {
        let wanted = self.config_of(layout, list);
        let present = self.seen(layout).and_then(|seen| seen.config.as_deref());
        if present.is_some_and(|present| zoo_cfg::server_list(present) == zoo_cfg::server_list(&wanted)) {
            return None;
        }
        let others = present.map(|present| zoo_cfg::other_changes(present, &wanted)).unwrap_or_default();
        if !others.is_empty() {
            plan.notes.push(format!(
                "{}: its zoo.cfg is written anew, with these changes besides its servers: {}",
                layout.member,
                others.join("; ")
            ));
        }
        Some(wanted)
    }

    /// Everybody who is to vote must be in reach, fit to be started, and a newcomer without data of its own.
    fn refuse_unfit(&self) -> Result<(), Failures> {
        let mut failures = Vec::new();
        for layout in self.layouts_of(&self.new) {
            let Some((member, state, seen)) = self
                .members
                .get(&layout.member)
                .and_then(|(state, seen)| Some((&layout.member, *state, (*seen)?)))
            else {
                failures.push(unseen(layout));
                continue;
            };
            failures.extend(unfit(member, state, seen));
            let begun = seen.config.as_deref().is_some_and(|config| {
                zoo_cfg::server_list(config) == zoo_cfg::list_of(self.layouts_of(&self.new))
            });
            if !self.old.contains(&layout.id) && seen.has_data && seen.pid.is_none() && !begun {
                failures.push(
                    Failure::refused(format!("{member}: keeps znodes of an earlier time"))
                        .cause(format!(
                            "{}/version-2 is not empty; a new member takes over what the others have",
                            layout.data_dir
                        ))
                        .hint(format!(
                            "set it aside on that host: mv {0}/version-2 {0}/version-2.old",
                            layout.data_dir
                        )),
                );
            }
        }
        Failures::none_of(failures)
    }

    /// By a `zoo.cfg` with the new list for each, and a restart of each: who comes joins first, the leader is last, who
    /// goes is stopped when nobody counts it any more.
    fn by_restarts(&self, plan: &mut Plan) -> Result<(), Failures> {
        let due: Vec<&MemberLayout> =
            self.layouts_of(&self.new).filter(|layout| !self.runs_with(layout, &self.new)).collect();
        if self.old == self.new {
            return self.bring_up(plan, &due);
        }
        if due.is_empty() {
            self.retire(plan);
            return Ok(());
        }
        self.refuse_unfit()?;
        if self.asked.at_once {
            self.all_at_once(plan);
            return Ok(());
        }
        if self.hand_over(plan)? {
            return Ok(());
        }
        self.configure_newcomers(plan, &due);
        let steps = self.in_turn(plan, due)?;
        let running = steps
            .iter()
            .filter(|(.., action)| matches!(action, Action::CycleMember { keep, .. } if !keep.is_empty()))
            .count();
        for (title, layout, action) in steps {
            plan.gated_stage(title, Gate::Unbroken, vec![Step::new(member(layout), action)]);
        }
        self.prove(plan, &self.new);
        self.retire(plan);
        if running > 0 {
            plan.risk = Risk::Interrupts { what: one_at_a_time(running) };
        }
        Ok(())
    }

    /// The list is as it should be; what is down is brought up with it.
    fn bring_up(&self, plan: &mut Plan, due: &[&MemberLayout]) -> Result<(), Failures> {
        let mut up = self.up();
        for layout in due {
            let target = member(layout);
            let seen = self.seen(layout);
            let unfit = match (seen, self.state(layout)) {
                (Some(seen), Some(state)) => unfit(&layout.member, state, seen),
                _ => Some(unseen(layout)),
            };
            if let Some(failure) = unfit {
                plan.problem(target, failure);
                continue;
            }
            let config = self.new_config(layout, &self.new, plan);
            let runs = seen.is_some_and(|seen| seen.pid.is_some());
            let action = Action::CycleMember { layout: (*layout).clone(), runs, config, keep: Vec::new() };
            plan.gated_stage("Restart", Gate::Unbroken, vec![Step::new(target, action)]);
            up.insert(layout.id);
        }
        if !plan.is_empty() {
            self.prove(plan, &up);
        }
        self.retire(plan);
        Ok(())
    }

    /// The members that serve, by their ids.
    fn up(&self) -> BTreeSet<u32> {
        self.layouts.values().filter(|layout| self.serves(layout)).map(|layout| layout.id).collect()
    }

    /// Every member in its turn: what is down comes up, newcomers join, followers take the new list, the leader last.
    fn in_turn<'b>(
        &'b self,
        plan: &mut Plan,
        mut due: Vec<&'b MemberLayout>,
    ) -> Result<Vec<(&'static str, &'b MemberLayout, Action)>, Failures> {
        let newcomer = |layout: &MemberLayout| !self.old.contains(&layout.id);
        due.sort_by_key(|layout| (self.state(layout).map_or(0, turn), newcomer(layout), layout.id));
        let mut up = self.up();
        // A member finds its leader only by a majority of its own list among the others.
        let others = |up: &BTreeSet<u32>, list: &BTreeSet<u32>, id: u32| {
            let count = up.iter().filter(|other| **other != id && list.contains(other)).count();
            count > list.len() / 2
        };
        let mut steps = Vec::new();
        let mut once_more = Vec::new();
        for layout in due.iter().filter(|layout| !self.serves(layout)) {
            let list = if others(&up, &self.new, layout.id) { &self.new } else { &self.old };
            if !others(&up, list, layout.id) || !list.contains(&layout.id) {
                return Err(self.loss());
            }
            let config = if newcomer(layout) { None } else { self.new_config(layout, list, plan) };
            let runs = self.seen(layout).is_some_and(|seen| seen.pid.is_some());
            let action = Action::CycleMember { layout: (*layout).clone(), runs, config, keep: Vec::new() };
            steps.push((if newcomer(layout) { "Join" } else { "Restart" }, *layout, action));
            if list != &self.new {
                once_more.push(*layout);
            }
            up.insert(layout.id);
        }
        let keep = vec![self.voters(&self.old), self.voters(&self.new)];
        let serving = due.iter().copied().filter(|layout| self.serves(layout));
        let cycled: Vec<&MemberLayout> = once_more.into_iter().chain(serving).collect();
        // Who is to go may be needed once more before it goes.
        if cycled.iter().any(|layout| !others(&up, &self.old, layout.id)) {
            for layout in self.leaving_but_down() {
                if !others(&up, &self.old, layout.id) {
                    continue;
                }
                let config = self.new_config(layout, &self.old, plan);
                let action =
                    Action::CycleMember { layout: layout.clone(), runs: false, config, keep: Vec::new() };
                steps.push(("Bring back", layout, action));
                up.insert(layout.id);
            }
        }
        for layout in cycled {
            if !others(&up, &self.old, layout.id) || !others(&up, &self.new, layout.id) {
                return Err(self.loss());
            }
            let config = self.new_config(layout, &self.new, plan).or_else(|| {
                // It was given the old list for a moment.
                (!self.serves(layout)).then(|| self.config_of(layout, &self.new))
            });
            let action =
                Action::CycleMember { layout: layout.clone(), runs: true, config, keep: keep.clone() };
            steps.push(("Restart", layout, action));
        }
        Ok(steps)
    }

    /// Members that are to go, are down, and could be started.
    fn leaving_but_down(&self) -> Vec<&MemberLayout> {
        let startable = |layout: &&MemberLayout| {
            let Some((state, Some(seen))) = self.members.get(&layout.member) else { return false };
            seen.pid.is_none() && seen.config.is_some() && unfit(&layout.member, state, seen).is_none()
        };
        let leaving = self.old.difference(&self.new).filter_map(|id| self.layouts.get(id));
        leaving.filter(startable).collect()
    }

    fn loss(&self) -> Failures {
        let down = self.layouts_of(&self.old).filter(|layout| !self.serves(layout));
        let down: Vec<String> = down
            .map(|layout| {
                let state = self.state(layout).map(MemberState::describe).unwrap_or_default();
                format!("{} is {state}", layout.member)
            })
            .collect();
        let failure =
            Failure::refused("the members cannot be restarted one by one without losing the quorum");
        let failure = if down.is_empty() {
            let (old, new) = (self.old.len(), self.new.len());
            failure
                .cause(format!("from {old} members to {new}, none of them can be done without for a moment"))
        } else {
            failure.cause(down.join("; ")).hint("bring up what is down first: arcusctl zookeeper start")
        };
        failure.hint("to interrupt the ensemble for some seconds and restart all at once: --all").into()
    }

    /// A member that starts with a list without the leader cannot follow it. So a leader that is to go is restarted first,
    /// as it is: another is elected meanwhile. The change itself is planned once that is seen.
    fn hand_over(&self, plan: &mut Plan) -> Result<bool, Failures> {
        let leaving =
            self.layouts_of(&self.old).find(|layout| !self.new.contains(&layout.id) && self.leads(layout));
        let Some(leader) = leaving else { return Ok(false) };
        let others = |fits: &dyn Fn(&MemberLayout) -> bool| {
            let others = self.layouts_of(&self.old).filter(|layout| layout.id != leader.id);
            others.filter(|layout| fits(layout)).count() > self.old.len() / 2
        };
        let keep = if others(&|layout| self.serves(layout)) {
            vec![self.voters(&self.old)]
        } else if others(&|layout| self.seen(layout).is_some_and(|seen| seen.pid.is_some())) {
            // Those that have the new list wait for a leader that is on it; they elect one once this one lets go.
            Vec::new()
        } else {
            return Err(self.loss());
        };
        let action = Action::CycleMember { layout: leader.clone(), runs: true, config: None, keep };
        plan.gated_stage("Hand over", Gate::Unbroken, vec![Step::new(member(leader), action)]);
        plan.risk = Risk::Interrupts {
            what: format!(
                "the leader, {}, will be restarted so that another member leads, and then {}",
                leader.member,
                one_at_a_time(self.new.len())
            ),
        };
        plan.notes.push(format!("{} leads now; once another member does, it is taken out", leader.member));
        Ok(true)
    }

    fn configure_newcomers(&self, plan: &mut Plan, due: &[&MemberLayout]) {
        let mut steps = Vec::new();
        for layout in due.iter().filter(|layout| !self.old.contains(&layout.id)) {
            let myid = self.seen(layout).is_none_or(|seen| seen.myid.is_none()).then_some(layout.id);
            let config = self.new_config(layout, &self.new, plan);
            if myid.is_some() || config.is_some() {
                let action = Action::ConfigureMember { layout: (*layout).clone(), myid, config };
                steps.push(Step::new(member(layout), action));
            }
        }
        plan.gated_stage("Configure", Gate::Unbroken, steps);
    }

    /// What the operator takes an interruption for: too few members to do without one of them.
    fn all_at_once(&self, plan: &mut Plan) {
        let either: BTreeSet<u32> = self.old.union(&self.new).copied().collect();
        let mut configure = Vec::new();
        let mut stop = Vec::new();
        let mut start = Vec::new();
        for layout in self.layouts_of(&either) {
            let step = |action: Action| Step::new(member(layout), action);
            let seen = self.seen(layout);
            if seen.is_some_and(|seen| seen.pid.is_some()) {
                stop.push(step(Action::StopMember { layout: layout.clone() }));
            }
            if !self.new.contains(&layout.id) {
                continue;
            }
            let myid = seen.is_none_or(|seen| seen.myid.is_none()).then_some(layout.id);
            let config = self.new_config(layout, &self.new, plan);
            if myid.is_some() || config.is_some() {
                configure.push(step(Action::ConfigureMember { layout: layout.clone(), myid, config }));
            }
            start.push(step(Action::StartMember { layout: layout.clone() }));
        }
        let stopped = stop.len();
        plan.gated_stage("Stop", Gate::Unbroken, stop);
        plan.gated_stage("Configure", Gate::Unbroken, configure);
        plan.gated_stage("Start", Gate::Unbroken, start);
        let members = self.voters(&self.new).0;
        let quorum = members.len() / 2 + 1;
        let action = Action::AwaitQuorum { members, quorum };
        plan.gated_stage("Quorum", Gate::Unbroken, vec![Step::new(Target::Ensemble, action)]);
        self.prove(plan, &self.new);
        self.retire(plan);
        plan.risk = Risk::Interrupts {
            what: format!(
                "{stopped} running ZooKeeper member(s) will stop at once, and the ensemble is interrupted until they are up again"
            ),
        };
    }

    /// By ZooKeeper itself: who comes starts beside the others, and one transaction changes the list; nobody is restarted.
    fn by_reconfig(&self, plan: &mut Plan) -> Result<(), Failures> {
        if self.old == self.new {
            self.retire(plan);
            return Ok(());
        }
        self.refuse_unfit()?;
        let newcomers: Vec<&MemberLayout> = self
            .layouts_of(&self.new)
            .filter(|layout| !self.old.contains(&layout.id) && !self.serves(layout))
            .collect();
        let enabled = |properties: &BTreeMap<String, String>| {
            properties.get("reconfigEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        if !newcomers.is_empty() && !enabled(&self.asked.wish.settings.properties) {
            return Err(Failure::config("the members were reconfigured at run time, but the settings leave that off")
                .hint("set reconfigEnabled = true in [zookeeper.properties] of arcusctl.toml, so that a new member has it too")
                .into());
        }
        self.configure_newcomers(plan, &newcomers);
        for layout in newcomers {
            let runs = self.seen(layout).is_some_and(|seen| seen.pid.is_some());
            let action = Action::CycleMember { layout: layout.clone(), runs, config: None, keep: Vec::new() };
            plan.gated_stage("Join", Gate::Unbroken, vec![Step::new(member(layout), action)]);
        }
        let server = |layout: &MemberLayout| {
            let MemberLayout { id, member, peer_port, election_port, .. } = layout;
            format!(
                "server.{id}={}:{peer_port}:{election_port}:participant;{}",
                member.host, member.client_port
            )
        };
        let servers = self.layouts_of(&self.new).map(server).collect();
        let step = Step::new(Target::Ensemble, Action::Reconfigure { servers });
        plan.gated_stage("Reconfigure", Gate::Unbroken, vec![step]);
        self.prove(plan, &self.new);
        self.retire(plan);
        plan.risk = Risk::Interrupts {
            what: format!(
                "ZooKeeper changes its servers from {} to {}; nobody is restarted",
                self.old.len(),
                self.new.len()
            ),
        };
        Ok(())
    }

    fn prove(&self, plan: &mut Plan, among: &BTreeSet<u32>) {
        let members = among.intersection(&self.new).copied().collect();
        let action = Action::ProveSync { members: self.voters(&members).0 };
        plan.gated_stage("Sync", Gate::Unbroken, vec![Step::new(Target::Ensemble, action)]);
    }

    fn retire(&self, plan: &mut Plan) {
        let retired = self.retired();
        let steps: Vec<Step> = retired
            .iter()
            .map(|layout| Step::new(member(layout), Action::RetireMember { layout: (*layout).clone() }))
            .collect();
        for layout in &retired {
            plan.notes.push(format!(
                "{}: is stopped at the end, and its data is left in {}",
                layout.member, layout.data_dir
            ));
        }
        if !steps.is_empty() && plan.risk == Risk::Harmless {
            let names: Vec<String> = retired.iter().map(|layout| layout.member.to_string()).collect();
            plan.risk =
                Risk::Interrupts { what: format!("{} will stop; it votes no more", names.join(", ")) };
        }
        plan.gated_stage("Retire", Gate::Unbroken, steps);
    }
}

fn unseen(layout: &MemberLayout) -> Failure {
    Failure::unreachable(format!("{}: cannot be looked at on its host", layout.member))
        .cause("while the list of servers changes, every member that stays must be in reach")
        .hint("mend its host, or take it out first: arcusctl zookeeper remove")
}

fn member(layout: &MemberLayout) -> Target {
    Target::Member(layout.member.clone())
}

#[cfg(test)]
#[path = "resize_tests.rs"]
mod tests;

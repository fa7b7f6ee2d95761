//! A `zoo.cfg` with the new list for each member, and a restart of each, in an order that keeps the quorum.

use std::collections::BTreeSet;

use super::super::ensemble::unfit;
use super::super::ensemble_rolling::{one_at_a_time, turn};
use super::super::{Action, Gate, MemberLayout, Plan, Risk, Step, Target};
use super::change::{Change, member, unseen};
use crate::error::{Failure, Failures};
use crate::zk::MemberState;

/// A stage of one member: its title, the member, whether it still has the old list then, and what is done.
type Cycle<'a> = (&'static str, &'a MemberLayout, bool, Action);

/// Without `id`, those who are up have a majority of `list`: the ensemble goes on, and a member that starts with that list
/// finds its leader, which it does only by a majority among the others.
fn leads_on(up: &BTreeSet<u32>, list: &BTreeSet<u32>, id: u32) -> bool {
    up.iter().filter(|other| **other != id && list.contains(other)).count() > list.len() / 2
}

impl Change<'_> {
    /// By a `zoo.cfg` with the new list for each, and a restart of each: who comes joins first, the leader is last, who
    /// goes is stopped when nobody counts it any more.
    pub(super) fn by_restarts(&self, plan: &mut Plan) -> Result<(), Failures> {
        let due: Vec<&MemberLayout> =
            self.staying().filter(|layout| !self.runs_with(layout, &self.new)).collect();
        // Where nobody serves, nobody comes up alone.
        let at_rest = self.running.is_empty() && self.asked.at_once;
        if self.old == self.new && !at_rest {
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
            .filter(|(.., action)| matches!(action, Action::CycleMember { runs: true, .. }))
            .count();
        for (title, layout, _, action) in steps {
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
        let mut running = 0;
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
            running += usize::from(seen.is_some_and(|seen| seen.pid.is_some()));
            let step = Step::new(target, self.start(layout, config));
            plan.gated_stage("Restart", Gate::Unbroken, vec![step]);
            up.insert(layout.id);
        }
        if running > 0 {
            plan.risk = Risk::Interrupts { what: one_at_a_time(running) };
        }
        if !plan.is_empty() {
            self.prove(plan, &up);
        }
        self.retire(plan);
        Ok(())
    }

    /// Every member in its turn: what is down comes up, newcomers join, followers take the new list, the leader last.
    fn in_turn<'b>(
        &'b self,
        plan: &mut Plan,
        mut due: Vec<&'b MemberLayout>,
    ) -> Result<Vec<Cycle<'b>>, Failures> {
        due.sort_by_key(|layout| (self.state(layout).map_or(0, turn), self.joins(layout), layout.id));
        let (serving, down): (Vec<_>, Vec<_>) = due.into_iter().partition(|layout| self.serves(layout));
        let mut up = self.up();
        let mut steps = self.bring_in(plan, &down, &mut up)?;
        // What could come up with the old list only is to have the new one like the others.
        let with_old =
            |layout: &&MemberLayout| steps.iter().any(|(_, with, old, _)| *old && with.id == layout.id);
        let cycled: Vec<&MemberLayout> = down.iter().copied().filter(with_old).chain(serving).collect();
        // Who is to go may be needed once more before it goes.
        if cycled.iter().any(|layout| !leads_on(&up, &self.old, layout.id)) {
            for layout in self.leaving_but_down() {
                if leads_on(&up, &self.old, layout.id) {
                    let config = self.new_config(layout, &self.old, plan);
                    steps.push(("Bring back", layout, true, self.start(layout, config)));
                    up.insert(layout.id);
                }
            }
        }
        let keep = self.keep();
        for layout in cycled {
            if !leads_on(&up, &self.old, layout.id) || !leads_on(&up, &self.new, layout.id) {
                return Err(self.loss());
            }
            let config = self.new_config(layout, &self.new, plan).or_else(|| {
                // It was given the old list for a moment.
                (!self.serves(layout)).then(|| self.config_of(layout, &self.new))
            });
            let action =
                Action::CycleMember { layout: layout.clone(), runs: true, config, keep: keep.clone() };
            steps.push(("Restart", layout, false, action));
        }
        Ok(steps)
    }

    /// Those who do not serve come up with the new list if they find a leader with it, else with the old one.
    fn bring_in<'b>(
        &self,
        plan: &mut Plan,
        down: &[&'b MemberLayout],
        up: &mut BTreeSet<u32>,
    ) -> Result<Vec<Cycle<'b>>, Failures> {
        let mut steps = Vec::new();
        for layout in down {
            let with_old = !leads_on(up, &self.new, layout.id);
            let list = if with_old { &self.old } else { &self.new };
            if !leads_on(up, list, layout.id) || !list.contains(&layout.id) {
                return Err(self.loss());
            }
            // A newcomer is configured before anything else.
            let joins = self.joins(layout);
            let config = if joins { None } else { self.new_config(layout, list, plan) };
            let title = if joins { "Join" } else { "Restart" };
            steps.push((title, *layout, with_old, self.start(layout, config)));
            up.insert(layout.id);
        }
        Ok(steps)
    }

    fn joins(&self, layout: &MemberLayout) -> bool {
        !self.old.contains(&layout.id)
    }

    /// The start of one that serves nobody, and takes no vote away, unless it serves by the time that its turn comes.
    fn start(&self, layout: &MemberLayout, config: Option<String>) -> Action {
        let runs = self.seen(layout).is_some_and(|seen| seen.pid.is_some());
        Action::CycleMember { layout: layout.clone(), runs, config, keep: self.keep() }
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

    /// What the operator takes an interruption for: too few members to do without one of them.
    fn all_at_once(&self, plan: &mut Plan) {
        let either: BTreeSet<u32> = self.old.union(&self.new).copied().collect();
        let mut configure = Vec::new();
        let mut stop = Vec::new();
        let mut start = Vec::new();
        for layout in self.layouts_of(&either).filter(|layout| !self.is_lost(layout)) {
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
        // Files first: where one cannot be written, nobody is stopped.
        plan.gated_stage("Configure", Gate::Unbroken, configure);
        plan.gated_stage("Stop", Gate::Unbroken, stop);
        // One that could not be stopped goes on with the old list, and the others are not left down for it: majorities of the
        // two lists have a member in common.
        plan.gated_stage("Start", Gate::OwnTarget, start);
        let members = self.staying().map(|layout| layout.member.clone()).collect();
        let action = Action::AwaitQuorum { members, quorum: self.voters(&self.new).quorum() };
        plan.gated_stage("Quorum", Gate::OwnTarget, vec![Step::new(Target::Ensemble, action)]);
        self.prove(plan, &self.new);
        self.retire(plan);
        plan.risk = Risk::Interrupts {
            what: format!(
                "{stopped} running ZooKeeper member(s) will stop at once, and the ensemble is interrupted until they are up again"
            ),
        };
    }
}

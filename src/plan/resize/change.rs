//! One member that comes or goes: what is known of everybody, and the steps that every way of doing it has.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ensemble::unfit;
use super::super::zoo_cfg;
use super::super::zoo_cfg::ServerList;
use super::super::{Action, Gate, MemberLayout, Plan, Risk, Step, Target, Voters};
use super::Resize;
use crate::error::{Failure, Failures};
use crate::inspect::MemberSeen;
use crate::model::EnsembleMember;
use crate::zk::{MemberState, Mode};

/// One member that comes or goes, and all that is known.
pub(super) struct Change<'a> {
    pub(super) asked: &'a Resize,
    pub(super) members: BTreeMap<&'a EnsembleMember, (&'a MemberState, Option<&'a MemberSeen>)>,
    pub(super) running: &'a BTreeMap<EnsembleMember, ServerList>,
    pub(super) layouts: &'a BTreeMap<u32, MemberLayout>,
    /// By ids; what some members may still run with.
    pub(super) old: BTreeSet<u32>,
    pub(super) new: BTreeSet<u32>,
}

impl Change<'_> {
    pub(super) fn layouts_of<'b>(&'b self, ids: &'b BTreeSet<u32>) -> impl Iterator<Item = &'b MemberLayout> {
        ids.iter().filter_map(|id| self.layouts.get(id))
    }

    pub(super) fn voters(&self, ids: &BTreeSet<u32>) -> Voters {
        Voters(self.layouts_of(ids).map(|layout| layout.member.clone()).collect())
    }

    pub(super) fn state(&self, layout: &MemberLayout) -> Option<&MemberState> {
        self.members.get(&layout.member).map(|(state, _)| *state)
    }

    pub(super) fn seen(&self, layout: &MemberLayout) -> Option<&MemberSeen> {
        self.members.get(&layout.member).and_then(|(_, seen)| *seen)
    }

    pub(super) fn serves(&self, layout: &MemberLayout) -> bool {
        self.state(layout).is_some_and(|state| matches!(state, MemberState::Serving(_)))
    }

    pub(super) fn leads(&self, layout: &MemberLayout) -> bool {
        let stats = self.state(layout).and_then(MemberState::stats);
        stats.is_some_and(|stats| matches!(stats.mode, Mode::Leader | Mode::Standalone))
    }

    pub(super) fn runs_with(&self, layout: &MemberLayout, ids: &BTreeSet<u32>) -> bool {
        self.running.get(&layout.member).is_some_and(|list| list.keys().copied().eq(ids.iter().copied()))
    }

    /// It is to go in its turn, does not serve, and its host cannot be reached: nothing can be done to it, and nothing is
    /// waited for from it. Whether the others are a quorum without it is another matter.
    pub(super) fn is_lost(&self, layout: &MemberLayout) -> bool {
        !self.asked.wanted.members().contains(&layout.member)
            && !self.serves(layout)
            && self.seen(layout).is_none()
    }

    /// Of those on the new list, the ones that something can be done to.
    pub(super) fn staying(&self) -> impl Iterator<Item = &MemberLayout> {
        self.layouts_of(&self.new).filter(|layout| !self.is_lost(layout))
    }

    /// While the change goes on, some count by the old list and some by the new one.
    pub(super) fn keep(&self) -> Vec<Voters> {
        let mut keep = vec![self.voters(&self.old)];
        if self.new != self.old {
            keep.push(self.voters(&self.new));
        }
        keep
    }

    /// ZooKeeper rewrote the `zoo.cfg` of those who vote; it is its own from then on.
    pub(super) fn is_reconfigured(&self) -> bool {
        let both: BTreeSet<u32> = self.old.intersection(&self.new).copied().collect();
        self.layouts_of(&both).any(|layout| {
            let config = self.seen(layout).and_then(|seen| seen.config.as_deref());
            config.is_some_and(zoo_cfg::is_reconfigured)
        })
    }

    /// Members that are named and vote no more, but run or could be started.
    pub(super) fn retired(&self) -> Vec<&MemberLayout> {
        let gone = |layout: &&MemberLayout| {
            !self.new.contains(&layout.id) && !self.asked.wanted.members().contains(&layout.member)
        };
        // A host that was named by mistake may have a member of another ensemble, or a server that is of none: its zoo.cfg
        // must have our servers, and itself among them. Where ZooKeeper keeps the list it took those out that went.
        let known = zoo_cfg::list_of(self.layouts.values());
        let left = |layout: &&MemberLayout| {
            self.seen(layout).and_then(|seen| seen.config.as_deref()).is_some_and(|config| {
                let list = zoo_cfg::server_list(config);
                !list.is_empty()
                    && (list.contains_key(&layout.id) || zoo_cfg::is_reconfigured(config))
                    && list.iter().all(|(id, server)| known.get(id) == Some(server))
            })
        };
        self.layouts.values().filter(gone).filter(left).collect()
    }

    pub(super) fn config_of(&self, layout: &MemberLayout, list: &BTreeSet<u32>) -> String {
        let all: Vec<MemberLayout> = self.layouts_of(list).cloned().collect();
        zoo_cfg::render(layout, &all, &self.asked.wish.settings.properties)
    }

    /// The new `zoo.cfg`, where the one that is there has other servers.
    pub(super) fn new_config(
        &self,
        layout: &MemberLayout,
        list: &BTreeSet<u32>,
        plan: &mut Plan,
    ) -> Option<String> {
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

    /// Everybody who is to vote on must be in reach, fit to be started, and a newcomer without data of its own.
    pub(super) fn refuse_unfit(&self) -> Result<(), Failures> {
        let mut failures = Vec::new();
        for layout in self.staying() {
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
            // One that serves with a list that fits has its data from the others.
            let joined = begun || self.running.contains_key(member);
            if !self.old.contains(&layout.id) && seen.has_data && !joined {
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

    /// The members that serve, by their ids.
    pub(super) fn up(&self) -> BTreeSet<u32> {
        self.layouts.values().filter(|layout| self.serves(layout)).map(|layout| layout.id).collect()
    }

    pub(super) fn configure_newcomers(&self, plan: &mut Plan, due: &[&MemberLayout]) {
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

    pub(super) fn prove(&self, plan: &mut Plan, among: &BTreeSet<u32>) {
        let members = self.staying().filter(|layout| among.contains(&layout.id));
        let action = Action::ProveSync { members: members.map(|layout| layout.member.clone()).collect() };
        plan.gated_stage("Sync", Gate::Unbroken, vec![Step::new(Target::Ensemble, action)]);
    }

    pub(super) fn retire(&self, plan: &mut Plan) {
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

pub(super) fn unseen(layout: &MemberLayout) -> Failure {
    Failure::unreachable(format!("{}: cannot be looked at on its host", layout.member))
        .cause("while the list of servers changes, every member that stays must be in reach")
        .hint("mend its host, or take it out first, with all others that are lost: arcusctl zookeeper remove MEMBER…")
}

pub(super) fn member(layout: &MemberLayout) -> Target {
    Target::Member(layout.member.clone())
}

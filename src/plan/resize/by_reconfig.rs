//! A transaction of ZooKeeper's own changes the list; nobody is restarted.

use std::collections::BTreeMap;

use super::super::{Action, Gate, MemberLayout, Plan, Risk, Step, Target};
use super::change::{Change, member};
use crate::error::{Failure, Failures};

impl Change<'_> {
    /// By ZooKeeper itself: who comes starts beside the others, and one transaction changes the list; nobody is restarted.
    pub(super) fn by_reconfig(&self, plan: &mut Plan) -> Result<(), Failures> {
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
            let keep = vec![self.voters(&self.old)];
            let action = Action::CycleMember { layout: layout.clone(), runs, config: None, keep };
            plan.gated_stage("Join", Gate::Unbroken, vec![Step::new(member(layout), action)]);
        }
        let server = |layout: &MemberLayout| {
            let MemberLayout { id, member, peer_port, election_port, .. } = layout;
            format!(
                "server.{id}={}:{peer_port}:{election_port}:participant;{}",
                member.host, member.client_port
            )
        };
        let servers_of = |ids| self.layouts_of(ids).map(server).collect();
        let (from, servers) = (servers_of(&self.old), servers_of(&self.new));
        let step = Step::new(Target::Ensemble, Action::Reconfigure { from, servers });
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
}

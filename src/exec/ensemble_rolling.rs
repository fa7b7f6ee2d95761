//! Members one at a time: down and up again in sync, retired, and seen to have what the others have.

use std::sync::Arc;
use std::time::Instant;

use futures::future::{join_all, try_join_all};

use super::ensemble::{ASK_EVERY, PROBE_LIMIT};
use super::{Events, Operator, Outcome, StepResult};
use crate::error::{Failure, FailureKind};
use crate::model::{Ensemble, EnsembleMember, NodeAddr};
use crate::node::NodeLink;
use crate::plan::{MemberLayout, ServerList, Target, Voters, by_hand, server_list};
use crate::remote::{Script, scripts};
use crate::zk::{MemberState, ZooKeeper, probe_member, running_config};

/// Holds what is written to see whether all members have it.
const PROBES: &str = "/arcusctl/probes";

impl Operator {
    /// Stops a member, starts it with `config`, and sees it and all that served before serve in sync.
    pub(super) async fn cycle_member(
        &self,
        layout: &MemberLayout,
        config: Option<&str>,
        keep: &[Voters],
        events: &Events,
    ) -> Result<String, Failure> {
        let member = &layout.member;
        let mut in_sync = self.serving_without(member, keep).await?;
        if config.is_some() {
            self.configure_member(layout, None, config).await?;
        }
        self.stop_member(layout).await?;
        self.not_started.lock().await.remove(member);
        self.start_member(layout).await?;
        let waited = self.await_quorum(std::slice::from_ref(member), 1, events).await;
        if let Some(failure) = waited.iter().find_map(|result| result.failure()) {
            return Err(failure.clone().hint("the members after this one were not touched"));
        }
        in_sync.push(member.clone());
        self.prove_sync(&in_sync).await?;
        let mode = match probe_member(member, PROBE_LIMIT).await {
            MemberState::Serving(stats) => stats.mode.as_str().to_owned(),
            other => other.describe(),
        };
        Ok(format!("serves as {mode}, in sync with {} other(s)", in_sync.len() - 1))
    }

    /// The others that serve, which must be a majority of each of `keep` if `member` is to be taken down.
    async fn serving_without(
        &self,
        member: &EnsembleMember,
        keep: &[Voters],
    ) -> Result<Vec<EnsembleMember>, Failure> {
        let mut others: Vec<EnsembleMember> = keep.iter().flat_map(|voters| voters.0.clone()).collect();
        others.extend(self.ensemble.members().iter().cloned());
        others.sort();
        others.dedup();
        others.retain(|other| other != member);
        let states = join_all(others.iter().map(|other| probe_member(other, PROBE_LIMIT))).await;
        let seen: Vec<(EnsembleMember, MemberState)> = others.into_iter().zip(states).collect();
        let serves = |other: &EnsembleMember| {
            seen.iter().any(|(seen, state)| seen == other && matches!(state, MemberState::Serving(_)))
        };
        for voters in keep {
            let left = voters.0.iter().filter(|other| serves(other)).count();
            if left < voters.quorum() {
                let down = seen.iter().filter(|(other, _)| voters.0.contains(other) && !serves(other));
                let down: Vec<String> =
                    down.map(|(other, state)| format!("{other} is {}", state.describe())).collect();
                return Err(Failure::refused(format!(
                    "{member}: was left as it is; the quorum would be lost"
                ))
                .cause(format!(
                    "without it {left} of {} members serve, and a quorum needs {}: {}",
                    voters.0.len(),
                    voters.quorum(),
                    down.join("; ")
                ))
                .hint("bring up what is down, then run the command again"));
            }
        }
        Ok(seen.iter().map(|(other, _)| other).filter(|other| serves(other)).cloned().collect())
    }

    pub(super) async fn retire_member(&self, layout: &MemberLayout) -> Result<String, Failure> {
        self.stop_member(layout).await?;
        let script = Script::new("set its zoo.cfg aside", scripts::RETIRE_MEMBER).arg(&layout.conf_dir);
        self.fleet.host(&layout.member.host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("stopped, is no member any more; its data stays in {}", layout.data_dir))
    }

    pub(super) async fn reconfigure(&self, servers: &[String]) -> Result<String, Failure> {
        let wanted = server_list(&servers.join("\n"));
        let asked = async { self.zookeeper().await?.reconfigure(servers).await };
        match asked.await {
            Ok(()) => {}
            // A leader that takes itself out closes its connections, also the one that would have told of it.
            Err(failure) if failure.kind == FailureKind::Unreachable => {
                self.await_servers(&wanted).await.ok_or(failure)?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(format!("ZooKeeper has {} servers now", servers.len()))
    }

    /// Asks members until one runs with these servers; `None` when none does in time.
    async fn await_servers(&self, wanted: &ServerList) -> Option<()> {
        let start = Instant::now();
        let limit = self.settings.timeouts.zookeeper;
        while start.elapsed() < self.settings.timeouts.ensemble {
            for member in self.ensemble.members() {
                let running = running_config(member, limit).await;
                if running.is_ok_and(|running| server_list(&running) == *wanted) {
                    return Some(());
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        None
    }

    /// Tells each node of the members there are now; one that cannot be told keeps no other from it.
    pub(super) async fn tell_nodes(&self, nodes: &[NodeAddr], zookeeper: &str) -> Vec<StepResult> {
        let start = Instant::now();
        let limit = self.settings.timeouts.zookeeper;
        join_all(nodes.iter().map(|node| async move {
            let told = async {
                let mut link = NodeLink::open(&self.fleet, *node, limit).await?;
                link.ask(&format!("zkensemble set {zookeeper}")).await
            };
            let outcome = match told.await {
                Ok(_) => Outcome::done(format!("follows {zookeeper}")),
                Err(failure) => Outcome::Failed { failure: failure.hint(by_hand(*node, zookeeper)) },
            };
            StepResult::since(start, Target::Node(*node), outcome)
        }))
        .await
    }

    /// Writes through one member and reads it through each, trying again while members elect a leader.
    pub(super) async fn prove_sync(&self, members: &[EnsembleMember]) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            match self.prove_once(members).await {
                Ok(()) => return Ok(format!("what is written is read through each of {}", members.len())),
                Err(failure) if start.elapsed() > self.settings.timeouts.ensemble => return Err(failure),
                Err(failure) => tracing::debug!(%failure, "not in sync yet"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn prove_once(&self, members: &[EnsembleMember]) -> Result<(), Failure> {
        let limit = self.settings.timeouts.zookeeper;
        let Some(ensemble) = Ensemble::of(members.to_vec()) else { return Ok(()) };
        let writer = Arc::new(ZooKeeper::connect(&ensemble, limit).await?);
        // It goes with the session, whatever becomes of this run.
        let probe = format!("{PROBES}/{}", writer.session());
        let proven = async {
            writer.ensure(PROBES).await?;
            writer.hold(&probe, b"").await?;
            try_join_all(members.iter().map(|member| self.reads(member, &probe))).await.map(drop)
        };
        let proven = proven.await;
        writer.close().await;
        proven
    }

    /// Sees that `member` has `path`, once it has taken in all that was written before.
    async fn reads(&self, member: &EnsembleMember, path: &str) -> Result<(), Failure> {
        let alone = Ensemble::from(member.clone());
        let reader = Arc::new(ZooKeeper::connect(&alone, self.settings.timeouts.zookeeper).await?);
        let read = async {
            reader.sync().await?;
            reader.read(path).await
        };
        let read = read.await;
        reader.close().await;
        match read? {
            Some(_) => Ok(()),
            None => Err(Failure::failed(format!(
                "{member}: does not have what was written through another member"
            ))
            .cause(format!("{path} is not there after a sync"))
            .hint("see how far behind it is: arcusctl zookeeper status")),
        }
    }
}

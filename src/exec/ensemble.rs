//! Configuring, starting, stopping and awaiting ZooKeeper members.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::MissedTickBehavior;

use super::{Events, Operator, Outcome, StepResult, member_words};
use crate::error::Failure;
use crate::model::{EnsembleMember, ZnodeChange, znode};
use crate::plan::{EnsembleWish, MemberLayout, Target, create_structure};
use crate::remote::{Script, last_lines, scripts};
use crate::zk::{MemberState, probe_member};

/// A server has no way to tell that it serves but to be asked.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(200);
/// How often a member whose port stays closed is looked at on its host.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// For one answer to `srvr`.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(2);

impl Operator {
    pub(super) async fn configure_member(
        &self,
        layout: &MemberLayout,
        myid: Option<u32>,
        config: Option<&str>,
    ) -> Result<String, Failure> {
        let script = Script::new("write its ZooKeeper configuration", scripts::CONFIGURE_MEMBER)
            .arg(&layout.conf_dir)
            .arg(&layout.data_dir)
            .arg(&layout.log_dir)
            .arg(myid.map(|id| id.to_string()).unwrap_or_default())
            .arg(config.unwrap_or_default());
        self.fleet.host(&layout.member.host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("configured as server {}", layout.id))
    }

    pub(super) async fn start_member(&self, layout: &MemberLayout) -> Result<String, Failure> {
        let script = Script::new("start ZooKeeper", scripts::START_MEMBER)
            .arg(&self.settings.install_path)
            .arg(&layout.conf_dir)
            .arg(&layout.log_dir);
        let remote = self.fleet.host(&layout.member.host).await?;
        let output = remote.run(&script, self.settings.timeouts.command).await?;
        if output.status == 0 {
            return Ok("process started".to_owned());
        }
        self.not_started.lock().await.insert(layout.member.clone());
        let said =
            last_lines(&output.stderr, 1).pop().unwrap_or_else(|| format!("exit status {}", output.status));
        let log = self.member_log(&layout.member, &layout.log_dir).await;
        let failure = Failure::failed(format!("{}: could not start ZooKeeper", layout.member))
            .cause(format!("zkServer.sh says: {said}"))
            .log(log);
        Err(member_words::explain(failure))
    }

    pub(super) async fn stop_member(&self, layout: &MemberLayout) -> Result<String, Failure> {
        let limit = self.settings.timeouts.ensemble;
        let script = Script::new("stop ZooKeeper", scripts::STOP_MEMBER)
            .arg(&layout.conf_dir)
            .arg(&layout.data_dir)
            .arg(limit.as_secs().to_string());
        let remote = self.fleet.host(&layout.member.host).await?;
        remote.check(&script, limit + self.settings.timeouts.command).await?;
        // The process is gone; a port that is still open belongs to somebody else.
        match probe_member(&layout.member, PROBE_LIMIT).await {
            MemberState::Down { .. } | MemberState::Unreachable { .. } => {
                Ok("stopped, its port is closed".to_owned())
            }
            other => Err(Failure::failed(format!("{}: its port is still open", layout.member))
                .cause(format!("another process is there: {}", other.describe()))
                .hint("see which process listens there; this install's server has ended")),
        }
    }

    pub(super) async fn create_structure(&self) -> Result<String, Failure> {
        let zookeeper = self.zookeeper().await?;
        let paths: Vec<String> = znode::STRUCTURE.iter().map(ToString::to_string).collect();
        let present = zookeeper.existing(&paths).await?.into_iter().collect();
        let changes = create_structure(&present);
        if changes.is_empty() {
            return Ok("the base znodes below /arcus exist".to_owned());
        }
        zookeeper.commit(&changes).await?;
        let created: Vec<&str> = changes
            .iter()
            .filter_map(|change| match change {
                ZnodeChange::Create { path, .. } => Some(path.as_str()),
                _ => None,
            })
            .collect();
        Ok(format!("created {}", created.join(", ")))
    }

    /// Asks the members until all serve, one is found dead, or the time is up.
    pub(super) async fn await_quorum(
        &self,
        members: &[EnsembleMember],
        quorum: usize,
        events: &Events,
    ) -> Vec<StepResult> {
        let start = Instant::now();
        let limit = self.settings.timeouts.ensemble;
        let mut waiting: BTreeMap<EnsembleMember, MemberState> = BTreeMap::new();
        let failed = self.not_started.lock().await.clone();
        let mut open: Vec<EnsembleMember> =
            members.iter().filter(|member| !failed.contains(*member)).cloned().collect();
        let mut results = Vec::new();
        let mut served = 0;
        let mut looked = Instant::now();
        let mut clock = tokio::time::interval(ASK_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !open.is_empty() && start.elapsed() < limit {
            clock.tick().await;
            let states = join_all(open.iter().map(|member| probe_member(member, PROBE_LIMIT))).await;
            for (member, state) in std::mem::take(&mut open).into_iter().zip(states) {
                let target = Target::Member(member.clone());
                if let MemberState::Serving(stats) = &state {
                    served += 1;
                    let outcome = Outcome::done(format!("serves as {}", stats.mode.as_str()));
                    results.push(StepResult::since(start, target, outcome));
                    waiting.remove(&member);
                    continue;
                }
                if waiting.get(&member) != Some(&state) {
                    events.note(&target, state.describe());
                }
                waiting.insert(member.clone(), state);
                open.push(member);
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.drop_dead(&mut open, &waiting, start, &mut results).await;
            }
        }
        for member in open {
            let state = waiting.get(&member).map_or_else(|| "not asked".to_owned(), MemberState::describe);
            let failure = Failure::failed(format!("{member}: does not serve after {} s", limit.as_secs()))
                .cause(format!("it is {state}"))
                .hint("a member serves once a majority of the ensemble runs and can reach each other's peer and election ports")
                .log(self.member_log(&member, &self.wish().dirs(&member).log).await);
            results.push(StepResult::since(start, Target::Member(member), Outcome::Failed { failure }));
        }
        // A member that serves does so because there is a quorum.
        let outcome = if served > 0 {
            Outcome::done(format!("has a quorum; {served} of {} awaited members serve", members.len()))
        } else {
            let failure = Failure::failed("the ensemble has no quorum")
                .cause(format!("{quorum} members must serve, and none of those awaited does"))
                .hint("the causes stand with the members above; mend them and run the command again");
            Outcome::Failed { failure }
        };
        results.push(StepResult::since(start, Target::Ensemble, outcome));
        results
    }

    /// A member whose process is gone will not serve, however long it is waited for.
    async fn drop_dead(
        &self,
        open: &mut Vec<EnsembleMember>,
        states: &BTreeMap<EnsembleMember, MemberState>,
        start: Instant,
        results: &mut Vec<StepResult>,
    ) {
        let wish = self.wish();
        let doubtful =
            |member: &&EnsembleMember| !matches!(states.get(*member), Some(MemberState::NotServing) | None);
        let places: Vec<_> = open.iter().filter(doubtful).map(|member| wish.place(member)).collect();
        let timeouts = &self.settings.timeouts;
        let seen = crate::inspect::inspect_members(
            &self.fleet,
            &places,
            &self.settings.install_path,
            timeouts.command,
        )
        .await;
        for (place, seen) in places.into_iter().zip(seen) {
            let Ok(seen) = seen else { continue };
            // It may have begun to serve in between, with another process found at the next look.
            if seen.pid.is_some()
                || matches!(probe_member(&place.member, PROBE_LIMIT).await, MemberState::Serving(_))
            {
                continue;
            }
            let failure = member_words::explain(
                Failure::failed(format!("{}: its ZooKeeper process has ended", place.member))
                    .log(self.member_log(&place.member, &wish.dirs(&place.member).log).await),
            );
            open.retain(|member| *member != place.member);
            results.push(StepResult::since(start, Target::Member(place.member), Outcome::Failed { failure }));
        }
    }

    pub(super) fn wish(&self) -> EnsembleWish {
        EnsembleWish::new(&self.ensemble, &self.settings)
    }

    async fn member_log(&self, member: &EnsembleMember, log_dir: &str) -> Vec<String> {
        let script = Script::new("read its ZooKeeper log", scripts::MEMBER_LOG).arg(log_dir);
        let text = async {
            let remote = self.fleet.host(&member.host).await?;
            remote.check(&script, self.settings.timeouts.command).await
        };
        text.await.map(|text| last_lines(&text, 20)).unwrap_or_default()
    }
}

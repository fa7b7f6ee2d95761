//! Members one at a time: down and up again in sync, retired, and seen to have what the others have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use super::ensemble::{ASK_EVERY, PROBE_LIMIT};
use super::{Events, Operator, Outcome, StepResult};
use crate::error::{Failure, FailureKind};
use crate::model::{Ensemble, EnsembleMember, NodeAddr};
use crate::node::NodeLink;
use crate::plan::{MemberLayout, ServerList, Target, Voters, by_hand, server_list};
use crate::remote::{Script, scripts};
use crate::zk::{MemberState, ZooKeeper, by_name, names_by_address, probe_member, running_config};

/// An election is over in less; a member that has no quorum for so long takes none away when it goes.
const ELECTION: Duration = Duration::from_secs(5);
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

    /// The others that serve, which must be a majority of each of `keep` if `member` is to be taken down, unless it says
    /// itself that it does not serve: then it has no vote to take away.
    async fn serving_without(
        &self,
        member: &EnsembleMember,
        keep: &[Voters],
    ) -> Result<Vec<EnsembleMember>, Failure> {
        let mut everybody: Vec<EnsembleMember> = keep.iter().flat_map(|voters| voters.0.clone()).collect();
        everybody.extend(self.ensemble.members().iter().cloned());
        everybody.push(member.clone());
        everybody.sort();
        everybody.dedup();
        let start = Instant::now();
        let seen = loop {
            let states = join_all(everybody.iter().map(|one| probe_member(one, PROBE_LIMIT))).await;
            let seen: BTreeMap<EnsembleMember, MemberState> = everybody.iter().cloned().zip(states).collect();
            match standing_of(member, keep, &seen) {
                Standing::Spared => break seen,
                Standing::Idle if start.elapsed() >= ELECTION => break seen,
                Standing::Idle => tokio::time::sleep(ASK_EVERY).await,
                Standing::Needed(failure) => return Err(failure),
            }
        };
        let others = seen.into_iter().filter(|(other, state)| other != member && state.stats().is_some());
        Ok(others.map(|(other, _)| other).collect())
    }

    pub(super) async fn retire_member(&self, layout: &MemberLayout) -> Result<String, Failure> {
        self.stop_member(layout).await?;
        let script = Script::new("set its zoo.cfg aside", scripts::RETIRE_MEMBER).arg(&layout.conf_dir);
        self.fleet.host(&layout.member.host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("stopped, is no member any more; its data stays in {}", layout.data_dir))
    }

    pub(super) async fn reconfigure(&self, from: &[String], servers: &[String]) -> Result<String, Failure> {
        let (planned, wanted) = (server_list(&from.join("\n")), server_list(&servers.join("\n")));
        let asked = async {
            let zookeeper = self.zookeeper().await?;
            let (text, version) = zookeeper.servers().await?;
            let present = server_list(&text);
            if present == wanted {
                return Ok(());
            }
            if present != planned {
                return Err(others_changed_it());
            }
            if zookeeper.reconfigure(servers, version).await? { Ok(()) } else { Err(others_changed_it()) }
        };
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
        let named = &match Ensemble::parse(zookeeper) {
            Ok(ensemble) => names_by_address(&ensemble, limit).await,
            Err(_) => BTreeMap::new(),
        };
        join_all(nodes.iter().map(|node| async move {
            let told = async {
                let mut link = NodeLink::open(&self.fleet, *node, limit).await?;
                link.follow(zookeeper, |list| by_name(list, named)).await
            };
            let outcome = match told.await {
                Ok(()) => Outcome::done(format!("follows {zookeeper}")),
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

fn others_changed_it() -> Failure {
    Failure::refused(
        "somebody else changed the servers of the ensemble meanwhile; theirs are left as they are",
    )
    .cause("they are not what they were when this change was planned")
    .hint("see who runs with what: arcusctl zookeeper status; then run the command again")
}

/// What it would mean to stop a member now.
#[derive(Debug, PartialEq)]
enum Standing {
    /// The others are a quorum, or nothing of it listens.
    Spared,
    /// The others are none, and it says that it does not serve; they may be electing.
    Idle,
    /// The others are none, and it serves, or does not say whether.
    Needed(Failure),
}

fn standing_of(
    member: &EnsembleMember,
    keep: &[Voters],
    seen: &BTreeMap<EnsembleMember, MemberState>,
) -> Standing {
    let serves = |one: &EnsembleMember| seen.get(one).is_some_and(|state| state.stats().is_some());
    let left = |voters: &Voters| voters.0.iter().filter(|one| *one != member && serves(one)).count();
    let Some(voters) = keep.iter().find(|voters| left(voters) < voters.quorum()) else {
        return Standing::Spared;
    };
    match seen.get(member) {
        Some(MemberState::Down { .. }) => return Standing::Spared,
        Some(MemberState::NotServing) => return Standing::Idle,
        _ => {}
    }
    let down = seen.iter().filter(|(other, _)| voters.0.contains(other) && !serves(other));
    let down: Vec<String> = down.map(|(other, state)| format!("{other} is {}", state.describe())).collect();
    let failure = Failure::refused(format!("{member}: was left as it is; the quorum would be lost"))
        .cause(format!(
            "without it {} of {} members serve, and a quorum needs {}: {}",
            left(voters),
            voters.0.len(),
            voters.quorum(),
            down.join("; ")
        ))
        .hint("bring up what is down, then run the command again");
    Standing::Needed(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::Mode;

    /// How member `a` stands when a, b and c are as given, and the majority of the three is to be kept.
    fn standing(states: [MemberState; 3]) -> Standing {
        let ensemble = Ensemble::parse("a:2181,b:2181,c:2181").unwrap();
        let members = ensemble.members();
        let seen = members.iter().cloned().zip(states).collect();
        standing_of(&members[0], &[Voters(members.to_vec())], &seen)
    }

    fn down() -> MemberState {
        MemberState::Down { reason: "connection refused".into() }
    }

    #[test]
    fn who_did_not_serve_when_looked_at_and_serves_now_is_kept_when_the_others_are_no_quorum() {
        let follower = || MemberState::serving(Mode::Follower);
        let leader = || MemberState::serving(Mode::Leader);
        assert_eq!(standing([follower(), leader(), follower()]), Standing::Spared);
        let needed = standing([follower(), leader(), down()]);
        assert!(
            matches!(&needed, Standing::Needed(failure) if failure.causes[0].contains("c:2181 is down")),
            "{needed:?}"
        );
        // What does not answer from here may have a vote all the same.
        let hidden = MemberState::Unreachable { reason: "no answer".into() };
        for state in [hidden, MemberState::Silent] {
            assert!(matches!(standing([state, leader(), down()]), Standing::Needed(_)));
        }
        assert_eq!(standing([MemberState::NotServing, leader(), down()]), Standing::Idle);
        assert_eq!(standing([down(), leader(), down()]), Standing::Spared);
    }
}

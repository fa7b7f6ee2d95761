//! The performer of real runs: knows the hosts, the ensemble and the package.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::restarting::{Restart, Settling};
use super::{Events, Outcome, Perform, StepResult};
use crate::config::Settings;
use crate::error::Failure;
use crate::model::{Ensemble, EnsembleMember, Parcel, ServiceCode, znode};
use crate::plan::{Action, Step, Target};
use crate::remote::Fleet;
use crate::zk::{Membership, ZooKeeper};

/// Carries out steps on real hosts and a real ensemble.
#[derive(Debug)]
pub struct Operator {
    pub fleet: Arc<Fleet>,
    pub settings: Arc<Settings>,
    pub ensemble: Ensemble,
    pub parcel: Option<Parcel>,
    /// Bytes a second that one host is sent at most.
    pub rate_limit: Option<u64>,
    /// Kill what does not end by itself.
    pub force: bool,
    /// The operator asks to stop: what only waits is given up.
    pub stop: CancellationToken,
    /// Members whose start failed; waiting for them is of no use.
    pub(super) not_started: Mutex<BTreeSet<EnsembleMember>>,
    zookeeper: Mutex<Option<Arc<ZooKeeper>>>,
    membership: Mutex<Option<(ServiceCode, Arc<Membership>)>>,
}

impl Operator {
    pub fn new(fleet: Arc<Fleet>, settings: Arc<Settings>, ensemble: Ensemble) -> Self {
        Self {
            fleet,
            settings,
            ensemble,
            parcel: None,
            rate_limit: None,
            force: false,
            stop: CancellationToken::new(),
            not_started: Mutex::default(),
            zookeeper: Mutex::default(),
            membership: Mutex::default(),
        }
    }

    /// The session of this run, opened when first needed.
    ///
    /// # Errors
    /// When no member serves; asking again tries again.
    pub async fn zookeeper(&self) -> Result<Arc<ZooKeeper>, Failure> {
        let mut session = self.zookeeper.lock().await;
        if let Some(zookeeper) = session.as_ref().filter(|zookeeper| zookeeper.is_alive()) {
            return Ok(Arc::clone(zookeeper));
        }
        let zookeeper = Arc::new(ZooKeeper::connect(&self.ensemble, self.settings.timeouts.zookeeper).await?);
        *session = Some(Arc::clone(&zookeeper));
        Ok(zookeeper)
    }

    /// Whether this run has spoken with ZooKeeper.
    pub async fn has_session(&self) -> bool {
        self.zookeeper.lock().await.is_some()
    }

    /// The members of `code`, followed by one watch however many nodes are waited for.
    pub(super) async fn membership(&self, code: &ServiceCode) -> Result<Arc<Membership>, Failure> {
        let mut followed = self.membership.lock().await;
        if let Some((followed_code, membership)) = followed.as_ref()
            && followed_code == code
            && membership.is_followed()
        {
            return Ok(Arc::clone(membership));
        }
        let membership = Arc::new(Membership::follow(self.zookeeper().await?, code).await?);
        *followed = Some((code.clone(), Arc::clone(&membership)));
        Ok(membership)
    }

    /// Ends the ZooKeeper session; the connections to hosts are the fleet's own.
    pub async fn close(&self) {
        drop(self.membership.lock().await.take());
        if let Some(zookeeper) = self.zookeeper.lock().await.take() {
            zookeeper.close().await;
        }
    }

    /// The same; `None` when the code is not registered, so that nobody can be a member.
    pub(super) async fn membership_if_registered(
        &self,
        code: &ServiceCode,
    ) -> Result<Option<Arc<Membership>>, Failure> {
        let path = [znode::cache_list(code)];
        if self.zookeeper().await?.existing(&path).await?.is_empty() {
            return Ok(None);
        }
        self.membership(code).await.map(Some)
    }

    async fn perform_one(
        &self,
        target: &Target,
        action: &Action,
        events: &Events,
    ) -> Result<String, Failure> {
        match (action, target) {
            (Action::StageRelease { release, compression, partial, .. }, Target::Host(host)) => {
                self.stage_release(host, release, *compression, *partial, events).await
            }
            (Action::RemoveInstall { .. }, Target::Host(host)) => self.remove_install(host).await,
            (Action::ForgetNodes { ports }, Target::Host(host)) => self.forget_nodes(host, ports).await,
            (Action::MarkDestroyed { code }, Target::Host(host)) => self.mark_destroyed(host, code).await,
            (Action::RemoveMember { layout }, _) => self.remove_member(layout).await,
            (Action::PrepareHost { change, elevate }, Target::Host(host)) => {
                self.prepare_host(host, change, *elevate).await
            }
            (Action::PruneReleases { releases }, Target::Host(host)) => {
                self.prune_releases(host, releases).await
            }
            (Action::TidyUp { leftovers }, Target::Host(host)) => self.tidy_up(host, leftovers.len()).await,
            (Action::LabelRelease { release, label }, Target::Host(host)) => {
                self.label_release(host, release, label).await
            }
            (Action::SwitchRelease { release, from, .. }, Target::Host(host)) => {
                self.switch_release(host, release, from.as_ref()).await
            }
            (Action::ConfigureMember { layout, myid, config }, _) => {
                self.configure_member(layout, *myid, config.as_deref()).await
            }
            (Action::StartMember { layout }, _) => self.start_member(layout).await,
            (Action::StopMember { layout }, _) => self.stop_member(layout).await,
            (Action::CycleMember { layout, config, keep, .. }, _) => {
                self.cycle_member(layout, config.as_deref(), keep, events).await
            }
            (Action::RetireMember { layout }, _) => self.retire_member(layout).await,
            (Action::Reconfigure { from, servers }, _) => self.reconfigure(from, servers).await,
            (Action::ProveSync { members }, _) => self.prove_sync(members).await,
            (Action::RejoinNode { code, pid }, Target::Node(addr)) => {
                self.rejoin_node(*addr, code, *pid).await
            }
            (Action::CreateStructure, _) => self.create_structure().await,
            (Action::CommitZnodes { changes, .. }, _) => {
                self.zookeeper().await?.commit(changes).await?;
                Ok(action.to_string())
            }
            _ => Err(Failure::failed(format!("{target}: {action} is no step of its own"))),
        }
    }
}

#[async_trait]
impl Perform for Operator {
    async fn perform(&self, step: &Step, events: &Events) -> Vec<StepResult> {
        let start = Instant::now();
        match (&step.action, &step.target) {
            (Action::AwaitQuorum { members, quorum }, _) => self.await_quorum(members, *quorum, events).await,
            (Action::TellNodes { nodes, zookeeper }, _) => self.tell_nodes(nodes, zookeeper).await,
            (Action::StartNodes { code, zookeeper, nodes }, Target::Host(host)) => {
                self.start_nodes(host, code, zookeeper, nodes, &BTreeSet::new(), events).await
            }
            (Action::StopNodes { code, nodes, drain }, Target::Host(host)) => {
                let stopped = self.stop_nodes(host, code, nodes, *drain, events).await;
                stopped.into_iter().map(|stopped| stopped.result).collect()
            }
            (Action::RestartNodes { code, zookeeper, nodes, drain }, Target::Host(host)) => {
                self.restart_nodes(host, Restart { code, zookeeper, nodes, drain: *drain }, events).await
            }
            (Action::Settle { code, seconds, joined, members, expected }, target) => {
                let settling = Settling { code, seconds: *seconds, joined, members: *members, expected };
                let outcome = self.settle(settling, events).await;
                vec![StepResult::since(start, target.clone(), outcome)]
            }
            (action, target) => {
                let outcome = match self.perform_one(target, action, events).await {
                    Ok(detail) => Outcome::Done { detail },
                    Err(failure) => Outcome::Failed { failure },
                };
                vec![StepResult::since(start, target.clone(), outcome)]
            }
        }
    }
}

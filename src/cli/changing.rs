//! Carrying out what was planned: shown, agreed to, written down ahead, done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;

use super::args::Change;
use super::context::Context;
use super::invocation::store;
use crate::error::{Failure, Failures};
use crate::exec::{Events, Operator, Perform, Record, StepResult, run};
use crate::journal::{About, CloudRun, Journal, record_cloud_run};
use crate::lock::{CloudLook, Holder, Locks, Taken, Taking, Waiting, Wanted, look_at_cloud};
use crate::model::{Ensemble, HostName, ServiceCode};
use crate::plan::{Plan, Risk, Step};
use crate::report::{Document, Printer, command_line, outcome_of};
use crate::zk::{MemberState, probe_member};

/// Writing the short record must not hold up a command whose work is done.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
/// A member that serves says so at once.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// What looking came to: what to do, and by whom where the run's own operator would not do.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) operator: Option<Operator>,
}

impl From<Plan> for Work {
    fn from(plan: Plan) -> Self {
        Self { plan, operator: None }
    }
}

/// What a run leaves behind on the way, of all the plans it carries out.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Begun with the first plan that has steps; `None` inside where none can be kept.
    journal: Option<Option<Arc<Journal>>>,
    abouts: Vec<About>,
    began: Option<Timestamp>,
}

/// Who is told of every step.
struct Recorder {
    journal: Option<Arc<Journal>>,
    locks: Arc<Locks>,
}

#[async_trait]
impl Record for Recorder {
    async fn begin(&self, number: usize, step: &Step) -> Result<(), Failure> {
        let host = step.target.host();
        if step.action.outlives_zookeeper() {
            self.locks.check_host(host.as_ref())?;
        } else {
            self.locks.check(host.as_ref())?;
        }
        match &self.journal {
            Some(journal) => journal.begin(number, step).await,
            None => Ok(()),
        }
    }

    fn finish(&self, number: usize, results: &[StepResult]) {
        if let Some(journal) = &self.journal {
            journal.finish(number, results);
        }
    }
}

/// What a command changes.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    abouts: Vec<About>,
    /// The clouds whose znodes and nodes are changed; a deploy changes hosts alone.
    clouds: BTreeSet<ServiceCode>,
    /// Locked together with those that have steps: what is done to one member is safe only while nobody is at the others.
    together: BTreeSet<HostName>,
    /// The operator agreed to the whole of what this is a part of.
    agreed: bool,
}

impl Subject {
    pub(super) fn ensemble(ensemble: &Ensemble) -> Self {
        let together = ensemble.hosts().into_iter().collect();
        Self { abouts: vec![About::Ensemble], clouds: BTreeSet::new(), together, agreed: false }
    }

    /// The same, with nothing left to ask.
    #[must_use]
    pub(super) fn agreed(self) -> Self {
        Self { agreed: true, ..self }
    }

    /// The hosts of a cloud.
    pub(super) fn hosts_of(code: &ServiceCode) -> Self {
        let abouts = vec![About::Cloud(code.clone())];
        Self { abouts, clouds: BTreeSet::new(), together: BTreeSet::new(), agreed: false }
    }

    /// What is registered of a cloud, and its nodes.
    pub(super) fn cloud(code: &ServiceCode) -> Self {
        Self::clouds([code.clone()])
    }

    /// The same of several clouds.
    pub(super) fn clouds(codes: impl IntoIterator<Item = ServiceCode>) -> Self {
        let clouds: BTreeSet<ServiceCode> = codes.into_iter().collect();
        let abouts = clouds.iter().cloned().map(About::Cloud).collect();
        Self { abouts, clouds, together: BTreeSet::new(), agreed: false }
    }

    /// The members of the ensemble besides.
    #[must_use]
    pub(super) fn and_ensemble(mut self, ensemble: &Ensemble) -> Self {
        self.abouts.push(About::Ensemble);
        self.together.extend(ensemble.hosts());
        self
    }

    fn wanted(&self, plan: &Plan) -> Wanted {
        let mut hosts: BTreeSet<HostName> = plan.steps().filter_map(|step| step.target.host()).collect();
        if !hosts.is_empty() {
            hosts.extend(self.together.iter().cloned());
        }
        Wanted { hosts, clouds: self.clouds.clone() }
    }
}

impl Context {
    /// Looks and plans by `prepare`, shows the plan, asks where that is due, takes the locks, runs it and says how it went.
    /// Where somebody else was at work since the look, it looks and plans again before anything is done. A dry run ends
    /// with the plan.
    pub(super) async fn change(
        &self,
        subject: &Subject,
        change: Change,
        mut prepare: impl AsyncFnMut() -> Result<Work, Failures>,
    ) -> Result<Document, Failures> {
        let mut agreed = None;
        let mut journal = None;
        let work = loop {
            let look_began = Instant::now();
            let cloud_looks = self.look_at_locks(subject, change).await?;
            let work = prepare().await?;
            if change.dry_run {
                return Ok(Document::of_plan(work.plan));
            }
            let asked = asked_of(&work.plan);
            // A run of one's own that has just ended leaves the plan as it is; that is nothing to tell.
            if agreed.as_ref().is_some_and(|before| *before != asked) {
                self.printer.progress(
                    "another run changed something here since this one looked; looking again shows:",
                );
            }
            if work.plan.is_empty() {
                self.printer.holdings(&work.plan);
                // That a run which was cut short has nothing left to do is worth knowing.
                if self.invocation.resumes.is_some() {
                    journal = self.journal(&subject.abouts).await;
                }
                break work;
            }
            if agreed.as_ref() != Some(&asked) {
                self.agree(&work.plan, subject.agreed).await?;
                agreed = Some(asked);
            }
            let taken = self.take_locks(&subject.wanted(&work.plan), look_began, cloud_looks).await?;
            if !taken.stale {
                journal = self.journal(&subject.abouts).await;
                break work;
            }
            tracing::debug!("another run may have been at work here since this one looked; looking again");
        };
        let operator = work.operator.as_ref().unwrap_or(&self.operator);
        let recorder = Recorder { journal, locks: Arc::clone(&self.locks) };
        let document = self.carry_out(work.plan, operator, recorder).await;
        if let Some(operator) = &work.operator {
            operator.close().await;
        }
        Ok(document)
    }

    /// How the locks of the clouds are before their znodes are looked at.
    async fn look_at_locks(
        &self,
        subject: &Subject,
        change: Change,
    ) -> Result<BTreeMap<ServiceCode, CloudLook>, Failures> {
        if change.dry_run || subject.clouds.is_empty() {
            return Ok(BTreeMap::new());
        }
        let looking = async {
            let zookeeper = self.operator.zookeeper().await?;
            let looks = subject.clouds.iter().map(|code| {
                let zookeeper = &zookeeper;
                async move { Ok::<_, Failure>((code.clone(), look_at_cloud(zookeeper, code).await?)) }
            });
            try_join_all(looks).await
        };
        Ok(self.look(looking).await??.into_iter().collect())
    }

    async fn take_locks(
        &self,
        wanted: &Wanted,
        look_began: Instant,
        cloud_looks: BTreeMap<ServiceCode, CloudLook>,
    ) -> Result<Taken, Failures> {
        let zookeeper = if wanted.clouds.is_empty() { None } else { Some(self.operator.zookeeper().await?) };
        let taking = Taking {
            fleet: &self.fleet,
            zookeeper,
            limit: self.settings.timeouts.command,
            look_began,
            cloud_looks,
            wait: self.lock_wait,
        };
        let taken = tokio::select! {
            taken = self.locks.take(wanted, &taking, |waiting| self.printer.progress(&told(waiting))) => taken?,
            () = self.stop.gently.cancelled() => {
                let failure = Failure::interrupted("interrupted before anything was done");
                return Err(failure.hint("nothing was changed").into());
            }
        };
        for warning in unlocked(&taken.without) {
            self.printer.warning(&warning);
        }
        Ok(taken)
    }

    /// Shows the plan and sees that the operator wants it.
    async fn agree(&self, plan: &Plan, agreed: bool) -> Result<(), Failures> {
        let asked = plan.risk != Risk::Harmless && !self.yes && !agreed;
        self.printer.plan(plan, asked);
        if !asked {
            return Ok(());
        }
        tokio::select! {
            answer = self.printer.confirm(&plan.risk) => answer,
            () = self.stop.gently.cancelled() => {
                Err(Failure::interrupted("interrupted at the question").hint("nothing was changed").into())
            }
        }
    }

    /// Shows a plan whose steps need the operator's terminal, and has it carried out step by step.
    pub(super) async fn change_at_terminal(
        &self,
        about: &About,
        plan: Plan,
        performer: &dyn Perform,
    ) -> Document {
        let mut journal = None;
        if plan.is_empty() {
            self.printer.holdings(&plan);
        } else {
            self.printer.plan(&plan, true);
            journal = self.journal(std::slice::from_ref(about)).await;
        }
        let recorder = Recorder { journal, locks: Arc::clone(&self.locks) };
        self.carry_out_by(performer, plan, recorder, 1, self.printer.with_plain_lines(true)).await
    }

    /// Carries out what nobody but the operator knows the meaning of: written down, but with no lock taken and nothing asked.
    pub(super) async fn run_unlocked(&self, plan: Plan, performer: &dyn Perform) -> Document {
        // ZooKeeper is open to everyone, and a command line may say what not everyone should read.
        let journal = if plan.is_empty() { None } else { self.journal(&[]).await };
        let recorder = Recorder { journal, locks: Arc::clone(&self.locks) };
        self.carry_out_by(performer, plan, recorder, self.settings.concurrency, self.printer).await
    }

    async fn carry_out(&self, plan: Plan, operator: &Operator, recorder: Recorder) -> Document {
        self.carry_out_by(operator, plan, recorder, self.settings.concurrency, self.printer).await
    }

    async fn carry_out_by(
        &self,
        performer: &dyn Perform,
        plan: Plan,
        recorder: Recorder,
        concurrency: usize,
        printer: Printer,
    ) -> Document {
        self.acting.store(true, Ordering::Relaxed);
        let start = Instant::now();
        if let Some(journal) = &recorder.journal {
            journal.plan(&plan).await;
        }
        let (events, receiver) = Events::channel();
        let follower = tokio::spawn(printer.follow(receiver));
        let report = run(&plan, performer, &recorder, &events, concurrency, &self.stop).await;
        drop(events);
        if let Err(error) = follower.await {
            tracing::warn!(%error, "the progress display ended early");
        }
        Document::of_run(plan, report, start.elapsed())
    }

    /// The journal of this run, begun when it first has something to do.
    async fn journal(&self, abouts: &[About]) -> Option<Arc<Journal>> {
        let mut trail = self.trail.lock().await;
        trail.began.get_or_insert_with(Timestamp::now);
        let journal = match trail.journal.take() {
            Some(begun) => begun,
            None => match self.begin_journal().await {
                Ok(journal) => Some(Arc::new(journal)),
                Err(failure) => {
                    self.printer.warning(&failure);
                    None
                }
            },
        };
        for about in abouts {
            if !trail.abouts.contains(about) {
                trail.abouts.push(about.clone());
                if let Some(journal) = &journal {
                    journal.about(about);
                }
            }
        }
        trail.journal = Some(journal.clone());
        journal
    }

    async fn begin_journal(&self) -> Result<Journal, Failure> {
        let store = store().ok_or_else(|| {
            Failure::failed("cannot keep a journal: neither XDG_STATE_HOME nor HOME is set")
                .hint("set HOME, or XDG_STATE_HOME to a directory of your own")
        })?;
        let invocation = Arc::clone(&self.invocation);
        let ensemble = self.ensemble.to_string();
        let create = move || store.create(invocation.header(ensemble));
        let created = tokio::task::spawn_blocking(create).await;
        created.map_err(|error| Failure::failed("beginning the journal broke off").cause(error))?
    }

    /// Writes down how the command ended, here and in ZooKeeper.
    pub(super) async fn leave_trail(&self, document: &Document) {
        let trail = std::mem::take(&mut *self.trail.lock().await);
        let Some(began) = trail.began else { return };
        let journal = trail.journal.flatten();
        if let Some(journal) = &journal {
            journal.end(document.exit_code, &document.failures).await;
            if let Some(trouble) = journal.trouble() {
                self.printer.warning(&trouble);
            }
        }
        let run = CloudRun {
            id: self.invocation.id.clone(),
            user: self.invocation.user.clone(),
            host: self.invocation.host.clone(),
            at: format!("{began:.3}"),
            command: command_line(&self.invocation.argv),
            outcome: outcome_of(document.exit_code).to_owned(),
            exit_code: document.exit_code,
        };
        self.record_in_zookeeper(&trail.abouts, &run).await;
    }

    /// Before the ensemble is set up, or after it was stopped, nobody does; trying to open a session would take seconds.
    async fn some_member_answers(&self) -> bool {
        let members = self.ensemble.members().iter();
        let mut states: FuturesUnordered<_> =
            members.map(|member| probe_member(member, ANSWER_LIMIT)).collect();
        while let Some(state) = states.next().await {
            let nobody = matches!(
                state,
                MemberState::Down { .. } | MemberState::Unreachable { .. } | MemberState::Silent
            );
            if !nobody {
                return true;
            }
        }
        false
    }

    async fn record_in_zookeeper(&self, abouts: &[About], run: &CloudRun) {
        // What answers at the default address may be anybody's, unless the run was about it.
        if self.ensemble_is_default && !self.operator.has_session().await {
            tracing::debug!("no record is left in ZooKeeper: no ensemble was named");
            return;
        }
        if !self.some_member_answers().await {
            tracing::debug!("no record is left in ZooKeeper: no member answers");
            return;
        }
        let recording = async {
            let zookeeper = match self.operator.zookeeper().await {
                Ok(zookeeper) => zookeeper,
                Err(failure) => {
                    tracing::debug!(%failure, "no record is left in ZooKeeper");
                    return Ok(());
                }
            };
            for about in abouts {
                record_cloud_run(&zookeeper, about, run).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(RECORD_LIMIT, recording).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.printer.warning(&failure),
            Err(_) => tracing::debug!("ZooKeeper took too long to take a record"),
        }
    }
}

/// What is agreed to: what it costs, and the steps in words, in which the time of day has no part.
fn asked_of(plan: &Plan) -> (Risk, Vec<String>) {
    let steps = plan.steps().map(|step| format!("{}: {}", step.target, step.action));
    (plan.risk.clone(), steps.collect())
}

/// One warning for each reason.
fn unlocked(without: &[(HostName, String)]) -> Vec<Failure> {
    let mut reasons: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (host, why) in without {
        reasons.entry(why).or_default().insert(host.to_string());
    }
    let warn = |(why, hosts): (&str, BTreeSet<String>)| {
        let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
        Failure::failed(format!("{hosts}: goes on without the operation lock"))
            .cause(why)
            .hint("see that nobody else changes these hosts until this run has ended")
    };
    reasons.into_iter().map(warn).collect()
}

fn told(waiting: &Waiting) -> String {
    let Waiting { place, holder, died } = waiting;
    let holder = holder.as_ref().map_or_else(|| "another run".to_owned(), Holder::describe);
    if *died {
        format!("waiting until ZooKeeper notices that a run on {place} was killed: {holder}")
    } else {
        format!("waiting for {place}, where another run is at work: {holder}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Gate, Stage, Target};

    fn plan(target: Target) -> Plan {
        let mut plan = Plan::new("zookeeper restart");
        let steps = vec![Step { target, action: Action::CreateStructure }];
        plan.stages.push(Stage { title: "", gate: Gate::OwnTarget, round: None, steps });
        plan
    }

    #[test]
    fn what_is_done_to_one_member_locks_the_hosts_of_all() {
        let ensemble = Ensemble::parse("zk1:2181,zk2:2181,zk3:2181").unwrap();
        let subject = Subject::ensemble(&ensemble);
        let wanted = subject.wanted(&plan(Target::Member(ensemble.members()[1].clone())));
        assert_eq!(wanted.hosts, ensemble.hosts().into_iter().collect());
        // Znodes alone need no host.
        assert!(subject.wanted(&plan(Target::Tree)).hosts.is_empty());
    }

    #[test]
    fn a_yes_to_steps_that_cost_little_is_none_to_the_same_steps_that_cost_more() {
        let harmless = plan(Target::Ensemble);
        let mut costly = harmless.clone();
        costly.risk = Risk::Interrupts { what: "the quorum is lost".to_owned() };
        assert_eq!(asked_of(&harmless), asked_of(&harmless.clone()));
        assert_ne!(asked_of(&harmless), asked_of(&costly));
    }

    #[test]
    fn hosts_without_a_lock_are_named_once_for_each_reason() {
        let host = |last| HostName::from(std::net::Ipv4Addr::new(10, 0, 0, last));
        let why = |text: &str| text.to_owned();
        let without = [(host(1), why("a")), (host(2), why("b")), (host(3), why("a")), (host(1), why("a"))];
        let said: Vec<String> = unlocked(&without).iter().map(|failure| failure.message.clone()).collect();
        assert_eq!(
            said,
            [
                "10.0.0.1, 10.0.0.3: goes on without the operation lock",
                "10.0.0.2: goes on without the operation lock"
            ]
        );
    }
}

//! Doing: runs the steps of a plan, as many at once as allowed, and says as events what becomes of each.
//!
//! Boundary: decides nothing that the plan left open and prints nothing. One target's failure stops the later steps of
//! that target only. Every step may be run again, and may be cut short at any point.

mod command;
mod deploy;
mod destroy;
mod ensemble;
mod ensemble_rolling;
mod exit_status;
mod member_words;
mod nodes;
mod operator;
mod prepare;
mod readiness;
mod rejoin;
mod restarting;
mod stopping;
mod trust;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::plan::{Action, Gate, Plan, Step, Target};

pub use command::{CommandRunner, HostOutput};
pub use exit_status::meaning;
pub use operator::Operator;
pub use trust::KeyInstaller;

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done { detail: String },
    /// It was not tried, because something before it failed or the operator stopped the run.
    Skipped { reason: String },
    /// It was tried and failed.
    Failed { failure: Failure },
}

/// What became of one target in one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepResult {
    pub target: Target,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds since the step began.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub elapsed: Duration,
}

/// What happens while a plan runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    StageStarted {
        title: &'static str,
        /// Which round of how many.
        round: Option<(usize, usize)>,
        steps: usize,
    },
    StepStarted {
        target: Target,
        action: String,
    },
    /// So much of something countable is through.
    Bytes {
        target: Target,
        done: u64,
        total: u64,
    },
    /// Something to tell while a step goes on.
    Note {
        target: Target,
        text: String,
    },
    Finished(StepResult),
}

/// Everything that a run of a plan came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunReport {
    pub results: Vec<StepResult>,
    /// The operator stopped it.
    pub interrupted: bool,
}

/// Where events go.
#[derive(Clone, Debug)]
pub struct Events(mpsc::UnboundedSender<Event>);

/// Carries out one step.
#[async_trait]
pub trait Perform: Send + Sync {
    /// What became of the step: one result, or one for each node or member it is about.
    async fn perform(&self, step: &Step, events: &Events) -> Vec<StepResult>;
}

/// Is told of each step before it is carried out and after; what is true of the run can be known even if it is killed.
#[async_trait]
pub trait Record: Send + Sync {
    /// The step of this number in the plan is about to be carried out.
    ///
    /// # Errors
    /// When it must not be; the step fails with this.
    async fn begin(&self, number: usize, step: &Step) -> Result<(), Failure>;

    /// This became of it; also of one that was not begun.
    fn finish(&self, number: usize, results: &[StepResult]);
}

/// How the operator stops a run: first no new step is begun, then those under way are dropped.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    pub gently: CancellationToken,
    pub at_once: CancellationToken,
}

impl Outcome {
    pub fn done(detail: impl Into<String>) -> Self {
        Self::Done { detail: detail.into() }
    }
}

impl Events {
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells whoever listens; a run goes on without listeners.
    pub fn send(&self, event: Event) {
        let _nobody_listens = self.0.send(event);
    }

    pub(crate) fn note(&self, target: &Target, text: impl Into<String>) {
        self.send(Event::Note { target: target.clone(), text: text.into() });
    }
}

impl StepResult {
    pub(crate) fn since(start: Instant, target: Target, outcome: Outcome) -> Self {
        Self { target, outcome, elapsed: start.elapsed() }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed { failure } => Some(failure),
            _ => None,
        }
    }
}

fn as_seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Runs `plan`, at most `concurrency` steps at once; `record` hears of each before and after.
pub async fn run(
    plan: &Plan,
    performer: &dyn Perform,
    record: &dyn Record,
    events: &Events,
    concurrency: usize,
    stop: &Stop,
) -> RunReport {
    let places = Semaphore::new(concurrency.max(1));
    let run = Run { performer, record, events, places: &places, stop };
    let rounds = plan.rounds();
    let mut numbers = 0_usize..;
    let mut report = RunReport::default();
    let mut failed: BTreeSet<Target> = plan.problems.iter().map(|problem| problem.target.clone()).collect();
    // Where a step failed for some of those that it is about.
    let mut troubled: BTreeSet<Target> = BTreeSet::new();
    let mut broken = None;
    for stage in &plan.stages {
        let is_closed = broken.is_some() && stage.gate == Gate::Unbroken;
        if !stop.gently.is_cancelled() && !is_closed {
            let round = stage.round.map(|round| (round, rounds));
            events.send(Event::StageStarted { title: stage.title, round, steps: stage.steps.len() });
        }
        let closed = match stage.gate {
            Gate::OwnTarget => None,
            Gate::Unbroken => broken,
            Gate::Everything => (!failed.is_empty())
                .then_some("not everything before it went well, and this is done everywhere or nowhere"),
        };
        let bar = |step: &Step| {
            let is_barred = failed.contains(&step.target)
                || removes_files(&step.action) && troubled.contains(&step.target);
            if is_barred { Some("an earlier step failed") } else { closed }
        };
        let mut steps: FuturesUnordered<_> = stage
            .steps
            .iter()
            .zip(&mut numbers)
            .map(|(step, number)| {
                let done = run.step(number, step, bar(step));
                async move { (&step.target, done.await) }
            })
            .collect();
        let (mut results, mut hosts) = (Vec::new(), Vec::new());
        while let Some((target, finished)) = steps.next().await {
            let is_done = |result: &StepResult| matches!(result.outcome, Outcome::Done { .. });
            if !finished.iter().all(is_done) {
                hosts.push(target.clone());
            }
            results.extend(finished);
        }
        drop(steps);
        troubled.extend(hosts);
        for result in &results {
            if !matches!(result.outcome, Outcome::Done { .. }) {
                failed.insert(result.target.clone());
                broken.get_or_insert(match result.outcome {
                    Outcome::Skipped { .. } if stop.gently.is_cancelled() => "interrupted",
                    _ => "something before it failed, and the rest is left as it is",
                });
            }
        }
        report.results.extend(results);
    }
    report.interrupted = stop.gently.is_cancelled();
    report
}

/// The step takes away what would tell why an earlier one failed, or what it may still need.
fn removes_files(action: &Action) -> bool {
    matches!(action, Action::ForgetNodes { .. } | Action::RemoveInstall { .. })
}

/// Whom a step is about that was not carried out: where it stops what runs, each node for itself.
fn subjects(step: &Step) -> Vec<Target> {
    match &step.action {
        Action::RestartNodes { nodes, .. } => nodes.iter().map(|node| Target::Node(node.addr)).collect(),
        _ => vec![step.target.clone()],
    }
}

/// How what was cut short gets to its end. A restart that is given again restarts those, too, that have come back and are
/// warm already; only the recorded run knows them.
fn how_to_go_on(action: &Action) -> &'static str {
    match action {
        Action::RestartNodes { .. } | Action::Settle { .. } => {
            "go on with what is left: arcusctl resume; the same command again would restart all of its nodes"
        }
        _ => "run the command again: it looks first and does what is missing",
    }
}

/// What every step of a run is carried out with.
struct Run<'a> {
    performer: &'a dyn Perform,
    record: &'a dyn Record,
    events: &'a Events,
    places: &'a Semaphore,
    stop: &'a Stop,
}

impl Run<'_> {
    async fn step(&self, number: usize, step: &Step, bar: Option<&str>) -> Vec<StepResult> {
        let results = self.results(number, step, bar).await;
        if !results.is_empty() {
            self.record.finish(number, &results);
        }
        for result in &results {
            self.events.send(Event::Finished(result.clone()));
        }
        results
    }

    async fn results(&self, number: usize, step: &Step, bar: Option<&str>) -> Vec<StepResult> {
        let result = |outcome: Outcome, start: Instant| {
            let result = |target| StepResult::since(start, target, outcome.clone());
            subjects(step).into_iter().map(result).collect()
        };
        let skipped = |reason: &str| match &step.action {
            Action::RestartNodes { .. } => Outcome::Skipped { reason: format!("left as it was: {reason}") },
            action => Outcome::Skipped { reason: format!("{action} was not begun: {reason}") },
        };
        let waiting = Instant::now();
        if let Some(reason) = bar {
            // A wait that is not due any more is nothing that anybody misses.
            let is_wait = matches!(step.action, Action::Settle { .. });
            return if is_wait { Vec::new() } else { result(skipped(reason), waiting) };
        }
        let place = tokio::select! {
            place = self.places.acquire() => place,
            () = self.stop.gently.cancelled() => return result(skipped("interrupted"), waiting),
        };
        if self.stop.gently.is_cancelled() {
            return result(skipped("interrupted"), waiting);
        }
        let start = Instant::now();
        self.events.send(Event::StepStarted { target: step.target.clone(), action: step.action.to_string() });
        if let Err(failure) = self.record.begin(number, step).await {
            return result(Outcome::Failed { failure }, start);
        }
        let results = tokio::select! {
            results = self.performer.perform(step, self.events) => results,
            () = self.stop.at_once.cancelled() => {
                let failure = Failure::interrupted(format!("{}: {} was cut short", step.target, step.action))
                    .hint(how_to_go_on(&step.action));
                result(Outcome::Failed { failure }, start)
            }
        };
        drop(place);
        results
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;

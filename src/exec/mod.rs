//! Doing: runs the steps of a plan, as many at once as allowed, and says as events what becomes of each.
//!
//! Boundary: decides nothing that the plan left open and prints nothing. One target's failure stops the later steps of
//! that target only. Every step may be run again, and may be cut short at any point.

mod deploy;
mod ensemble;
mod exit_status;
mod member_words;
mod nodes;
mod operator;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::plan::{Gate, Plan, Step, Target};

pub use exit_status::meaning;
pub use operator::Operator;

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

/// Runs `plan`, at most `concurrency` steps at once.
pub async fn run(
    plan: &Plan,
    performer: &dyn Perform,
    events: &Events,
    concurrency: usize,
    stop: &Stop,
) -> RunReport {
    let places = Semaphore::new(concurrency.max(1));
    let mut report = RunReport::default();
    let mut failed: BTreeSet<Target> = plan.problems.iter().map(|problem| problem.target.clone()).collect();
    for stage in &plan.stages {
        if !stop.gently.is_cancelled() {
            events.send(Event::StageStarted { title: stage.title, steps: stage.steps.len() });
        }
        let closed = stage.gate == Gate::Everything && !failed.is_empty();
        let bar = |step: &Step| match (closed, failed.contains(&step.target)) {
            (_, true) => Some("an earlier step failed"),
            (true, false) => {
                Some("not everything before it went well, and this is done everywhere or nowhere")
            }
            (false, false) => None,
        };
        let mut steps: FuturesUnordered<_> = stage
            .steps
            .iter()
            .map(|step| run_step(step, performer, events, &places, stop, bar(step)))
            .collect();
        let mut results = Vec::new();
        while let Some(finished) = steps.next().await {
            results.extend(finished);
        }
        drop(steps);
        for result in &results {
            if !matches!(result.outcome, Outcome::Done { .. }) {
                failed.insert(result.target.clone());
            }
        }
        report.results.extend(results);
    }
    report.interrupted = stop.gently.is_cancelled();
    report
}

async fn run_step(
    step: &Step,
    performer: &dyn Perform,
    events: &Events,
    places: &Semaphore,
    stop: &Stop,
    bar: Option<&str>,
) -> Vec<StepResult> {
    let finish = |outcome: Outcome, start: Instant| {
        let result = StepResult::since(start, step.target.clone(), outcome);
        events.send(Event::Finished(result.clone()));
        vec![result]
    };
    let skipped =
        |reason: &str| Outcome::Skipped { reason: format!("{} was not begun: {reason}", step.action) };
    let waiting = Instant::now();
    if let Some(reason) = bar {
        return finish(skipped(reason), waiting);
    }
    let place = tokio::select! {
        place = places.acquire() => place,
        () = stop.gently.cancelled() => return finish(skipped("interrupted"), waiting),
    };
    if stop.gently.is_cancelled() {
        return finish(skipped("interrupted"), waiting);
    }
    let start = Instant::now();
    events.send(Event::StepStarted { target: step.target.clone(), action: step.action.to_string() });
    let results = tokio::select! {
        results = performer.perform(step, events) => results,
        () = stop.at_once.cancelled() => {
            let failure = Failure::interrupted(format!("{}: {} was cut short", step.target, step.action))
                .hint("run the command again: it looks first and does what is missing");
            return finish(Outcome::Failed { failure }, start);
        }
    };
    drop(place);
    for result in &results {
        events.send(Event::Finished(result.clone()));
    }
    results
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;

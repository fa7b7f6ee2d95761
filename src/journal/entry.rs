//! The lines of a journal, each one JSON object (`docs/runs.md`).

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::exec::{Outcome, StepResult};
use crate::plan::Plan;

/// Counts up when an older program could not read a journal any more.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Entry {
    /// The first line: who does what, where, since when.
    Run(Box<Header>),
    /// What is going to be done. A command made of parts has several; so has one that had to plan anew.
    Plan(PlanEntry),
    /// What is changed, told once of each before the first plan that is about it.
    About(AboutEntry),
    /// A step is about to be carried out; written to the disk before it is.
    Begin(Begin),
    /// What became of one target of a step.
    Result(ResultEntry),
    /// The last line. A journal without it is of a run that goes on, or that died.
    End(End),
}

/// Who does what, where, since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub format: u32,
    pub id: String,
    /// Of the program that wrote it.
    pub version: String,
    /// The command's words: `memcached stop`.
    pub command: String,
    /// The whole command line, without the program's own name.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    pub user: String,
    /// The machine that the operator sits at.
    pub host: String,
    pub pid: u32,
    /// RFC 3339, UTC; so are all times here.
    pub at: String,
    pub ensemble: String,
    /// The settings file that was used; `None` for the defaults.
    pub settings: Option<Input>,
    /// The files that say what is wanted: cloud JSON, package.
    pub inputs: Vec<Input>,
    /// The run that this one goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub path: PathBuf,
    pub sha256: String,
}

/// The steps of a plan, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    pub command: String,
    pub at: String,
    pub steps: Vec<PlannedStep>,
}

/// One step, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Its number within the run.
    pub step: usize,
    pub stage: String,
    pub target: String,
    pub action: String,
}

/// A cloud, by its service code, or the ensemble, as [`super::About::znode_name`] has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AboutEntry {
    pub about: String,
}

/// The step of this number is about to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Begin {
    pub step: usize,
    pub at: String,
}

/// What became of one target of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultEntry {
    pub step: usize,
    pub at: String,
    pub target: String,
    /// `done`, `skipped` or `failed`.
    pub outcome: String,
    /// What was done, or why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub seconds: f64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    pub at: String,
    pub exit_code: u8,
    /// What failed besides the steps: what the plan left out, or why it came to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// Now, as journals write it.
pub(super) fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

impl PlanEntry {
    /// `plan`, its steps numbered from `first`.
    pub(super) fn new(plan: &Plan, first: usize) -> Self {
        let steps =
            plan.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage.title, step)));
        let steps = steps.zip(first..).map(|((stage, step), number)| PlannedStep {
            step: number,
            stage: stage.to_owned(),
            target: step.target.to_string(),
            action: step.action.to_string(),
        });
        Self { command: plan.command.to_owned(), at: now(), steps: steps.collect() }
    }
}

impl ResultEntry {
    pub(super) fn new(step: usize, result: &StepResult) -> Self {
        let (outcome, detail, failure) = match &result.outcome {
            Outcome::Done { detail } => ("done", Some(detail.clone()), None),
            Outcome::Skipped { reason } => ("skipped", Some(reason.clone()), None),
            Outcome::Failed { failure } => ("failed", None, Some(failure.clone())),
        };
        Self {
            step,
            at: now(),
            target: result.target.to_string(),
            outcome: outcome.to_owned(),
            detail,
            failure,
            seconds: (result.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

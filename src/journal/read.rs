//! A journal read back: what was to be done, what became of it, how it ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::entry::{End, Entry, Header, PlannedStep, ResultEntry};

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// All of it is so.
    Done,
    /// Some of it is so, some failed.
    Partly,
    Failed,
    /// The operator stopped it.
    Interrupted,
    /// It ended without a word: killed, or its machine lost its power.
    Died,
    /// It goes on.
    Running,
}

/// What is known of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    Done,
    Failed,
    /// It was not begun.
    NotBegun,
    /// It was begun, and what became of it is not known.
    Unknown,
}

/// One step with what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    #[serde(flatten)]
    pub step: PlannedStep,
    pub state: StepState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<String>,
    pub results: Vec<ResultEntry>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub header: Header,
    /// The clouds that it changes, by their service codes, and the ensemble, as [`super::About::znode_name`] has them.
    /// Empty when it ended before it was known.
    pub abouts: Vec<String>,
    pub steps: Vec<StepView>,
    pub end: Option<End>,
    /// When the last line was written.
    pub last: String,
    running: bool,
}

impl Run {
    /// Reads the lines of a journal. A line that was not written whole counts as not written. `None` without a first line.
    pub fn parse(text: &str, running: bool) -> Option<Self> {
        let mut entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
        let Entry::Run(header) = entries.next()? else { return None };
        let mut steps: BTreeMap<usize, StepView> = BTreeMap::new();
        let (mut end, mut last) = (None, header.at.clone());
        let mut abouts = Vec::new();
        for entry in entries {
            match entry {
                Entry::Run(_) => {}
                Entry::About(entry) => abouts.push(entry.about),
                Entry::Plan(plan) => {
                    last = plan.at;
                    let views = plan.steps.into_iter().map(|step| {
                        let state = StepState::NotBegun;
                        (step.step, StepView { step, state, begun: None, results: Vec::new() })
                    });
                    steps.extend(views);
                }
                Entry::Begin(begin) => {
                    last.clone_from(&begin.at);
                    if let Some(view) = steps.get_mut(&begin.step) {
                        view.begun = Some(begin.at);
                    }
                }
                Entry::Result(result) => {
                    last.clone_from(&result.at);
                    if let Some(view) = steps.get_mut(&result.step) {
                        view.results.push(result);
                    }
                }
                Entry::End(ended) => {
                    last.clone_from(&ended.at);
                    end = Some(ended);
                }
            }
        }
        let mut steps: Vec<StepView> = steps.into_values().collect();
        for view in &mut steps {
            view.state = state_of(view);
        }
        Some(Self { header: *header, abouts, steps, end, last, running })
    }

    pub fn is_running(&self) -> bool {
        self.running && self.end.is_none()
    }

    /// It changes something that `other` changes as well; a run of which that is not known may change anything.
    pub fn concerns(&self, other: &Self) -> bool {
        let known = |run: &Self| !run.abouts.is_empty();
        self.header.ensemble == other.header.ensemble
            && (!known(self) || !known(other) || self.abouts.iter().any(|about| other.abouts.contains(about)))
    }

    pub fn state(&self) -> RunState {
        match &self.end {
            Some(end) => match end.exit_code {
                0 => RunState::Done,
                3 => RunState::Partly,
                130 => RunState::Interrupted,
                _ => RunState::Failed,
            },
            None if self.running => RunState::Running,
            None => RunState::Died,
        }
    }

    /// From its first line to its last, or to now while it goes on.
    pub fn seconds(&self) -> Option<f64> {
        let from: Timestamp = self.header.at.parse().ok()?;
        let to = if self.is_running() { Timestamp::now() } else { self.last.parse().ok()? };
        let seconds = to.duration_since(from).as_secs_f64();
        Some((seconds * 1000.0).round() / 1000.0)
    }
}

fn state_of(view: &StepView) -> StepState {
    let any = |outcome: &str| view.results.iter().any(|result| result.outcome == outcome);
    if any("failed") {
        StepState::Failed
    } else if any("done") {
        StepState::Done
    } else if any("skipped") || view.begun.is_none() {
        StepState::NotBegun
    } else {
        StepState::Unknown
    }
}

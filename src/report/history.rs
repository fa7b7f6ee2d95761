//! What runs there were, and what became of the steps of one.

use std::fmt::Write as _;

use comfy_table::Cell;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::failures;
use super::tables::{finish, number, table};
use crate::error::Failure;
use crate::journal::{CloudRun, Input, RunState, StepState, StepView, StoredRun};

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    pub user: String,
    /// The operator's machine.
    pub host: String,
    /// The command line, fit to be typed again.
    pub command: String,
    pub outcome: RunState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    pub seconds: Option<f64>,
    /// The run that it goes on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// The run that went on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_by: Option<String>,
}

/// One run with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    #[serde(flatten)]
    pub summary: RunSummary,
    pub argv: Vec<String>,
    pub cwd: String,
    pub pid: u32,
    /// Of the program.
    pub version: String,
    pub ensemble: String,
    pub settings: Option<Input>,
    pub inputs: Vec<Input>,
    pub steps: Vec<StepView>,
    /// Everything that failed, when the run came to its end.
    pub failures: Vec<Failure>,
}

impl RunSummary {
    pub fn new(stored: &StoredRun) -> Self {
        let StoredRun { run, resumed_by } = stored;
        Self {
            id: run.header.id.clone(),
            at: run.header.at.clone(),
            user: run.header.user.clone(),
            host: run.header.host.clone(),
            command: command_line(&run.header.argv),
            outcome: run.state(),
            exit_code: run.end.as_ref().map(|end| end.exit_code),
            seconds: run.seconds(),
            resumes: run.header.resumes.clone(),
            resumed_by: resumed_by.clone(),
        }
    }
}

impl RunDetail {
    pub fn new(stored: &StoredRun) -> Self {
        let header = &stored.run.header;
        let told = stored.run.end.as_ref().map(|end| end.failures.clone());
        // A run that died tells of its failed steps only.
        let of_steps = || {
            let results = stored.run.steps.iter().flat_map(|view| &view.results);
            results.filter_map(|result| result.failure.clone()).collect()
        };
        Self {
            summary: RunSummary::new(stored),
            argv: header.argv.clone(),
            cwd: header.cwd.display().to_string(),
            pid: header.pid,
            version: header.version.clone(),
            ensemble: header.ensemble.clone(),
            settings: header.settings.clone(),
            inputs: header.inputs.clone(),
            steps: stored.run.steps.clone(),
            failures: told.unwrap_or_else(of_steps),
        }
    }
}

/// A command line as it would be typed at a shell, without the program's name.
pub fn command_line(argv: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word.chars().all(|character| character.is_alphanumeric() || "_-./:,=@%+^".contains(character))
    };
    let words = argv.iter().map(|word| match plain(word) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What an exit code says of a run, in one word.
pub const fn outcome_of(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "done",
        3 => "partly",
        130 => "interrupted",
        _ => "failed",
    }
}

const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Done => "done",
        RunState::Partly => "partly",
        RunState::Failed => "failed",
        RunState::Interrupted => "interrupted",
        RunState::Died => "died",
        RunState::Running => "running",
    }
}

fn coloured(word: &str) -> String {
    match word {
        "done" => word.green().to_string(),
        "running" => word.cyan().to_string(),
        "partly" | "interrupted" => word.yellow().to_string(),
        _ => word.red().to_string(),
    }
}

/// To the second; the rest is for programs.
fn short(at: &str) -> String {
    at.split_once('.').map_or_else(|| at.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

pub(super) fn render_runs(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "no run is on record\n".to_owned();
    }
    let mut table = table(&["id", "when", "who", "outcome", "seconds", "command"]);
    for run in runs {
        let resumed = if run.resumed_by.is_some() { ", resumed" } else { "" };
        table.add_row(vec![
            Cell::new(&run.id),
            Cell::new(short(&run.at)),
            Cell::new(format!("{}@{}", run.user, run.host)),
            Cell::new(format!("{}{resumed}", coloured(word(run.outcome)))),
            number(run.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"))),
            Cell::new(&run.command),
        ]);
    }
    finish(&table)
}

pub(super) fn render_cloud_runs(runs: &[CloudRun]) -> String {
    if runs.is_empty() {
        return "no run is on record\n".to_owned();
    }
    let mut table = table(&["id", "when", "who", "outcome", "command"]);
    for run in runs {
        table.add_row(vec![
            Cell::new(&run.id),
            Cell::new(short(&run.at)),
            Cell::new(format!("{}@{}", run.user, run.host)),
            Cell::new(coloured(&run.outcome)),
            Cell::new(&run.command),
        ]);
    }
    finish(&table)
}

pub(super) fn render_run(run: &RunDetail) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |words: String| {
        let _infallible = writeln!(text, "{words}");
    };
    let summary = &run.summary;
    let mut field = |name: &str, value: String| line(format!("{:10}{value}", format!("{name}:").dimmed()));
    field("run", summary.id.clone());
    field("command", format!("arcusctl {}", summary.command));
    field("who", format!("{}@{} (pid {}), in {}", summary.user, summary.host, run.pid, run.cwd));
    field("when", short(&summary.at));
    let exit = summary.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let seconds = summary.seconds.map(|seconds| format!(" after {seconds:.1} s")).unwrap_or_default();
    field("outcome", format!("{}{exit}{seconds}", coloured(word(summary.outcome))));
    field("ensemble", run.ensemble.clone());
    for (name, input) in run
        .settings
        .iter()
        .map(|input| ("settings", input))
        .chain(run.inputs.iter().map(|input| ("input", input)))
    {
        field(name, format!("{} (SHA-256 {:.12}…)", input.path.display(), input.sha256));
    }
    if let Some(id) = &summary.resumes {
        field("resumes", id.clone());
    }
    if let Some(id) = &summary.resumed_by {
        field("resumed", format!("by {id}"));
    }
    for view in &run.steps {
        for told in step_lines(view) {
            line(told);
        }
    }
    let failures = failures::render(&run.failures);
    if !failures.is_empty() {
        text.push('\n');
        text.push_str(&failures);
    }
    text
}

/// The step, and under it what became of each target that is another than its own.
fn step_lines(view: &StepView) -> Vec<String> {
    let mark = match view.state {
        StepState::Done => "  ok".green().to_string(),
        StepState::Failed => "FAIL".red().bold().to_string(),
        StepState::NotBegun => "skip".yellow().to_string(),
        StepState::Unknown => "   ?".red().to_string(),
    };
    let step = &view.step;
    let mut lines = vec![format!(" {mark}  {}: {}  {}", step.stage, step.target, step.action)];
    let told = |outcome: &str, detail: &str, target: &str, seconds: f64| {
        format!("         {target}  {outcome}{detail} ({seconds:.1} s)")
    };
    for result in &view.results {
        let detail = match (&result.detail, &result.failure) {
            (_, Some(failure)) => format!(": {failure}"),
            (Some(detail), None) => format!(": {detail}"),
            (None, None) => String::new(),
        };
        lines.push(told(&result.outcome, &detail, &result.target, result.seconds));
    }
    if view.state == StepState::Unknown {
        lines.push("         begun, and what became of it is not known".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let argv = ["deploy", "a b.json", "--label", "it's", ""].map(str::to_owned);
        assert_eq!(command_line(&argv), r"deploy 'a b.json' --label 'it'\''s' ''");
    }
}

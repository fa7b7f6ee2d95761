//! The voice of the program: data on standard output, all else on standard error.

use std::io::{BufRead as _, IsTerminal as _, Write};

use owo_colors::OwoColorize as _;
use tokio::sync::mpsc::UnboundedReceiver;

use super::document::{Data, Document};
use super::progress::{Progress, beside_bars};
use super::terminal::{tame, tame_json};
use super::{checks, failures, logs, plans, tables};
use crate::error::{Failure, FailureKind, Failures};
use crate::exec::{Event, Outcome, StepResult};
use crate::logs::LogLine;
use crate::plan::{Action, Plan, Risk, Target};

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// There is no terminal to ask at.
    Nobody,
}

/// Says things to whoever runs the program, or keeps quiet as told.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    json: bool,
    quiet: bool,
    plain: bool,
}

/// Under this target the log has what was said to people.
pub const SAID: &str = "arcusctl::said";

impl Printer {
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, plain: false }
    }

    /// Draws no bars, since other lines come between.
    #[must_use]
    pub fn with_plain_lines(self, plain: bool) -> Self {
        Self { plain, ..self }
    }

    /// True where bars may be drawn.
    pub(super) fn is_live(self) -> bool {
        !self.quiet && !self.plain && std::io::stderr().is_terminal()
    }

    /// A line about what is going on.
    pub fn progress(self, line: &str) {
        if self.quiet { log(line) } else { error_line(line) }
    }

    /// Something the operator must see, whatever was asked to be kept quiet.
    pub fn notice(self, line: &str) {
        error_line(line);
    }

    /// Something that went wrong beside the point; the command goes on.
    pub fn warning(self, failure: &Failure) {
        error_line(&format!("{} {failure}", "warning:".yellow().bold()));
        for hint in &failure.hints {
            error_line(&format!("{} {hint}", "   hint:".cyan()));
        }
    }

    /// The heading of one part of a longer command.
    pub fn headline(self, line: &str) {
        self.progress(&format!("\n{}", line.bold().underline()));
    }

    /// What already holds, before the rest is done.
    pub fn holdings(self, plan: &Plan) {
        for line in plans::render_holdings(plan) {
            self.progress(&format!("   {}  {}", "=".dimmed(), line.dimmed()));
        }
        for note in &plan.notes {
            self.progress(&format!(" {}  {note}", "note".yellow()));
        }
    }

    /// The plan that is about to be carried out; `asked` when a question about it follows, which nobody could answer
    /// without having seen it.
    pub fn plan(self, plan: &Plan, asked: bool) {
        if asked || !self.quiet {
            error_line(plans::render(plan).trim_end());
            // The question says it too.
            plans::cost(plan).filter(|_| !asked).iter().for_each(|cost| error_line(cost));
        }
    }

    /// Prints events until the run is over.
    pub async fn follow(self, events: UnboundedReceiver<Event>) {
        Progress::new(self).follow(events).await;
    }

    /// Asks in proportion to the risk: nothing, a yes, or a name to be typed.
    ///
    /// # Errors
    /// When the answer is no, or there is nobody to ask.
    pub async fn confirm(self, risk: &Risk) -> Result<(), Failures> {
        let (what, question, wanted) = match risk {
            Risk::Harmless => return Ok(()),
            Risk::Interrupts { what } => (what, "Go on? [y/N]".to_owned(), None),
            Risk::Destroys { what, name } => {
                (what, format!("Type {} to go on:", name.bold()), Some(name.as_str()))
            }
        };
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::refused("this must be confirmed, and there is no terminal to ask at")
                .cause(what)
                .hint("run it at a terminal, or add --yes to confirm it; nothing was changed")
                .into());
        }
        let answer = answer(&format!("{what}.\n{question} ")).await;
        let agreed = match wanted {
            Some(name) => answer == name,
            None => is_yes(&answer),
        };
        if agreed {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Interrupted, "not confirmed").hint("nothing was changed").into())
    }

    /// Shows a line of a log that has just been written: to programs as one line of JSON. False once nobody reads any
    /// more.
    pub fn log_line(self, line: &LogLine) -> bool {
        let mut stdout = anstream::stdout().lock();
        self.log_line_to(&mut stdout, line)
    }

    fn log_line_to(self, out: &mut dyn Write, line: &LogLine) -> bool {
        let text = if self.json {
            // Texts and times can always be written as JSON.
            tame_json(&serde_json::to_string(line).unwrap_or_default()) + "\n"
        } else {
            tame(&logs::render(std::slice::from_ref(line))).into_owned()
        };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
    }

    /// Prints the document for programs.
    pub fn json(self, document: &Document) {
        let text = if document.streamed {
            serde_json::to_string(document)
        } else {
            serde_json::to_string_pretty(document)
        };
        match text {
            Ok(text) => raw_output(&(tame_json(&text) + "\n")),
            Err(error) => error_line(&format!("{} cannot write JSON: {error}", "error:".red().bold())),
        }
    }

    /// Asks whether a part of a plan is to be done; what is not a clear yes is a no.
    pub async fn ask(self, question: &str) -> Answer {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Answer::Nobody;
        }
        if is_yes(&answer(&format!("{question} [y/N] ")).await) { Answer::Yes } else { Answer::No }
    }

    /// Says what a command came to; the last thing it prints.
    pub fn document(self, document: &Document) {
        if self.json {
            self.json(document);
        } else {
            show_data(document);
        }
        // Failed checks stand in full where the others stand.
        let is_shown = !self.json && matches!(document.data, Some(Data::Checks(_)));
        let told = if is_shown { String::new() } else { failures::render(&document.failures) };
        if !told.is_empty() {
            error_line(&format!("\n{}", told.trim_end()));
        }
        if let Some(plan) = &document.plan {
            plans::rounds::tally(plan, &document.results).iter().for_each(|line| self.progress(line));
        }
        if let Some(line) = summary(document) {
            self.progress(&line);
        }
        if is_to_be_gone_on_with(document) {
            self.progress(&format!("{} go on with it: arcusctl resume", " hint:".cyan()));
        }
    }
}

/// Whether `resume` is the way to the end of it: of a run that was interrupted, and of a restart that failed, since to give
/// that again restarts all of its nodes again.
fn is_to_be_gone_on_with(document: &Document) -> bool {
    // Before anything was done there is no run to go on with.
    if document.command == "exec" || (document.results.is_empty() && document.parts.is_empty()) {
        return false;
    }
    let mut steps = document.plan.iter().flat_map(Plan::steps);
    let restarts = steps.any(|step| matches!(step.action, Action::RestartNodes { .. }));
    document.interrupted || (restarts && document.results.iter().any(|result| result.failure().is_some()))
}

/// What is typed at the terminal, trimmed. Reading blocks its thread, and the program must go on hearing Ctrl-C.
async fn answer(question: &str) -> String {
    let _reader_gone = write!(anstream::stderr().lock(), "{}", tame(question));
    let typing = tokio::task::spawn_blocking(|| {
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed).map(|_| typed)
    });
    let typed = typing.await.ok().and_then(Result::ok).unwrap_or_default();
    if typed.is_empty() {
        // The end of the input left the cursor behind the question.
        error_line("");
    }
    typed.trim().to_owned()
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes))
}

fn show_data(document: &Document) {
    if document.dry_run
        && let Some(plan) = &document.plan
    {
        output(&plans::render(plan));
        plans::cost(plan).iter().for_each(|cost| output(&format!("{cost}\n")));
    }
    if let Some(data) = &document.data {
        output(&tables::render(data, document.nodes_too));
    }
    document.parts.iter().for_each(show_data);
}

/// `deploy: 2 done, 1 unchanged, 1 failed (1.2 s)`; nothing for a command that only looks.
pub(super) fn summary(document: &Document) -> Option<String> {
    if document.dry_run {
        return Some("dry run: nothing was changed".dimmed().to_string());
    }
    if !document.parts.is_empty() {
        let state = if document.exit_code == 0 {
            "complete".green().to_string()
        } else {
            "incomplete".red().to_string()
        };
        return Some(format!("{}: {state}", document.command));
    }
    if let Some(Data::Checks(items)) = &document.data {
        return Some(format!("{}: {}", document.command.bold(), checks::summary(items)));
    }
    let plan = document.plan.as_ref()?;
    // That time has passed is nothing that was done to anything.
    let counted = |result: &&StepResult| {
        !matches!(
            (&result.target, &result.outcome),
            (Target::Cloud(_), Outcome::Done { .. } | Outcome::Skipped { .. })
        )
    };
    let count = |fits: fn(&Outcome) -> bool| {
        document.results.iter().filter(counted).filter(|result| fits(&result.outcome)).count()
    };
    let counts = [
        (count(|outcome| matches!(outcome, Outcome::Done { .. })), "done"),
        (plan.holds.len(), "unchanged"),
        (count(|outcome| matches!(outcome, Outcome::Skipped { .. })), "not begun"),
        (plan.problems.len() + count(|outcome| matches!(outcome, Outcome::Failed { .. })), "failed"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let seconds = document.seconds.map(|seconds| format!(" ({seconds:.1} s)")).unwrap_or_default();
    let interrupted = if document.interrupted { "interrupted: " } else { "" };
    let text = if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") };
    Some(format!("{}: {interrupted}{text}{seconds}", document.command.bold()))
}

/// A reader that went away (`| head`) is no reason to fail.
fn output(text: &str) {
    raw_output(&tame(text));
}

fn raw_output(text: &str) {
    let _reader_gone = anstream::stdout().lock().write_all(text.as_bytes());
}

/// The log has it without colours, whatever the terminal shows.
fn log(line: &str) {
    tracing::info!(target: SAID, "{}", anstream::adapter::strip_str(line.trim_end()));
}

fn error_line(line: &str) {
    let line = tame(line);
    log(&line);
    let _reader_gone = beside_bars(|| writeln!(anstream::stderr().lock(), "{line}"));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::exec::RunReport;
    use crate::plan::{Gate, Stage, Step};

    #[test]
    fn a_reader_of_logs_that_went_away_is_noticed() {
        let line = LogLine { target: Target::Tree, at: None, line: "text".to_owned() };
        let (reader, mut writer) = std::io::pipe().unwrap();
        for printer in [Printer::new(false, false), Printer::new(true, false)] {
            assert!(printer.log_line_to(&mut writer, &line));
        }
        drop(reader);
        assert!(!Printer::new(false, false).log_line_to(&mut writer, &line));
    }

    fn document(action: Action, fails: bool) -> Document {
        let target = Target::Tree;
        let outcome =
            if fails { Outcome::Failed { failure: Failure::failed("told to") } } else { Outcome::done("") };
        let results = vec![StepResult { target: target.clone(), outcome, elapsed: Duration::ZERO }];
        let steps = vec![Step { target, action }];
        let stages = vec![Stage { title: "x", gate: Gate::Unbroken, round: None, steps }];
        let report = RunReport { results, ..RunReport::default() };
        Document::of_run(Plan { stages, ..Plan::new("test") }, report, Instant::now().elapsed())
    }

    #[test]
    fn a_restart_that_failed_is_gone_on_with_and_other_commands_are_given_again() {
        let code = crate::model::ServiceCode::new("c").unwrap();
        let restart = Action::RestartNodes { code, zookeeper: "zk".into(), nodes: Vec::new(), drain: 0 };
        assert!(is_to_be_gone_on_with(&document(restart.clone(), true)));
        assert!(!is_to_be_gone_on_with(&document(restart, false)));
        assert!(!is_to_be_gone_on_with(&document(Action::CreateStructure, true)));
    }
}

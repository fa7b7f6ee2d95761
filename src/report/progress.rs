//! Events while a plan runs: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Printer;
use super::terminal::tame;
use crate::exec::{Event, Outcome, StepResult};
use crate::model::human_bytes;
use crate::plan::Target;

/// What is shown of a run while it goes on.
pub(super) struct Progress {
    printer: Printer,
    bars: Option<MultiProgress>,
    active: BTreeMap<Target, ProgressBar>,
    /// How far each upload is: bytes, of how many, and when that was last said in a plain line.
    uploads: BTreeMap<Target, Upload>,
    /// All uploads together.
    overall: Option<ProgressBar>,
}

struct Upload {
    done: u64,
    total: u64,
    started: Instant,
    told: Instant,
}

/// Where no bars are drawn, a long upload is heard of this often.
const TELL_PLAINLY: Duration = Duration::from_secs(10);

/// The bars of this process, of which there is one terminal.
static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));

/// Whether there may be any. Where there are none, nothing but what is written may reach the terminal.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// Writes to the terminal with the bars out of the way; they would be drawn over it, or left behind in the middle.
pub(super) fn beside_bars<T>(write: impl FnOnce() -> T) -> T {
    if DRAWN.load(Ordering::Relaxed) { BARS.suspend(write) } else { write() }
}

impl Progress {
    pub(super) fn new(printer: Printer) -> Self {
        let bars = printer.is_live().then(|| BARS.clone());
        DRAWN.store(bars.is_some(), Ordering::Relaxed);
        Self { printer, bars, active: BTreeMap::new(), uploads: BTreeMap::new(), overall: None }
    }

    pub(super) async fn follow(mut self, mut events: UnboundedReceiver<Event>) {
        while let Some(event) = events.recv().await {
            self.event(event);
        }
        if let Some(bars) = &self.bars
            && let Err(error) = bars.clear()
        {
            tracing::debug!(%error, "the progress bars could not be cleared");
        }
        DRAWN.store(false, Ordering::Relaxed);
    }

    fn event(&mut self, event: Event) {
        let line = plain_line(&event);
        self.draw(event);
        if let Some(line) = line {
            self.printer.progress(&line);
        }
    }

    fn draw(&mut self, event: Event) {
        match event {
            Event::StageStarted { .. } => {}
            Event::StepStarted { target, action } => {
                if let Some(bars) = &self.bars {
                    let bar = bars.add(ProgressBar::new_spinner());
                    bar.set_style(style("  {spinner} {prefix}  {wide_msg}"));
                    bar.set_prefix(target.to_string());
                    bar.set_message(tame(&action).into_owned());
                    bar.enable_steady_tick(Duration::from_millis(100));
                    self.active.insert(target, bar);
                }
            }
            Event::Bytes { target, done, total } => self.upload(&target, done, total),
            Event::Note { target, text } => {
                if let Some(bar) = self.active.get(&self.of_step(&target)) {
                    bar.set_message(format!("{target}: {}", tame(&text)));
                }
            }
            Event::Finished(result) => {
                if let Some(bar) = self.active.remove(&self.of_step(&result.target)) {
                    bar.finish_and_clear();
                }
                if self.active.is_empty() {
                    self.uploads.clear();
                    if let Some(overall) = self.overall.take() {
                        overall.finish_and_clear();
                    }
                }
            }
        }
    }

    /// The target of the step that this one is worked on in: nodes are, by the step of their host.
    fn of_step(&self, target: &Target) -> Target {
        match target.host() {
            Some(host) if !self.active.contains_key(target) => Target::Host(host),
            _ => target.clone(),
        }
    }

    fn upload(&mut self, target: &Target, done: u64, total: u64) {
        let now = Instant::now();
        let upload =
            self.uploads.entry(target.clone()).or_insert(Upload { done, total, started: now, told: now });
        upload.done = done;
        let Some(bars) = &self.bars else {
            if upload.told.elapsed() >= TELL_PLAINLY {
                upload.told = now;
                let rate = (done as f64 / upload.started.elapsed().as_secs_f64()) as u64;
                let (done, total, rate) = (human_bytes(done), human_bytes(total), human_bytes(rate));
                self.printer.progress(&format!("   ..  {target}  {done} of {total} sent, {rate}/s"));
            }
            return;
        };
        if let Some(bar) = self.active.get(target) {
            let begins = bar.length().is_none();
            if begins {
                bar.set_length(total);
                bar.set_style(style(
                    "  {spinner} {prefix}  {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left",
                ));
            }
            bar.set_position(done);
            if begins {
                // What was there from an earlier upload was not sent now.
                bar.reset_eta();
            }
        }
        if self.uploads.len() > 1 {
            let begins = self.overall.is_none();
            let overall = self.overall.get_or_insert_with(|| {
                let bar = bars.add(ProgressBar::new(0));
                bar.set_style(style("    all  {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left"));
                bar
            });
            overall.set_length(self.uploads.values().map(|upload| upload.total).sum());
            overall.set_position(self.uploads.values().map(|upload| upload.done).sum());
            if begins {
                // What was sent before it was drawn says nothing of the rate.
                overall.reset_eta();
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// What an event is in words; nothing for those that only a bar shows.
pub(super) fn plain_line(event: &Event) -> Option<String> {
    match event {
        Event::StageStarted { title, round: Some((round, of)), .. } => {
            Some(format!("{} (round {round} of {of})", title.bold()))
        }
        Event::StageStarted { title, round: None, steps: 1 } => Some(title.bold().to_string()),
        Event::StageStarted { title, round: None, steps } => Some(format!("{} ({steps})", title.bold())),
        Event::Note { target, text } => Some(format!("   {}  {target}  {text}", "..".dimmed())),
        Event::Finished(result) => Some(render_result(result)),
        Event::StepStarted { .. } | Event::Bytes { .. } => None,
    }
}

fn render_result(result: &StepResult) -> String {
    let seconds = format!("({:.1} s)", result.elapsed.as_secs_f64());
    let target = &result.target;
    match &result.outcome {
        Outcome::Done { detail } => format!("   {}  {target}  {detail} {}", "ok".green(), seconds.dimmed()),
        Outcome::Skipped { reason } => format!(" {}  {target}  {reason}", "skip".yellow()),
        Outcome::Failed { failure } => {
            // The message names the target again where it can stand alone.
            let message = failure.message.strip_prefix(&format!("{target}: ")).unwrap_or(&failure.message);
            let cause = failure.causes.first().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!(" {}  {target}  {message}{cause} {}", "FAIL".red().bold(), seconds.dimmed())
        }
    }
}

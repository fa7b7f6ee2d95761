//! `history` and `resume`: what was done, and going on with what was not finished.

use clap::{Args, Parser as _, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use super::args::{Cli, Global};
use super::complete;
use super::context::Context;
use super::invocation::{sha256_of, store};
use crate::error::{Failure, Failures};
use crate::journal::{About, Input, Run, RunState, Store, StoredRun, read_cloud_runs};
use crate::model::ServiceCode;
use crate::report::{Document, RunDetail, RunSummary, command_line};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct History {
    #[command(subcommand)]
    pub show: Option<HistoryShow>,
    /// How many runs to show, the newest first
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 20)]
    pub number: usize,
    /// The last runs that changed this cloud, whoever's they were, as ZooKeeper has them on record
    #[arg(long, value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub cloud: Option<ServiceCode>,
    /// The same for the ensemble
    #[arg(long, conflicts_with = "cloud")]
    pub ensemble: bool,
}

#[derive(Debug, Subcommand)]
pub enum HistoryShow {
    /// Everything about one run: each step, what became of it, what failed and why
    Show {
        /// The run's id, the beginning of it, or 'last'
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Args, Debug)]
pub struct Resume {
    /// The run's id, the beginning of it, or 'last' [default: the newest that was not finished]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

/// What is needed to call a recorded command again.
pub(super) struct Resumed {
    pub(super) cli: Cli,
    pub(super) argv: Vec<String>,
    /// The run that is gone on with.
    pub(super) run: Run,
}

pub(super) async fn history(context: &Context, args: &History) -> Result<Document, Failures> {
    let about = match (&args.cloud, args.ensemble) {
        (Some(code), _) => Some(About::Cloud(code.clone())),
        (None, true) => Some(About::Ensemble),
        (None, false) => None,
    };
    if let Some(about) = about {
        let runs = context
            .look(async { read_cloud_runs(&*context.operator.zookeeper().await?, &about).await })
            .await??;
        return Ok(Document::of_cloud_runs(runs.into_iter().take(args.number).collect()));
    }
    let store = own_store()?;
    if let Some(HistoryShow::Show { id }) = &args.show {
        return Ok(Document::of_run_detail(RunDetail::new(&store.find(id)?)));
    }
    let runs = store.runs()?;
    Ok(Document::of_runs(runs.iter().take(args.number).map(RunSummary::new).collect()))
}

fn own_store() -> Result<Store, Failure> {
    store().ok_or_else(|| {
        Failure::failed("there is no history: neither XDG_STATE_HOME nor HOME is set")
            .hint("set HOME, or XDG_STATE_HOME to a directory of your own")
    })
}

/// Reads the recorded command line again, where it was given. What was observed then is not used: the command looks and
/// plans anew.
pub(super) fn resume(given: &Global, args: &Resume) -> Result<Resumed, Failures> {
    let store = own_store()?;
    let stored = match &args.id {
        Some(id) => store.find(id)?,
        None => newest_unfinished(&store)?,
    };
    let run = stored.run;
    refuse_what_cannot_go_on(&run)?;
    let command = command_line(&run.header.argv);
    std::env::set_current_dir(&run.header.cwd).map_err(|error| {
        Failure::refused(format!("run {} was started in a directory that is no more", run.header.id))
            .cause(format!("{}: {error}", run.header.cwd.display()))
            .hint(format!("run the command itself where it belongs: arcusctl {command}"))
    })?;
    let argv = run.header.argv.clone();
    let parsed = Cli::try_parse_from(std::iter::once("arcusctl".to_owned()).chain(argv.iter().cloned()));
    let mut cli = parsed.map_err(|error| {
        Failure::refused(format!("the command of run {} cannot be understood any more", run.header.id))
            .cause(error.to_string().trim())
            .hint("another version of arcusctl recorded it; run the command itself")
    })?;
    // How it is told, and whether something is asked, is up to whoever resumes; what is meant is not.
    cli.global.output = given.output;
    cli.global.color = given.color;
    cli.global.verbose = given.verbose;
    cli.global.quiet = given.quiet;
    cli.global.yes = given.yes;
    cli.global.lock_wait = given.lock_wait.or(cli.global.lock_wait);
    Ok(Resumed { cli, argv, run })
}

fn newest_unfinished(store: &Store) -> Result<StoredRun, Failure> {
    let mut later: Vec<(String, String)> = Vec::new();
    for stored in store.runs()? {
        let header = &stored.run.header;
        let kind = (header.command.clone(), header.ensemble.clone());
        let state = stored.run.state();
        // What the same command completed since is not to be undone by an older one.
        let overtaken = later.contains(&kind);
        if state == RunState::Done {
            later.push(kind);
        } else if state != RunState::Running && !overtaken && stored.resumed_by.is_none() {
            return Ok(stored);
        }
    }
    Err(Failure::refused("there is no unfinished run to go on with")
        .hint("see which runs there were: arcusctl history; name one: arcusctl resume ID"))
}

fn refuse_what_cannot_go_on(run: &Run) -> Result<(), Failures> {
    let id = &run.header.id;
    let command = format!("run the command itself: arcusctl {}", command_line(&run.header.argv));
    match run.state() {
        RunState::Running => {
            return Err(Failure::refused(format!("run {id} goes on (pid {})", run.header.pid))
                .hint("wait for its end, or interrupt it")
                .into());
        }
        RunState::Done => {
            return Err(Failure::refused(format!("run {id} was complete; there is nothing to go on with"))
                .hint(command)
                .into());
        }
        RunState::Partly | RunState::Failed | RunState::Interrupted | RunState::Died => {}
    }
    let changed = run.header.inputs.iter().filter_map(|input| {
        let now = sha256_of(&input.path);
        (now.as_ref() != Some(&input.sha256)).then(|| {
            let what = if now.is_some() { "is another now" } else { "cannot be read any more" };
            Failure::refused(format!("{} {what} than when run {id} began", input.path.display()))
                .cause("what would be done is not what was meant then")
                .hint(command.clone())
        })
    });
    Failures::none_of(changed.collect())
}

/// Sees that the resumed command means the same ensemble and settings as it did.
pub(super) fn refuse_other_meaning(context: &Context, run: &Run) -> Result<(), Failures> {
    let mut failures = Vec::new();
    let ensemble = context.ensemble.to_string();
    if ensemble != run.header.ensemble {
        failures.push(
            Failure::refused(format!("run {} was about another ensemble", run.header.id))
                .cause(format!("it was {}; here and now it would be {ensemble}", run.header.ensemble))
                .hint("set ARCUSCTL_ZOOKEEPER as it was then, or run the command itself with -z"),
        );
    }
    if context.invocation.settings != run.header.settings {
        let told = |settings: &Option<Input>| match settings {
            Some(input) => input.path.display().to_string(),
            None => "the defaults".to_owned(),
        };
        let (then, now) = (told(&run.header.settings), told(&context.invocation.settings));
        failures.push(
            Failure::refused(format!("run {} had other settings", run.header.id))
                .cause(format!("they were {then}; here and now they are {now}, as they are by now"))
                .hint("set ARCUSCTL_SETTINGS as it was then, or run the command itself"),
        );
    }
    Failures::none_of(failures)
}

impl Resumed {
    /// What is told before it begins.
    pub(super) fn headline(&self) -> String {
        format!("going on with run {}: arcusctl {}", self.run.header.id, command_line(&self.argv))
    }
}

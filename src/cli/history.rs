//! `history` and `resume`: what was done, and going on with what was not finished.

use std::time::Duration;

use clap::{Args, Parser as _, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;

use super::args::{Cli, Command, Global};
use super::complete;
use super::context::Context;
use super::hosts::Hosts;
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
    /// Install a Java runtime where there is none, without asking, if the run is to; so does --yes
    #[arg(long)]
    pub install_java: bool,
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
        None => newest_unfinished(store.runs()?)?,
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
    // Nor is what was agreed to then: the hosts, and what they lack, may be others now.
    cli.global.accept_new_host_keys = given.accept_new_host_keys;
    agree_to_java(&mut cli.command, args.install_java);
    Ok(Resumed { cli, argv, run })
}

/// How long ago the run of this id began, or the one that it went on with, back to the first. `None` where that is not
/// on record, or in the future by this machine's clock.
pub(super) fn since_begin(resumed: Option<&str>) -> Option<Duration> {
    let store = store()?;
    let mut began: Option<Timestamp> = None;
    let mut next = resumed.map(str::to_owned);
    while let Some(id) = next {
        let Ok(stored) = store.find(&id) else { break };
        began = stored.run.header.at.parse().ok().or(began);
        next = stored.run.header.resumes;
    }
    Timestamp::now().duration_since(began?).try_into().ok()
}

fn agree_to_java(command: &mut Command, agreed: bool) {
    match command {
        Command::Hosts(Hosts::Prepare(prepare)) => prepare.install_java = agreed,
        Command::Check(check) => check.install_java = agreed,
        _ => {}
    }
}

/// The newest of `runs` that was not finished, and that no later one about the same may have been meant to undo. `runs`
/// are the newest first.
fn newest_unfinished(runs: Vec<StoredRun>) -> Result<StoredRun, Failure> {
    let mut later: Vec<Run> = Vec::new();
    let mut overtaken: Option<(Run, Run)> = None;
    // Nobody knows what a command of the operator's own was about, nor whether it may be given twice.
    for stored in runs.into_iter().filter(|stored| !is_own_command(&stored.run)) {
        let by = later.iter().find(|run| run.concerns(&stored.run));
        match (stored.run.state(), by) {
            // Whatever the command was, it is the last word on what it changed.
            (RunState::Done | RunState::Running, _) => later.push(stored.run),
            _ if stored.resumed_by.is_some() => {}
            (_, None) => return Ok(stored),
            (_, Some(by)) => {
                overtaken.get_or_insert_with(|| (stored.run.clone(), by.clone()));
            }
        }
    }
    let failure = Failure::refused("there is no unfinished run to go on with");
    Err(match overtaken {
        None => failure.hint("see which runs there were: arcusctl history; name one: arcusctl resume ID"),
        Some((run, by)) => {
            let told = |run: &Run| format!("{} ({})", run.header.id, command_line(&run.header.argv));
            let did = if by.is_running() { "goes on now" } else { "was done since" };
            failure
                .cause(format!(
                    "run {} was not finished, but run {} {did} about the same",
                    told(&run),
                    told(&by)
                ))
                .hint(format!("if it is to be gone on with all the same: arcusctl resume {}", run.header.id))
        }
    })
}

fn is_own_command(run: &Run) -> bool {
    run.header.command == "exec"
}

fn refuse_what_cannot_go_on(run: &Run) -> Result<(), Failures> {
    let id = &run.header.id;
    if is_own_command(run) {
        return Err(Failure::refused(format!("run {id} was a command of your own"))
            .cause("arcusctl cannot tell whether it may be given twice on a host where it went well")
            .hint("give it again where it is wanted: arcusctl exec CONF NODES -- …")
            .into());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of this id; `exit` is `None` when it died.
    fn run(id: &str, argv: &str, abouts: &[&str], exit: Option<u8>) -> StoredRun {
        let words: Vec<&str> = argv.split(' ').collect();
        let header = serde_json::json!({
            "record": "run", "format": 1, "id": id, "version": "0", "command": words[0], "argv": words, "cwd": "/",
            "user": "me", "host": "here", "pid": 1, "at": "2026-11-22T14:59:02.123Z", "ensemble": "zk:2181",
            "settings": null, "inputs": [],
        });
        let about = |about: &&str| serde_json::json!({"record": "about", "about": about});
        let end =
            |exit| serde_json::json!({"record": "end", "at": "2026-11-22T14:59:03.123Z", "exitCode": exit});
        let lines = std::iter::once(header).chain(abouts.iter().map(about)).chain(exit.map(end));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        StoredRun { run: Run::parse(&text, false).unwrap(), resumed_by: None }
    }

    fn newest(mut oldest_first: Vec<StoredRun>) -> Result<String, Failure> {
        oldest_first.reverse();
        newest_unfinished(oldest_first).map(|stored| stored.run.header.id)
    }

    #[test]
    fn what_was_done_since_about_the_same_cloud_is_not_undone_unasked() {
        let deploy = || run("1", "deploy bad.json", &["a"], Some(3));
        let back = run("2", "rollback a.json", &["a"], Some(0));
        let failure = newest(vec![deploy(), back]).unwrap_err();
        assert_eq!(failure.message, "there is no unfinished run to go on with");
        let why = "run 1 (deploy bad.json) was not finished, but run 2 (rollback a.json) was done since about the same";
        assert_eq!(failure.causes, [why]);
        assert_eq!(failure.hints, ["if it is to be gone on with all the same: arcusctl resume 1"]);
        let stop = run("1", "memcached stop a", &["a"], Some(130));
        newest(vec![stop, run("2", "memcached start a", &["a"], Some(0))]).unwrap_err();
        // One that was itself cut short is what is gone on with.
        assert_eq!(newest(vec![deploy(), run("2", "rollback a.json", &["a"], None)]).unwrap(), "2");
    }

    #[test]
    fn a_command_of_ones_own_is_not_gone_on_with_and_hides_nothing() {
        let exec = |exit| run("2", "exec a.json -- reboot", &[], exit);
        assert_eq!(newest(vec![run("1", "deploy a.json", &["a"], None), exec(Some(0))]).unwrap(), "1");
        newest(vec![exec(None)]).unwrap_err();
        let failures = refuse_what_cannot_go_on(&exec(Some(3)).run).unwrap_err();
        assert!(failures.as_slice()[0].message.contains("command of your own"));
    }

    #[test]
    fn what_was_done_elsewhere_hides_no_unfinished_run() {
        let died = || run("1", "deploy a.json", &["a"], None);
        assert_eq!(newest(vec![died(), run("2", "deploy b.json", &["b"], Some(0))]).unwrap(), "1");
        let mut other = run("2", "deploy a.json", &["a"], Some(0));
        other.run.header.ensemble = "other:2181".into();
        assert_eq!(newest(vec![died(), other]).unwrap(), "1");
    }

    #[test]
    fn a_run_about_several_is_overtaken_by_what_was_done_about_any_of_them() {
        let quicksetup = run("1", "quicksetup a.json", &["a", "^ensemble"], Some(1));
        newest(vec![quicksetup, run("2", "zookeeper stop", &["^ensemble"], Some(0))]).unwrap_err();
    }

    #[test]
    fn a_run_of_which_nobody_knows_what_it_was_about_is_overtaken_by_any() {
        newest(vec![run("1", "deploy a.json", &[], None), run("2", "deploy b.json", &["b"], Some(0))])
            .unwrap_err();
    }

    #[test]
    fn what_was_agreed_to_then_is_agreed_to_anew() {
        let installs = |argv: &[&str], agreed| {
            let mut cli = Cli::try_parse_from(argv).unwrap();
            agree_to_java(&mut cli.command, agreed);
            match cli.command {
                Command::Hosts(Hosts::Prepare(prepare)) => prepare.install_java,
                Command::Check(check) => check.install_java,
                other => panic!("{other:?}"),
            }
        };
        let prepare = ["arcusctl", "hosts", "prepare", "a.json", "--install-java"];
        let check = ["arcusctl", "check", "a.json", "--fix", "--install-java"];
        assert_eq!((installs(&prepare, false), installs(&prepare, true)), (false, true));
        assert_eq!((installs(&check, false), installs(&check, true)), (false, true));
    }
}

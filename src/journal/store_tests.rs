use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use super::*;
use crate::exec::{Outcome, Record as _, StepResult};
use crate::journal::{Input, RunState, StepState};
use crate::model::{HostName, ReleaseId};
use crate::plan::{Action, Gate, Plan, Stage, Step, Target};

fn store() -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::locate(None, Some(home.path().to_owned())).unwrap();
    (home, store)
}

fn header(id: String) -> Header {
    Header {
        format: crate::journal::FORMAT,
        id,
        version: "0".into(),
        command: "deploy".into(),
        argv: vec!["deploy".into(), "a b.json".into()],
        cwd: "/".into(),
        user: "me".into(),
        host: "here".into(),
        pid: 1,
        at: crate::journal::entry::now(),
        ensemble: "zk:2181".into(),
        settings: None,
        inputs: vec![Input { path: "/a b.json".into(), sha256: "00".into() }],
        resumes: None,
    }
}

fn plan(hosts: &[&str]) -> Plan {
    let release: ReleaseId = "12ab34cd56ef".parse().unwrap();
    let steps = hosts.iter().map(|host| Step {
        target: Target::Host(HostName::new(*host)),
        action: Action::SwitchRelease { release: release.clone(), from: None, adopts: vec![] },
    });
    let steps = steps.collect();
    Plan {
        stages: vec![Stage { title: "Switch", gate: Gate::Everything, round: None, steps }],
        ..Plan::new("deploy")
    }
}

fn result(step: &Step, outcome: Outcome) -> StepResult {
    StepResult { target: step.target.clone(), outcome, elapsed: Duration::from_millis(1500) }
}

fn only(store: &Store) -> Run {
    let mut runs = store.runs().unwrap();
    assert_eq!(runs.len(), 1);
    runs.remove(0).run
}

#[test]
fn the_state_home_is_where_xdg_says() {
    let locate = |xdg: Option<&str>, home: Option<&str>| {
        Store::locate(xdg.map(PathBuf::from), home.map(PathBuf::from)).map(|store| store.directory)
    };
    assert_eq!(locate(Some("/state"), Some("/home/me")), Some("/state/arcusctl/runs".into()));
    assert_eq!(locate(None, Some("/home/me")), Some("/home/me/.local/state/arcusctl/runs".into()));
    assert_eq!(locate(Some("state"), None), None);
}

#[tokio::test]
async fn what_was_done_is_read_back_and_belongs_to_its_operator_alone() {
    let (_home, store) = store();
    let journal = store.create(header(run_id(Timestamp::now()))).unwrap();
    let plan = plan(&["a", "b", "c"]);
    let steps: Vec<&Step> = plan.steps().collect();
    journal.plan(&plan).await;
    assert_eq!(only(&store).state(), RunState::Running);
    journal.begin(0, steps[0]).await.unwrap();
    journal.finish(0, &[result(steps[0], Outcome::done("switched"))]);
    journal.begin(1, steps[1]).await.unwrap();
    journal.finish(1, &[result(steps[1], Outcome::Failed { failure: Failure::failed("b: no") })]);
    journal.finish(2, &[result(steps[2], Outcome::Skipped { reason: "closed".into() })]);
    journal.end(3, &[]).await;
    drop(journal);

    let run = only(&store);
    assert_eq!((run.state(), run.header.argv.len()), (RunState::Partly, 2));
    let states: Vec<StepState> = run.steps.iter().map(|view| view.state).collect();
    assert_eq!(states, [StepState::Done, StepState::Failed, StepState::NotBegun]);
    assert_eq!(run.steps[0].results[0].detail.as_deref(), Some("switched"));
    assert_eq!(run.steps[1].results[0].failure.as_ref().unwrap().message, "b: no");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(store.directory()), mode(&store.path(&run.header.id))), (0o700, 0o600));
}

/// Waits until the writer of a dropped journal has let go of its file.
fn await_unlocked(store: &Store) -> Run {
    let start = Instant::now();
    loop {
        let run = only(store);
        if !run.is_running() {
            return run;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "still locked");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_run_that_nobody_ended_died_and_what_it_had_begun_is_known() {
    let (_home, store) = store();
    let journal = store.create(header(run_id(Timestamp::now()))).unwrap();
    let plan = plan(&["a", "b"]);
    journal.plan(&plan).await;
    journal.begin(0, plan.steps().next().unwrap()).await.unwrap();
    drop(journal);
    let run = await_unlocked(&store);
    assert_eq!(run.state(), RunState::Died);
    let states: Vec<StepState> = run.steps.iter().map(|view| view.state).collect();
    assert_eq!(states, [StepState::Unknown, StepState::NotBegun]);
}

#[tokio::test]
async fn steps_of_several_plans_are_counted_on() {
    let (_home, store) = store();
    let journal = store.create(header(run_id(Timestamp::now()))).unwrap();
    let (first, second) = (plan(&["a", "b"]), plan(&["c"]));
    journal.plan(&first).await;
    journal.plan(&second).await;
    let step = second.steps().next().unwrap();
    journal.begin(0, step).await.unwrap();
    journal.finish(0, &[result(step, Outcome::done(""))]);
    journal.end(0, &[]).await;
    let run = only(&store);
    let told: Vec<(&str, StepState)> =
        run.steps.iter().map(|view| (view.step.target.as_str(), view.state)).collect();
    assert_eq!(told, [("a", StepState::NotBegun), ("b", StepState::NotBegun), ("c", StepState::Done)]);
}

#[test]
fn a_line_that_was_not_written_whole_counts_as_not_written() {
    let whole = [
        serde_json::to_string(&crate::journal::Entry::Run(Box::new(header("1".into())))).unwrap(),
        r#"{"record":"end","at":"2026-01-01T00:00:00Z","exitCode":0}"#.to_owned(),
    ]
    .join("\n");
    assert_eq!(Run::parse(&whole, false).unwrap().state(), RunState::Done);
    for cut in [1, 10, 40] {
        assert_eq!(Run::parse(&whole[..whole.len() - cut], false).unwrap().state(), RunState::Died);
    }
    assert!(Run::parse("", false).is_none());
    assert!(Run::parse("nonsense", false).is_none());
}

#[test]
fn runs_are_found_by_what_one_id_alone_begins_with() {
    let (_home, store) = store();
    for (id, resumes) in [("20260101-a", None), ("20260102-b", Some("20260101-a")), ("20270101-c", None)] {
        let header = Header { resumes: resumes.map(str::to_owned), ..header(id.into()) };
        let line = serde_json::to_string(&crate::journal::Entry::Run(Box::new(header))).unwrap();
        fs::create_dir_all(store.directory()).unwrap();
        fs::write(store.path(id), line + "\n").unwrap();
    }
    let found = |name: &str| store.find(name).map(|stored| stored.run.header.id);
    assert_eq!(found("last").unwrap(), "20270101-c");
    assert_eq!(found("2027").unwrap(), "20270101-c");
    assert!(found("2026").unwrap_err().causes[0].contains("20260101-a"));
    assert!(found("1999").unwrap_err().message.contains("no run 1999"));
    assert_eq!(store.find("20260101").unwrap().resumed_by.as_deref(), Some("20260102-b"));
}

#[test]
fn the_oldest_journals_go() {
    let (_home, store) = store();
    fs::create_dir_all(store.directory()).unwrap();
    for number in 0..KEPT + 5 {
        fs::write(store.path(&format!("2000{number:04}")), "").unwrap();
    }
    let journal = store.create(header("20260101".into())).unwrap();
    let ids = store.ids().unwrap();
    assert_eq!(ids.len(), KEPT);
    assert_eq!((ids[0].as_str(), ids[KEPT - 1].as_str()), ("20000006", "20260101"));
    drop(journal);
}

#[test]
fn ids_sort_by_time() {
    let times = [
        "2026-01-01T00:00:00.009Z",
        "2026-01-01T00:00:00.010Z",
        "2026-01-01T00:00:01Z",
        "2026-01-02T00:00:00Z",
    ];
    let ids: Vec<String> = times.iter().map(|time| run_id(time.parse().unwrap())).collect();
    assert!(ids[0].starts_with("20260101T000000.009-"), "{ids:?}");
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let store = Store { directory: "/proc/no/such".into() };
    let failure = store.create(header(run_id(Timestamp::now()))).unwrap_err();
    assert!(failure.message.contains("/proc/no/such"), "{failure}");
}

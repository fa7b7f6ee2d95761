use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::{Compression, Ensemble, HostName, NodeOptions, ServiceCode};
use crate::plan::{NodeRestart, Pace, Problem, ProcessId, Rounds, Stage};

/// Records the order of effects; fails, blocks or interrupts where it is told to.
#[derive(Default)]
struct Script {
    log: Mutex<Vec<String>>,
    fails: BTreeSet<String>,
    blocks: BTreeSet<String>,
    interrupts: BTreeMap<String, Stop>,
    /// What the record was told.
    recorded: Mutex<Vec<String>>,
    /// Steps that the record does not let begin.
    bars: BTreeSet<usize>,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

#[async_trait]
impl Perform for Script {
    async fn perform(&self, step: &Step, _: &Events) -> Vec<StepResult> {
        let name = format!("{} {}", step.target, step.action);
        self.most_busy.fetch_max(self.busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.log.lock().unwrap().push(name.clone());
        tokio::task::yield_now().await;
        if let Some(stop) = self.interrupts.get(&name) {
            stop.gently.cancel();
        }
        if self.blocks.contains(&name) {
            std::future::pending::<()>().await;
        }
        self.busy.fetch_sub(1, Ordering::SeqCst);
        let outcome = if self.fails.contains(&name) {
            Outcome::Failed { failure: Failure::failed("told to") }
        } else {
            Outcome::done("")
        };
        vec![StepResult::since(Instant::now(), step.target.clone(), outcome)]
    }
}

#[async_trait]
impl Record for Script {
    async fn begin(&self, number: usize, step: &Step) -> Result<(), Failure> {
        self.recorded.lock().unwrap().push(format!("begin {number}"));
        assert!(!self.log.lock().unwrap().contains(&format!("{} {}", step.target, step.action)));
        match self.bars.contains(&number) {
            true => Err(Failure::refused("barred")),
            false => Ok(()),
        }
    }

    fn finish(&self, number: usize, results: &[StepResult]) {
        let outcome = match &results[0].outcome {
            Outcome::Done { .. } => "done",
            Outcome::Skipped { .. } => "skipped",
            Outcome::Failed { .. } => "failed",
        };
        self.recorded.lock().unwrap().push(format!("{outcome} {number}"));
    }
}

fn host(name: &str) -> Target {
    Target::Host(HostName::new(name))
}

fn stage(title: &'static str, hosts: &[&str]) -> Stage {
    let action = |_: &str| match title {
        "one" => Action::StageRelease {
            release: "r1".parse().unwrap(),
            bytes: 1,
            compression: Compression::Gzip,
            partial: 0,
        },
        _ => Action::SwitchRelease { release: "r1".parse().unwrap(), from: None, adopts: vec![] },
    };
    Stage {
        title,
        gate: Gate::OwnTarget,
        round: None,
        steps: hosts.iter().map(|name| Step { target: host(name), action: action(name) }).collect(),
    }
}

fn plan(stages: Vec<Stage>) -> Plan {
    Plan { stages, ..Plan::new("test") }
}

async fn execute(plan: &Plan, script: &Script, concurrency: usize, stop: &Stop) -> RunReport {
    let (events, _receiver) = Events::channel();
    run(plan, script, script, &events, concurrency, stop).await
}

const STAGE_A: &str = "a send and unpack release r1 (1 B)";
const SWITCH_A: &str = "a switch to release r1";
const SWITCH_B: &str = "b switch to release r1";

#[tokio::test]
async fn a_stage_begins_when_the_one_before_it_is_through() {
    let script = Script::default();
    let report =
        execute(&plan(vec![stage("one", &["a", "b"]), stage("two", &["a"])]), &script, 8, &Stop::default())
            .await;
    let log = script.log.lock().unwrap();
    assert_eq!(log.last().unwrap(), SWITCH_A);
    assert_eq!(report.results.len(), 3);
}

#[tokio::test]
async fn one_failing_target_skips_its_own_later_steps_only() {
    let script = Script { fails: BTreeSet::from([STAGE_A.to_owned()]), ..Script::default() };
    let report = execute(
        &plan(vec![stage("one", &["a", "b"]), stage("two", &["a", "b"])]),
        &script,
        8,
        &Stop::default(),
    )
    .await;
    assert!(!script.log.lock().unwrap().contains(&SWITCH_A.to_owned()));
    assert!(script.log.lock().unwrap().contains(&SWITCH_B.to_owned()));
    assert!(report.results.iter().any(|result| matches!(result.outcome, Outcome::Skipped { .. })));
    assert!(!report.interrupted);
}

#[tokio::test]
async fn a_target_that_the_plan_has_a_problem_with_is_not_touched() {
    let script = Script::default();
    let mut plan = plan(vec![stage("one", &["a"])]);
    plan.problems.push(Problem { target: host("a"), failure: Failure::failed("dead") });
    execute(&plan, &script, 8, &Stop::default()).await;
    assert!(script.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_more_steps_run_at_once_than_allowed() {
    let script = Script::default();
    let hosts: Vec<String> = (0..20).map(|number| format!("h{number}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    execute(&plan(vec![stage("one", &names)]), &script, 3, &Stop::default()).await;
    assert_eq!(script.log.lock().unwrap().len(), 20);
    assert_eq!(script.most_busy.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_first_interrupt_finishes_what_is_under_way_and_begins_nothing() {
    let stop = Stop::default();
    let script =
        Script { interrupts: BTreeMap::from([(STAGE_A.to_owned(), stop.clone())]), ..Script::default() };
    let report = execute(&plan(vec![stage("one", &["a"]), stage("two", &["a"])]), &script, 1, &stop).await;
    assert_eq!(*script.log.lock().unwrap(), [STAGE_A]);
    assert!(matches!(report.results[0].outcome, Outcome::Done { .. }));
    assert!(
        matches!(&report.results[1].outcome, Outcome::Skipped { reason } if reason.contains("interrupted"))
    );
    assert!(report.interrupted);
}

#[tokio::test]
async fn the_second_interrupt_drops_what_is_under_way() {
    let stop = Stop::default();
    let script = Script { blocks: BTreeSet::from([STAGE_A.to_owned()]), ..Script::default() };
    stop.at_once.cancel();
    let report = execute(&plan(vec![stage("one", &["a"])]), &script, 1, &stop).await;
    assert!(report.results[0].failure().unwrap().message.contains("cut short"));
}

#[tokio::test]
async fn a_restart_that_is_dropped_is_gone_on_with_and_not_given_again() {
    let stop = Stop::default();
    let script = Script { blocks: BTreeSet::from([RESTART_2.to_owned()]), ..Script::default() };
    stop.at_once.cancel();
    let plan = rounds(&["10.0.0.2:1"]);
    let restart = Plan { stages: vec![plan.stages.last().unwrap().clone()], ..Plan::new("test") };
    let report = execute(&restart, &script, 1, &stop).await;
    assert!(report.results[0].failure().unwrap().hints[0].contains("arcusctl resume"));
}

#[tokio::test]
async fn what_goes_on_one_by_one_stops_at_the_first_failure_and_minds_nothing_that_was_left_out() {
    let script = Script { fails: BTreeSet::from([SWITCH_A.to_owned()]), ..Script::default() };
    let unbroken = |hosts| Stage { gate: Gate::Unbroken, round: None, ..stage("two", hosts) };
    let mut plan = plan(vec![unbroken(&["b"]), unbroken(&["a"]), unbroken(&["c"])]);
    plan.problems.push(Problem { target: host("dead"), failure: Failure::failed("dead") });
    let report = execute(&plan, &script, 8, &Stop::default()).await;
    assert_eq!(*script.log.lock().unwrap(), [SWITCH_B, SWITCH_A]);
    assert!(
        matches!(&report.results[2].outcome, Outcome::Skipped { reason } if reason.contains("left as it is"))
    );
}

#[tokio::test]
async fn a_gate_for_everything_stays_shut_once_anything_failed() {
    let script = Script { fails: BTreeSet::from([STAGE_A.to_owned()]), ..Script::default() };
    let mut plan = plan(vec![stage("one", &["a", "b"]), stage("two", &["a", "b"])]);
    plan.stages[1].gate = Gate::Everything;
    execute(&plan, &script, 8, &Stop::default()).await;
    let log = script.log.lock().unwrap();
    assert!(!log.iter().any(|step| step.contains("switch")), "{log:?}");
}

#[tokio::test]
async fn each_step_is_recorded_before_it_is_carried_out_and_after_by_its_number_in_the_plan() {
    let script = Script { fails: BTreeSet::from([STAGE_A.to_owned()]), ..Script::default() };
    let both = plan(vec![stage("one", &["a"]), stage("two", &["a", "b"])]);
    execute(&both, &script, 1, &Stop::default()).await;
    assert_eq!(*script.recorded.lock().unwrap(), ["begin 0", "failed 0", "skipped 1", "begin 2", "done 2"]);
}

#[tokio::test]
async fn a_step_that_may_not_begin_fails_and_is_not_carried_out() {
    let script = Script { bars: BTreeSet::from([0]), ..Script::default() };
    let report =
        execute(&plan(vec![stage("one", &["a"]), stage("two", &["a", "b"])]), &script, 1, &Stop::default())
            .await;
    assert_eq!(*script.log.lock().unwrap(), [SWITCH_B]);
    assert_eq!(report.results[0].failure().unwrap().message, "barred");
}

/// Rounds that restart one node each, with waits in between.
fn rounds(nodes: &[&str]) -> Plan {
    let (code, ensemble) = (ServiceCode::new("c").unwrap(), Ensemble::parse("zk:2181").unwrap());
    let pace = Pace { batch: 1, max_unavailable: 1, drain: 0, settle: 1 };
    let node = |text: &&str| NodeRestart {
        addr: text.parse().unwrap(),
        process: Some(ProcessId { pid: 7, started: 1 }),
        options: NodeOptions { memlimit: 1, connections: 1, threads: 1 },
        old_session: None,
    };
    let mut plan = Plan::new("test");
    let all = nodes.iter().map(|text| text.parse().unwrap()).collect();
    Rounds::new(&mut plan, &code, &ensemble, pace, all).restart(&nodes.iter().map(node).collect::<Vec<_>>());
    plan
}

fn skipped(report: &RunReport) -> Vec<String> {
    let skipped = report.results.iter().filter_map(|result| match &result.outcome {
        Outcome::Skipped { reason } => Some(format!("{}: {reason}", result.target)),
        _ => None,
    });
    skipped.collect()
}

const RESTART_2: &str = "10.0.0.2 restart 10.0.0.2:1 (pid 7)";

#[tokio::test]
async fn after_a_round_that_failed_each_node_that_is_left_is_named_and_no_wait() {
    let script = Script { fails: BTreeSet::from([RESTART_2.to_owned()]), ..Script::default() };
    let plan = rounds(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"]);
    let report = execute(&plan, &script, 8, &Stop::default()).await;
    assert_eq!(script.log.lock().unwrap().last().unwrap(), RESTART_2);
    let why = "left as it was: something before it failed, and the rest is left as it is";
    assert_eq!(skipped(&report), [format!("10.0.0.3:1: {why}"), format!("10.0.0.4:1: {why}")]);
}

#[tokio::test]
async fn an_interrupt_lets_the_round_under_way_come_to_its_end() {
    let stop = Stop::default();
    let interrupts = BTreeMap::from([(RESTART_2.to_owned(), stop.clone())]);
    let script = Script { interrupts, ..Script::default() };
    let report = execute(&rounds(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]), &script, 8, &stop).await;
    assert_eq!(script.log.lock().unwrap().last().unwrap(), RESTART_2);
    assert!(report.results.iter().all(|result| result.failure().is_none()));
    assert_eq!(skipped(&report).last().unwrap(), "10.0.0.3:1: left as it was: interrupted");
}

#[tokio::test]
async fn what_did_not_stop_keeps_its_log_and_its_release() {
    let node = "10.0.0.1:11211".parse().unwrap();
    struct Stops(Target);
    #[async_trait]
    impl Perform for Stops {
        async fn perform(&self, step: &Step, _: &Events) -> Vec<StepResult> {
            let (target, outcome) = match step.action {
                Action::StopNodes { .. } if step.target == host("a") => {
                    (self.0.clone(), Outcome::Failed { failure: Failure::failed("stuck") })
                }
                _ => (step.target.clone(), Outcome::done("")),
            };
            vec![StepResult::since(Instant::now(), target, outcome)]
        }
    }
    let code = ServiceCode::new("c").unwrap();
    let both = |title: &'static str, action: Action| Stage {
        title,
        round: None,
        gate: Gate::OwnTarget,
        steps: ["a", "b"].map(|name| Step { target: host(name), action: action.clone() }).to_vec(),
    };
    let plan = Plan {
        stages: vec![
            both("Stop", Action::StopNodes { code, nodes: Vec::new(), drain: 0 }),
            both("Logs", Action::ForgetNodes { ports: Vec::new() }),
            both("Remove", Action::RemoveInstall { ours: Vec::new() }),
        ],
        ..plan(Vec::new())
    };
    let (events, _) = Events::channel();
    let report =
        run(&plan, &Stops(Target::Node(node)), &Script::default(), &events, 4, &Stop::default()).await;
    let skipped: Vec<String> = report
        .results
        .iter()
        .filter(|result| matches!(result.outcome, Outcome::Skipped { .. }))
        .map(|result| result.target.to_string())
        .collect();
    assert_eq!(skipped, ["a", "a"], "{:?}", report.results);
}

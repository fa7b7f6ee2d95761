use super::*;
use crate::error::Failure;
use crate::model::{Ensemble, NodeAddr, NodeOptions, ServiceCode};
use crate::plan::{NodeRestart, Pace, ProcessId, Rounds};

fn node(host: u8, port: u16, runs: bool) -> NodeRestart {
    NodeRestart {
        addr: format!("10.0.0.{host}:{port}").parse().unwrap(),
        process: runs.then_some(ProcessId { pid: 7, started: 1 }),
        options: NodeOptions { memlimit: 100, connections: 1000, threads: 6 },
        old_session: None,
    }
}

fn plan(batch: usize, build: impl FnOnce(&mut Rounds<'_>)) -> Plan {
    let (code, ensemble) = (ServiceCode::new("c").unwrap(), Ensemble::parse("zk:2181").unwrap());
    let pace = Pace { batch, max_unavailable: batch, drain: 5, settle: 30 };
    let mut plan = Plan::new("memcached restart");
    build(&mut Rounds::new(&mut plan, &code, &ensemble, pace, BTreeSet::new()));
    plan
}

fn hosts(hosts: std::ops::RangeInclusive<u8>) -> Vec<NodeRestart> {
    hosts.flat_map(|host| (11211..=11213).map(move |port| node(host, port, true))).collect()
}

#[test]
fn hundreds_of_rounds_fit_a_line() {
    insta::assert_snapshot!(of(&plan(1, |rounds| rounds.restart(&hosts(1..=100)))).join("\n"), @r"
    in 300 rounds, 30 s between them; none is begun once something has failed
      1-300. 10.0.0.1 … 10.0.0.100 (100 hosts): restart cache nodes 11211-11213, drained for 5 s, one by one
    ");
}

#[test]
fn what_differs_stands_by_itself() {
    let plan = plan(1, |rounds| {
        rounds.bring_back(&[node(1, 11219, false), node(2, 11219, false)]);
        rounds.restart(&hosts(1..=2));
        rounds.restart(&[node(3, 11300, true)]);
    });
    insta::assert_snapshot!(of(&plan).join("\n"), @r"
    in 8 rounds, 30 s between them; none is begun once something has failed
          1. 10.0.0.1: start cache node 11219
          1. 10.0.0.2: start cache node 11219
        2-7. 10.0.0.1, 10.0.0.2: restart cache nodes 11211-11213, drained for 5 s, one by one
          8. 10.0.0.3: restart cache node 11300, drained for 5 s
    ");
}

#[test]
fn a_batch_is_told_by_host() {
    insta::assert_snapshot!(of(&plan(4, |rounds| rounds.restart(&hosts(1..=2)))).join("\n"), @r"
    in 2 rounds, 30 s between them; none is begun once something has failed
          1. 10.0.0.1: restart cache nodes 11211-11213, drained for 5 s
          1. 10.0.0.2: restart cache node 11211, drained for 5 s
          2. 10.0.0.2: restart cache nodes 11212, 11213, drained for 5 s
    ");
}

#[test]
fn one_round_has_nothing_to_wait_for() {
    let one = plan(1, |rounds| rounds.restart(&[node(1, 11211, true)]));
    insta::assert_snapshot!(of(&one).join("\n"), @r"
    in 1 round
          1. 10.0.0.1: restart cache node 11211, drained for 5 s
    ");
    assert!(of(&Plan::new("x")).is_empty());
}

#[test]
fn where_it_stopped_every_node_is_named() {
    let plan = plan(1, |rounds| rounds.restart(&hosts(1..=1)));
    let result = |port: u16, outcome| {
        let addr: NodeAddr = format!("10.0.0.1:{port}").parse().unwrap();
        StepResult { target: Target::Node(addr), outcome, elapsed: std::time::Duration::ZERO }
    };
    let done = result(11211, Outcome::done(""));
    let results = [
        done.clone(),
        result(11212, Outcome::Failed { failure: Failure::failed("") }),
        result(11213, Outcome::Skipped { reason: String::new() }),
    ];
    assert_eq!(
        tally(&plan, &results),
        ["done: 10.0.0.1:11211", "failed: 10.0.0.1:11212", "left as they were: 10.0.0.1:11213"]
    );
    assert!(tally(&plan, &[done]).is_empty());
    assert!(tally(&Plan::new("x"), &results).is_empty());
}

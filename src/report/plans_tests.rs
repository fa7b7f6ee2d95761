use super::*;
use crate::error::Failure;
use crate::model::{Compression, HostName, NodeAddr, NodeOptions, ReleaseId, ServiceCode};
use crate::plan::{
    Action, Change, ChangePrice, Gate, Holding, NodeLaunch, NodeStop, Problem, ProcessId, Stage, Step,
};

fn host(name: impl Into<String>) -> Target {
    Target::Host(HostName::new(name))
}

fn release() -> ReleaseId {
    "12ab34cd56ef".parse().unwrap()
}

fn stage(title: &'static str, steps: Vec<Step>) -> Stage {
    Stage { title, gate: Gate::OwnTarget, round: None, steps }
}

fn send(target: Target) -> Step {
    let action = Action::StageRelease {
        release: release(),
        bytes: 9_400_000,
        compression: Compression::Gzip,
        partial: 0,
    };
    Step { target, action }
}

fn switch(target: Target) -> Step {
    Step { target, action: Action::SwitchRelease { release: release(), from: None, adopts: vec![] } }
}

#[test]
fn what_keeps_many_out_is_told_once() {
    let dead = |number: u8| Problem {
        target: Target::Node(addr(number, 11211)),
        failure: Failure::unreachable(format!("10.0.0.{number}: cannot connect with ssh")).cause("timed out"),
    };
    let plan = Plan { problems: (1..=47).map(dead).collect(), ..Plan::new("memcached start") };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: memcached start
      !  10.0.0.1:11211 … 10.0.0.47:11211 (47 targets)  left out: cannot connect with ssh: timed out
    ");
}

fn addr(host: u8, port: u16) -> NodeAddr {
    format!("10.0.0.{host}:{port}").parse().unwrap()
}

fn plain(plan: &Plan) -> String {
    anstream::adapter::strip_str(&render(plan)).to_string()
}

#[test]
fn a_plan_shows_what_comes_what_holds_and_what_is_left_out() {
    let plan = Plan {
        stages: vec![stage("Stage", vec![send(host("b"))])],
        holds: vec![Holding { target: host("a"), fact: "has release 12ab34cd56ef in use".into() }],
        problems: vec![Problem {
            target: host("c"),
            failure: Failure::unreachable("c: cannot connect with ssh"),
        }],
        ..Plan::new("deploy")
    };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: deploy
      b
        1. Stage: send and unpack release 12ab34cd56ef (9.4 MB)
      =  a  has release 12ab34cd56ef in use
      !  c  left out: cannot connect with ssh
    ");
}

#[test]
fn hosts_with_the_same_steps_are_one_group() {
    let hosts = |range: std::ops::RangeInclusive<u8>| range.map(|number| host(format!("10.0.0.{number}")));
    let plan = Plan {
        stages: vec![
            stage("Stage", hosts(1..=16).map(send).collect()),
            stage("Switch", hosts(1..=18).map(switch).collect()),
        ],
        ..Plan::new("deploy")
    };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: deploy
      10.0.0.1 … 10.0.0.16 (16 hosts)
        1. Stage: send and unpack release 12ab34cd56ef (9.4 MB)
        2. Switch: switch to release 12ab34cd56ef
      10.0.0.17, 10.0.0.18
        2. Switch: switch to release 12ab34cd56ef
    ");
}

#[test]
fn two_hundred_nodes_fit_a_screen() {
    let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
    let launch =
        |host, port| NodeLaunch { addr: addr(host, port), options: Some(options), old_session: None };
    let start = |number: u8| {
        let nodes = (11211..11231).map(|port| launch(number, port)).collect();
        let code = ServiceCode::new("c").unwrap();
        let action = Action::StartNodes { code, zookeeper: "zk:2181".into(), nodes };
        Step { target: host(format!("10.0.0.{number}")), action }
    };
    let running = (1..=30).map(|number| Holding {
        target: Target::Node(addr(99, 11000 + number)),
        fact: format!("runs already (pid {number})"),
    });
    let plan = Plan {
        stages: vec![stage("Start", (1..=10).map(start).collect())],
        holds: running.collect(),
        ..Plan::new("memcached start")
    };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: memcached start
      10.0.0.1 … 10.0.0.10 (10 hosts)
        1. Start: start cache nodes 11211-11230
      =  10.0.0.99:11001 … 10.0.0.99:11030 (30 targets)  runs already
    ");
}

#[test]
fn nodes_to_stop_are_named_by_their_ports_and_znodes_by_what_becomes_of_them() {
    let process = Some(ProcessId { pid: 7, started: 1 });
    let nodes = vec![
        NodeStop { addr: addr(1, 11211), process },
        NodeStop { addr: addr(1, 11212), process },
        NodeStop { addr: addr(1, 11300), process: None },
    ];
    let summary =
        (1..=9).map(|port| format!("add node 10.0.0.1:{port}")).chain(["remove node 10.0.0.2:1".into()]);
    let plan = Plan {
        stages: vec![
            stage(
                "Stop",
                vec![Step {
                    target: host("10.0.0.1"),
                    action: Action::StopNodes { code: ServiceCode::new("c").unwrap(), nodes, drain: 0 },
                }],
            ),
            stage(
                "Register",
                vec![Step {
                    target: Target::Tree,
                    action: Action::CommitZnodes { changes: vec![], summary: summary.collect() },
                }],
            ),
        ],
        ..Plan::new("x")
    };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: x
      10.0.0.1
        1. Stop: stop cache nodes 11211, 11212
        1. Stop: wait until cache node 11300 has left; no process of it is to be seen
      znodes
        2. Register: add node 10.0.0.1:1 … 10.0.0.1:9 (9)
        2. Register: remove node 10.0.0.2:1
    ");
}

#[test]
fn a_price_is_told_change_by_change_and_in_all() {
    let change = |number: u8, change, moves, empties, least_seconds| ChangePrice {
        change,
        nodes: vec![addr(number, 11211)],
        moves,
        empties,
        least_seconds,
    };
    let mut price = Price {
        changes: vec![
            change(1, Change::Add, 0.124, 0.0, 30),
            change(10, Change::Remove, 0.25, 0.0, 5),
            change(2, Change::Restart, 0.0, 0.125, 0),
        ],
        moves: 0.3,
        empties: 0.125,
        least_seconds: 210,
        nodes: vec![],
    };
    let stages =
        vec![stage("Register", vec![Step { target: Target::Tree, action: Action::CreateStructure }])];
    let plan = Plan { stages, price: Some(price.clone()), ..Plan::new("apply") };
    insta::assert_snapshot!(plain(&plan), @r"
    Plan: apply
      znodes
        1. Register: create the base znodes below /arcus that are missing
      price
        1. add 10.0.0.1:11211      moves 12.4 % of the keys; at least 30 s
        2. remove 10.0.0.10:11211  moves 25.0 % of the keys; at least 5 s
        3. restart 10.0.0.2:11211  empties 12.5 % of the keys
        in all                     moves 30.0 % of the keys and empties 12.5 %; at least 3 min 30 s
    ");

    // Of many, the first are told.
    price.changes = (1..=40).map(|number| change(number, Change::Add, 0.01, 0.0, 30)).collect();
    let lines = prices(&price);
    assert_eq!(lines.len(), PRICED + 1);
    assert_eq!(lines[PRICED - 1].0.trim_end(), "… 29 more");
}

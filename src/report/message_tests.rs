//! What people read, word for word: a change of any message is a change of its snapshot.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::document::{Data, Document, HostReleases, NextStep, WrittenFiles};
use super::{
    Expiry, KeyItem, KeyOwner, KeyReport, NodeShare, PingAnswer, SmokeResult, SmokeTimes, exit_codes,
    printer, progress, tables,
};
use crate::error::Failure;
use crate::exec::{Event, Outcome, RunReport, StepResult};
use crate::inspect::ReleaseSeen;
use crate::model::{Compression, EnsembleMember, HostName, NodeAddr, NodeOptions, ReleaseId, ServiceCode};
use crate::plan::{
    Action, Gate, Holding, HostKey, KeyPart, MemberLayout, NodeLaunch, NodeRestart, NodeStop, Plan, Problem,
    ProcessId, Stage, Step, Target,
};
use crate::zk::MemberState;

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn release() -> ReleaseId {
    "12ab34cd56ef".parse().unwrap()
}

fn other_release() -> ReleaseId {
    "aaaabbbbcccc".parse().unwrap()
}

fn node(port: u16) -> NodeAddr {
    format!("10.0.0.1:{port}").parse().unwrap()
}

fn member() -> EnsembleMember {
    "10.0.0.1:2181".parse().unwrap()
}

fn host() -> Target {
    Target::Host(HostName::new("10.0.0.1"))
}

fn layout() -> MemberLayout {
    MemberLayout {
        member: member(),
        id: 1,
        peer_port: 2888.try_into().unwrap(),
        election_port: 3888.try_into().unwrap(),
        conf_dir: "/opt/arcus/zookeeper/conf".into(),
        data_dir: "/opt/arcus/zookeeper/data".into(),
        log_dir: "/opt/arcus/zookeeper/logs".into(),
    }
}

fn actions() -> Vec<Action> {
    let stage = |partial| Action::StageRelease {
        release: release(),
        bytes: 9_400_000,
        compression: Compression::Gzip,
        partial,
    };
    let switch = |from, adopts| Action::SwitchRelease { release: release(), from, adopts };
    let launch = |options, old_session: Option<&str>| NodeLaunch {
        addr: node(11211),
        options,
        old_session: old_session.map(Into::into),
    };
    let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
    let process = Some(ProcessId { pid: 171, started: 1 });
    let code = || ServiceCode::new("cloud").unwrap();
    let key = |host_key| Action::InstallKey { key: "~/.ssh/id_ed25519".into(), host_key };
    vec![
        stage(0),
        stage(1_000_000),
        Action::MakeKey { path: "~/.ssh/id_ed25519".into(), part: KeyPart::Whole },
        Action::MakeKey { path: "~/.ssh/id_ed25519".into(), part: KeyPart::Public },
        key(HostKey::Known),
        key(HostKey::Confirm),
        key(HostKey::Accept),
        switch(None, vec![]),
        switch(Some(other_release()), vec![]),
        switch(None, vec!["bin".into(), "lib".into()]),
        Action::LabelRelease { release: release(), label: "1.16.1".into() },
        Action::TidyUp { leftovers: vec!["releases/.12ab34cd56ef.part".into()] },
        Action::PruneReleases { releases: vec![release(), other_release()] },
        Action::RunCommand { argv: vec!["df".into(), "-h".into()] },
        Action::RemoveInstall { ours: vec!["releases/12ab34cd56ef".into(), "current".into(), "work".into()] },
        Action::RemoveInstall { ours: vec!["work".into()] },
        Action::ForgetNodes { ports: vec![node(11211).port, node(11212).port] },
        Action::MarkDestroyed { code: code() },
        Action::RemoveMember { layout: layout() },
        Action::ConfigureMember { layout: layout(), myid: Some(1), config: Some("x".into()) },
        Action::ConfigureMember { layout: layout(), myid: None, config: Some("x".into()) },
        Action::StartMember { layout: layout() },
        Action::StopMember { layout: layout() },
        Action::AwaitQuorum { members: vec![member()], quorum: 1 },
        Action::CreateStructure,
        Action::CommitZnodes {
            changes: vec![],
            summary: vec!["add service code cloud".into(), "add node x".into()],
        },
        Action::StartNodes {
            code: code(),
            zookeeper: "10.0.0.1:2181".into(),
            nodes: vec![
                launch(Some(options), None),
                launch(None, None),
                launch(Some(options), Some("10.0.0.1:11211-h")),
            ],
        },
        Action::RejoinNode { code: code(), pid: 171 },
        Action::StopNodes {
            code: code(),
            nodes: vec![
                NodeStop { addr: node(11211), process },
                NodeStop { addr: node(11212), process: None },
            ],
            drain: 0,
        },
        Action::StopNodes { code: code(), nodes: vec![NodeStop { addr: node(11211), process }], drain: 5 },
        Action::RestartNodes {
            code: code(),
            zookeeper: "10.0.0.1:2181".into(),
            nodes: vec![
                NodeRestart { addr: node(11211), process, options, old_session: None },
                NodeRestart { addr: node(11212), process: None, options, old_session: None },
            ],
            drain: 5,
        },
        Action::Settle {
            code: code(),
            seconds: 30,
            joined: vec![node(11211)],
            members: 3,
            expected: Arc::default(),
        },
        Action::Settle { code: code(), seconds: 0, joined: vec![], members: 3, expected: Arc::default() },
    ]
}

#[test]
fn what_every_action_is_called() {
    let words: Vec<String> = actions().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(words.join("\n"));
}

fn result(target: Target, outcome: Outcome) -> StepResult {
    StepResult { target, outcome, elapsed: Duration::from_millis(1234) }
}

fn results() -> Vec<StepResult> {
    let failure = Failure::failed("10.0.0.1:11211: ended before it joined")
        .cause("exit status 71: EX_OSERR: its port is taken");
    vec![
        result(host(), Outcome::done("staged release 12ab34cd56ef (10.4 MB, 24.6 MB/s)")),
        result(
            host(),
            Outcome::Skipped { reason: "switch to release 12ab34cd56ef was not begun: interrupted".into() },
        ),
        result(Target::Node(node(11211)), Outcome::Failed { failure }),
        result(Target::Ensemble, Outcome::Failed { failure: Failure::failed("the ensemble has no quorum") }),
        result(Target::Tree, Outcome::done("add service code cloud")),
    ]
}

#[test]
fn how_a_run_is_told_while_it_goes_on() {
    let mut events = vec![
        Event::StageStarted { title: "Start", round: None, steps: 1 },
        Event::StageStarted { title: "Stage", round: None, steps: 3 },
        Event::StageStarted { title: "Restart", round: Some((2, 12)), steps: 1 },
        Event::StepStarted { target: host(), action: "start ZooKeeper".into() },
        Event::Note { target: Target::Member(member()), text: "running, but without a quorum".into() },
    ];
    events.extend(results().into_iter().map(Event::Finished));
    let lines: Vec<String> = events.iter().filter_map(progress::plain_line).collect();
    insta::assert_snapshot!(plain(&lines.join("\n")));
}

/// A plan with so much of everything, and what became of it.
fn run(holds: usize, problems: usize, results: Vec<StepResult>, interrupted: bool) -> Document {
    let steps = actions().into_iter().take(1).map(|action| Step { target: host(), action }).collect();
    let failure = Failure::unreachable("10.0.0.2: cannot connect with ssh");
    let plan = Plan {
        stages: vec![Stage { title: "Stage", gate: Gate::OwnTarget, round: None, steps }],
        holds: vec![Holding { target: host(), fact: "has release 12ab34cd56ef in use".into() }; holds],
        problems: vec![Problem { target: host(), failure }; problems],
        ..Plan::new("deploy")
    };
    Document::of_run(plan, RunReport { results, interrupted }, Duration::from_millis(1234))
}

#[test]
fn what_a_run_came_to_in_one_line() {
    let only = |index: usize| vec![results().swap_remove(index)];
    let documents = [
        run(0, 0, only(0), false),
        run(2, 1, results(), false),
        run(3, 0, vec![], false),
        run(0, 0, only(1), true),
        run(0, 0, results(), true),
        Document::of_plan(Plan::new("deploy")),
        Document::of_parts("quicksetup", vec![run(0, 0, only(0), false)]),
        Document::of_parts("quicksetup", vec![run(0, 0, only(2), false)]),
    ];
    let lines: Vec<String> =
        documents.iter().map(|document| printer::summary(document).unwrap_or_default()).collect();
    insta::assert_snapshot!(plain(&lines.join("\n")));
}

#[test]
fn what_is_shown_of_what_was_looked_at() {
    let answers = vec![
        PingAnswer::new(Target::Member(member()), Ok("leader 3.8.0".into()), Duration::from_micros(4321)),
        PingAnswer::new(host(), Ok("memcached-1".into()), Duration::from_millis(586)),
        PingAnswer::new(
            Target::Node(node(11211)),
            Err(Failure::unreachable("10.0.0.1:11211: the cache node does not answer")
                .cause("connection refused")),
            Duration::from_millis(1),
        ),
    ];
    let seen = |label: Option<&str>, staged| ReleaseSeen {
        label: label.map(Into::into),
        staged,
        bytes: 13_996_134,
        users: vec![],
    };
    let releases = |host: &str, releases: BTreeMap<ReleaseId, ReleaseSeen>| HostReleases {
        host: HostName::new(host),
        current: Some(release()),
        previous: Some(other_release()),
        free: Some(1),
        releases,
    };
    let hosts = vec![
        releases(
            "10.0.0.1",
            [(release(), seen(Some("1.16.1"), 1_795_350_368)), (other_release(), seen(None, 1_795_350_361))]
                .into(),
        ),
        releases("10.0.0.2", BTreeMap::new()),
    ];
    let files = WrittenFiles {
        written: vec!["cloud.json".into(), "arcusctl.toml".into()],
        next: vec![
            NextStep { run: "cd site".into(), does: "the settings are found in the current directory" },
            NextStep { run: "arcusctl quicksetup cloud.json".into(), does: "sets it up" },
        ],
    };
    let keys = KeyReport {
        keys: vec![KeyOwner { key: "user:1".into(), node: node(11211), item: None }],
        nodes: vec![
            NodeShare { node: node(11211), share: 0.51, live: true },
            NodeShare { node: node(11212), share: 0.49, live: false },
        ],
    };
    let present = |kind: &str, bytes, elements, expiry| KeyItem::Present {
        kind: Some(kind.into()),
        bytes,
        elements,
        flags: 2,
        expiry,
    };
    let asked = |key: &str, item| KeyOwner { key: key.into(), node: node(11211), item: Some(item) };
    let items = KeyReport {
        keys: vec![
            asked("a", present("kv", Some(1234), None, Expiry::Seconds(90))),
            asked("b", present("b+tree", None, Some(7), Expiry::Sticky)),
            asked("c", KeyItem::Absent),
        ],
        nodes: keys.nodes.clone(),
    };
    let times = SmokeTimes { connect: Some(0.4), write: Some(0.2), read: Some(0.1), delete: Some(0.1) };
    let smoke = vec![
        SmokeResult { node: node(11211), key: "arcusctl:smoke:run:0".into(), times, failure: None },
        SmokeResult {
            node: node(11212),
            key: "arcusctl:smoke:run:4".into(),
            times: SmokeTimes::default(),
            failure: Some(Failure::unreachable("10.0.0.1:11212: the cache node does not answer")),
        },
    ];
    let shown = [
        Data::Keys(items),
        Data::Smoke(smoke),
        Data::Answers(answers),
        Data::Hosts(hosts),
        Data::Files(files),
        Data::Keys(keys),
        Data::Clouds(vec![]),
        Data::Runs(vec![]),
    ];
    let shown: Vec<String> = shown.iter().map(|data| tables::render(data, true)).collect();
    insta::assert_snapshot!(plain(&shown.join("----\n")));
}

#[test]
fn what_a_member_is_found_to_be() {
    let states = [
        MemberState::NotServing,
        MemberState::Down { reason: "connection refused".into() },
        MemberState::Unreachable { reason: "no answer within 3 s".into() },
        MemberState::Strange { answer: "HTTP/1.1 400".into() },
        MemberState::Silent,
    ];
    let words: Vec<String> = states.iter().map(MemberState::describe).collect();
    insta::assert_snapshot!(words.join("\n"));
}

#[test]
fn what_every_exit_code_says() {
    let mut text = String::new();
    for (code, words) in exit_codes() {
        writeln!(text, "{code:>3}  {words}").unwrap();
    }
    insta::assert_snapshot!(text);
}

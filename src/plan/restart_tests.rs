use super::*;
use crate::inspect::{NodeProcess, ProcessesSeen};
use crate::model::NodeOptions;
use crate::plan::{Action, Gate};

const PACE: Pace = Pace { batch: 1, max_unavailable: 1, drain: 5, settle: 10 };
const NODES: [&str; 4] = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.3:1"];

fn addr(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

/// Four nodes on three hosts, of which these are members, and of which these have a process.
struct Scene {
    registered: Vec<RegisteredNode>,
    seen: NodesSeen,
}

impl Scene {
    fn new() -> Self {
        let options = Ok(NodeOptions { memlimit: 100, connections: 1000, threads: 6 });
        let registered =
            NODES.map(|text| RegisteredNode { addr: addr(text), mapped: true, options: options.clone() });
        let mut scene = Self { registered: registered.into(), seen: NodesSeen::default() };
        for (number, text) in (101..).zip(NODES) {
            scene.member(text);
            scene.process(text, number);
        }
        scene
    }

    fn member(&mut self, text: &str) {
        self.seen.members.insert(addr(text), format!("{text}-h"));
    }

    /// It has been running for as many seconds as its number says.
    fn process(&mut self, text: &str, pid: u32) {
        let addr = addr(text);
        let empty = || ProcessesSeen { uptime: 1000.0, ticks_per_second: 100.0, ..ProcessesSeen::default() };
        let host = self.seen.processes.entry(HostName::from(addr.ip)).or_insert_with(|| Ok(empty()));
        host.as_mut().unwrap().processes.push(NodeProcess {
            pid,
            started: u64::from(1000 - pid) * 100,
            port: Some(addr.port),
            ours: true,
            zookeeper: Some("zk:2181".into()),
            exe: "/opt/arcus/bin/memcached".into(),
            release: None,
            argv: vec!["/opt/arcus/bin/memcached".into()],
        });
    }

    fn kill(&mut self, text: &str) {
        let addr = addr(text);
        let host = self.seen.processes.get_mut(&HostName::from(addr.ip)).unwrap();
        host.as_mut().unwrap().processes.retain(|process| process.port != Some(addr.port));
    }

    fn leave(&mut self, text: &str) {
        self.seen.members.remove(&addr(text)).unwrap();
    }

    fn lose_host(&mut self, ip: &str) {
        let gone = Err(Failure::unreachable(format!("{ip}: cannot connect with ssh")));
        self.seen.processes.insert(HostName::new(ip), gone);
    }

    fn plan(&self, selected: &[&str], manner: Manner) -> Result<Plan, Failures> {
        self.resume(selected, manner, None)
    }

    fn resume(&self, selected: &[&str], manner: Manner, since: Option<Duration>) -> Result<Plan, Failures> {
        let selection = match selected {
            [] => Selection::All,
            some => Selection::Only(some.iter().map(|text| addr(text)).collect()),
        };
        let (code, ensemble) = (ServiceCode::new("c").unwrap(), Ensemble::parse("zk:2181").unwrap());
        let wish = RestartWish { code: &code, ensemble: &ensemble, selection: &selection, manner, since };
        restart_nodes(&wish, &self.registered, &self.seen)
    }
}

fn told(plan: &Plan) -> Vec<String> {
    let stages = plan.stages.iter().filter(|stage| stage.title != "Settle");
    let step = |stage: &crate::plan::Stage| {
        let steps = stage.steps.iter().map(|step| step.action.to_string().replace(", drained for 5 s", ""));
        format!("{}: {}", stage.title, steps.collect::<Vec<_>>().join(" | "))
    };
    stages.map(step).collect()
}

fn what(plan: &Plan) -> String {
    match &plan.risk {
        Risk::Interrupts { what } => what.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn one_after_the_other_by_address() {
    let plan = Scene::new().plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!(
        told(&plan),
        [
            "Restart: restart 10.0.0.1:1 (pid 101)",
            "Restart: restart 10.0.0.1:2 (pid 102)",
            "Restart: restart 10.0.0.2:1 (pid 103)",
            "Restart: restart 10.0.0.3:1 (pid 104)",
        ]
    );
    assert_eq!(
        what(&plan),
        "4 running cache node(s) of c will restart, 1 at a time, which takes at least 50 s; \
         what they hold is lost (100.0 % of the keys)"
    );
}

#[test]
fn all_at_the_same_time_says_what_that_means() {
    let scene = Scene::new();
    let plan = scene.plan(&[], Manner::AllAtOnce { drain: 0 }).unwrap();
    assert_eq!(plan.stages.len(), 1);
    assert_eq!((plan.stages[0].gate, plan.rounds(), plan.stages[0].steps.len()), (Gate::OwnTarget, 0, 3));
    assert!(what(&plan).ends_with("(100.0 % of the keys), and nobody serves meanwhile"), "{}", what(&plan));
    let some = scene.plan(&["10.0.0.3:1"], Manner::AllAtOnce { drain: 0 }).unwrap();
    assert!(what(&some).ends_with("% of the keys)") && !what(&some).contains("(100"), "{}", what(&some));
}

#[test]
fn selected_nodes_that_are_out_come_back_before_any_other_goes_out() {
    let mut scene = Scene::new();
    // Nothing is left of one; of another its session, of the third its process.
    scene.kill("10.0.0.1:2");
    scene.leave("10.0.0.1:2");
    scene.kill("10.0.0.2:1");
    scene.leave("10.0.0.3:1");
    let plan = scene.plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!(
        told(&plan),
        [
            "Bring back: start 10.0.0.1:2 | start 10.0.0.2:1 once 10.0.0.2:1-h of its predecessor has expired | \
             restart 10.0.0.3:1 (pid 104)",
            "Restart: restart 10.0.0.1:1 (pid 101)",
        ]
    );
    // They alone interrupt nobody who is served.
    scene.kill("10.0.0.3:1");
    let plan = scene.plan(&["10.0.0.1:2", "10.0.0.3:1"], Manner::Rolling(PACE)).unwrap();
    assert_eq!(plan.risk, Risk::Harmless);
}

#[test]
fn nodes_that_stay_out_count_among_those_that_may_be() {
    let mut scene = Scene::new();
    scene.kill("10.0.0.3:1");
    scene.leave("10.0.0.3:1");
    let others = ["10.0.0.1:1", "10.0.0.2:1"];
    let refused = scene.plan(&others, Manner::Rolling(PACE)).unwrap_err();
    let failure = &refused.as_slice()[0];
    assert_eq!(failure.message, "2 nodes of c would be out at once; 1 may be");
    assert_eq!(failure.causes, ["out already, and staying so: 10.0.0.3:1"]);
    assert_eq!(failure.hints[1], "or allow for them: --max-unavailable 2");
    let allowed = scene.plan(&others, Manner::Rolling(Pace { max_unavailable: 2, ..PACE })).unwrap();
    assert_eq!(allowed.rounds(), 2);
    // It alone is simply started.
    let alone = scene.plan(&["10.0.0.3:1"], Manner::Rolling(PACE)).unwrap();
    assert_eq!(told(&alone), ["Bring back: start 10.0.0.3:1"]);
}

#[test]
fn a_batch_larger_than_may_be_out_is_refused_unless_there_are_not_so_many() {
    let pace = Pace { batch: 3, max_unavailable: 2, ..PACE };
    let refused = Scene::new().plan(&[], Manner::Rolling(pace)).unwrap_err();
    assert_eq!(refused.as_slice()[0].message, "3 nodes of c would be out at once; 2 may be");
    assert!(Scene::new().plan(&NODES[..2], Manner::Rolling(pace)).is_ok());
}

#[test]
fn a_node_on_a_host_that_cannot_be_reached_is_left_out_and_counts_as_out_only_if_it_is() {
    let mut scene = Scene::new();
    scene.lose_host("10.0.0.3");
    let plan = scene.plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!((plan.rounds(), plan.problems.len()), (3, 1));

    scene.leave("10.0.0.3:1");
    let refused = scene.plan(&[], Manner::Rolling(PACE)).unwrap_err();
    let messages: Vec<&str> = refused.as_slice().iter().map(|failure| failure.message.as_str()).collect();
    assert_eq!(
        messages,
        ["10.0.0.3: cannot connect with ssh", "2 nodes of c would be out at once; 1 may be"]
    );
    let plan = scene.plan(&[], Manner::Rolling(Pace { max_unavailable: 2, ..PACE })).unwrap();
    assert_eq!((plan.rounds(), plan.problems.len()), (3, 1));
}

#[test]
fn what_would_not_come_back_is_not_stopped() {
    let mut scene = Scene::new();
    scene.registered[0].options = Err(Failure::refused("10.0.0.1:1: nobody knows its options"));
    scene.seen.processes.get_mut(&HostName::new("10.0.0.2")).unwrap().as_mut().unwrap().processes[0].ours =
        false;
    scene.seen.others.insert(addr("10.0.0.3:1"), "theirs".into());
    let plan = scene.plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!(told(&plan), ["Restart: restart 10.0.0.1:2 (pid 102)"]);
    let problems: Vec<&str> = plan.problems.iter().map(|problem| problem.failure.message.as_str()).collect();
    assert_eq!(
        problems,
        [
            "10.0.0.1:1: nobody knows its options",
            "10.0.0.2:1: its port belongs to a memcached that is not of this install and ensemble",
            "10.0.0.3:1: belongs to service code theirs as well",
        ]
    );
    // Those serve on: they are not out.
    assert_eq!(plan.stages.len(), 2);
}

#[test]
fn a_member_that_is_not_registered_is_left_alone_or_refused_by_name() {
    let mut scene = Scene::new();
    scene.member("10.0.0.9:1");
    let plan = scene.plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!(plan.rounds(), 4);
    assert!(plan.notes[0].starts_with("10.0.0.9:1: left alone; not registered"), "{:?}", plan.notes);
    assert!(scene.plan(&["10.0.0.9:1"], Manner::Rolling(PACE)).is_err());
}

#[test]
fn a_node_that_is_named_by_the_document_alone_is_none_that_went_out() {
    let mut scene = Scene::new();
    let failure = Failure::refused("10.0.0.4:1: has no mapping");
    scene.registered.push(RegisteredNode { addr: addr("10.0.0.4:1"), mapped: false, options: Err(failure) });
    scene.seen.processes.insert(HostName::new("10.0.0.4"), Ok(ProcessesSeen::default()));
    let plan = scene.plan(&[], Manner::Rolling(PACE)).unwrap();
    assert_eq!((plan.rounds(), plan.problems.len()), (4, 1));
    let Action::Settle { members, .. } = &plan.stages[0].steps[0].action else { panic!() };
    assert_eq!(*members, 4);
}

#[test]
fn going_on_leaves_out_what_the_run_that_was_cut_short_restarted() {
    let scene = Scene::new();
    let since = Some(Duration::from_secs(103));
    let plan = scene.resume(&[], Manner::Rolling(PACE), since).unwrap();
    assert_eq!(
        told(&plan),
        ["Restart: restart 10.0.0.2:1 (pid 103)", "Restart: restart 10.0.0.3:1 (pid 104)"]
    );
    assert_eq!(plan.holds[0].fact, "was restarted by that run already (pid 101)");
    let done = scene.resume(&[], Manner::Rolling(PACE), Some(Duration::from_secs(105))).unwrap();
    assert!(done.is_empty());
    assert_eq!(done.holds.len(), 4);
}

#[test]
fn nodes_that_joined_a_moment_ago_are_given_their_time_first() {
    let scene = Scene::new();
    let pace = Pace { settle: 103, ..PACE };
    let plan = scene.plan(&["10.0.0.3:1"], Manner::Rolling(pace)).unwrap();
    let Action::Settle { seconds, joined, members, .. } = &plan.stages[0].steps[0].action else { panic!() };
    // The youngest has been there for 101 of 103 seconds, selected or not.
    assert_eq!(
        (*seconds, joined.as_slice(), *members),
        (2, &[addr("10.0.0.1:1"), addr("10.0.0.1:2")][..], 4)
    );
    assert_eq!((plan.stages.len(), plan.rounds()), (2, 1));
    // What only comes back need not wait.
    let mut scene = scene;
    scene.kill("10.0.0.3:1");
    let plan = scene.plan(&["10.0.0.3:1"], Manner::Rolling(pace)).unwrap();
    assert_eq!(plan.stages.len(), 1);
}

/// What the first check demands: how many of whom.
fn first_check(plan: &Plan) -> (usize, Vec<NodeAddr>) {
    match &plan.stages[0].steps[0].action {
        Action::Settle { seconds: 0, members, expected, .. } => {
            (*members, expected.iter().copied().collect())
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_node_that_died_while_the_question_stood_keeps_the_first_one_from_going_out() {
    let scene = Scene::new();
    let all = NODES.map(addr).to_vec();
    let plan = scene.plan(&["10.0.0.1:1"], Manner::Rolling(PACE)).unwrap();
    assert_eq!((plan.stages[0].gate, first_check(&plan)), (Gate::Unbroken, (4, all.clone())));
    let plan = scene.plan(&[], Manner::Rolling(Pace { max_unavailable: 3, ..PACE })).unwrap();
    assert_eq!(first_check(&plan), (2, all));
}

#[test]
fn the_next_node_waits_for_one_that_a_run_which_was_cut_short_has_just_brought_back() {
    let mut scene = Scene::new();
    let back = addr(NODES[0]);
    scene.kill(NODES[0]);
    scene.process(NODES[0], 2);
    let plan = scene.resume(&[], Manner::Rolling(PACE), Some(Duration::from_secs(60))).unwrap();
    assert_eq!(plan.holds.len(), 1);
    let Action::Settle { seconds, joined, .. } = &plan.stages[0].steps[0].action else { panic!() };
    assert_eq!((*seconds, joined.as_slice()), (8, &[back][..]));
}

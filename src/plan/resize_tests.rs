use super::*;
use crate::config::settings::ZooKeeperSettings;
use crate::inspect::MemberSeen;
use crate::model::HostName;
use crate::plan::{Action, Gate, Risk};
use crate::zk::{MemberState, Mode};

fn ensemble(list: &str) -> Ensemble {
    Ensemble::parse(list).unwrap()
}

fn named(name: &str) -> EnsembleMember {
    EnsembleMember { host: HostName::new(name), client_port: 2181.try_into().unwrap() }
}

/// `a,b,c` as host names.
fn of(names: &str) -> Ensemble {
    ensemble(&names.split(',').map(|name| format!("{name}:2181")).collect::<Vec<_>>().join(","))
}

fn asked(command: &'static str, listed: &str, names: &str) -> Resize {
    let listed = of(listed);
    let named: Vec<EnsembleMember> = names.split(',').map(named).collect();
    let mut everybody = listed.members().to_vec();
    everybody.extend(named.iter().filter(|member| !listed.members().contains(member)).cloned());
    let goes = |member: &EnsembleMember| command == "zookeeper remove" && named.contains(member);
    let wanted = everybody.iter().filter(|member| !goes(member)).cloned().collect();
    let wish = EnsembleWish {
        ensemble: Ensemble::of(everybody).unwrap(),
        install_path: "/opt/arcus".into(),
        settings: ZooKeeperSettings::default(),
    };
    Resize { command, wish, listed, wanted: Ensemble::of(wanted).unwrap(), named, at_once: false }
}

fn add(listed: &str, names: &str) -> Resize {
    asked("zookeeper add", listed, names)
}

fn remove(listed: &str, names: &str) -> Resize {
    asked("zookeeper remove", listed, names)
}

fn down() -> MemberState {
    MemberState::Down { reason: "connection refused".into() }
}

/// `voters` serve with their list, led by `leader`; everybody else of `resize` is installed and no more.
fn serving(resize: &Resize, voters: &str, leader: &str) -> ResizeSeen {
    let voters = of(voters);
    let wish = EnsembleWish { ensemble: voters.clone(), ..resize.wish.clone() };
    let bare = |member: &EnsembleMember| {
        let seen =
            MemberSeen { myid: None, config: None, has_data: false, pid: None, installed: true, java: true };
        (member.clone(), down(), Ok(seen))
    };
    let members: Members = voters.members().iter().map(bare).collect();
    let layouts = layouts(&wish, &members).unwrap();
    let list = zoo_cfg::list_of(&layouts);
    let mut seen = ResizeSeen {
        members: resize.wish.ensemble.members().iter().map(bare).collect(),
        running: BTreeMap::new(),
    };
    for (member, state, here) in &mut seen.members {
        let Some(layout) = layouts.iter().find(|layout| layout.member == *member) else { continue };
        let mode = if *member == named(leader) { Mode::Leader } else { Mode::Follower };
        *state = MemberState::serving(mode);
        let here = here.as_mut().unwrap();
        here.myid = Some(layout.id);
        here.config = Some(zoo_cfg::render(layout, &layouts, &resize.wish.settings.properties));
        (here.has_data, here.pid) = (true, Some(4711));
        seen.running.insert(member.clone(), list.clone());
    }
    seen
}

impl ResizeSeen {
    fn of(&mut self, member: &EnsembleMember) -> (&mut MemberState, &mut MemberSeen) {
        let (_, state, seen) = self.members.iter_mut().find(|(name, ..)| name == member).unwrap();
        (state, seen.as_mut().unwrap())
    }

    fn stop(&mut self, member: &EnsembleMember) {
        let (state, seen) = self.of(member);
        (*state, seen.pid) = (down(), None);
        self.running.remove(member);
        self.elect();
    }

    /// Someone leads whom a majority of its own list counts as one of theirs; nobody else gets the votes.
    fn elect(&mut self) {
        let leads = |state: &MemberState| state.stats().is_some_and(|stats| stats.mode == Mode::Leader);
        if self.members.iter().any(|(_, state, _)| leads(state)) {
            return;
        }
        let has = |list: &ServerList, member: &EnsembleMember| {
            list.values().any(|server| server.host == member.host.as_str())
        };
        let elected = self.running.iter().rev().find(|(candidate, list)| {
            let votes = self.running.iter().filter(|(voter, of)| has(list, voter) && has(of, candidate));
            votes.count() > list.len() / 2
        });
        if let Some(leader) = elected.map(|(member, _)| member.clone()) {
            *self.of(&leader).0 = MemberState::serving(Mode::Leader);
        }
    }

    fn start(&mut self, member: &EnsembleMember) {
        let (state, seen) = self.of(member);
        *state = MemberState::serving(Mode::Follower);
        (seen.pid, seen.has_data) = (Some(4712), true);
        let list = zoo_cfg::server_list(seen.config.as_deref().unwrap());
        self.running.insert(member.clone(), list);
        self.elect();
    }

    /// Every list that a member runs with has a majority that serves.
    fn assert_quorum(&self, when: &str) {
        let lists: BTreeSet<&ServerList> = self.running.values().collect();
        for list in lists {
            let serve = list.values().filter(|server| {
                self.members
                    .iter()
                    .any(|(member, state, _)| member.host.as_str() == server.host && state.stats().is_some())
            });
            assert!(serve.count() > list.len() / 2, "{when}: no quorum of {list:?}");
        }
        let ids: BTreeSet<Vec<u32>> =
            self.running.values().map(|list| list.keys().copied().collect()).collect();
        assert!(ids.len() <= 2, "{when}: {ids:?}");
    }

    /// Who has no majority of its list up runs on and serves nobody.
    fn serve_by_majority(&mut self) {
        let up = |server: &zoo_cfg::Server| self.running.contains_key(&named(&server.host));
        let short = |list: &ServerList| list.values().filter(|server| up(server)).count() <= list.len() / 2;
        let idle: Vec<EnsembleMember> =
            self.running.iter().filter(|(_, list)| short(list)).map(|(member, _)| member.clone()).collect();
        for member in idle {
            *self.of(&member).0 = MemberState::NotServing;
            self.running.remove(&member);
        }
    }

    /// Does the first `steps` steps of a plan, and of the one after them only that a member is stopped.
    fn after(&self, plan: &Plan, steps: usize) -> Self {
        let mut seen = self.clone();
        for (number, step) in plan.steps().enumerate().take(steps + 1) {
            let Target::Member(member) = &step.target else { continue };
            let cut = number == steps;
            match &step.action {
                _ if cut && !matches!(step.action, Action::CycleMember { .. }) => {}
                Action::ConfigureMember { myid, config, .. } => {
                    let (_, here) = seen.of(member);
                    here.myid = myid.or(here.myid);
                    here.config = config.clone().or(here.config.take());
                }
                Action::CycleMember { config, .. } => {
                    let (_, here) = seen.of(member);
                    here.config = config.clone().or(here.config.take());
                    seen.stop(member);
                    seen.assert_quorum(&format!("while {member} is out"));
                    if !cut {
                        seen.start(member);
                    }
                }
                Action::RetireMember { .. } => {
                    seen.stop(member);
                    seen.of(member).1.config = None;
                }
                Action::StopMember { .. } => seen.stop(member),
                Action::StartMember { .. } => seen.start(member),
                other => panic!("no member's step: {other:?}"),
            }
        }
        seen
    }

    /// Plans and does until nothing is left; gives all steps.
    fn settle(&mut self, asked: &Resize) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..20 {
            let plan = resize(asked, self).unwrap_or_else(|failures| panic!("{failures} after {done:#?}"));
            if plan.is_empty() {
                assert!(plan.problems.is_empty(), "{:#?}", plan.problems);
                return done;
            }
            done.extend(described(&plan));
            *self = self.after(&plan, usize::MAX - 1);
        }
        panic!("no end: {done:#?}");
    }

    fn lists(&self) -> BTreeSet<String> {
        let text =
            |list: &ServerList| list.values().map(|server| server.host.clone()).collect::<Vec<_>>().join(",");
        self.running.values().map(text).collect()
    }
}

fn described(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
}

fn refused(asked: &Resize, seen: &ResizeSeen) -> String {
    resize(asked, seen).unwrap_err().to_string()
}

#[test]
fn a_fourth_member_joins_first_and_the_leader_takes_the_list_over_last() {
    let asked = add("a,b,c", "d");
    let plan = resize(&asked, &serving(&asked, "a,b,c", "b")).unwrap();
    assert_eq!(
        described(&plan),
        [
            "d:2181: write /opt/arcus/zookeeper/data/myid = 4 and /opt/arcus/zookeeper/conf/zoo.cfg",
            "d:2181: start ZooKeeper, wait until it is in sync",
            "a:2181: write /opt/arcus/zookeeper/conf/zoo.cfg, restart ZooKeeper, wait until it is in sync",
            "c:2181: write /opt/arcus/zookeeper/conf/zoo.cfg, restart ZooKeeper, wait until it is in sync",
            "b:2181: write /opt/arcus/zookeeper/conf/zoo.cfg, restart ZooKeeper, wait until it is in sync",
            "ensemble: write through one of 4 members and read it through each",
        ]
    );
    assert!(plan.stages.iter().all(|stage| stage.gate == Gate::Unbroken && stage.steps.len() == 1));
}

#[test]
fn three_become_five_one_by_one_and_planning_again_finds_nothing() {
    let asked = add("a,b,c", "d,e");
    let mut seen = serving(&asked, "a,b,c", "c");
    let steps = seen.settle(&asked);
    assert_eq!(steps.iter().filter(|step| step.contains("restart ZooKeeper")).count(), 3 + 4, "{steps:#?}");
    assert_eq!(seen.lists(), BTreeSet::from(["a,b,c,d,e".to_owned()]));
    // The operator may have written the list down by now.
    let listed = add("a,b,c,d,e", "d,e");
    let again = resize(&listed, &seen).unwrap();
    assert!(again.is_empty());
    let facts: Vec<&str> = again.holds.iter().map(|hold| hold.fact.as_str()).collect();
    assert_eq!(facts, ["is a member, in sync with the others"; 2]);
}

#[test]
fn five_become_three_and_who_goes_is_stopped_when_nobody_counts_it_any_more() {
    let asked = remove("a,b,c,d,e", "d,e");
    let mut seen = serving(&asked, "a,b,c,d,e", "a");
    let first = resize(&asked, &seen).unwrap();
    assert_eq!(
        described(&first).last().unwrap(),
        "d:2181: stop ZooKeeper, set /opt/arcus/zookeeper/conf/zoo.cfg aside"
    );
    let steps = seen.settle(&asked);
    assert_eq!(seen.lists(), BTreeSet::from(["a,b,c".to_owned()]));
    assert!(seen.of(&named("d")).1.has_data && seen.of(&named("d")).1.pid.is_none(), "{steps:#?}");
    assert!(resize(&remove("a,b,c", "d,e"), &seen).unwrap().is_empty());
}

#[test]
fn a_leader_that_is_to_go_lets_another_lead_first() {
    let asked = remove("a,b,c,d", "b");
    let mut seen = serving(&asked, "a,b,c,d", "b");
    let first = resize(&asked, &seen).unwrap();
    assert_eq!(described(&first), ["b:2181: restart ZooKeeper, wait until it is in sync"]);
    let steps = seen.settle(&asked);
    assert_eq!(steps.iter().filter(|step| step.starts_with("b:2181: restart")).count(), 1, "{steps:#?}");
    assert_eq!(seen.lists(), BTreeSet::from(["a,c,d".to_owned()]));
}

#[test]
fn cut_short_at_any_step_with_a_member_down_it_is_finished_by_running_it_again() {
    let cases = [
        (add("a,b,c", "d"), "a,b,c", "a"),
        (add("a,b,c", "d,e"), "a,b,c", "b"),
        (remove("a,b,c,d", "d"), "a,b,c,d", "a"),
        (remove("a,b,c,d", "a"), "a,b,c,d", "a"),
        (remove("a,b,c,d,e", "a,b"), "a,b,c,d,e", "c"),
    ];
    for (asked, voters, leader) in cases {
        let mut round = serving(&asked, voters, leader);
        loop {
            let plan = resize(&asked, &round).unwrap();
            if plan.is_empty() {
                break;
            }
            for steps in 0..plan.steps().count() {
                let mut cut = round.after(&plan, steps);
                cut.settle(&asked);
                assert_eq!(cut.lists().len(), 1, "{} after {steps} steps: {:?}", asked.command, cut.lists());
            }
            round = round.after(&plan, usize::MAX - 1);
        }
    }
}

#[test]
fn what_would_cost_the_quorum_is_refused_unless_it_is_asked_for() {
    for (mut asked, voters) in [
        (add("a,b", "c"), "a,b"),
        (add("a", "b"), "a"),
        (remove("a,b,c", "c"), "a,b,c"),
        (remove("a,b", "b"), "a,b"),
    ] {
        let seen = serving(&asked, voters, "a");
        let told = refused(&asked, &seen);
        assert!(told.contains("without losing the quorum"), "{told}");
        asked.at_once = true;
        let plan = resize(&asked, &seen).unwrap();
        assert!(
            matches!(&plan.risk, Risk::Interrupts { what } if what.contains("interrupted")),
            "{:?}",
            plan.risk
        );
    }
}

#[test]
fn with_a_member_down_that_stays_nothing_is_changed() {
    let asked = add("a,b,c", "d");
    let mut seen = serving(&asked, "a,b,c", "a");
    let c = named("c");
    seen.members.iter_mut().find(|(member, ..)| *member == c).unwrap().2 =
        Err(Failure::unreachable("c: cannot connect with ssh"));
    let told = refused(&asked, &seen);
    assert!(told.contains("c:2181: cannot be looked at on its host"), "{told}");
}

#[test]
fn a_dead_member_of_five_is_taken_out_and_one_of_four_is_not() {
    let dead = |asked: &Resize, voters: &str, name: &str| {
        let mut seen = serving(asked, voters, "a");
        seen.stop(&named(name));
        seen.members.iter_mut().find(|(member, ..)| *member == named(name)).unwrap().2 =
            Err(Failure::unreachable("cannot connect with ssh"));
        seen
    };
    let five = remove("a,b,c,d,e", "e");
    let mut seen = dead(&five, "a,b,c,d,e", "e");
    seen.settle(&five);
    assert_eq!(seen.lists(), BTreeSet::from(["a,b,c,d".to_owned()]));
    let four = remove("a,b,c,d", "d");
    let told = refused(&four, &dead(&four, "a,b,c,d", "d"));
    assert!(told.contains("d:2181 is down"), "{told}");
}

#[test]
fn a_newcomer_with_znodes_of_an_earlier_time_is_refused() {
    let asked = add("a,b,c", "d");
    let mut seen = serving(&asked, "a,b,c", "a");
    seen.of(&named("d")).1.has_data = true;
    let told = refused(&asked, &seen);
    assert!(told.contains("d:2181: keeps znodes of an earlier time"), "{told}");
    // It runs, and serves nobody: whose data it has, nobody knows.
    let (state, here) = seen.of(&named("d"));
    (*state, here.pid) = (MemberState::NotServing, Some(4711));
    here.config = Some("server.1=x:2888:3888\nserver.4=d:2888:3888\n".into());
    let told = refused(&asked, &seen);
    assert!(told.contains("d:2181: keeps znodes of an earlier time"), "{told}");
}

#[test]
fn lists_that_differ_by_more_than_one_member_are_refused() {
    let asked = add("a,b,c,d,e", "e");
    let mut seen = serving(&asked, "a,b,c,d,e", "a");
    let short: ServerList = seen.running[&named("a")].clone().into_iter().take(3).collect();
    seen.running.insert(named("a"), short);
    let told = refused(&asked, &seen);
    assert!(told.contains("differ by more than one member"), "{told}");
}

#[test]
fn a_member_that_is_not_listed_is_named_by_its_line() {
    let asked = add("a,b", "d");
    let seen_by_three = serving(&add("a,b,c", "d"), "a,b,c", "a");
    let mut seen = serving(&asked, "a,b", "a");
    seen.running = seen_by_three.running;
    seen.running.remove(&named("c"));
    let told = refused(&asked, &seen);
    assert!(told.contains("server.3=c:2888:3888"), "{told}");
}

#[test]
fn what_neither_the_list_nor_the_members_have_is_not_added_unasked() {
    // The list has a member that never joined.
    let asked = remove("a,b,c,d,x", "d");
    let told = refused(&asked, &serving(&asked, "a,b,c,d", "a"));
    assert!(told.contains("differ in x:2181"), "{told}");
}

#[test]
fn a_host_s_only_member_is_not_moved_by_a_second_one() {
    let mut asked = add("a,b,c", "d");
    let second: EnsembleMember = "a:2182".parse().unwrap();
    let everybody: Vec<_> = asked.listed.members().iter().cloned().chain([second.clone()]).collect();
    let seen = serving(&asked, "a,b,c", "a");
    asked.wish.ensemble = Ensemble::of(everybody).unwrap();
    asked.wanted = asked.wish.ensemble.clone();
    asked.named = vec![second.clone()];
    let mut members = seen.members.clone();
    members.pop();
    members.push((second, down(), Ok(seen.members[3].2.clone().unwrap())));
    let told = refused(&asked, &ResizeSeen { members, running: seen.running });
    assert!(told.contains("a:2181: its directories and ports would have to change"), "{told}");
}

#[test]
fn where_zookeeper_rewrote_its_files_it_changes_the_list_itself() {
    let mut asked = add("a,b,c", "d");
    asked.wish.settings.properties.insert("reconfigEnabled".into(), "true".into());
    let mut seen = serving(&asked, "a,b,c", "b");
    for name in ["a", "b", "c"] {
        seen.of(&named(name)).1.config = Some("dynamicConfigFile=/x/zoo.cfg.dynamic.1\n".into());
    }
    let plan = resize(&asked, &seen).unwrap();
    assert_eq!(
        described(&plan),
        [
            "d:2181: write /opt/arcus/zookeeper/data/myid = 4 and /opt/arcus/zookeeper/conf/zoo.cfg",
            "d:2181: start ZooKeeper, wait until it is in sync",
            "ensemble: have ZooKeeper change its servers to server.1=a:2888:3888:participant;2181 \
             server.2=b:2888:3888:participant;2181 server.3=c:2888:3888:participant;2181 \
             server.4=d:2888:3888:participant;2181",
            "ensemble: write through one of 4 members and read it through each",
        ]
    );
    asked.wish.settings.properties.clear();
    assert!(refused(&asked, &seen).contains("the settings leave that off"));
}

/// Its host and its port are lost.
fn lose(seen: &mut ResizeSeen, name: &str) {
    seen.stop(&named(name));
    let lost = seen.members.iter_mut().find(|(member, ..)| *member == named(name)).unwrap();
    lost.1 = MemberState::Unreachable { reason: "no answer within 3 s".into() };
    lost.2 = Err(Failure::unreachable("cannot connect with ssh"));
}

#[test]
fn a_member_that_serves_and_does_not_tell_its_list_is_neither_restarted_nor_passed_over() {
    for asked in [add("a,b,c,d", "d"), remove("a,b,c", "d"), add("a,b,c", "d")] {
        let voters = if asked.command == "zookeeper add" && asked.listed.members().len() == 4 {
            "a,b,c,d"
        } else {
            "a,b,c"
        };
        let mut seen = serving(&asked, voters, "a");
        seen.running.remove(&named("b"));
        let told = refused(&asked, &seen);
        assert!(told.contains("b:2181: serves, but does not tell"), "{told}");
    }
}

#[test]
fn who_runs_and_does_not_serve_is_restarted_only_when_that_is_agreed_to_and_looked_at_again() {
    let asked = add("a,b,c,d", "d");
    let mut seen = serving(&asked, "a,b,c,d", "a");
    seen.running.remove(&named("c"));
    *seen.of(&named("c")).0 = MemberState::Silent;
    let plan = resize(&asked, &seen).unwrap();
    assert!(
        matches!(&plan.risk, Risk::Interrupts { what } if what.starts_with("1 running")),
        "{:?}",
        plan.risk
    );
    let Action::CycleMember { keep, .. } = &plan.stages[0].steps[0].action else { panic!("{plan:#?}") };
    assert_eq!(keep, &[crate::plan::Voters(asked.wanted.members().to_vec())]);
    // What has no process can be started unasked.
    seen.stop(&named("c"));
    assert_eq!(resize(&asked, &seen).unwrap().risk, Risk::Harmless);
}

#[test]
fn two_lost_members_are_taken_out_one_after_the_other() {
    // Five of seven are left: they are restarted one by one.
    let seven = remove("a,b,c,d,e,f,g", "f,g");
    let mut seen = serving(&seven, "a,b,c,d,e,f,g", "a");
    ["f", "g"].iter().for_each(|name| lose(&mut seen, name));
    let steps = seen.settle(&seven);
    assert_eq!(seen.lists(), BTreeSet::from(["a,b,c,d,e".to_owned()]));
    assert!(!steps.iter().any(|step| step.starts_with("f:") || step.starts_with("g:")), "{steps:#?}");
    // Three of five are a quorum, and none of them can be done without: all at once.
    let mut five = remove("a,b,c,d,e", "d,e");
    let mut seen = serving(&five, "a,b,c,d,e", "a");
    ["d", "e"].iter().for_each(|name| lose(&mut seen, name));
    let told = refused(&five, &seen);
    assert!(told.contains("without losing the quorum") && !told.contains("cannot be looked at"), "{told}");
    five.at_once = true;
    let steps = seen.settle(&five);
    assert_eq!(seen.lists(), BTreeSet::from(["a,b,c".to_owned()]));
    assert!(!steps.iter().any(|step| step.starts_with("d:") || step.starts_with("e:")), "{steps:#?}");
    // One that is to stay must be in reach.
    let one = remove("a,b,c,d,e,f,g", "f");
    let mut seen = serving(&one, "a,b,c,d,e,f,g", "a");
    ["f", "g"].iter().for_each(|name| lose(&mut seen, name));
    assert!(refused(&one, &seen).contains("g:2181: cannot be looked at"));
}

#[test]
fn all_at_once_cut_short_at_any_step_is_finished_by_giving_it_again() {
    for (mut asked, voters) in [
        (add("a", "b"), "a"),
        (add("a,b", "c"), "a,b"),
        (remove("a,b,c", "c"), "a,b,c"),
        (remove("a,b", "b"), "a,b"),
    ] {
        asked.at_once = true;
        let seen = serving(&asked, voters, "a");
        let plan = resize(&asked, &seen).unwrap();
        for steps in 0..plan.steps().count() {
            let mut cut = seen.after(&plan, steps);
            cut.serve_by_majority();
            cut.settle(&asked);
            let wanted: Vec<&str> =
                asked.wanted.members().iter().map(|member| member.host.as_str()).collect();
            assert_eq!(cut.lists(), BTreeSet::from([wanted.join(",")]), "{} after {steps}", asked.command);
        }
    }
}

#[test]
fn one_that_cannot_be_stopped_does_not_leave_the_others_down() {
    let mut asked = add("a,b", "c");
    asked.at_once = true;
    let plan = resize(&asked, &serving(&asked, "a,b", "a")).unwrap();
    let stages: Vec<(&str, Gate)> = plan.stages.iter().map(|stage| (stage.title, stage.gate)).collect();
    // What is between the stop and the start of a member keeps it from its start when it is left out.
    assert_eq!(
        stages[..4],
        [
            ("Configure", Gate::Unbroken),
            ("Stop", Gate::Unbroken),
            ("Start", Gate::OwnTarget),
            ("Quorum", Gate::OwnTarget)
        ]
    );
}

#[test]
fn without_all_nobody_is_started_and_it_is_said_how_everybody_is() {
    let asked = add("a", "b");
    let mut seen = serving(&asked, "a", "a");
    seen.stop(&named("a"));
    let failures = resize(&asked, &seen).unwrap_err();
    let hints = failures.as_slice()[0].hints.join("; ");
    assert!(hints.contains("arcusctl -z a:2181,b:2181 zookeeper start"), "{hints}");
}

#[test]
fn a_server_of_no_ensemble_on_a_host_that_was_named_by_mistake_is_left_alone() {
    let asked = remove("a,b,c", "x");
    let mut seen = serving(&asked, "a,b,c", "a");
    for config in ["clientPort=2181\n", "dynamicConfigFile=/x/zoo.cfg.dynamic.1\n"] {
        seen.of(&named("x")).1.config = Some(config.to_owned());
        assert!(resize(&asked, &seen).unwrap().is_empty(), "{config}");
    }
    // One that was ours, as ZooKeeper itself has it once it is out.
    let ours = "dynamicConfigFile=/x/zoo.cfg.dynamic.1\nserver.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n";
    seen.of(&named("x")).1.config = Some(ours.to_owned());
    assert_eq!(described(&resize(&asked, &seen).unwrap()).len(), 1);
}

#[test]
fn a_newcomer_whose_files_zookeeper_took_over_is_gone_on_with_and_they_are_left_to_it() {
    let mut asked = add("a,b,c", "d");
    asked.wish.settings.properties.insert("reconfigEnabled".into(), "true".into());
    let mut seen = serving(&asked, "a,b,c", "b");
    let dynamic = |names: &[&str]| {
        let servers = names.iter().enumerate();
        let lines =
            servers.map(|(place, name)| format!("server.{}={name}:2888:3888:participant\n", place + 1));
        format!("dynamicConfigFile=/x/zoo.cfg.dynamic.1\n{}", lines.collect::<String>())
    };
    for name in ["a", "b", "c"] {
        seen.of(&named(name)).1.config = Some(dynamic(&["a", "b", "c"]));
    }
    // It was configured and started; then the run was cut short, and it went down.
    let here = seen.of(&named("d")).1;
    (here.myid, here.has_data) = (Some(4), true);
    here.config = Some(dynamic(&["a", "b", "c", "d"]));
    let plan = resize(&asked, &seen).unwrap();
    assert_eq!(described(&plan)[0], "d:2181: start ZooKeeper, wait until it is in sync");
    let Action::Reconfigure { from, .. } = &plan.stages[1].steps[0].action else { panic!("{plan:#?}") };
    assert_eq!(from.len(), 3, "{from:?}");
    // Of another ensemble, its znodes are not ours.
    seen.of(&named("d")).1.config = Some(dynamic(&["x", "y", "z", "d"]));
    assert!(refused(&asked, &seen).contains("keeps znodes of an earlier time"));
}

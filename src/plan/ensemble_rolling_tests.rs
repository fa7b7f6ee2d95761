use super::*;
use crate::config::settings::ZooKeeperSettings;
use crate::inspect::MemberSeen;
use crate::model::Ensemble;

fn wish(list: &str) -> EnsembleWish {
    EnsembleWish {
        ensemble: Ensemble::parse(list).unwrap(),
        install_path: "/opt/arcus".into(),
        settings: ZooKeeperSettings::default(),
    }
}

/// All serve; the first leads.
fn serving(wish: &EnsembleWish) -> Members {
    let seen = MemberSeen {
        myid: None,
        config: Some(String::new()),
        has_data: true,
        pid: Some(1),
        installed: true,
        java: true,
    };
    let members = wish.ensemble.members().iter().enumerate();
    members
        .map(|(place, member)| {
            let mode = if place == 0 { Mode::Leader } else { Mode::Follower };
            (member.clone(), MemberState::serving(mode), Ok(seen.clone()))
        })
        .collect()
}

fn take_down(members: &mut Members, place: usize) {
    members[place].1 = MemberState::Down { reason: "connection refused".into() };
    members[place].2.as_mut().unwrap().pid = None;
}

/// Whoever serves runs with the servers that `list` has.
fn run_with(list: &str, members: &Members) -> BTreeMap<EnsembleMember, ServerList> {
    let ensemble = Ensemble::parse(list).unwrap();
    let lines = ensemble.members().iter().enumerate();
    let lines = lines.map(|(place, member)| format!("server.{}={}:2888:3888", place + 1, member.host));
    let list = server_list(&lines.collect::<Vec<_>>().join("\n"));
    let serving = members.iter().filter(|(_, state, _)| state.stats().is_some());
    serving.map(|(member, ..)| (member.clone(), list.clone())).collect()
}

/// Whoever serves runs with the servers that are listed.
fn listed(wish: &EnsembleWish, members: &Members) -> BTreeMap<EnsembleMember, ServerList> {
    run_with(&wish.ensemble.to_string(), members)
}

fn restart(wish: &EnsembleWish, members: &Members) -> Result<Plan, Failures> {
    restart_rolling(wish, members, &listed(wish, members), &all(wish))
}

fn all(wish: &EnsembleWish) -> BTreeSet<EnsembleMember> {
    wish.ensemble.members().iter().cloned().collect()
}

fn order(plan: &Plan) -> Vec<String> {
    assert!(plan.stages.iter().all(|stage| stage.gate == Gate::Unbroken && stage.steps.len() == 1));
    plan.steps().map(|step| step.target.to_string()).collect()
}

#[test]
fn followers_go_first_and_the_leader_last_one_at_a_time() {
    let wish = wish("a:2181,b:2181,c:2181");
    let plan = restart(&wish, &serving(&wish)).unwrap();
    assert_eq!(order(&plan), ["b:2181", "c:2181", "a:2181"]);
    assert!(matches!(&plan.risk, Risk::Interrupts { what } if what.contains("keeps its quorum")));
}

#[test]
fn with_one_of_three_down_nobody_is_restarted() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    take_down(&mut members, 2);
    let told = restart(&wish, &members).unwrap_err().to_string();
    assert!(told.contains("would cost the ensemble its quorum"), "{told}");
    assert!(told.contains("c:2181 is down"), "{told}");
    // To bring it up takes no vote away.
    let down = BTreeSet::from([members[2].0.clone()]);
    let plan = restart_rolling(&wish, &members, &listed(&wish, &members), &down).unwrap();
    assert_eq!((order(&plan), &plan.risk), (vec!["c:2181".to_owned()], &Risk::Harmless));
}

#[test]
fn with_one_of_five_down_it_comes_up_first() {
    let wish = wish("a:2181,b:2181,c:2181,d:2181,e:2181");
    let mut members = serving(&wish);
    take_down(&mut members, 3);
    let plan = restart(&wish, &members).unwrap();
    assert_eq!(order(&plan), ["d:2181", "b:2181", "c:2181", "e:2181", "a:2181"]);
    // A second one down, on a host that cannot be reached, leaves three: none of them can be done without.
    members[4].1 = MemberState::Unreachable { reason: "no route".into() };
    members[4].2 = Err(Failure::unreachable("e: cannot connect with ssh"));
    assert!(restart(&wish, &members).is_err());
}

#[test]
fn one_or_two_members_are_restarted_only_all_at_once() {
    for list in ["a:2181", "a:2181,b:2181"] {
        let wish = wish(list);
        let failures = restart(&wish, &serving(&wish)).unwrap_err();
        assert!(failures.as_slice()[0].hints.last().unwrap().contains("--all"), "{failures}");
    }
}

#[test]
fn an_ensemble_without_a_quorum_has_none_to_lose() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    (0..3).for_each(|place| take_down(&mut members, place));
    let plan = restart(&wish, &members).unwrap();
    assert!(plan.stages.iter().any(|stage| stage.steps.len() == 3), "{:#?}", plan.stages);
}

#[test]
fn a_member_whose_zoo_cfg_was_changed_is_not_restarted_with_it() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    let list = "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n";
    let running = members.iter().map(|(member, ..)| (member.clone(), server_list(list))).collect();
    for (_, _, seen) in &mut members {
        seen.as_mut().unwrap().config = Some(list.to_owned());
    }
    assert!(restart_rolling(&wish, &members, &running, &all(&wish)).is_ok());
    members[1].2.as_mut().unwrap().config = Some("server.1=a:2888:3888\nserver.2=b:2888:3888\n".to_owned());
    let told = restart_rolling(&wish, &members, &running, &all(&wish)).unwrap_err().to_string();
    assert!(told.contains("b:2181: its zoo.cfg has other servers"), "{told}");
    // It is one of those that are restarted that matters.
    let other = BTreeSet::from([members[2].0.clone()]);
    assert!(restart_rolling(&wish, &members, &running, &other).is_ok());
}

#[test]
fn the_quorum_is_one_of_those_that_the_members_run_with() {
    // Two more joined; the settings do not have them yet, and they are down: two of five would be left.
    let three = wish("a:2181,b:2181,c:2181");
    let members = serving(&three);
    let running = run_with("a:2181,b:2181,c:2181,d:2181,e:2181", &members);
    let told = restart_rolling(&three, &members, &running, &all(&three)).unwrap_err().to_string();
    assert!(told.contains("server.4=d:2888:3888"), "{told}");
    // One that is listed and that nobody runs with has no vote.
    let four = wish("a:2181,b:2181,c:2181,d:2181");
    let mut members = serving(&four);
    take_down(&mut members, 3);
    let running = run_with("a:2181,b:2181,c:2181", &members);
    let told = restart_rolling(&four, &members, &running, &all(&four)).unwrap_err().to_string();
    assert!(told.contains("no member runs with d:2181"), "{told}");
}

#[test]
fn while_members_run_with_two_lists_a_majority_of_either_is_kept() {
    let four = wish("a:2181,b:2181,c:2181,d:2181");
    let mut members = serving(&four);
    let mut running = listed(&four, &members);
    let three = run_with("a:2181,b:2181,c:2181", &members);
    running.insert(members[0].0.clone(), three[&members[0].0].clone());
    let voters = |plan: &Plan| match &plan.stages[0].steps[0].action {
        Action::CycleMember { keep, .. } => keep.iter().map(|voters| voters.0.len()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let plan = restart_rolling(&four, &members, &running, &all(&four)).unwrap();
    assert_eq!(voters(&plan), [3, 4]);
    // With the new one down three of four serve, and none of them can be done without.
    take_down(&mut members, 3);
    running.remove(&members[3].0);
    assert!(restart_rolling(&four, &members, &running, &all(&four)).is_err());
}

#[test]
fn a_member_that_serves_and_does_not_tell_its_list_is_not_passed_over() {
    let wish = wish("a:2181,b:2181,c:2181");
    let members = serving(&wish);
    let mut running = listed(&wish, &members);
    running.remove(&members[1].0);
    let told = restart_rolling(&wish, &members, &running, &all(&wish)).unwrap_err().to_string();
    assert!(told.contains("b:2181: serves, but does not tell"), "{told}");
}

#[test]
fn every_member_is_looked_at_again_before_it_is_stopped_also_one_that_does_not_serve_yet() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    members[1].1 = MemberState::NotServing;
    let one = BTreeSet::from([members[1].0.clone()]);
    let plan = restart_rolling(&wish, &members, &listed(&wish, &members), &one).unwrap();
    let Action::CycleMember { keep, .. } = &plan.stages[0].steps[0].action else { panic!("{plan:#?}") };
    assert_eq!(keep, &[Voters(wish.ensemble.members().to_vec())]);
    // With another one down, one that runs and does not answer from here may be what makes the quorum.
    members[1].1 = MemberState::Silent;
    take_down(&mut members, 2);
    assert!(restart_rolling(&wish, &members, &listed(&wish, &members), &one).is_err());
}

#[test]
fn a_quorum_that_cannot_be_asked_from_here_is_not_taken_for_none() {
    let wish = wish("a:2181,b:2181,c:2181");
    let hidden = || MemberState::Unreachable { reason: "no answer within 3 s".into() };
    for state in [hidden(), MemberState::Silent, MemberState::NotServing] {
        let mut members = serving(&wish);
        for (_, seen, _) in &mut members {
            *seen = state.clone();
        }
        let failures = restart(&wish, &members).unwrap_err();
        assert!(failures.to_string().contains("there may be a quorum"), "{failures}");
        assert!(failures.as_slice()[0].hints.last().unwrap().contains("--all"), "{failures}");
        // Two hosts have no process: what the third one says does not matter.
        take_down(&mut members, 0);
        take_down(&mut members, 1);
        assert!(restart(&wish, &members).is_ok());
        // Its zoo.cfg has more members than are listed.
        let more = "server.3=c:2888:3888\nserver.4=d:2888:3888\nserver.5=e:2888:3888\n";
        members[2].2.as_mut().unwrap().config = Some(more.to_owned());
        assert!(restart(&wish, &members).is_err());
    }
}

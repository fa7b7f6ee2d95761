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

/// They do not say which servers they run with.
fn none() -> BTreeMap<EnsembleMember, ServerList> {
    BTreeMap::new()
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
    let plan = restart_rolling(&wish, &serving(&wish), &none(), &all(&wish)).unwrap();
    assert_eq!(order(&plan), ["b:2181", "c:2181", "a:2181"]);
    assert!(matches!(&plan.risk, Risk::Interrupts { what } if what.contains("keeps its quorum")));
}

#[test]
fn with_one_of_three_down_nobody_is_restarted() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    take_down(&mut members, 2);
    let told = restart_rolling(&wish, &members, &none(), &all(&wish)).unwrap_err().to_string();
    assert!(told.contains("would cost the ensemble its quorum"), "{told}");
    assert!(told.contains("c:2181 is down"), "{told}");
    // To bring it up takes no vote away.
    let down = BTreeSet::from([members[2].0.clone()]);
    let plan = restart_rolling(&wish, &members, &none(), &down).unwrap();
    assert_eq!((order(&plan), &plan.risk), (vec!["c:2181".to_owned()], &Risk::Harmless));
}

#[test]
fn with_one_of_five_down_it_comes_up_first() {
    let wish = wish("a:2181,b:2181,c:2181,d:2181,e:2181");
    let mut members = serving(&wish);
    take_down(&mut members, 3);
    let plan = restart_rolling(&wish, &members, &none(), &all(&wish)).unwrap();
    assert_eq!(order(&plan), ["d:2181", "b:2181", "c:2181", "e:2181", "a:2181"]);
    // A second one down, on a host that cannot be reached, leaves three: none of them can be done without.
    members[4].1 = MemberState::Unreachable { reason: "no route".into() };
    members[4].2 = Err(Failure::unreachable("e: cannot connect with ssh"));
    assert!(restart_rolling(&wish, &members, &none(), &all(&wish)).is_err());
}

#[test]
fn one_or_two_members_are_restarted_only_all_at_once() {
    for list in ["a:2181", "a:2181,b:2181"] {
        let wish = wish(list);
        let failures = restart_rolling(&wish, &serving(&wish), &none(), &all(&wish)).unwrap_err();
        assert!(failures.as_slice()[0].hints.last().unwrap().contains("--all"), "{failures}");
    }
}

#[test]
fn an_ensemble_without_a_quorum_has_none_to_lose() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = serving(&wish);
    (0..3).for_each(|place| take_down(&mut members, place));
    let plan = restart_rolling(&wish, &members, &none(), &all(&wish)).unwrap();
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

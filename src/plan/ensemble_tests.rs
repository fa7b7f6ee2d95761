use super::*;
use crate::config::settings::ZooKeeperSettings;
use crate::model::Ensemble;

fn wish(list: &str) -> EnsembleWish {
    EnsembleWish {
        ensemble: Ensemble::parse(list).unwrap(),
        install_path: "/opt/arcus".into(),
        settings: ZooKeeperSettings::default(),
    }
}

fn down() -> MemberState {
    MemberState::Down { reason: "connection refused".into() }
}

fn installed() -> MemberSeen {
    MemberSeen { myid: None, config: None, has_data: false, pid: None, installed: true, java: true }
}

fn bare(wish: &EnsembleWish) -> Members {
    wish.ensemble.members().iter().map(|member| (member.clone(), down(), Ok(installed()))).collect()
}

fn all(wish: &EnsembleWish) -> BTreeSet<EnsembleMember> {
    wish.ensemble.members().iter().cloned().collect()
}

/// What is to be seen once the plan's steps were carried out.
fn after(plan: &Plan, before: &Members) -> Members {
    let mut members = before.clone();
    for step in plan.steps() {
        let Target::Member(name) = &step.target else { continue };
        let (_, state, seen) = members.iter_mut().find(|(member, ..)| member == name).unwrap();
        let seen = seen.as_mut().unwrap();
        match &step.action {
            Action::ConfigureMember { myid, config, .. } => {
                seen.myid = myid.or(seen.myid);
                seen.config = config.clone().or(seen.config.take());
            }
            Action::StartMember { .. } => {
                seen.pid = Some(4711);
                seen.has_data = true;
                *state = MemberState::serving(Mode::Follower);
            }
            Action::StopMember { .. } => {
                seen.pid = None;
                *state = down();
            }
            other => panic!("no member's step: {other:?}"),
        }
    }
    members
}

fn described(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
}

fn complete() -> BTreeSet<String> {
    crate::model::znode::STRUCTURE.iter().map(ToString::to_string).collect()
}

#[test]
fn three_bare_hosts_become_an_ensemble_and_planning_again_finds_nothing() {
    let wish = wish("a:2181,b:2181,c:2181");
    let before = bare(&wish);
    let plan = init(&wish, &before, None).unwrap();
    assert_eq!(
        described(&plan),
        [
            "a:2181: write /opt/arcus/zookeeper/data/myid = 1 and /opt/arcus/zookeeper/conf/zoo.cfg",
            "b:2181: write /opt/arcus/zookeeper/data/myid = 2 and /opt/arcus/zookeeper/conf/zoo.cfg",
            "c:2181: write /opt/arcus/zookeeper/data/myid = 3 and /opt/arcus/zookeeper/conf/zoo.cfg",
            "a:2181: start ZooKeeper",
            "b:2181: start ZooKeeper",
            "c:2181: start ZooKeeper",
            "ensemble: wait until 3 member(s) serve (quorum 2)",
            "ensemble: create the base znodes below /arcus that are missing",
        ]
    );
    let again = init(&wish, &after(&plan, &before), Some(&complete())).unwrap();
    assert!(again.is_empty(), "{again:#?}");
    assert_eq!(again.holds.len(), 7);
}

#[test]
fn reordering_the_list_renumbers_nobody() {
    let first = wish("a:2181,b:2181,c:2181");
    let set_up = after(&init(&first, &bare(&first), None).unwrap(), &bare(&first));
    let reordered = wish("c:2181,a:2181,b:2181");
    let seen: Members = reordered
        .ensemble
        .members()
        .iter()
        .map(|member| set_up.iter().find(|(known, ..)| known == member).unwrap().clone())
        .collect();
    let ids: Vec<u32> = layouts(&reordered, &seen).unwrap().iter().map(|layout| layout.id).collect();
    assert_eq!(ids, [3, 1, 2]);
    assert!(init(&reordered, &seen, Some(&complete())).unwrap().is_empty());
}

#[test]
fn a_dead_host_keeps_the_id_its_neighbours_know() {
    let wish = wish("c:2181,a:2181,b:2181");
    let mut members = bare(&wish);
    members[0].2 = Err(Failure::unreachable("c: cannot connect with ssh"));
    members[1].2.as_mut().unwrap().config = Some("server.1=a:2888:3888\nserver.3=c:2888:3888\n".into());
    let plan = init(&wish, &members, None).unwrap();
    assert_eq!(plan.problems.len(), 1);
    let ids: Vec<u32> = layouts(&wish, &members).unwrap().iter().map(|layout| layout.id).collect();
    assert_eq!(ids, [3, 1, 2]);
}

#[test]
fn too_few_hosts_for_a_quorum_change_nothing() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = bare(&wish);
    for (_, _, seen) in &mut members[..2] {
        *seen = Err(Failure::unreachable("cannot connect with ssh"));
    }
    let failures = init(&wish, &members, None).unwrap_err();
    assert!(failures.to_string().contains("only 1 of 3 members can be used; a quorum needs 2"));
}

#[test]
fn members_on_one_machine_get_ports_and_directories_of_their_own() {
    let wish = wish("127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183");
    let layouts = layouts(&wish, &bare(&wish)).unwrap();
    let last = &layouts[2];
    assert_eq!((last.peer_port.get(), last.election_port.get()), (2890, 3890));
    assert_eq!(last.data_dir, "/opt/arcus/zookeeper/data/2183");
    assert_eq!(last.conf_dir, "/opt/arcus/zookeeper/conf/2183");
}

#[test]
fn clashing_ports_on_one_machine_are_all_named() {
    let wish = wish("h:2181,h:3181");
    let failures = layouts(&wish, &bare(&wish)).unwrap_err();
    assert!(failures.to_string().contains("port 3888 is both"), "{failures}");
}

#[test]
fn the_same_myid_twice_is_refused() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = bare(&wish);
    members[0].2.as_mut().unwrap().myid = Some(2);
    members[2].2.as_mut().unwrap().myid = Some(2);
    let failures = init(&wish, &members, None).unwrap_err();
    assert!(failures.to_string().contains("c:2181 and a:2181 both have the server id 2"), "{failures}");
}

#[test]
fn a_config_that_zookeeper_rewrote_is_left_alone() {
    let wish = wish("a:2181");
    let mut members = bare(&wish);
    let seen = members[0].2.as_mut().unwrap();
    seen.config = Some("dynamicConfigFile=/opt/arcus/zookeeper/conf/zoo.cfg.dynamic.1\n".into());
    seen.myid = Some(1);
    let plan = init(&wish, &members, None).unwrap();
    assert!(!described(&plan).iter().any(|step| step.contains("write")), "{:?}", described(&plan));
    assert!(plan.notes[0].contains("manages its zoo.cfg itself"));
}

#[test]
fn a_member_that_serves_alone_is_never_outvoted_by_new_ones() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = bare(&wish);
    members[0].1 = MemberState::serving(Mode::Standalone);
    let seen = members[0].2.as_mut().unwrap();
    (seen.pid, seen.has_data) = (Some(4711), true);
    let failures = init(&wish, &members, None).unwrap_err();
    assert!(failures.to_string().contains("a:2181: serves alone"), "{failures}");
    members[0].1 = down();
    members[0].2.as_mut().unwrap().pid = None;
    let failures = init(&wish, &members, None).unwrap_err();
    assert!(
        failures.to_string().contains("only a:2181 keeps znodes; b:2181, c:2181 keep none"),
        "{failures}"
    );
}

#[test]
fn an_ensemble_that_runs_is_not_given_other_members_all_at_once() {
    let three = wish("a:2181,b:2181,c:2181");
    let running = after(&init(&three, &bare(&three), None).unwrap(), &bare(&three));
    let five = wish("a:2181,b:2181,c:2181,d:2181,e:2181");
    let mut members = bare(&five);
    members[..3].clone_from_slice(&running);
    let failures = init(&five, &members, None).unwrap_err();
    let told = failures.to_string();
    assert!(
        told.contains("its zoo.cfg has the servers 1,2,3, and the ensemble list comes to 1,2,3,4,5"),
        "{told}"
    );
    assert!(failures.as_slice()[0].hints[0].contains("zookeeper add"));
}

#[test]
fn a_reinstalled_member_joins_those_that_have_the_data() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = after(&init(&wish, &bare(&wish), None).unwrap(), &bare(&wish));
    members[2] = (members[2].0.clone(), down(), Ok(installed()));
    let plan = init(&wish, &members, Some(&complete())).unwrap();
    assert_eq!(plan.steps().filter(|step| matches!(step.action, Action::StartMember { .. })).count(), 1);
}

#[test]
fn a_port_held_by_another_install_is_refused_by_name() {
    let wish = wish("a:2181,b:2181,c:2181");
    let mut members = bare(&wish);
    members[1].1 = MemberState::serving(Mode::Follower);
    let plan = init(&wish, &members, None).unwrap();
    assert!(plan.problems[0].failure.message.contains("b:2181: its port is taken"));
}

#[test]
fn stopping_twice_finds_nothing_to_stop() {
    let wish = wish("a:2181,b:2181,c:2181");
    let running = after(&init(&wish, &bare(&wish), None).unwrap(), &bare(&wish));
    let plan = stop_members(&wish, &running, &all(&wish)).unwrap();
    assert!(
        matches!(&plan.risk, Risk::Interrupts { what } if what.ends_with("will have no quorum")),
        "{:?}",
        plan.risk
    );
    assert_eq!(plan.steps().count(), 3);
    let again = stop_members(&wish, &after(&plan, &running), &all(&wish)).unwrap();
    assert!(again.is_empty());
    assert_eq!(again.holds.len(), 3);
}

#[test]
fn starting_before_init_says_so() {
    let wish = wish("a:2181");
    let plan = start_members(&wish, &bare(&wish), &all(&wish)).unwrap();
    assert!(plan.is_empty());
    assert!(plan.problems[0].failure.hints[0].contains("zookeeper init"));
}

#[test]
fn only_the_selected_member_is_restarted() {
    let wish = wish("a:2181,b:2181,c:2181");
    let running = after(&init(&wish, &bare(&wish), None).unwrap(), &bare(&wish));
    let selected = BTreeSet::from(["b:2181".parse().unwrap()]);
    let plan = restart_at_once(&wish, &running, &selected).unwrap();
    assert_eq!(plan.risk, Risk::Interrupts { what: "1 running ZooKeeper member(s) will stop".into() });
    assert_eq!(
        described(&plan),
        [
            "b:2181: stop ZooKeeper",
            "b:2181: start ZooKeeper",
            "ensemble: wait until 1 member(s) serve (quorum 2)",
        ]
    );
}

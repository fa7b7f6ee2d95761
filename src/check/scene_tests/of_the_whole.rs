//! Something between hosts, in the ensemble or among the znodes is not as it should be.

use super::*;

#[test]
fn a_clock_is_off_only_beyond_what_is_uncertain() {
    let clock =
        |least, most| move |fleet: &mut Fleet| fleet.first().clock = Some(ClockOffset { least, most });
    found(clock(-20.0, 20.0), &[]);
    found(clock(3.0, 3.5), &[("clock", ONE, Verdict::Warn, "ahead")]);
    found(clock(-100.0, -99.0), &[("clock", ONE, Verdict::Fail, "behind")]);
    found(|fleet| fleet.first().clock = None, &[("clock", ONE, Verdict::Warn, "cannot be told")]);
}

#[test]
fn the_address_toward_zookeeper_must_be_that_of_the_document() {
    let other: Route =
        Route::From { address: "10.0.0.2".parse().unwrap(), source: "192.168.0.9".parse().unwrap() };
    let route = |member: &'static str, route: Route| {
        move |fleet: &mut Fleet| {
            fleet.first().routes.as_mut().unwrap().insert(member.into(), route);
        }
    };
    // The first member decides.
    found(
        route(ONE, other.clone()),
        &[("zookeeper-route", ONE, Verdict::Fail, "192.168.0.9 toward 10.0.0.1")],
    );
    found(route("10.0.0.3", other.clone()), &[("zookeeper-route", ONE, Verdict::Warn, "192.168.0.9")]);
    found(route("10.0.0.2", Route::Unresolved), &[("zookeeper-route", ONE, Verdict::Warn, "no address")]);
    let unresolved_first = |fleet: &mut Fleet| {
        route(ONE, Route::Unresolved)(fleet);
        route("10.0.0.2", other)(fleet);
    };
    found(unresolved_first, &[("zookeeper-route", ONE, Verdict::Fail, "192.168.0.9")]);
    found(|fleet| fleet.first().routes = None, &[("zookeeper-route", ONE, Verdict::Warn, "no ip command")]);
}

#[test]
fn members_must_be_reached_and_refused_is_as_good_as_reached_until_they_serve() {
    let reach = |port: u16, reach: Option<Reach>| {
        move |fleet: &mut Fleet| {
            let ports = fleet.first().reach.as_mut().unwrap();
            match reach {
                Some(reach) => ports.insert(("10.0.0.2".into(), port), reach),
                None => ports.remove(&("10.0.0.2".to_owned(), port)),
            };
        }
    };
    let member = format!("{ONE}:2181");
    found(reach(2181, None), &[("zookeeper-reach", ONE, Verdict::Fail, "10.0.0.2:2181 no answer")]);
    found(
        reach(2181, Some(Reach::Refused)),
        &[("zookeeper-reach", ONE, Verdict::Fail, "though the member serves")],
    );
    found(
        reach(3888, Some(Reach::Failed("No route to host".into()))),
        &[("member-reach", &member, Verdict::Fail, "10.0.0.2:3888 no route to host")],
    );
    found(reach(2888, Some(Reach::Refused)), &[]);
    let down = |fleet: &mut Fleet| {
        fleet.states[1].1 = MemberState::Down { reason: "refused".into() };
        reach(2181, Some(Reach::Refused))(fleet);
    };
    found(down, &[("member-state", "10.0.0.2:2181", Verdict::Warn, "does not run")]);
    found(
        |fleet| fleet.first().reach = None,
        &[
            ("zookeeper-reach", ONE, Verdict::Warn, "no bash"),
            ("member-reach", &member, Verdict::Warn, "no bash"),
        ],
    );
}

/// Judges an ensemble of its own, of which nothing runs.
fn of_ensemble(list: &str, id: &str) -> Option<(Verdict, String)> {
    let mut fleet = well();
    fleet.ensemble = Ensemble::parse(list).unwrap();
    fleet.states.clear();
    let item = fleet.items().into_iter().find(|item| item.id == id)?;
    Some((item.verdict, item.seen))
}

#[test]
fn an_ensemble_is_odd_spread_and_known_to_all() {
    let size = |list: &str| of_ensemble(list, "ensemble-size").unwrap().0;
    assert_eq!(size("a:2181"), Verdict::Warn);
    assert_eq!(size("a:2181,b:2181"), Verdict::Fail);
    assert_eq!(size("a:2181,b:2181,c:2181"), Verdict::Pass);
    assert_eq!(size("a:2181,b:2181,c:2181,d:2181"), Verdict::Warn);
    let spread = |list: &str| of_ensemble(list, "ensemble-spread").unwrap().0;
    assert_eq!(spread("a:2181,a:2182,b:2181"), Verdict::Warn);
    assert_eq!(spread("a:2181,b:2181,c:2181,d:2181,d:2182"), Verdict::Pass);
    let address = of_ensemble("127.0.0.1:2181", "ensemble-address").unwrap();
    assert!(address.0 == Verdict::Fail && address.1.contains("another machine"), "{address:?}");
    let mut unnamed = well();
    unnamed.no_ensemble = true;
    let items = unnamed.items();
    let fails: Vec<&str> =
        items.iter().filter(|item| item.verdict == Verdict::Fail).map(|item| item.id).collect();
    assert_eq!(fails, ["ensemble-address"]);
}

#[test]
fn ids_and_ports_of_members_must_not_clash() {
    let same_id = |fleet: &mut Fleet| {
        for (_, facts) in &mut fleet.hosts[..2] {
            facts.as_mut().unwrap().ids.insert(2181, 7);
        }
    };
    found(same_id, &[("ensemble-layout", "ensemble", Verdict::Fail, "both have the server id 7")]);
    let clash = of_ensemble("a:2888,b:2181,c:2181", "ensemble-layout").unwrap();
    assert!(clash.0 == Verdict::Fail && clash.1.contains("2888"), "{clash:?}");
}

#[test]
fn a_member_serves_or_can_be_started_or_is_something_else() {
    let state = |state: MemberState| move |fleet: &mut Fleet| fleet.states[0].1 = state;
    let member = format!("{ONE}:2181");
    let expect = |state_: MemberState, verdict, words| {
        found(state(state_), &[("member-state", member.as_str(), verdict, words)]);
    };
    expect(MemberState::serving(Mode::Standalone), Verdict::Fail, "serves alone");
    expect(MemberState::Down { reason: "refused".into() }, Verdict::Warn, "does not run");
    expect(MemberState::NotServing, Verdict::Warn, "without a quorum");
    expect(MemberState::Unreachable { reason: "no answer".into() }, Verdict::Fail, "cannot be reached");
    expect(MemberState::Strange { answer: "HTTP".into() }, Verdict::Fail, "HTTP");
    expect(MemberState::Silent, Verdict::Fail, "does not answer");
}

#[test]
fn before_the_first_start_the_ensemble_and_the_znodes_are_only_warned_of() {
    let fresh = |fleet: &mut Fleet| {
        for (_, state) in &mut fleet.states {
            *state = MemberState::Down { reason: "refused".into() };
        }
        fleet.tree = Err(Failure::unreachable("no member"));
    };
    let mut expected: Vec<(&str, &str, Verdict, &str)> = ["10.0.0.1:2181", "10.0.0.2:2181", "10.0.0.3:2181"]
        .iter()
        .map(|member| ("member-state", *member, Verdict::Warn, "not started yet"))
        .collect();
    expected.push(("znodes", "ensemble", Verdict::Warn, "does not serve"));
    found(fresh, &expected);
    let lost = |fleet: &mut Fleet| fleet.tree = Err(Failure::unreachable("no session").hint("stat"));
    found(lost, &[("znodes", "ensemble", Verdict::Fail, "no session")]);
}

#[test]
fn an_address_of_another_cloud_and_a_mapping_too_many_are_named() {
    let node = format!("{ONE}:11211");
    let foreign =
        |fleet: &mut Fleet| fleet.tree().mappings.get_mut("10.0.0.1:11211").unwrap().codes = vec!["x".into()];
    found(
        foreign,
        &[
            ("mapping", &node, Verdict::Fail, "belongs to x"),
            ("registration", "c", Verdict::Warn, "cannot be"),
        ],
    );
    let both =
        |fleet: &mut Fleet| fleet.tree().mappings.get_mut("10.0.0.1:11211").unwrap().codes.push("x".into());
    found(
        both,
        &[
            ("mapping", &node, Verdict::Fail, "belongs to x"),
            ("registration", "c", Verdict::Warn, "cannot be"),
        ],
    );
    let twice = |fleet: &mut Fleet| {
        let mapping = Mapping { codes: vec!["c".into()], ..Mapping::default() };
        fleet.tree().mappings.insert("10.0.0.1".into(), mapping);
    };
    found(twice, &[("mapping", &node, Verdict::Warn, "10.0.0.1:11211, 10.0.0.1")]);
}

#[test]
fn a_registration_that_would_change_is_told_with_the_changes() {
    let gone = |fleet: &mut Fleet| {
        *fleet.tree() = ArcusTree { structure: fleet.tree().structure.clone(), ..ArcusTree::default() };
    };
    found(gone, &[("registration", "c", Verdict::Warn, "not registered yet")]);
    let changed =
        |fleet: &mut Fleet| fleet.cloud = cloud("c", &["10.0.0.1", "10.0.0.2", "10.0.0.3"], 1001, 1000);
    found(changed, &[("registration", "c", Verdict::Warn, "change service code c")]);
    let replicated = |fleet: &mut Fleet| {
        fleet.tree().replication_codes.insert("c".into());
    };
    found(replicated, &[("registration", "c", Verdict::Fail, "clients look first")]);
    let leaving = |fleet: &mut Fleet| {
        let addr: NodeAddr = "10.0.0.9:11211".parse().unwrap();
        let mapping = Mapping { codes: vec!["c".into()], ..Mapping::default() };
        fleet.tree().mappings.insert(addr.to_string(), mapping);
        fleet.tree().codes.get_mut("c").unwrap().members.push(format!("{addr}-h"));
    };
    found(leaving, &[("registration", "c", Verdict::Fail, "10.0.0.9:11211")]);
    let bare = |fleet: &mut Fleet| *fleet.tree() = ArcusTree::default();
    found(
        bare,
        &[
            ("znodes", "ensemble", Verdict::Warn, "missing"),
            ("registration", "c", Verdict::Warn, "not registered"),
        ],
    );
}

#[path = "apply/world.rs"]
mod world;

use serde_json::json;

use super::*;
use crate::inspect::{Mapping, RegisteredCode};
use crate::ring::Ring;
use world::{World, addr, cloud, cloud_with, nodes, problems, told};

/// What planning and carrying out comes to, wherever the first run is cut short: the same as without that, and nothing
/// is left to do.
fn converges(world: &World, cloud: &Cloud) -> Plan {
    let plan = world.plan(cloud).unwrap();
    let mut whole = world.clone();
    whole.carry_out(&plan);
    whole.age();
    let steps: Vec<&Step> = plan.steps().collect();
    for cut in 0..=steps.len() {
        let mut world = world.clone();
        for step in &steps[..cut] {
            world.perform(step);
        }
        let rest = world.plan(cloud).unwrap();
        assert_eq!(problems(&rest), problems(&plan), "cut after {cut}");
        world.carry_out(&rest);
        world.age();
        assert_eq!(world.live(), whole.live(), "cut after {cut}");
        assert_eq!(world.registered(), whole.registered(), "cut after {cut}");
        let again = world.plan(cloud).unwrap();
        assert!(again.is_empty(), "cut after {cut}: {:?}", told(&again));
        assert_eq!(again.risk, Risk::Harmless);
    }
    plan
}

fn share(before: &[u8], after: &[u8]) -> f64 {
    Ring::new(nodes(before)).shift_to(&Ring::new(nodes(after))).moved
}

fn what(risk: &Risk) -> &str {
    match risk {
        Risk::Harmless => "",
        Risk::Interrupts { what } | Risk::Destroys { what, .. } => what,
    }
}

#[test]
fn a_new_cloud_is_registered_and_started_all_at_once_and_moves_no_keys() {
    let plan = converges(&World::new(), &cloud(&[1, 2, 3]));
    assert_eq!(
        told(&plan),
        [
            "Register: add service code c; add node 10.0.0.1:11211; add node 10.0.0.2:11211; add node 10.0.0.3:11211",
            "Start: start 10.0.0.1:11211",
            "Start: start 10.0.0.2:11211",
            "Start: start 10.0.0.3:11211",
        ]
    );
    assert_eq!(plan.risk, Risk::Harmless);
    let price = plan.price.unwrap();
    assert_eq!((price.moves, price.empties, price.least_seconds), (0.0, 0.0, 0));
}

#[test]
fn where_all_is_as_wished_there_is_nothing_to_do() {
    let plan = World::running(&[1, 2, 3]).plan(&cloud(&[1, 2, 3])).unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.holds.len(), 4);
    assert!(plan.notes.is_empty() && plan.problems.is_empty());
    assert_eq!(plan.price, Some(Price::default()));
}

#[test]
fn nodes_are_added_one_by_one_with_a_session_timeout_in_between() {
    let plan = converges(&World::running(&[1, 2, 3]), &cloud(&[1, 2, 3, 4, 5]));
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; add node 10.0.0.4:11211; add node 10.0.0.5:11211",
            "1 Start: start 10.0.0.4:11211",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Start: start 10.0.0.5:11211",
        ]
    );
    let moves = share(&[1, 2, 3], &[1, 2, 3, 4, 5]);
    assert_eq!(
        what(&plan.risk),
        format!(
            "2 cache node(s) will join c; {:.1} % of the keys move to nodes that do not have them",
            moves * 100.0
        )
    );
    let price = plan.price.unwrap();
    assert_eq!((price.moves, price.least_seconds), (moves, 30));
    let changes: Vec<_> =
        price.changes.iter().map(|change| (change.change, change.moves, change.least_seconds)).collect();
    assert_eq!(
        changes,
        [
            (Change::Add, share(&[1, 2, 3], &[1, 2, 3, 4]), 30),
            (Change::Add, share(&[1, 2, 3, 4], &[1, 2, 3, 4, 5]), 0)
        ]
    );
}

#[test]
fn nodes_that_leave_are_stopped_one_by_one_and_each_is_unregistered_once_it_has_left() {
    let world = World::running(&[1, 2, 3, 4]);
    let plan = converges(&world, &cloud(&[1, 3]));
    assert_eq!(
        told(&plan),
        [
            "1 Stop: stop 10.0.0.2:11211 (pid 102), drained for 5 s",
            "1 Unregister: change service code c; remove node 10.0.0.2:11211",
            "1 Settle: see that no other node has gone",
            "2 Stop: stop 10.0.0.4:11211 (pid 104), drained for 5 s",
            "2 Unregister: change service code c; remove node 10.0.0.4:11211",
        ]
    );
    assert!(
        what(&plan.risk).starts_with("2 running cache node(s) of c will leave it for good"),
        "{:?}",
        plan.risk
    );
    let price = plan.price.unwrap();
    assert_eq!((price.moves, price.least_seconds), (share(&[1, 2, 3, 4], &[1, 3]), 10));
}

#[test]
fn the_document_names_a_node_until_it_has_left() {
    let mut world = World::running(&[1, 2, 3]);
    let plan = world.plan(&cloud(&[1])).unwrap();
    let servers = |world: &World| world.registered().0["servers"].as_array().unwrap().len();
    let mut left = Vec::new();
    for step in plan.steps() {
        world.perform(step);
        left.push((world.live().len(), servers(&world)));
    }
    assert_eq!(left, [(3, 3), (2, 3), (2, 2), (2, 2), (1, 2), (1, 1)]);
}

#[test]
fn a_batch_goes_through_each_round_together() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.pace.batch = 2;
    let plan = converges(&world, &cloud(&[1, 2, 5, 6, 7]));
    let rounds: Vec<String> =
        told(&plan).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(
        rounds,
        [
            "Register",
            "1 Start",
            "1 Start",
            "1 Settle",
            "2 Start",
            "2 Settle",
            "3 Stop",
            "3 Stop",
            "3 Unregister"
        ]
    );
    assert_eq!(plan.price.unwrap().changes.len(), 3);
}

#[test]
fn nodes_join_before_others_leave_and_options_come_last() {
    let mut world = World::running(&[1, 2, 3]);
    world.tree.mappings.remove("10.0.0.1:11211");
    let wish = cloud_with(&nodes(&[1, 2, 4]), |node, server| {
        if *node == addr("10.0.0.2:11211") {
            server["config"]["memlimit"] = json!("200");
        }
    });
    let plan = converges(&world, &wish);
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; add node 10.0.0.1:11211; change node 10.0.0.2:11211; add node 10.0.0.4:11211",
            "1 Start: start 10.0.0.4:11211",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Stop: stop 10.0.0.3:11211 (pid 103), drained for 5 s",
            "2 Unregister: change service code c; remove node 10.0.0.3:11211",
            "2 Settle: see that no other node has gone",
            "3 Restart: restart 10.0.0.2:11211 (pid 102), drained for 5 s",
        ]
    );
    assert!(what(&plan.risk).starts_with(
        "1 running cache node(s) of c will leave it for good, 1 running cache node(s) of c will be restarted, and what they hold is lost; 1 cache node(s) will join c; "
    ), "{:?}", plan.risk);
    assert_eq!(plan.notes, ["10.0.0.2:11211: runs with -m 100, not 200"]);
    let price = plan.price.unwrap();
    assert_eq!(price.moves, share(&[1, 2, 3], &[1, 2, 4]));
    assert_eq!(price.empties, Ring::new(nodes(&[1, 2, 4])).share(addr("10.0.0.2:11211")));
    let kinds: Vec<Change> = price.changes.iter().map(|change| change.change).collect();
    assert_eq!(kinds, [Change::Add, Change::Remove, Change::Restart]);
    assert_eq!(price.least_seconds, 30 + 5 + 5);
}

#[test]
fn other_options_restart_just_the_nodes_that_have_them() {
    let wish = cloud_with(&nodes(&[1, 2, 3]), |node, server| {
        if *node != addr("10.0.0.2:11211") {
            server["config"]["threads"] = json!("8");
        }
    });
    let plan = converges(&World::running(&[1, 2, 3]), &wish);
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; change node 10.0.0.1:11211; change node 10.0.0.3:11211",
            "1 Restart: restart 10.0.0.1:11211 (pid 101), drained for 5 s",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Restart: restart 10.0.0.3:11211 (pid 103), drained for 5 s",
        ]
    );
    assert_eq!(plan.price.unwrap().moves, 0.0);
}

#[test]
fn an_older_release_is_told_and_restarted_only_where_that_is_asked_for() {
    let mut world = World::running(&[1, 2]);
    world.process(addr("10.0.0.2:11211")).release = "cd34".parse().ok();
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert!(plan.is_empty());
    assert!(plan.notes[0].contains("arcusctl memcached restart c @outdated"), "{:?}", plan.notes);
    world.releases = true;
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert_eq!(told(&plan), ["1 Restart: restart 10.0.0.2:11211 (pid 102), drained for 5 s"]);
    assert_eq!(plan.notes, ["10.0.0.2:11211: runs release cd34, not ab12"]);
}

#[test]
fn another_hostname_costs_nothing() {
    let wish = cloud_with(&nodes(&[1, 2]), |_, server| server["hostname"] = json!("renamed"));
    let plan = converges(&World::running(&[1, 2]), &wish);
    assert_eq!(told(&plan), ["Register: change service code c"]);
    assert_eq!(plan.risk, Risk::Harmless);
    assert_eq!(plan.price, Some(Price::default()));
}

#[test]
fn another_port_is_another_node() {
    let moved = [addr("10.0.0.1:11211"), addr("10.0.0.2:11299")];
    let plan = converges(&World::running(&[1, 2]), &cloud_with(&moved, |_, _| {}));
    assert_eq!(
        told(&plan)[1..],
        [
            "1 Start: start 10.0.0.2:11299",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Stop: stop 10.0.0.2:11211 (pid 102), drained for 5 s",
            "2 Unregister: change service code c; remove node 10.0.0.2:11211",
        ]
    );
    let price = plan.price.unwrap();
    assert_eq!(price.nodes.len(), 3, "{:?}", price.nodes);
    assert!(price.moves > 0.3);
}

#[test]
fn a_machine_that_gets_another_address_gives_up_the_port_first() {
    let mut world = World::running(&[1, 2, 3]);
    // The machines 2 and 3 answer as 12 and 13, too.
    let both = |world: &mut World| {
        for (old, new) in [(2, 12), (3, 13)] {
            let (old, new) = (nodes(&[old])[0], nodes(&[new])[0]);
            let processes = world.host(old).processes.clone();
            world.host(new).processes.extend(processes);
        }
    };
    both(&mut world);
    let plan = world.plan(&cloud(&[1, 12, 13])).unwrap();
    assert_eq!(
        told(&plan)[1..],
        [
            "1 Stop: stop 10.0.0.2:11211 (pid 102), drained for 5 s",
            "1 Unregister: change service code c; remove node 10.0.0.2:11211",
            "1 Start: start 10.0.0.12:11211",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Stop: stop 10.0.0.3:11211 (pid 103), drained for 5 s",
            "2 Unregister: change service code c; remove node 10.0.0.3:11211",
            "2 Start: start 10.0.0.13:11211",
        ]
    );
    let price = plan.price.unwrap();
    assert_eq!(price.changes[0].change, Change::Replace);
    assert_eq!(price.changes[0].nodes, nodes(&[2, 12]));
    assert_eq!(price.moves, share(&[1, 2, 3], &[1, 12, 13]));
}

#[test]
fn what_is_missing_of_the_tree_is_mended_and_nobody_is_stopped_for_that() {
    let whole = World::running(&[1, 2, 3]);
    let wish = cloud(&[1, 2, 3]);
    type Break = fn(&mut World);
    let breaks: [(&str, Break); 5] = [
        ("add node 10.0.0.1:11211", |world| drop(world.tree.mappings.remove("10.0.0.1:11211"))),
        ("add node 10.0.0.1:11211", |world| {
            world.tree.mappings.get_mut("10.0.0.1:11211").unwrap().codes.clear();
        }),
        ("change node 10.0.0.1:11211", |world| {
            world.tree.mappings.get_mut("10.0.0.1:11211").unwrap().data = b"{}".to_vec();
        }),
        ("add the client list of c", |world| world.tree.clients.clear()),
        ("change service code c", |world| world.tree.codes.get_mut("c").unwrap().data = b"0".to_vec()),
    ];
    for (told_as, break_it) in breaks {
        let mut world = whole.clone();
        break_it(&mut world);
        let plan = converges(&world, &wish);
        assert_eq!(told(&plan), [format!("Register: {told_as}")]);
        assert_eq!(plan.price, Some(Price::default()));
    }
}

#[test]
fn a_registered_node_that_is_down_is_started_before_new_ones_and_nothing_is_stopped_meanwhile() {
    let mut world = World::running(&[1, 2, 3]);
    world.stop(addr("10.0.0.3:11211"));
    let plan = converges(&world, &cloud(&[1, 3, 4]));
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; add node 10.0.0.4:11211",
            "1 Start: start 10.0.0.3:11211",
            "1 Settle: wait 30 s; see that no other node has gone",
            "2 Start: start 10.0.0.4:11211",
            "2 Settle: wait 30 s; see that no other node has gone",
            "3 Stop: stop 10.0.0.2:11211 (pid 102), drained for 5 s",
            "3 Unregister: change service code c; remove node 10.0.0.2:11211",
        ]
    );
    assert_eq!(plan.price.unwrap().changes[0].change, Change::Start);
}

#[test]
fn the_old_session_of_a_killed_node_is_waited_for() {
    let mut world = World::running(&[1, 2]);
    world.host(addr("10.0.0.2:11211")).processes.clear();
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert_eq!(
        told(&plan),
        ["1 Start: start 10.0.0.2:11211 once 10.0.0.2:11211-cache-2 of its predecessor has expired"]
    );
}

#[test]
fn members_that_nobody_registered_are_taken_out_too() {
    let mut world = World::running(&[1, 2]);
    let stray = addr("10.0.0.9:11211");
    world.put_process(stray, cloud(&[1]).nodes[0].options);
    world.enter(stray);
    let plan = converges(&world, &cloud(&[1, 2]));
    assert_eq!(told(&plan), ["1 Stop: stop 10.0.0.9:11211 (pid 103), drained for 5 s"]);
    assert_eq!(plan.price.unwrap().moves, share(&[1, 2, 9], &[1, 2]));
}

#[test]
fn a_node_whose_host_is_dead_is_unregistered_once_it_is_no_member_any_more() {
    let mut world = World::running(&[1, 2, 3]);
    world.lose_host(3);
    let refused = world.plan(&cloud(&[1, 2])).unwrap();
    assert!(refused.is_empty(), "{:?}", told(&refused));
    assert!(refused.problems[0].failure.hints[0].contains("10.0.0.3:11211 is still a member"));

    world.leave(addr("10.0.0.3:11211"));
    let plan = converges(&world, &cloud(&[1, 2]));
    assert_eq!(told(&plan), ["Register: change service code c; remove node 10.0.0.3:11211"]);
    assert!(plan.notes[0].starts_with("10.0.0.3:11211 is taken out without being stopped"));
    assert_eq!(plan.price.unwrap().moves, 0.0);
}

#[test]
fn while_a_node_that_is_to_serve_cannot_be_brought_up_none_that_serves_is_taken_away() {
    let mut world = World::running(&[1, 2, 3]);
    world.lose_host(4);
    world.process(addr("10.0.0.2:11211")).argv.retain(|word| word != "-t");
    let plan = world.plan(&cloud(&[1, 2, 4, 5])).unwrap();
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; add node 10.0.0.4:11211; add node 10.0.0.5:11211",
            "1 Start: start 10.0.0.5:11211",
        ]
    );
    assert_eq!(
        problems(&plan),
        [
            "10.0.0.4: cannot connect with ssh",
            "10.0.0.3:11211: is not taken out for now: 10.0.0.4:11211 would have to serve before, and cannot be brought up",
            "10.0.0.2:11211: is not restarted for now: 10.0.0.4:11211 would have to serve before, and cannot be brought up",
        ]
    );
    world.carry_out(&plan);
    assert!(world.tree.mappings.contains_key("10.0.0.3:11211"), "it is still there");
    // Given up, it stands in nobody's way.
    let mut given_up = world.clone();
    given_up.age();
    converges(&given_up, &cloud(&[1, 2, 5]));
}

#[test]
fn a_live_node_on_a_host_that_cannot_be_looked_at_is_told_and_keeps_nobody_from_anything() {
    let mut world = World::running(&[1, 2, 3]);
    world.lose_host(2);
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert_eq!(told(&plan).len(), 2);
    assert_eq!(problems(&plan), ["10.0.0.2: cannot connect with ssh"]);
}

#[test]
fn a_foreign_process_is_never_touched() {
    let mut world = World::running(&[1, 2]);
    let (leaving, coming) = (addr("10.0.0.2:11211"), addr("10.0.0.3:11211"));
    world.put_process(coming, cloud(&[1]).nodes[0].options);
    world.process(coming).ours = false;
    world.process(leaving).ours = false;
    let plan = world.plan(&cloud(&[1, 3])).unwrap();
    assert_eq!(told(&plan), ["Register: change service code c; add node 10.0.0.3:11211"]);
    assert_eq!(plan.problems.len(), 2);
    assert!(plan.problems.iter().all(|problem| problem.failure.message.contains("not of this install")));
}

#[test]
fn a_process_that_is_joining_is_waited_for_and_one_that_lost_its_place_is_told() {
    let mut world = World::running(&[1, 2]);
    let node = addr("10.0.0.2:11211");
    world.leave(node);
    let lost = world.plan(&cloud(&[1, 2])).unwrap();
    assert!(lost.is_empty());
    assert!(lost.problems[0].failure.hints[0].contains("arcusctl memcached restart c 10.0.0.2:11211"));
    assert!(lost.problems[0].failure.hints[1].starts_with("where it drains"));
    world.process(node).started = 99_900;
    let waiting = world.plan(&cloud(&[1, 2])).unwrap();
    assert_eq!(told(&waiting), ["1 Start: wait until 10.0.0.2:11211 joins"]);
    assert_eq!(waiting.risk, Risk::Harmless, "it joins whatever is answered");
}

#[test]
fn a_node_may_take_to_join_as_long_as_its_session_timeout_says() {
    let mut world = World::running(&[1, 2]);
    let node = addr("10.0.0.2:11211");
    world.leave(node);
    // It has been running for 50 s.
    world.process(node).started = 95_000;
    assert_eq!(world.plan(&cloud(&[1, 2])).unwrap().problems.len(), 1);
    world.settings.session_timeout = Some(60);
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert!(plan.problems.is_empty());
    assert_eq!(told(&plan)[0], "1 Start: wait until 10.0.0.2:11211 joins");
}

#[test]
fn while_a_node_drains_that_a_killed_run_told_to_no_other_goes_out() {
    let mut world = World::running(&[1, 2, 3]);
    let wish = cloud_with(&nodes(&[1, 2, 3]), |_, server| server["config"]["threads"] = json!("8"));
    let plan = world.plan(&wish).unwrap();
    world.perform(plan.steps().next().unwrap());
    // It has left, and its process is there until its drain is over.
    world.leave(addr("10.0.0.1:11211"));
    let again = world.plan(&wish).unwrap();
    assert!(again.is_empty(), "{:?}", told(&again));
    assert_eq!(again.problems.len(), 3);
    world.stop(addr("10.0.0.1:11211"));
    converges(&world, &wish);
}

#[test]
fn while_a_node_is_out_for_good_reason_no_pair_is_exchanged_either() {
    let mut world = World::running(&[1, 2, 3]);
    let processes = world.host(addr("10.0.0.2:11211")).processes.clone();
    world.host(addr("10.0.0.12:11211")).processes.extend(processes);
    world.lose_host(3);
    world.leave(addr("10.0.0.3:11211"));
    let plan = world.plan(&cloud(&[1, 12, 3])).unwrap();
    assert!(told(&plan).iter().all(|line| line.starts_with("Register")), "{:?}", told(&plan));
    assert!(
        problems(&plan)[1].starts_with("10.0.0.2:11211: is not replaced for now"),
        "{:?}",
        problems(&plan)
    );
}

#[test]
fn before_the_first_node_leaves_each_that_was_there_must_be_there_still() {
    let plan = World::running(&[1, 2, 3]).plan(&cloud(&[1, 2])).unwrap();
    let first = plan.stages.iter().find_map(|stage| match &stage.steps[0].action {
        Action::Settle { members, expected, .. } => Some((*members, expected.iter().copied().collect())),
        _ => None,
    });
    assert_eq!(first, Some((3, nodes(&[1, 2, 3]))));
}

#[test]
fn after_a_run_that_was_cut_short_the_others_get_their_time_first() {
    let mut world = World::running(&[1, 2]);
    let plan = world.plan(&cloud(&[1, 2, 3, 4])).unwrap();
    for step in plan.steps().take(2) {
        world.perform(step);
    }
    let rest = world.plan(&cloud(&[1, 2, 3, 4])).unwrap();
    assert_eq!(
        told(&rest),
        ["Settle: wait 30 s; see that no other node has gone", "1 Start: start 10.0.0.4:11211"]
    );
    assert_eq!(rest.price.unwrap().least_seconds, 30);
    world.age();
    let rest = world.plan(&cloud(&[1, 2, 3, 4])).unwrap();
    assert_eq!(told(&rest), ["1 Start: start 10.0.0.4:11211"]);
}

#[test]
fn a_whole_cloud_that_is_down_starts_at_once_and_nodes_that_leave_it_are_only_unregistered() {
    let mut world = World::running(&[1, 2, 3]);
    for node in nodes(&[1, 2, 3]) {
        world.stop(node);
    }
    let plan = converges(&world, &cloud(&[1, 2]));
    assert_eq!(
        told(&plan),
        [
            "Register: change service code c; remove node 10.0.0.3:11211",
            "Start: start 10.0.0.1:11211",
            "Start: start 10.0.0.2:11211",
        ]
    );
}

#[test]
fn mappings_by_hostname_go_with_their_node() {
    let mut world = World::running(&[1, 2, 3]);
    for (last, code) in [(1, "c"), (3, "c")] {
        let mapping = Mapping { codes: vec![code.into()], ..Mapping::default() };
        world.tree.mappings.insert(format!("cache-{last}:11211"), mapping);
    }
    let plan = world.plan(&cloud(&[1, 2])).unwrap();
    assert_eq!(
        told(&plan)[1],
        "1 Unregister: change service code c; remove node 10.0.0.3:11211; remove node cache-3:11211"
    );
    world.carry_out(&plan);
    assert!(world.plan(&cloud(&[1, 2])).unwrap().is_empty());
}

#[test]
fn every_reason_not_to_touch_the_cloud_is_told_at_once() {
    let mut world = World::new();
    world.tree.structure.remove("/arcus/client_list");
    world.tree.replication_codes.insert("c".into());
    let theirs = Mapping { codes: vec!["theirs".into()], ..Mapping::default() };
    world.tree.mappings.insert("10.0.0.1:11211".into(), theirs);
    let live = RegisteredCode { members: vec!["10.0.0.2:11211-x".into()], ..RegisteredCode::default() };
    world.tree.codes.insert("live".into(), live);
    let failures = world.plan(&cloud(&[1, 2])).unwrap_err();
    let messages: Vec<&str> = failures.as_slice().iter().map(|failure| failure.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the base znodes of Arcus are missing",
            "service code c exists under /arcus_repl/cache_list",
            "10.0.0.1:11211 belongs to service code theirs",
            "10.0.0.2:11211 belongs to service code live",
        ]
    );
}

#[test]
fn an_ensemble_at_a_loopback_address_is_for_nodes_of_this_machine() {
    let loopback = Ensemble::parse("127.0.0.1:2181").unwrap();
    let refused = World::new().plan_for(&cloud(&[1]), &loopback).unwrap_err();
    assert!(refused.to_string().contains("loopback"));
}

#[test]
fn every_mixture_converges_wherever_it_is_cut() {
    let sets: [&[u8]; 5] = [&[1, 2, 3], &[3, 4, 5, 6], &[1], &[7, 8], &[2, 1, 9]];
    for before in sets {
        for after in sets {
            for batch in [1, 2] {
                let mut world = World::running(before);
                world.pace.batch = batch;
                let wish = cloud_with(&nodes(after), |node, server| {
                    if node.ip.octets()[3] % 2 == 1 {
                        server["config"]["memlimit"] = json!("200");
                    }
                });
                let plan = converges(&world, &wish);
                let price = plan.price.unwrap();
                assert_eq!(price.moves, share(before, after), "{before:?} {after:?}");
            }
        }
    }
}

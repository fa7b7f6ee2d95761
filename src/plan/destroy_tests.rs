//! Taking a cloud away, planned: all that only it needs goes, ZooKeeper last, and then nothing is left to do.

use super::*;
use crate::config::settings::ZooKeeperSettings;
use crate::inspect::{
    Mapping, MemberSeen, NodeProcess, ProcessesSeen, RegisteredCode, ReleaseSeen, ReleaseUser,
};
use crate::model::{Compression, ZnodeChange};
use crate::zk::Mode;

fn addr(text: &str) -> NodeAddr {
    text.parse().unwrap()
}

fn wish(ensemble: &str, with_data: bool) -> DestroyWish {
    DestroyWish {
        code: ServiceCode::new("c").unwrap(),
        nodes: BTreeSet::from([addr("10.0.0.1:11211"), addr("10.0.0.2:11211")]),
        ensemble: EnsembleWish {
            ensemble: Ensemble::parse(ensemble).unwrap(),
            install_path: "/opt/arcus".into(),
            settings: ZooKeeperSettings::default(),
        },
        with_data,
    }
}

fn remains(machine: &str, ours: &[&str]) -> RemainsSeen {
    let release = ours.iter().find_map(|name| name.strip_prefix("releases/"));
    let releases = release.map(|name| (name.parse().unwrap(), ReleaseSeen::default()));
    let install = InstallSeen {
        install_path: "/opt/arcus".into(),
        user: "root".into(),
        writable: true,
        architecture: "x86_64".into(),
        machine: Some(MachineId(machine.into())),
        current: None,
        previous: None,
        releases: releases.into_iter().collect(),
        partial: BTreeMap::new(),
        compression: Compression::Gzip,
        free: None,
        leftovers: Vec::new(),
        obstacle: None,
        plain_entries: Vec::new(),
    };
    RemainsSeen { install, ours: ours.iter().map(ToString::to_string).collect(), theirs: Vec::new() }
}

const OURS: [&str; 3] = ["logs/memcached-11211.log", "current", "releases/ab12"];

fn registered(tree: &mut ArcusTree, code: &str, nodes: &[&str]) {
    tree.codes.insert(code.into(), RegisteredCode::default());
    tree.clients.insert(code.into(), Vec::new());
    for node in nodes {
        let mapping = Mapping { codes: vec![code.into()], ..Mapping::default() };
        tree.mappings.insert((*node).into(), mapping);
    }
}

/// Two hosts with a running node each; the ensemble is elsewhere.
fn running() -> DestroySeen {
    let mut tree = ArcusTree::default();
    registered(&mut tree, "c", &["10.0.0.1:11211", "10.0.0.2:11211"]);
    let mut seen = DestroySeen {
        tree: Some(tree),
        surroundings: Surroundings::default(),
        nodes: NodesSeen::default(),
        hosts: Vec::new(),
        member_hosts: BTreeMap::new(),
        members: Vec::new(),
        marked: BTreeSet::new(),
    };
    for ip in ["10.0.0.1", "10.0.0.2"] {
        let node = addr(&format!("{ip}:11211"));
        let process = NodeProcess {
            pid: 7,
            started: 1,
            port: Some(node.port),
            ours: true,
            zookeeper: Some("zk1:2181".into()),
            exe: "/opt/arcus/bin/memcached".into(),
            release: None,
            argv: Vec::new(),
        };
        let processes = ProcessesSeen { processes: vec![process], ..ProcessesSeen::default() };
        seen.nodes.processes.insert(HostName::new(ip), Ok(processes));
        seen.nodes.members.insert(node, format!("{node}-h"));
        let code = seen.tree.as_mut().unwrap().codes.get_mut("c").unwrap();
        code.members.push(format!("{node}-h"));
        seen.hosts.push((HostName::new(ip), Ok(remains(ip, &OURS))));
    }
    seen
}

/// The same with the members of this ensemble, one on each machine.
fn with_members(mut seen: DestroySeen, wish: &DestroyWish, machines: &[&str]) -> DestroySeen {
    for (member, machine) in wish.ensemble.ensemble.members().iter().zip(machines) {
        let found = MemberSeen {
            myid: None,
            config: Some("tickTime=2000\n".into()),
            has_data: true,
            pid: Some(9),
            installed: true,
            java: true,
        };
        seen.members.push((member.clone(), MemberState::serving(Mode::Follower), Ok(found)));
        seen.member_hosts.insert(member.host.clone(), Ok(remains(machine, &[]).install));
    }
    seen
}

fn told(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
}

/// What is to be seen once these steps were carried out.
fn after(steps: &[&Step], mut seen: DestroySeen) -> DestroySeen {
    for step in steps {
        match &step.action {
            Action::StopNodes { nodes, .. } => {
                for node in nodes {
                    seen.nodes.members.remove(&node.addr);
                    let host = seen.nodes.processes.get_mut(&HostName::from(node.addr.ip)).unwrap();
                    host.as_mut().unwrap().processes.clear();
                    if let Some(code) = seen.tree.as_mut().and_then(|tree| tree.codes.get_mut("c")) {
                        code.members.retain(|name| !name.starts_with(&node.addr.to_string()));
                    }
                }
            }
            Action::CommitZnodes { changes, .. } => {
                assert!(changes.iter().all(|change| matches!(change, ZnodeChange::Delete { .. })));
                let tree = seen.tree.as_mut().unwrap();
                tree.codes.remove("c");
                tree.clients.remove("c");
                tree.mappings.retain(|_, mapping| mapping.codes != ["c"]);
            }
            Action::RemoveInstall { .. } => {
                let (_, host) = seen
                    .hosts
                    .iter_mut()
                    .find(|(host, _)| step.target == Target::Host(host.clone()))
                    .unwrap();
                let machine = host.as_ref().unwrap().install.machine.clone().unwrap();
                *host = Ok(remains(&machine.0, &[]));
            }
            Action::ForgetNodes { .. } => {
                let (_, host) = seen
                    .hosts
                    .iter_mut()
                    .find(|(host, _)| step.target == Target::Host(host.clone()))
                    .unwrap();
                host.as_mut().unwrap().ours.retain(|name| !name.starts_with("logs/"));
            }
            Action::StopMember { layout } | Action::RemoveMember { layout } => {
                let (_, state, found) =
                    seen.members.iter_mut().find(|(member, ..)| *member == layout.member).unwrap();
                let found = found.as_mut().unwrap();
                *state = MemberState::Down { reason: "connection refused".into() };
                found.pid = None;
                seen.tree = None;
                if matches!(step.action, Action::RemoveMember { .. }) {
                    (found.config, found.has_data) = (None, false);
                }
            }
            Action::MarkDestroyed { .. } => {
                seen.marked.extend(seen.members.iter().map(|(member, ..)| member.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
    seen
}

#[test]
fn everything_goes_in_order_and_then_nothing_is_left_to_do() {
    let wish = wish("zk1:2181", false);
    let seen = running();
    let plan = destroy(&wish, &seen).unwrap();
    assert_eq!(
        told(&plan),
        [
            "10.0.0.1: stop 10.0.0.1:11211 (pid 7)",
            "10.0.0.2: stop 10.0.0.2:11211 (pid 7)",
            "znodes: remove node 10.0.0.1:11211; remove node 10.0.0.2:11211; remove service code c",
            "10.0.0.1: remove release ab12 and 2 more of what arcusctl made",
            "10.0.0.2: remove release ab12 and 2 more of what arcusctl made",
        ]
    );
    assert!(matches!(&plan.risk, Risk::Destroys { name, .. } if name == "c"), "{:?}", plan.risk);
    // Killed after any step, it goes on with the rest.
    let steps: Vec<&Step> = plan.steps().collect();
    for done in 0..=steps.len() {
        let again = destroy(&wish, &after(&steps[..done], seen.clone())).unwrap();
        assert_eq!(told(&again), told(&plan)[done..], "after {done}");
        assert!(again.problems.is_empty(), "{:?}", again.problems);
    }
}

#[test]
fn what_another_cloud_or_a_member_needs_stays_and_is_named() {
    let wish = wish("zk1:2181", false);
    let mut seen = running();
    registered(seen.tree.as_mut().unwrap(), "other", &["10.0.0.1:12000"]);
    // By another name the second host is the member's.
    seen.member_hosts.insert(HostName::new("zk1"), Ok(remains("10.0.0.2", &[]).install));
    let plan = destroy(&wish, &seen).unwrap();
    assert_eq!(
        told(&plan)[3..],
        [
            "10.0.0.1: remove logs and pid files of cache nodes 11211",
            "10.0.0.2: remove logs and pid files of cache nodes 11211"
        ]
    );
    let facts: Vec<&str> = plan.holds.iter().map(|held| held.fact.as_str()).collect();
    assert_eq!(
        facts,
        [
            "keeps its releases: cloud other has nodes there",
            "keeps its releases: ZooKeeper member zk1:2181 is there"
        ]
    );
    let steps: Vec<&Step> = plan.steps().collect();
    assert!(destroy(&wish, &after(&steps, seen.clone())).unwrap().is_empty());
}

#[test]
fn an_address_that_is_anothers_by_now_is_left_to_it() {
    let wish = wish("zk1:2181", false);
    let mut seen = running();
    let tree = seen.tree.as_mut().unwrap();
    tree.codes.clear();
    tree.mappings.clear();
    registered(tree, "other", &["10.0.0.1:11211"]);
    seen.nodes.members.clear();
    let plan = destroy(&wish, &seen).unwrap();
    assert!(!told(&plan).iter().any(|step| step.starts_with("10.0.0.1: stop")), "{:?}", told(&plan));
}

#[test]
fn a_dead_host_is_left_and_keeps_nobody_else() {
    let wish = wish("10.0.0.1:2181", true);
    let mut seen = with_members(running(), &wish, &["10.0.0.1"]);
    let dead = || Failure::unreachable("10.0.0.2: is dead");
    seen.hosts[1].1 = Err(dead());
    seen.nodes.processes.insert(HostName::new("10.0.0.2"), Err(dead()));
    let plan = destroy(&wish, &seen).unwrap();
    // Its node is still a member: what it is registered as must stay, and with it ZooKeeper.
    assert_eq!(plan.problems.len(), 3, "{:?}", plan.problems);
    assert!(plan.problems[1].failure.message.contains("stays registered"), "{:?}", plan.problems);
    let gates: Vec<(&str, Gate)> = plan.stages.iter().map(|stage| (stage.title, stage.gate)).collect();
    assert_eq!(
        gates,
        [
            ("Stop", Gate::OwnTarget),
            ("Stop ZooKeeper", Gate::Everything),
            ("Note", Gate::Everything),
            ("Remove data", Gate::Everything),
            ("Remove", Gate::Everything)
        ]
    );
}

#[test]
fn zookeepers_data_goes_last_and_a_run_that_was_cut_short_goes_on() {
    let wish = wish("10.0.0.1:2181", true);
    let seen = with_members(running(), &wish, &["10.0.0.1"]);
    let plan = destroy(&wish, &seen).unwrap();
    assert_eq!(
        told(&plan)[3..],
        [
            "10.0.0.2: remove release ab12 and 2 more of what arcusctl made",
            "10.0.0.1:2181: stop ZooKeeper",
            "10.0.0.1: note that its ZooKeeper data may go",
            "10.0.0.1:2181: remove the znodes, logs and configuration in /opt/arcus/zookeeper/data, /opt/arcus/zookeeper/logs and /opt/arcus/zookeeper/conf",
            "10.0.0.1: remove release ab12 and 2 more of what arcusctl made",
        ]
    );
    let steps: Vec<&Step> = plan.steps().collect();
    for done in [0, 1, 2, 3, 4, 6, 7, 8] {
        let again = destroy(&wish, &after(&steps[..done], seen.clone())).unwrap();
        // What was noted is noted again: the note belongs to the removal.
        let left = if done == 6 { &told(&plan)[5..] } else { &told(&plan)[done..] };
        assert_eq!(told(&again), left, "after {done}");
    }
    // Stopped and not noted: nobody can say any more whose data that is.
    let failures = destroy(&wish, &after(&steps[..5], seen)).unwrap_err();
    assert!(failures.as_slice()[0].hints[0].contains("zookeeper start"), "{failures:?}");
}

#[test]
fn data_of_other_clouds_is_refused_with_their_names() {
    let wish = wish("10.0.0.1:2181", true);
    let mut seen = with_members(running(), &wish, &["10.0.0.1"]);
    let tree = seen.tree.as_mut().unwrap();
    registered(tree, "other", &["10.9.9.9:1"]);
    tree.replication_codes.insert("repl".into());
    let failures = destroy(&wish, &seen).unwrap_err();
    assert_eq!(failures.as_slice()[0].causes, ["registered are: other, repl"]);
}

#[test]
fn data_of_whoever_else_uses_the_ensemble_is_refused() {
    let wish = wish("10.0.0.1:2181", true);
    let mut seen = with_members(running(), &wish, &["10.0.0.1"]);
    let top = ["zookeeper", "arcus", "kafka"].map(str::to_owned).to_vec();
    seen.surroundings = Surroundings(BTreeMap::from([("/".to_owned(), top)]));
    let failures = destroy(&wish, &seen).unwrap_err();
    assert_eq!(failures.as_slice()[0].causes, ["there are: /kafka"]);
    // Clients of a cloud whose registration somebody removed are somebody's, too.
    seen.surroundings = Surroundings::default();
    seen.tree.as_mut().unwrap().clients.insert("left".into(), vec!["app".into()]);
    let failures = destroy(&wish, &seen).unwrap_err();
    assert_eq!(failures.as_slice()[0].causes, ["registered are: left"]);
}

#[test]
fn an_ensemble_that_others_are_part_of_keeps_its_quorum() {
    let wish = wish("10.0.0.1:2181,10.0.0.2:2181,zk3:2181", true);
    let seen = with_members(running(), &wish, &["10.0.0.1", "10.0.0.2", "zk3"]);
    let failures = destroy(&wish, &seen).unwrap_err();
    assert_eq!(failures.as_slice()[0].causes, ["elsewhere, or not seen to be here, are: zk3:2181"]);
    // By another name it is one of the cloud's machines.
    let seen = with_members(running(), &wish, &["10.0.0.1", "10.0.0.2", "10.0.0.2"]);
    assert!(destroy(&wish, &seen).is_ok());
}

#[test]
fn a_member_whose_host_is_dead_may_be_the_one_whose_files_are_there() {
    let wish = wish("zk1:2181", false);
    let mut seen = running();
    seen.member_hosts.insert(HostName::new("zk1"), Err(Failure::unreachable("zk1: is dead")));
    // Where nothing of a member is, none lives.
    assert_eq!(told(&destroy(&wish, &seen).unwrap()).len(), 5);
    seen.hosts[1].1.as_mut().unwrap().theirs.push("zookeeper/conf/zoo.cfg".into());
    let plan = destroy(&wish, &seen).unwrap();
    assert_eq!(
        told(&plan)[3..],
        [
            "10.0.0.2: remove logs and pid files of cache nodes 11211",
            "10.0.0.1: remove release ab12 and 2 more of what arcusctl made"
        ]
    );
    assert!(plan.problems[0].failure.causes[1].contains("zk1: is dead"), "{:?}", plan.problems);
}

#[test]
fn connected_clients_are_not_cut_off() {
    let mut seen = running();
    seen.tree.as_mut().unwrap().clients.get_mut("c").unwrap().push("app-1".into());
    let failures = destroy(&wish("zk1:2181", false), &seen).unwrap_err();
    assert!(failures.as_slice()[0].message.contains("1 client(s) are connected"));
}

#[test]
fn processes_and_files_of_others_are_named() {
    let mut seen = running();
    let host = seen.hosts[0].1.as_mut().unwrap();
    host.theirs.push("notes.txt".into());
    let users = [("11211", 7), ("11300", 8), ("12000", 9)];
    let users = users.map(|(what, pid)| ReleaseUser { pid, name: "memcached".into(), what: what.into() });
    host.install.releases.values_mut().next().unwrap().users.extend(users);
    // That the cloud has a node of that port elsewhere ends nothing here.
    registered(seen.tree.as_mut().unwrap(), "c", &["10.0.0.2:12000"]);
    let processes = seen.nodes.processes.get_mut(&HostName::new("10.0.0.2")).unwrap().as_mut().unwrap();
    let other = NodeProcess { port: NonZeroU16::new(12000), ..processes.processes[0].clone() };
    processes.processes.push(other);
    let plan = destroy(&wish("zk1:2181", false), &seen).unwrap();
    assert_eq!(
        plan.notes,
        [
            "10.0.0.1: release ab12 stays, since process 8 (memcached 11300) executes it",
            "10.0.0.1: release ab12 stays, since process 9 (memcached 12000) executes it",
            "10.0.0.1: left, since arcusctl did not put it there: notes.txt"
        ]
    );
}

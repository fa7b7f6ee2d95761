//! Scenarios: a cloud as it can be found, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use super::{CloudSeen, CloudStatus, Wanted, judge};
use crate::config::settings::MemcachedSettings;
use crate::error::Failure;
use crate::inspect::{Figures, NodeAnswer, NodeProcess, ProcessesSeen, RegisteredNode, ZooKeeperSaid};
use crate::model::{Ensemble, HostName, NodeAddr, NodeOptions, ServiceCode};
use crate::node::Readiness;
use crate::plan::NodesSeen;
use crate::zk::MemberSession;

const NODE: &str = "10.0.0.1:11211";
const HOST: &str = "10.0.0.1";
const ARGUMENTS: [&str; 11] =
    ["/opt/arcus/bin/memcached", "-p", "11211", "-m", "100", "-c", "1000", "-t", "6", "-z", "zk:2181"];

fn addr() -> NodeAddr {
    NODE.parse().unwrap()
}

fn answer() -> NodeAnswer {
    NodeAnswer {
        version: "1.15.0".into(),
        ready: Readiness::Ready,
        figures: Figures { items: 3, hits: 3, misses: 1, ..Figures::default() },
        zookeeper: ZooKeeperSaid {
            follows: Some("zk:2181".into()),
            connected: Some(true),
            failstop: Some(true),
            session_timeout: Some(30_000),
        },
    }
}

fn process() -> NodeProcess {
    NodeProcess {
        pid: 7,
        started: 1,
        port: NonZeroU16::new(11211),
        ours: true,
        zookeeper: Some("zk:2181".into()),
        exe: "/opt/arcus/releases/ab12/bin/memcached".into(),
        release: Some("ab12".parse().unwrap()),
        argv: ARGUMENTS.map(str::to_owned).into(),
    }
}

/// One registered node that runs, is a member and answers.
fn well() -> CloudSeen {
    let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
    let host = ProcessesSeen {
        current: Some("ab12".parse().unwrap()),
        uptime: 1000.0,
        ticks_per_second: 100.0,
        processes: vec![process()],
    };
    CloudSeen {
        code: ServiceCode::new("c").unwrap(),
        registered: vec![RegisteredNode { addr: addr(), mapped: true, options: Ok(options) }],
        nodes: NodesSeen {
            members: BTreeMap::from([(addr(), format!("{NODE}-host"))]),
            processes: BTreeMap::from([(HostName::new(HOST), Ok(host))]),
            ..NodesSeen::default()
        },
        changing: BTreeSet::new(),
        sessions: BTreeMap::from([(addr(), MemberSession { id: 0x1_0000_abcd, since: 40_000 })]),
        answers: BTreeMap::from([(addr(), Ok(answer()))]),
        zookeeper: true,
    }
}

fn judged(seen: &CloudSeen) -> CloudStatus {
    let ensemble = Ensemble::parse("zk:2181").unwrap();
    let names = BTreeMap::from([("10.0.0.77:2181".to_owned(), "zk:2181".to_owned())]);
    judge(
        seen,
        Wanted {
            ensemble: &ensemble,
            names: &names,
            settings: &MemcachedSettings::default(),
            by_hand: false,
            now: 100_000,
        },
    )
}

/// What disagrees after `change`: in a word each, with the whole of what is said.
fn told(change: impl FnOnce(&mut CloudSeen)) -> (String, String) {
    let mut seen = well();
    change(&mut seen);
    let status = judged(&seen);
    let [node] = status.nodes.as_slice() else { panic!("one node: {status:?}") };
    let said = status.disagreements().map(|one| format!("{}; {}", one.failure, one.failure.hints.join("; ")));
    (node.words(), said.collect::<Vec<_>>().join("\n"))
}

fn no_member(seen: &mut CloudSeen) {
    seen.nodes.members.clear();
    seen.sessions.clear();
}

fn no_process(seen: &mut CloudSeen) {
    host_of(seen).processes.clear();
}

fn host_of(seen: &mut CloudSeen) -> &mut ProcessesSeen {
    seen.nodes.processes.get_mut(&HostName::new(HOST)).unwrap().as_mut().unwrap()
}

fn silent(seen: &mut CloudSeen) {
    let failure =
        Failure::unreachable(format!("{NODE}: does not answer 'version'")).cause("nothing within 3 s");
    seen.answers.insert(addr(), Err(failure));
}

fn say(seen: &mut CloudSeen, change: impl FnOnce(&mut NodeAnswer)) {
    let mut said = answer();
    change(&mut said);
    seen.answers.insert(addr(), Ok(said));
}

#[track_caller]
fn expect(change: impl FnOnce(&mut CloudSeen), words: &str, said: &[&str]) {
    let (found, text) = told(change);
    assert_eq!(found, words, "{text}");
    for part in said {
        assert!(text.contains(part), "{part:?} is not said in:\n{text}");
    }
}

#[test]
fn where_all_four_agree_all_is_well_and_everything_is_told() {
    let status = judged(&well());
    let node = &status.nodes[0];
    assert_eq!((node.words().as_str(), status.online, status.registered), ("well", Some(1), Some(1)));
    let process = node.process.as_ref().unwrap();
    assert_eq!((process.pid, process.seconds, process.argv.len()), (7, 999, 11));
    let member = node.member.as_ref().unwrap();
    assert_eq!((member.session.as_deref(), member.seconds), (Some("10000abcd"), Some(60)));
    assert_eq!(node.answer.as_ref().unwrap().hit_ratio, Some(0.75));
    assert_eq!(status.figures.items, 3);
}

#[test]
fn a_zombie_says_ready_and_is_no_member() {
    let said =
        ["its process (pid 7) runs and says READY", "no member of c", "arcusctl rejoin c 10.0.0.1:11211"];
    expect(no_member, "zombie", &said);
    // An older server does not know the question; it is no less a zombie.
    let old = |seen: &mut CloudSeen| {
        no_member(seen);
        say(seen, |said| said.ready = Readiness::Unknown);
    };
    expect(old, "zombie", &["runs, but it is no member"]);
}

#[test]
fn a_paused_node_knows_that_it_is_no_member() {
    let paused = |seen: &mut CloudSeen| {
        no_member(seen);
        say(seen, |said| {
            said.ready = Readiness::NotReady;
            said.zookeeper.connected = Some(false);
        });
    };
    expect(paused, "paused", &["NOT_READY", "zkfailstop off", "arcusctl rejoin c 10.0.0.1:11211"]);
}

#[test]
fn an_orphan_is_a_member_that_nobody_sees_running() {
    let killed = |seen: &mut CloudSeen| {
        no_process(seen);
        silent(seen);
    };
    expect(killed, "orphan", &["until its session expires", "arcusctl memcached start c 10.0.0.1:11211"]);
    expect(no_process, "orphan", &["something answers on its port", "container"]);
}

#[test]
fn a_node_that_is_not_there_at_all_is_not_running() {
    let stopped = |seen: &mut CloudSeen| {
        no_member(seen);
        no_process(seen);
        silent(seen);
    };
    expect(stopped, "not-running", &["is not running", "arcusctl memcached start c 10.0.0.1:11211"]);
}

#[test]
fn other_options_and_an_older_release_are_told_apart() {
    expect(|seen| host_of(seen).processes[0].argv[4] = "64".into(), "drifted", &["runs with -m 64, not 100"]);
    let older = |seen: &mut CloudSeen| host_of(seen).current = "cd34".parse().ok();
    expect(
        older,
        "outdated",
        &["runs release ab12, not cd34", "arcusctl memcached restart c 10.0.0.1:11211"],
    );
}

#[test]
fn a_foreign_process_is_named_and_not_held_against_the_options() {
    let foreign = |seen: &mut CloudSeen| {
        no_member(seen);
        let process = &mut host_of(seen).processes[0];
        process.ours = false;
        process.argv = vec!["/usr/bin/memcached".into(), "-p".into(), "11211".into()];
    };
    expect(foreign, "foreign", &["pid 7: /usr/bin/memcached -p 11211", "never signals"]);
    let nameless = |seen: &mut CloudSeen| {
        no_member(seen);
        no_process(seen);
    };
    expect(nameless, "foreign", &["no process called memcached"]);
}

#[test]
fn a_hung_node_is_told_from_one_that_is_starting() {
    expect(silent, "hung", &["pid 7", "nothing within 3 s", "arcusctl memcached restart c 10.0.0.1:11211"]);
    let expired = |seen: &mut CloudSeen| {
        silent(seen);
        no_member(seen);
    };
    expect(expired, "hung", &["it is no member of c"]);
    let starting = |seen: &mut CloudSeen| {
        expired(seen);
        host_of(seen).uptime = 3.0;
    };
    expect(starting, "starting", &["is starting"]);
}

#[test]
fn who_follows_another_ensemble_is_told_unless_it_is_this_one_by_another_name() {
    let follows = |list: &'static str| {
        move |seen: &mut CloudSeen| say(seen, |said| said.zookeeper.follows = Some(list.to_owned()))
    };
    expect(
        follows("zk:2181,zk2:2181"),
        "other-ensemble",
        &["follows ZooKeeper at zk:2181,zk2:2181, not at zk:2181"],
    );
    expect(follows("10.9.9.9:2181"), "well", &[]);
    let by_address = |seen: &mut CloudSeen| {
        follows("10.0.0.77:2181")(seen);
        no_member(seen);
    };
    expect(by_address, "zombie", &[]);
    let elsewhere = |seen: &mut CloudSeen| {
        follows("10.9.9.9:2181")(seen);
        no_member(seen);
    };
    expect(elsewhere, "zombie, other-ensemble", &["follows ZooKeeper at 10.9.9.9:2181"]);
}

#[test]
fn of_a_node_that_comes_or_goes_meanwhile_only_what_stands_by_itself_is_told() {
    let meanwhile = |change: fn(&mut CloudSeen)| {
        move |seen: &mut CloudSeen| {
            change(seen);
            seen.changing.insert(addr());
        }
    };
    expect(meanwhile(no_member), "changing", &["while it was looked at", "arcusctl status c 10.0.0.1:11211"]);
    expect(meanwhile(no_process), "changing", &[]);
    expect(meanwhile(silent), "changing", &[]);
    // What was seen of it goes together.
    expect(meanwhile(|_| {}), "well", &[]);
    let older = |seen: &mut CloudSeen| {
        no_member(seen);
        host_of(seen).current = "cd34".parse().ok();
    };
    expect(meanwhile(older), "changing, outdated", &[]);
}

#[test]
fn a_znode_that_no_session_holds_is_not_waited_for() {
    let by_hand = |seen: &mut CloudSeen| {
        no_process(seen);
        silent(seen);
        seen.sessions.insert(addr(), MemberSession { id: 0, since: 0 });
    };
    expect(
        by_hand,
        "persistent",
        &["belongs to no session", "delete /arcus/cache_list/c/10.0.0.1:11211-host"],
    );
}

#[test]
fn a_node_that_follows_more_members_than_were_named_by_hand_is_well() {
    let mut seen = well();
    say(&mut seen, |said| said.zookeeper.follows = Some("zk:2181,zk2:2181".into()));
    let ensemble = Ensemble::parse("zk:2181").unwrap();
    let (names, settings) = (BTreeMap::new(), MemcachedSettings::default());
    let wanted =
        Wanted { ensemble: &ensemble, names: &names, settings: &settings, by_hand: true, now: 100_000 };
    assert_eq!(judge(&seen, wanted).nodes[0].words(), "well");
    say(&mut seen, |said| said.zookeeper.follows = Some("zk2:2181,zk3:2181".into()));
    no_member(&mut seen);
    assert_eq!(judge(&seen, wanted).nodes[0].words(), "zombie, other-ensemble");
}

#[test]
fn a_node_that_was_given_other_names_of_the_ensemble_is_no_foreign_one_once_it_is_lost() {
    let by_address = |seen: &mut CloudSeen| {
        no_member(seen);
        host_of(seen).processes[0].zookeeper = Some("10.0.0.77:2181".into());
    };
    expect(by_address, "foreign", &[]);
    let known = |seen: &mut CloudSeen| {
        by_address(seen);
        seen.nodes.aliases.insert("10.0.0.77:2181".into());
    };
    expect(known, "zombie", &["arcusctl rejoin"]);
}

#[test]
fn a_member_that_lost_zookeeper_is_told() {
    expect(
        |seen| say(seen, |said| said.zookeeper.connected = Some(false)),
        "zookeeper-lost",
        &["zk_connected"],
    );
    let left = |seen: &mut CloudSeen| say(seen, |said| said.ready = Readiness::NotReady);
    expect(left, "zookeeper-lost", &["an earlier session"]);
}

#[test]
fn what_is_not_registered_or_could_not_start_is_told() {
    expect(|seen| seen.registered.clear(), "unregistered", &["arcusctl memcached register CONF"]);
    let unmapped = |seen: &mut CloudSeen| {
        seen.registered[0].mapped = false;
        seen.registered[0].options = Err(Failure::refused(format!("{NODE}: has no mapping")));
    };
    expect(unmapped, "unregistered", &[]);
    let unmapped_and_off = |seen: &mut CloudSeen| {
        unmapped(seen);
        no_member(seen);
        no_process(seen);
        silent(seen);
    };
    expect(unmapped_and_off, "unstartable", &["has no mapping"]);
    let disputed = |seen: &mut CloudSeen| drop(seen.nodes.others.insert(addr(), "theirs".into()));
    expect(disputed, "disputed", &["belongs to service code theirs as well as to c"]);
}

#[test]
fn a_host_that_cannot_be_looked_at_hides_nothing_else() {
    let cut = |seen: &mut CloudSeen| {
        seen.nodes.processes.insert(HostName::new(HOST), Err(Failure::unreachable("10.0.0.1: no route")));
    };
    expect(cut, "host-unreachable", &["10.0.0.1: no route"]);
    let zombie = |seen: &mut CloudSeen| {
        cut(seen);
        no_member(seen);
    };
    expect(zombie, "zombie, host-unreachable", &["it answers and says READY"]);
    let dead = |seen: &mut CloudSeen| {
        zombie(seen);
        silent(seen);
    };
    expect(dead, "offline, host-unreachable, unanswered", &["is no member of c", "nothing within 3 s"]);
}

#[test]
fn without_zookeeper_processes_and_answers_are_judged_and_nobody_is_called_offline() {
    let lost = |seen: &mut CloudSeen| {
        seen.zookeeper = false;
        no_member(seen);
    };
    expect(lost, "well", &[]);
    let mut seen = well();
    lost(&mut seen);
    let status = judged(&seen);
    assert_eq!((status.online, status.registered, status.nodes[0].registered), (None, None, None));
    let not_ready = |seen: &mut CloudSeen| {
        lost(seen);
        say(seen, |said| said.ready = Readiness::NotReady);
    };
    expect(not_ready, "zookeeper-lost", &["says of itself that it is in no cloud", "once ZooKeeper answers"]);
    let stopped = |seen: &mut CloudSeen| {
        lost(seen);
        no_process(seen);
        silent(seen);
    };
    expect(stopped, "not-running", &[]);
}

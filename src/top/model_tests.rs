//! What events and keys make of what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::row::Column;
use super::{Event, Key, Top};
use crate::config::settings::MemcachedSettings;
use crate::error::Failure;
use crate::inspect::{Figures, NodeAnswer, NodeProcess, ProcessesSeen, RegisteredNode, ZooKeeperSaid};
use crate::model::{Ensemble, HostName, NodeAddr, NodeOptions, ServiceCode};
use crate::node::Readiness;
use crate::zk::{MemberSession, Members};

const NOW: i64 = 100_000;

pub(super) fn addr(host: u8) -> NodeAddr {
    format!("10.0.0.{host}:11211").parse().unwrap()
}

pub(super) fn code() -> ServiceCode {
    ServiceCode::new("demo").unwrap()
}

fn members(hosts: &[u8]) -> Event {
    members_at(0.0, hosts)
}

fn members_at(at: f64, hosts: &[u8]) -> Event {
    let members: Members =
        Ok(hosts.iter().map(|host| (addr(*host), format!("{}-cache-{host}", addr(*host)))).collect());
    let sessions = hosts.iter().map(|host| (addr(*host), MemberSession { id: 1, since: 40_000 }));
    Event::Members { code: code(), at, members, sessions: sessions.collect() }
}

/// What a node said after so many seconds, when it had done so many operations and found every second of its reads.
pub(super) fn answer(host: u8, at: f64, operations: u64) -> Event {
    let figures = Figures {
        uptime: 60,
        items: u64::from(host) * 10,
        bytes: u64::from(host) * 1_000_000,
        limit_bytes: 10_000_000,
        connections: 5,
        operations,
        hits: operations / 2,
        misses: operations / 2,
        evictions: 0,
    };
    let answer = NodeAnswer {
        version: "1.15.0".into(),
        ready: Readiness::Ready,
        figures,
        zookeeper: ZooKeeperSaid::default(),
    };
    Event::Answer { node: addr(host), begun: at, at, answer: Ok(answer) }
}

pub(super) fn silent(host: u8, at: f64) -> Event {
    let failure =
        Failure::unreachable(format!("{}: does not answer", addr(host))).cause("nothing within 3 s");
    Event::Answer { node: addr(host), begun: at, at, answer: Err(failure) }
}

fn processes(host: u8) -> Event {
    processes_at(1.0, host)
}

fn processes_at(begun: f64, host: u8) -> Event {
    let words = ["memcached", "-m", "10", "-c", "100", "-t", "2", "-z", "zk:2181"];
    let process = NodeProcess {
        pid: 7,
        started: 1,
        port: Some(addr(host).port),
        ours: true,
        zookeeper: Some("zk:2181".into()),
        exe: String::new(),
        release: None,
        argv: words.map(str::to_owned).into(),
    };
    let seen =
        ProcessesSeen { current: None, uptime: 3725.0, ticks_per_second: 100.0, processes: vec![process] };
    Event::Processes { host: HostName::from(addr(host).ip), begun, aliases: BTreeSet::new(), seen: Ok(seen) }
}

/// Three nodes that are well, and have done 100, 200 and 300 operations in their second second.
pub(super) fn three() -> Top {
    let ensemble = Ensemble::parse("zk:2181").unwrap();
    let mut top = Top::new(ensemble, MemcachedSettings::default(), Duration::from_secs(1));
    let options = NodeOptions { memlimit: 10, connections: 100, threads: 2 };
    let node = |host| RegisteredNode { addr: addr(host), mapped: true, options: Ok(options) };
    let nodes = [1, 2, 3].map(node).into();
    let mut events =
        vec![Event::Registered { code: code(), nodes, others: BTreeMap::new() }, members(&[1, 2, 3])];
    for host in [1, 2, 3] {
        events.extend([processes(host), answer(host, 1.0, 0)]);
    }
    tell(&mut top, events);
    top.tick(1.0);
    tell(&mut top, [1, 2, 3].map(|host| answer(host, 2.0, u64::from(host) * 100)));
    top.tick(2.0);
    top
}

pub(super) fn tell(top: &mut Top, events: impl IntoIterator<Item = Event>) {
    for event in events {
        top.update(event, NOW);
    }
}

pub(super) fn press(top: &mut Top, keys: &str) {
    tell(top, keys.chars().map(|key| Event::Key(Key::Char(key))));
}

/// The last number of the address of every row that is shown.
fn shown(top: &Top) -> Vec<u8> {
    top.rows(NOW).iter().map(|row| row.node().ip.octets()[3]).collect()
}

fn words(top: &Top, host: u8) -> String {
    let rows = top.rows(NOW);
    rows.iter().find(|row| row.node() == addr(host)).unwrap().status.words()
}

#[test]
fn operations_a_second_are_what_came_since_the_answer_before() {
    let top = three();
    let rows = top.rows(NOW);
    assert_eq!(rows[1].series.rate(), Some(200.0));
    assert_eq!((top.whole.operations.back(), top.whole.hits.back()), (Some(&600.0), Some(&0.5)));
    assert_eq!(rows[1].up(), Some(3724));
}

#[test]
fn a_node_that_was_restarted_has_no_load_below_zero() {
    let mut top = three();
    tell(&mut top, [answer(2, 3.0, 5)]);
    assert_eq!(
        top.rows(NOW)[1].series.rate(),
        Some(200.0),
        "what came before is shown until there are two answers"
    );
    tell(&mut top, [answer(2, 4.0, 15)]);
    assert_eq!(top.rows(NOW)[1].series.rate(), Some(10.0));
    tell(&mut top, [silent(2, 5.0)]);
    assert_eq!(top.rows(NOW)[1].series.rate(), None);
}

#[test]
fn a_node_that_comes_back_does_not_look_like_all_its_work_at_once() {
    let mut top = three();
    tell(&mut top, [silent(2, 3.0), answer(1, 3.0, 200)]);
    top.tick(3.0);
    assert_eq!(top.whole.operations.back(), Some(&100.0));
    tell(&mut top, [answer(2, 4.0, 1_000_000), answer(1, 4.0, 300)]);
    top.tick(4.0);
    assert_eq!(top.whole.operations.back(), Some(&100.0));
}

#[test]
fn who_leaves_is_told_as_soon_as_the_watch_fires() {
    let mut top = three();
    assert_eq!(words(&top, 2), "well");
    tell(&mut top, [members(&[1, 3])]);
    assert_eq!(words(&top, 2), "zombie");
    tell(&mut top, [members(&[1, 2, 3, 4])]);
    assert_eq!((words(&top, 2).as_str(), top.nodes().len()), ("well", 4));
    // Nobody has asked the new one yet; that is nothing to complain of.
    assert_eq!((words(&top, 4).as_str(), top.is_known(addr(4))), ("well", false));
}

#[test]
fn a_verdict_waits_for_a_look_that_is_younger_than_the_change() {
    let mut top = three();
    tell(&mut top, [members_at(5.0, &[1, 3])]);
    assert_eq!(words(&top, 2), "changing");
    let host = HostName::from(addr(2).ip);
    assert_eq!(top.stale_hosts(), BTreeSet::from([host]));
    tell(&mut top, [processes_at(5.1, 2)]);
    assert_eq!((words(&top, 2).as_str(), top.stale_hosts().len()), ("changing", 0));
    tell(&mut top, [answer(2, 6.0, 200)]);
    assert_eq!(words(&top, 2), "zombie");
}

#[test]
fn a_node_that_comes_back_by_another_session_has_come_anew() {
    let mut top = three();
    let mut again = members_at(5.0, &[1, 2, 3]);
    if let Event::Members { sessions, .. } = &mut again {
        sessions.insert(addr(2), MemberSession { id: 2, since: 90_000 });
    }
    tell(&mut top, [again, silent(2, 4.0)]);
    assert_eq!(words(&top, 2), "changing");
    assert_eq!(words(&top, 1), "well");
}

#[test]
fn a_cloud_that_was_unregistered_does_not_come_back_by_those_who_followed_it() {
    let mut top = three();
    tell(&mut top, [Event::Unregistered { code: code() }]);
    let lost: Members = Err(Failure::failed("no znode /arcus/cache_list/demo"));
    tell(&mut top, [Event::Members { code: code(), at: 9.0, members: lost, sessions: BTreeMap::new() }]);
    tell(&mut top, [members_at(9.0, &[1])]);
    assert!(top.codes().is_empty() && top.trouble().is_none());
    assert!(!top.is_known(addr(1)), "nothing is kept of its nodes");
}

#[test]
fn without_zookeeper_nobody_is_called_lost() {
    let mut top = three();
    let lost: Members = Err(Failure::unreachable("cannot reach ZooKeeper"));
    tell(&mut top, [Event::Members { code: code(), at: 3.0, members: lost, sessions: BTreeMap::new() }]);
    assert_eq!(words(&top, 2), "well");
    assert!(top.trouble().is_some());
    tell(&mut top, [members(&[1, 2, 3])]);
    assert!(top.trouble().is_none());
    tell(&mut top, [Event::Unregistered { code: code() }]);
    assert!(top.rows(NOW).is_empty());
}

#[test]
fn rows_are_sorted_by_any_column_either_way() {
    let mut top = three();
    assert_eq!(shown(&top), [1, 2, 3]);
    press(&mut top, "r");
    assert_eq!(shown(&top), [3, 2, 1]);
    // Backwards from the first column is the last: the busiest first.
    press(&mut top, "<");
    assert_eq!((top.sort, shown(&top)), (Column::Operations, vec![3, 2, 1]));
    press(&mut top, ">>");
    assert_eq!(top.sort, Column::State);
    tell(&mut top, [members(&[1, 2])]);
    assert_eq!(shown(&top), [3, 1, 2], "what is wrong comes first");
}

#[test]
fn a_filter_shows_what_has_its_words_until_escape() {
    let mut top = three();
    press(&mut top, "/CACHE-2q");
    assert!(!top.over && shown(&top).is_empty(), "q is a letter here");
    tell(&mut top, [Event::Key(Key::Backspace), Event::Key(Key::Enter)]);
    assert_eq!((shown(&top), top.typing), (vec![2], false));
    tell(&mut top, [Event::Key(Key::Escape)]);
    assert_eq!((shown(&top).len(), top.over), (3, false));
    tell(&mut top, [Event::Key(Key::Escape)]);
    assert!(top.over);
}

#[test]
fn a_halted_screen_stands_still_and_then_catches_up() {
    let mut top = three();
    press(&mut top, "p");
    tell(&mut top, [members(&[1])]);
    assert_eq!(words(&top, 2), "well");
    press(&mut top, "p");
    assert_eq!(words(&top, 2), "zombie");
}

#[test]
fn the_mark_stays_on_its_node_wherever_that_goes() {
    let mut top = three();
    tell(&mut top, [Event::Key(Key::Down), Event::Key(Key::Down)]);
    assert_eq!(top.marked, Some((code(), addr(2))));
    press(&mut top, "r");
    assert_eq!(top.place_of_marked(&top.rows(NOW)), Some(1));
    tell(&mut top, [Event::Key(Key::End)]);
    assert_eq!(top.marked, Some((code(), addr(1))));
    tell(&mut top, [Event::Key(Key::PageUp)]);
    assert_eq!(top.marked, Some((code(), addr(3))));
}

#[test]
fn help_is_closed_by_any_key_and_the_program_by_those_that_say_so() {
    let mut top = three();
    press(&mut top, "?q");
    assert!(!top.help && !top.over);
    press(&mut top, "q");
    assert!(top.over);
    let mut top = three();
    press(&mut top, "/x");
    tell(&mut top, [Event::Key(Key::Interrupt)]);
    assert!(top.over);
}

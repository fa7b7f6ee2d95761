//! Six nodes become nine, and nine become four, while a client goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use arcusctl::model::NodeAddr;
use serde_json::Value;

use super::keys::Keys;
use super::{conf, path};
use crate::support::Site;
use crate::support::load::{Answer, Record};

const FOUR: [(usize, u16); 4] = [(0, 11211), (1, 11211), (2, 11211), (0, 11212)];
const SIX: [(usize, u16); 6] = [(0, 11211), (1, 11211), (2, 11211), (0, 11212), (1, 11212), (2, 11212)];
const NINE: [(usize, u16); 9] = [
    (0, 11211),
    (1, 11211),
    (2, 11211),
    (0, 11212),
    (1, 11212),
    (2, 11212),
    (0, 11213),
    (1, 11213),
    (2, 11213),
];

/// What a change of the cloud came to.
struct Change {
    /// The share of all keys that was said to move.
    predicted: f64,
    /// The share of 100,000 keys that did: each was written before, and its new node was asked for it after.
    measured: f64,
    plan: Value,
    /// What a client saw meanwhile.
    seen: Record,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { predicted, measured, seen, .. } = self;
        let (all, failed) = (seen.operations.len(), seen.failed().len());
        write!(out, "predicted {predicted}, measured {measured}; {all} operations, {failed} failed")
    }
}

#[track_caller]
fn change(site: &Site, nodes: &[(usize, u16)], name: &str) -> Change {
    let keys = Keys::new(name);
    keys.write(site);
    let wish = conf(site, nodes);
    let pace = ["--settle", "1", "--drain", "1", "--output", "json"];
    let planned = site.run(["plan", path(&wish)].into_iter().chain(pace)).success().json();
    let predicted = planned["plan"]["price"]["moves"].as_f64().unwrap();
    let (run, seen) =
        site.while_a_client_uses("cloud", || site.run(["apply", path(&wish)].into_iter().chain(pace)));
    let plan = run.success().json()["plan"].clone();
    let measured = keys.missing(site) as f64 / 100_000.0;
    assert!((predicted - measured).abs() < 0.005, "predicted {predicted}, measured {measured}");
    assert!(seen.operations.len() > 300 && seen.count(&Answer::Hit) > 100);
    Change { predicted, measured, plan, seen }
}

/// The members at each change of the list, as differences: how many came and how many went.
fn steps(seen: &Record) -> Vec<(usize, usize)> {
    let sets: Vec<&BTreeSet<NodeAddr>> = seen.timeline.iter().map(|(_, members)| members).collect();
    sets.windows(2)
        .map(|pair| (pair[1].difference(pair[0]).count(), pair[0].difference(pair[1]).count()))
        .collect()
}

#[test]
fn a_cloud_grows_and_shrinks_under_load_and_moves_the_keys_that_were_predicted() {
    let site = Site::with_short_sessions(3);
    site.run(["apply", path(&conf(&site, &SIX))]).success();
    let before = site.members("cloud");

    let grown = change(&site, &NINE, "grow");
    println!("6 to 9: {grown}");
    assert!(grown.predicted > 0.2 && grown.measured > 0.2);
    assert_eq!(grown.plan["price"]["changes"].as_array().unwrap().len(), 3);
    assert_eq!(grown.plan["price"]["leastSeconds"], 2);
    assert_eq!(steps(&grown.seen), [(1, 0); 3], "one by one");
    assert!(grown.seen.failed().is_empty(), "{:?}", grown.seen.failed());
    let members = site.members("cloud");
    assert_eq!(members.len(), 9);
    assert!(before.iter().all(|member| members.contains(member)), "{members:?}");

    let shrunk = change(&site, &FOUR, "shrink");
    println!("9 to 4: {shrunk}");
    assert!(shrunk.predicted > 0.4);
    assert_eq!(shrunk.plan["price"]["changes"].as_array().unwrap().len(), 5);
    assert_eq!(steps(&shrunk.seen), [(0, 1); 5], "one by one");
    let elsewhere = shrunk.seen.failed_elsewhere(Duration::ZERO);
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(site.members("cloud").len(), 4);
    let mappings = site.znodes("/arcus/cache_server_mapping");
    assert_eq!(mappings.len(), 1 + 2 * 4, "{:?}", mappings.keys());
    let servers = site.znode("/arcus/cache_list/cloud").json()["servers"].as_array().unwrap().len();
    assert_eq!(servers, 4);
    for index in 0..3 {
        let ports = if index == 0 { "2" } else { "1" };
        assert_eq!(site.sh(index, "pgrep -x memcached | wc -l"), ports, "processes of host {index}");
    }
    let again = site.run(["apply", path(&conf(&site, &FOUR))]).success();
    again.says("unchanged");
}

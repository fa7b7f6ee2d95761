//! Six nodes become nine, and nine become four, while a client goes on.

use serde_json::Value;

use super::keys::Keys;
use super::{conf, path};
use crate::support::Site;

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

/// The share of 100,000 keys that moves when the cloud becomes this: predicted, and measured by writing every key
/// before and asking its new node for it after.
fn moved(site: &Site, nodes: &[(usize, u16)], name: &str) -> (f64, f64, Value) {
    let keys = Keys::new(name);
    keys.write(site);
    let wish = conf(site, nodes);
    let pace = ["--settle", "1", "--drain", "1", "--output", "json"];
    let plan = site.run(["plan", path(&wish)].into_iter().chain(pace)).success().json();
    let run = site.run(["apply", path(&wish)].into_iter().chain(pace)).success().json();
    let predicted = plan["plan"]["price"]["moves"].as_f64().unwrap();
    (predicted, keys.missing(site) as f64 / 100_000.0, run)
}

#[test]
fn a_cloud_grows_and_shrinks_and_moves_the_keys_that_were_predicted() {
    let site = Site::with_short_sessions(3);
    site.run(["apply", path(&conf(&site, &SIX))]).success();
    let before = site.members("cloud");

    let (predicted, measured, run) = moved(&site, &NINE, "grow");
    println!("6 -> 9: predicted {predicted}, measured {measured}");
    assert!((predicted - measured).abs() < 0.005, "predicted {predicted}, measured {measured}");
    assert!(predicted > 0.2, "{predicted}");
    assert_eq!(run["plan"]["price"]["changes"].as_array().unwrap().len(), 3);
    assert_eq!(run["plan"]["price"]["leastSeconds"], 2);
    let members = site.members("cloud");
    assert_eq!(members.len(), 9);
    assert!(before.iter().all(|member| members.contains(member)), "{members:?}");

    let (predicted, measured, run) = moved(&site, &FOUR, "shrink");
    println!("9 -> 4: predicted {predicted}, measured {measured}");
    assert!((predicted - measured).abs() < 0.005, "predicted {predicted}, measured {measured}");
    assert!(predicted > 0.4, "{predicted}");
    assert_eq!(run["plan"]["price"]["changes"].as_array().unwrap().len(), 5);
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

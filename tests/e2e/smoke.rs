//! `smoke` and `locate --get`: the cloud as its clients see it.

use serde_json::{Value, json};

use crate::support::Site;

fn results(document: &Value) -> Vec<Value> {
    document["data"]["smoke"].as_array().unwrap_or_else(|| panic!("{document}")).clone()
}

#[test]
fn every_live_node_takes_gives_and_forgets_a_key_of_the_ring() {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 2);
    site.run(["smoke", "cloud"]).exits(5).says("service code cloud is not registered");
    site.run(["memcached", "register", crate::support::path(&conf)]).success();
    site.run(["smoke", "cloud"]).exits(5).says("no cache node is live");
    site.run(["memcached", "start", "cloud"]).success();

    let run = site.run(["smoke", "cloud"]).success();
    assert_eq!(run.stdout.matches("serves").count(), 4, "{}", run.stdout);
    let document = site.run(["smoke", "cloud", "--output", "json"]).success().json();
    for result in results(&document) {
        let key = result["key"].as_str().unwrap();
        assert!(key.starts_with("arcusctl:smoke:"), "{result}");
        // The node that was asked is the one that has such a key, and it has nothing of it any more.
        let located = site.run(["locate", "cloud", key, "--get", "--output", "json"]).success().json();
        let owner = &located["data"]["keys"]["keys"][0];
        assert_eq!(
            (&owner["node"], &owner["item"]["state"]),
            (&result["node"], &"absent".into()),
            "{located}"
        );
        assert!(result["times"]["read"].as_f64().unwrap() >= 0.0, "{result}");
    }

    // One is dead behind a znode that still lives: its clients get nothing.
    let dead = site.node(1, 11212);
    site.kill(1, &site.pid(1, 11212));
    let document = site.run(["smoke", "cloud", "--output", "json"]).exits(3).json();
    let failed: Vec<Value> =
        results(&document).into_iter().filter(|result| !result["failure"].is_null()).collect();
    assert_eq!(failed.len(), 1, "{document}");
    assert_eq!(
        (&failed[0]["node"], &failed[0]["times"]["connect"]),
        (&json!(dead), &Value::Null),
        "{document}"
    );
}

#[test]
fn an_item_is_described_by_the_node_that_has_it_and_by_no_other() {
    let (site, _) = Site::with_cloud(1);
    let keys = ["user:1", "user:2", "user:3", "user:4"];
    let document =
        site.run(["locate", "cloud"].into_iter().chain(keys).chain(["--output", "json"])).success().json();
    let node_of = |place: usize| document["data"]["keys"]["keys"][place]["node"].as_str().unwrap().to_owned();
    let port_of = |place: usize| node_of(place).rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    assert!(site.talk(0, port_of(0), "set user:1 7 0 6\r\nsecret\r\n").starts_with("STORED"));
    assert!(site.talk(0, port_of(1), "set user:2 0 600 3\r\nabc\r\n").starts_with("STORED"));
    // Where no client would look for it.
    let elsewhere = if port_of(2) == 11211 { 11212 } else { 11211 };
    assert!(site.talk(0, elsewhere, "set user:3 0 0 3\r\nabc\r\n").starts_with("STORED"));

    let run =
        site.run(["locate", "cloud"].into_iter().chain(keys).chain(["--get", "--output", "json"])).success();
    assert!(!run.stdout.contains("secret"), "{}", run.stdout);
    let document = run.json();
    let item = |place: usize| document["data"]["keys"]["keys"][place]["item"].clone();
    let kept = json!({"state": "present", "kind": "kv", "bytes": 6, "flags": 7, "expiry": "never"});
    assert_eq!(item(0), kept, "{document}");
    let left = item(1)["expiry"]["seconds"].as_u64().unwrap();
    assert!((500..=600).contains(&left), "{document}");
    assert_eq!((item(2), item(3)), (json!({"state": "absent"}), json!({"state": "absent"})), "{document}");

    let run = site.run(["locate", "cloud", "user:1", "user:3", "--get"]).success();
    assert!(run.stdout.contains("6 B") && run.stdout.contains("no such item"), "{}", run.stdout);
    site.run(["locate", "cloud", "user:1", "--get", "--registered"]).exits(2);
}

//! `locate`: which node has a key, as servers and clients compute it.

use serde_json::Value;

use crate::support::{Site, path};

/// The keys of a document, each with its node.
fn owners(document: &Value) -> Vec<(String, String)> {
    let keys = document["data"]["keys"]["keys"].as_array().unwrap_or_else(|| panic!("{document}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    keys.iter().map(|key| (text(&key["key"]), text(&key["node"]))).collect()
}

#[test]
fn a_key_is_where_the_live_nodes_put_it_and_would_be_elsewhere_with_all_of_them() {
    let (site, conf) = Site::with_cloud(2);
    let keys: Vec<String> = (0..200).map(|number| format!("user:{number}")).collect();
    let locate = |more: &[&str]| {
        let arguments = ["locate", "cloud"].into_iter().chain(keys.iter().map(String::as_str));
        site.run(arguments.chain(more.iter().copied()).chain(["--output", "json"])).success().json()
    };
    let whole = owners(&locate(&[]));
    let nodes: std::collections::BTreeSet<&String> = whole.iter().map(|(_, node)| node).collect();
    assert_eq!(nodes.len(), 4, "{nodes:?}");

    // Without one node its keys move, and no others do.
    let gone = site.node(0, 11211);
    site.run(["memcached", "stop", "cloud", &gone, "--yes"]).success();
    let document = locate(&[]);
    for ((key, before), (_, after)) in whole.iter().zip(owners(&document)) {
        assert_ne!(after, gone, "{key}");
        assert!(*before == gone || *before == after, "{key} moved from {before} to {after}");
    }
    let shares = document["data"]["keys"]["nodes"].as_array().unwrap().iter();
    let sum: f64 = shares.map(|node| node["share"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{document}");

    // The plan is the whole cloud, whether it is taken from ZooKeeper or from the file.
    assert_eq!(owners(&locate(&["--registered"])), whole);
    assert_eq!(owners(&locate(&["--config", path(&conf)])), whole);
    let run = site.run(["locate", "cloud", "user:0", "--registered"]).success();
    assert!(run.stdout.contains("user:0"), "{}", run.stdout);
}

#[test]
fn where_no_node_is_live_no_key_is_anywhere() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["locate", "cloud", "a"]).exits(5).says("service code cloud is not registered");
    site.run(["memcached", "register", path(&conf)]).success();
    site.run(["locate", "cloud", "a"]).exits(5).says("no cache node is live").says("--registered");
    let run = site.run(["locate", "cloud", "a", "--registered"]).success();
    assert!(run.stdout.contains(&site.node(0, 11211)) && run.stdout.contains("offline"), "{}", run.stdout);
    site.run(["locate", "cloud", "a b"]).exits(2).says("a key has 1 to 4000 bytes");
    site.run(["locate", "other", "a", "--config", path(&conf)]).exits(4).says("not other");
}

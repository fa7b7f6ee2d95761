//! `--keep`: old releases go, but none that somebody needs.

use std::path::Path;

use serde_json::json;

use super::{current, deploy, releases, staged_on};
use crate::support::{Site, path};
use crate::tree::Tree;

/// Deploys these versions one after the other, as if on the 1st, 2nd, … of a month; gives their releases.
fn deploy_all<const N: usize>(site: &Site, conf: &Path, versions: [&str; N], flags: &[&str]) -> [String; N] {
    let mut day = 0;
    versions.map(|version| {
        deploy(site, conf, &Tree::new(site.directory(), version, 0).path, flags).success();
        let release = current(site, 0);
        day += 1;
        staged_on(site, 0, &release, day);
        release
    })
}

fn sorted<const N: usize>(mut names: [&String; N]) -> Vec<String> {
    names.sort();
    names.map(String::clone).to_vec()
}

#[test]
fn the_three_newest_are_kept_unless_told_otherwise() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let [_, _, three, four, five] = deploy_all(&site, &conf, ["one", "two", "three", "four", "five"], &[]);
    assert_eq!(releases(&site, 0), sorted([&three, &four, &five]));
}

#[test]
fn the_release_in_use_and_the_one_before_are_kept_whatever_is_told() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let [one, two, three] = deploy_all(&site, &conf, ["one", "two", "three"], &["--keep", "9"]);
    // The oldest is in use again, and the newest was before.
    site.run(["rollback", path(&conf), "--to", &one]).success();
    assert_eq!(releases(&site, 0), sorted([&one, &two, &three]));
    let tree = site.directory().join("tree-one");
    let args = ["deploy", path(&conf), "--package", path(&tree), "--keep", "1", "--output", "json"];
    let dry = site.run(args.into_iter().chain(["--dry-run"])).success().json();
    let action = json!({"do": "prune-releases", "releases": [two]});
    assert_eq!(dry["plan"]["stages"][0]["steps"][0]["action"], action);
    assert_eq!(releases(&site, 0).len(), 3);
    site.run(args).success();
    assert_eq!(releases(&site, 0), sorted([&one, &three]));
    site.run(["rollback", path(&conf)]).success();
    assert_eq!(current(&site, 0), three);
}

#[test]
fn a_release_that_a_process_runs_is_kept_until_it_is_restarted() {
    let (site, conf) = Site::with_cloud(1);
    let first = current(&site, 0);
    staged_on(&site, 0, &first, 1);
    let newest_only = ["--keep", "1"];
    let servers = site.servers(0);
    let mut before = Vec::new();
    for (mark, day) in [("second", 2), ("third", 3), ("fourth", 4)] {
        deploy(&site, &conf, &site.changed_package(mark), &newest_only).success();
        before.push(current(&site, 0));
        staged_on(&site, 0, &before[before.len() - 1], day);
    }
    let [second, third, fourth] = <[String; 3]>::try_from(before).unwrap();
    assert_eq!(releases(&site, 0), sorted([&first, &third, &fourth]));
    assert!(!releases(&site, 0).contains(&second));
    assert_eq!(site.servers(0), servers);

    site.run(["memcached", "stop", "cloud"]).success();
    site.run(["memcached", "start", "cloud"]).success();
    let fourth_package = site.directory().join("fourth.tar.gz");
    deploy(&site, &conf, &fourth_package, &newest_only).success();
    // The ZooKeeper server still runs it.
    assert!(releases(&site, 0).contains(&first));
    site.run(["zookeeper", "restart", "--all"]).success();
    deploy(&site, &conf, &fourth_package, &newest_only).success();
    assert_eq!(releases(&site, 0), sorted([&third, &fourth]));
    assert!(site.run(["memcached", "list", "cloud"]).success().stdout.contains("OK"));
}

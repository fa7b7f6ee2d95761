//! `rollback` and `releases`: back to what hosts still have, and forth again; all hosts or none.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{current, deploy, holds, releases};
use crate::support::{Site, path};
use crate::tree::Tree;

/// Hosts with two releases, labelled `1.0` and `2.0`; the second is in use.
fn two_releases(hosts: usize) -> (Site, PathBuf, [String; 2]) {
    let site = Site::new(hosts);
    let conf = site.cloud("cloud", 11211, 1);
    let names = [("first", "1.0"), ("second", "2.0")].map(|(version, label)| {
        let tree = Tree::new(site.directory(), version, 0);
        deploy(&site, &conf, &tree.path, &["--label", label]).success();
        current(&site, 0)
    });
    assert_ne!(names[0], names[1]);
    (site, conf, names)
}

/// What processes run each release of the only host, by what they are.
fn users(site: &Site, conf: &str, release: &str) -> Vec<String> {
    let document = site.run(["releases", conf, "--output", "json"]).success().json();
    let users = document["data"]["hosts"][0]["releases"][release]["users"].as_array().cloned();
    let mut users: Vec<String> =
        users.unwrap_or_default().iter().map(|user| user["what"].as_str().unwrap().to_owned()).collect();
    users.sort();
    users
}

#[test]
fn a_running_cloud_is_rolled_back_and_forth() {
    let (site, conf) = Site::with_cloud(1);
    let conf = path(&conf);
    let first = current(&site, 0);
    assert!(site.talk(0, 11211, "set kept 0 0 5\r\nvalue\r\n").contains("STORED"));
    let servers = site.servers(0);
    assert_eq!(servers.lines().count(), 3, "{servers}");
    site.run(["deploy", conf, "--package", path(&site.changed_package("second"))]).success();
    let second = current(&site, 0);
    let goes_on = |release: &str| {
        assert_eq!(current(&site, 0), release);
        assert_eq!(site.servers(0), servers);
        assert!(site.talk(0, 11211, "get kept\r\n").contains("value"));
        site.run(["zookeeper", "stat"]).success();
        assert!(site.run(["memcached", "list", "cloud"]).success().stdout.contains("OK"));
    };
    goes_on(&second);

    // Nothing was restarted yet: everything runs what it was started from.
    let all = ["11211", "11212", "zookeeper"];
    assert_eq!(
        (users(&site, conf, &first), users(&site, conf, &second)),
        (all.map(str::to_owned).to_vec(), vec![])
    );
    let told = site.run(["releases", conf]).success().stdout;
    assert!(told.contains("go on with an older release until they are restarted"), "{told}");
    assert!(
        told.contains("arcusctl memcached restart CODE @outdated")
            && told.contains("arcusctl zookeeper restart"),
        "{told}"
    );
    for index in [0, 1] {
        let node = format!("{} (pid {})", 11211 + index, site.pid(0, 11211 + index));
        assert!(told.contains(&node), "{node} is not in:\n{told}");
    }

    site.run(["rollback", conf]).success();
    goes_on(&first);
    site.sh(0, "test ! -e /opt/arcus/lib/second");
    let told = site.run(["releases", conf]).success().stdout;
    assert!(!told.contains("older release"), "{told}");

    site.run(["rollback", conf]).success();
    goes_on(&second);
    assert_eq!(site.sh(0, "cat /opt/arcus/lib/second"), "second");

    // What is restarted runs the release in use.
    site.run(["memcached", "stop", "cloud"]).success();
    site.run(["memcached", "start", "cloud"]).success();
    for port in [11211, 11212] {
        let exe = site.sh(0, &format!("readlink /proc/{}/exe", site.pid(0, port)));
        assert!(exe.starts_with(&format!("/opt/arcus/releases/{second}/")), "{exe}");
    }
    assert_eq!(users(&site, conf, &first), ["zookeeper"]);
    site.run(["zookeeper", "restart", "--all"]).success();
    assert_eq!(users(&site, conf, &first), [""; 0]);
    assert_eq!(users(&site, conf, &second), all);
    assert!(site.run(["memcached", "list", "cloud"]).success().stdout.contains("OK"));
}

#[test]
fn a_release_is_named_by_its_label_or_by_its_id_or_by_the_beginning_of_it() {
    let (site, conf, [first, second]) = two_releases(2);
    let go = |to: &str| site.run(["rollback", path(&conf), "--to", to]);
    let everywhere = |release: &str| {
        assert_eq!([current(&site, 0), current(&site, 1)], [release, release]);
        // No name is left that leads nowhere.
        assert_eq!(site.sh(0, "find /opt/arcus -xtype l"), "");
    };
    go("1.0").success();
    everywhere(&first);
    assert_eq!(
        site.sh(0, "cat /opt/arcus/bin/memcached /opt/arcus/zookeeper/bin/zkServer.sh")
            .matches("of first")
            .count(),
        2
    );
    go(&second[..8]).success();
    everywhere(&second);
    go(&first).success();
    everywhere(&first);

    go("3.0").exits(5).says("no host has a release 3.0").says("arcusctl releases");
    let here = site.run(["rollback", path(&conf), "--to", "1.0", "--output", "json"]).success().json();
    assert_eq!(here["plan"]["stages"], json!([]));
    let fact = format!("has release {first} in use");
    assert_eq!(holds(&here), [&fact, &fact]);
    everywhere(&first);
}

#[test]
fn a_name_of_two_releases_is_refused() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let names = ["first", "second"].map(|version| {
        deploy(&site, &conf, &Tree::new(site.directory(), version, 0).path, &["--label", "same"]).success();
        current(&site, 0)
    });
    let run =
        site.run(["rollback", path(&conf), "--to", "same"]).exits(5).says("same is more than one release");
    run.says(&names[0]).says(&names[1]);
    assert_eq!(current(&site, 0), names[1]);
}

#[test]
fn nothing_switches_anywhere_when_one_host_lacks_the_release() {
    let (site, conf, [first, second]) = two_releases(3);
    site.sh(1, &format!("rm -r /opt/arcus/releases/{first}"));
    for flags in [&[][..], &["--to", "1.0"]] {
        let run = site.run(["rollback", path(&conf)].into_iter().chain(flags.iter().copied())).exits(5);
        run.says(&format!("release {first} is not on every host")).says(&site.ip(1)).says("arcusctl deploy");
    }
    assert_eq!([0, 1, 2].map(|index| current(&site, index)), [&second; 3].map(String::clone));
}

#[test]
fn hosts_that_would_go_back_to_different_releases_are_asked_about() {
    let site = Site::new(2);
    let trees = ["first", "second"].map(|version| Tree::new(site.directory(), version, 0));
    let one = site.cloud_on_ports("one", &[11211]);
    let both = site.cloud("cloud", 11211, 1);
    deploy(&site, &one, &trees[0].path, &[]).success();
    deploy(&site, &both, &trees[1].path, &[]).success();
    let (now, before) = (current(&site, 0), releases(&site, 0));
    let run = site.run(["rollback", path(&both)]).exits(5).says("no one release that was current before");
    run.says(&format!("{}: none", site.ip(1))).says("--to");
    assert_eq!([current(&site, 0), current(&site, 1)], [now.clone(), now]);
    assert_eq!(releases(&site, 0), before);
}

#[test]
fn nothing_switches_anywhere_when_a_host_cannot_be_asked() {
    let (site, conf, [_, second]) = two_releases(2);
    site.lab.kill(site.host(1)).unwrap();
    site.run(["rollback", path(&conf)]).exits(6).says(&site.ip(1));
    site.run(["rollback", path(&conf), "--to", "1.0"]).exits(6).says(&site.ip(1));
    assert_eq!(current(&site, 0), second);
}

#[test]
fn a_dry_run_shows_the_plan_that_is_then_run_and_changes_nothing() {
    let (site, conf, [first, second]) = two_releases(2);
    let before = [0, 1].map(|index| site.untouched(index, "/opt/arcus"));
    let told = site.run(["rollback", path(&conf), "--dry-run"]).success().stdout;
    assert!(told.contains(&format!("switch from release {second} to {first}")), "{told}");
    let args = ["rollback", path(&conf), "--output", "json"];
    let dry = site.run(args.into_iter().chain(["--dry-run"])).success().json();
    assert_eq!([0, 1].map(|index| site.untouched(index, "/opt/arcus")), before);

    let run = site.run(args).success().json();
    assert_eq!(
        (&dry["command"], &dry["dryRun"], &run["dryRun"]),
        (&json!("rollback"), &json!(true), &json!(false))
    );
    assert_eq!(run["plan"], dry["plan"]);
    let stages = run["plan"]["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 1, "{run:#}");
    assert_eq!(stages[0]["gate"], "everything");
    for index in [0, 1] {
        let step = &stages[0]["steps"][index];
        assert_eq!(step["target"], json!({"host": site.ip(index)}));
        let action = json!({"do": "switch-release", "release": first, "from": second, "adopts": []});
        assert_eq!(step["action"], action);
    }
    let outcomes: Vec<&Value> =
        run["results"].as_array().unwrap().iter().map(|result| &result["outcome"]).collect();
    assert_eq!(outcomes, ["done", "done"]);
    assert_eq!([current(&site, 0), current(&site, 1)], [first.clone(), first]);
}

#[test]
fn releases_are_listed_with_what_is_known_of_them() {
    let (site, conf, [first, second]) = two_releases(2);
    let third = Tree::new(site.directory(), "third", 500_000);
    deploy(&site, &conf, &third.path, &[]).success();
    let third = current(&site, 0);
    super::staged_on(&site, 0, &first, 3);

    let told = site.run(["releases", path(&conf)]).success().stdout;
    let line = |words: &[&str]| {
        let found = told.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line has {words:?}:\n{told}");
    };
    line(&[&site.ip(0), &first, "1.0", "2020-01-03 12:00:00Z"]);
    line(&[&site.ip(0), &second, "2.0", "previous"]);
    line(&[&site.ip(1), &third, "-", "current"]);
    line(&[&third, "kB"]);

    let document = site.run(["releases", path(&conf), "--output", "json"]).success().json();
    assert_eq!((&document["command"], &document["failures"]), (&json!("releases"), &json!([])));
    let hosts = document["data"]["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2);
    let host = &hosts[0];
    assert_eq!(host["host"], site.ip(0));
    assert_eq!((&host["current"], &host["previous"]), (&json!(third), &json!(second)));
    assert!(host["free"].as_u64().is_some_and(|free| free > 0), "{host:#}");
    assert_eq!(host["releases"].as_object().unwrap().len(), 3);
    let seen = &host["releases"][&first];
    assert_eq!((&seen["label"], &seen["staged"]), (&json!("1.0"), &json!(1_578_052_800)));
    let size = host["releases"][&third]["bytes"].as_u64();
    assert!(size.is_some_and(|size| (500_000..1_000_000).contains(&size)), "{host:#}");
    assert_eq!(host["releases"][&third].get("label"), None);
}

#[test]
fn a_host_that_cannot_be_asked_does_not_hide_the_releases_of_the_others() {
    let (site, conf, [_, second]) = two_releases(2);
    site.lab.kill(site.host(0)).unwrap();
    let run = site.run(["releases", path(&conf)]).exits(3).says(&site.ip(0));
    assert!(
        run.stdout.lines().any(|line| line.contains(&second) && line.contains("current")),
        "{}",
        run.stdout
    );
}

#[test]
fn a_host_without_a_release_says_so() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let told = site.run(["releases", path(&conf)]).success().stdout;
    assert!(told.lines().any(|line| line.contains(&site.ip(0)) && line.contains("none")), "{told}");
    site.run(["rollback", path(&conf)]).exits(5).says("that was current before");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

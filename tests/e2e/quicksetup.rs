//! `quicksetup`: everything in order, and on from where things stand.

use crate::support::{Site, path};

#[test]
fn from_bare_hosts_to_a_listed_cloud_and_again_without_a_change() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 2);
    let args = ["quicksetup", path(&conf), "--package", path(&site.package)];
    let run = site.run(args).success();
    assert!(
        run.stdout.contains(" cloud        OK          6       6        0          0 "),
        "{}",
        run.stdout
    );
    assert_eq!(site.members("cloud").len(), 6);

    let (znodes, servers) = (site.znodes("/arcus"), site.servers(0));
    let again = site.run([&args[..], &["--output", "json"]].concat()).success().json();
    let parts = again["parts"].as_array().unwrap();
    let commands: Vec<&str> = parts.iter().map(|part| part["command"].as_str().unwrap()).collect();
    assert_eq!(
        commands,
        ["deploy", "zookeeper init", "memcached register", "memcached start", "memcached list"]
    );
    for part in &parts[..4] {
        assert_eq!(part["plan"]["stages"].as_array().unwrap().len(), 0, "{part}");
    }
    assert_eq!(site.servers(0), servers);
    assert_eq!(site.znodes("/arcus"), znodes);
}

#[test]
fn a_dry_run_changes_nothing_on_hosts_or_in_zookeeper() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 2);
    let args = ["quicksetup", path(&conf), "--package", path(&site.package), "--dry-run"];
    let run = site.run(args).success();
    assert!(run.stdout.contains("Plan: deploy"), "{}", run.stdout);
    assert!(run.stdout.contains("send and unpack release"), "{}", run.stdout);
    site.sh(0, "[ ! -e /opt/arcus ]");
    assert_eq!(site.servers(0), "");

    // With the cloud up there is nothing to plan.
    site.run(args[..4].iter().copied()).success();
    let before = (site.znodes("/arcus"), site.servers(0));
    let run = site.run(args).success();
    assert!(!run.stdout.contains("+  "), "{}", run.stdout);
    assert_eq!((site.znodes("/arcus"), site.servers(0)), before);
}

#[test]
fn a_host_that_is_cut_off_ends_it_before_anything_is_switched() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.settings("[timeouts]\nconnect = \"3s\"\n");
    site.lab.cut(site.host(1)).unwrap();
    let args = ["quicksetup", path(&conf), "--package", path(&site.package)];
    let run = site.run(args).exits(3).says(&format!("{}: cannot connect with ssh", site.ip(1)));
    assert_eq!(run.stderr.matches("error: ").count(), 1, "one cause, told once:\n{}", run.stderr);
    site.sh(0, "[ ! -e /opt/arcus/bin ]");
    assert_eq!(site.servers(0), "");

    site.lab.join(site.host(1)).unwrap();
    let run = site.run(args).success();
    assert!(run.stdout.contains(" OK  "), "{}", run.stdout);
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn with_partial_it_goes_on_without_a_host_and_later_with_what_is_missing() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 2);
    site.settings("[timeouts]\nconnect = \"3s\"\n");
    site.lab.cut(site.host(2)).unwrap();
    let args = ["quicksetup", path(&conf), "--package", path(&site.package)];
    let run = site.run(args.into_iter().chain(["--partial"])).exits(3).says(&site.ip(2));
    assert!(run.stdout.contains("SOME_DOWN"), "{run:?}");
    assert_eq!(
        site.members("cloud").len(),
        4,
        "two of three members are a quorum, and the other hosts' nodes run"
    );
    let before = site.servers(0);

    site.lab.join(site.host(2)).unwrap();
    let run = site.run(args).success();
    assert!(run.stdout.contains(" OK  "), "{}", run.stdout);
    assert_eq!(site.members("cloud").len(), 6);
    assert_eq!(site.servers(0), before, "what ran already was left alone");
    let stat = site.run(["zookeeper", "stat"]).success();
    assert_eq!(stat.stdout.matches("follower").count(), 2, "{}", stat.stdout);
}

#[test]
fn what_cannot_be_started_at_all_ends_it_where_it_stands() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let run = site.run(["quicksetup", path(&conf), "--package", "absent.tar.gz"]).exits(4);
    run.says("absent.tar.gz");
    site.sh(0, "[ ! -e /opt/arcus ]");

    site.lab.kill(site.host(0)).unwrap();
    let run = site.run(["quicksetup", path(&conf), "--package", path(&site.package)]).exits(6);
    run.says(&site.ip(0));
}

//! `status` and `rejoin`: every disagreement made for real, named, and mended.

use serde_json::Value;

use crate::support::{Run, Site, path};

/// The state of a node as its row of the table says it.
#[track_caller]
fn state(run: &Run, node: &str) -> String {
    let row = run.stdout.lines().find(|line| line.split_whitespace().next() == Some(node));
    let row = row.unwrap_or_else(|| panic!("no {node} in:\n{}\n{}", run.stdout, run.stderr));
    // Columns are two blanks apart; within one there is never more than one.
    row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(1).unwrap().to_owned()
}

#[track_caller]
fn assert_state(site: &Site, node: &str, expected: &str, said: &str) {
    let run = site.run(["status", "cloud"]).exits(3);
    assert_eq!(state(&run, node), expected, "{}\n{}", run.stdout, run.stderr);
    run.says(said);
}

fn nodes(run: &Run) -> Vec<Value> {
    let document = run.json();
    document["data"]["status"]["clouds"][0]["nodes"]
        .as_array()
        .unwrap_or_else(|| panic!("{document}"))
        .clone()
}

/// A cloud of two nodes on each of two hosts, with sessions that end soon.
fn cloud() -> (Site, std::path::PathBuf) {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 2);
    site.start_cloud("cloud", &conf);
    (site, conf)
}

fn znode(site: &Site, index: usize, port: u16) -> String {
    format!("/arcus/cache_list/cloud/{}-{}", site.node(index, port), site.host(index).name)
}

#[test]
fn all_four_truths_of_a_well_cloud_stand_in_one_table() {
    let (site, _) = cloud();
    site.talk(1, 11211, "set k 0 0 5\r\nvalue\r\nget k\r\nget k\r\nget none\r\n");
    let run = site.run(["status", "cloud"]).success();
    for (index, port) in [(0, 11211), (0, 11212), (1, 11211), (1, 11212)] {
        assert_eq!(state(&run, &site.node(index, port)), "well", "{}", run.stdout);
    }
    assert!(run.stdout.contains("cloud: 4 of 4 online; ensemble: 1 of 1 serve"), "{}", run.stdout);
    assert!(run.stdout.contains("-m 64 -c 100 -t 2"), "{}", run.stdout);

    let nodes = nodes(&site.run(["status", "cloud", &site.node(1, 11211), "--output", "json"]).success());
    let [node] = nodes.as_slice() else { panic!("one node was asked for: {nodes:?}") };
    assert_eq!(node["options"]["memlimit"], 64, "{node}");
    assert_eq!(node["process"]["pid"].to_string(), site.pid(1, 11211), "{node}");
    let argv = node["process"]["argv"].as_array().unwrap();
    assert!(argv.contains(&"11211".into()) && argv.contains(&"-z".into()), "{node}");
    let owner = format!("{}-{}", site.node(1, 11211), site.host(1).name);
    assert_eq!(node["member"]["znode"], owner, "{node}");
    assert!(node["member"]["seconds"].as_u64().unwrap() < 300, "{node}");
    assert!(node["member"]["session"].is_string(), "{node}");
    let answer = &node["answer"];
    assert_eq!((&answer["ready"], &answer["items"]), (&"ready".into(), &1.into()), "{node}");
    assert!((answer["hitRatio"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{node}");
    assert_eq!(answer["zookeeper"]["follows"], site.ensemble(), "{node}");
    assert_eq!(node["disagreements"], Value::Array(Vec::new()), "{node}");

    // All clouds and the ensemble on one screen.
    let all = site.run(["status"]).success();
    let row = all.stdout.lines().find(|line| line.trim_start().starts_with("cloud  4"));
    let row = row.unwrap_or_else(|| panic!("{}", all.stdout)).trim_end();
    assert!(row.contains("4 of 4 ") && row.ends_with("none"), "{}", all.stdout);
    assert!(all.stdout.contains(&format!("{}  standalone", site.ensemble())), "{}", all.stdout);

    site.run(["status", "other"]).exits(5).says("service code other is not registered");
    site.run(["status", "cloud", "10.9.9.9"]).exits(5).says("no node of cloud is on 10.9.9.9");
}

/// Waits until a node says of itself that it is out.
#[track_caller]
fn await_not_ready(site: &Site, index: usize, port: u16) {
    let asked = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; echo ready >&3; head -n 1 <&3'");
    site.wait_on(index, &format!("{asked} | grep -q ^NOT_READY"));
}

#[test]
fn lost_memberships_are_named_and_rejoin_brings_them_back() {
    let (site, _) = cloud();
    let (first, second, third) = (site.node(0, 11211), site.node(0, 11212), site.node(1, 11211));

    // Its znode is deleted: the node notices, and waits to be told to rejoin.
    site.delete_znodes(&[&znode(&site, 1, 11211)]);
    await_not_ready(&site, 1, 11211);
    assert_state(&site, &third, "paused", &format!("arcusctl rejoin cloud {third}"));
    let plan = site.run(["rejoin", "cloud", "--dry-run"]).success();
    assert!(plan.stdout.contains("have it rejoin cloud"), "{}", plan.stdout);
    assert_eq!(site.members("cloud").len(), 3);
    site.run(["rejoin", "cloud"]).success().says("rejoined, and says READY").says("newer values");
    assert_eq!(site.members("cloud").len(), 4);
    site.run(["status", "cloud"]).success();
    // Twice changes nothing.
    let before = site.members("cloud");
    site.run(["rejoin", "cloud"]).success().says("4 unchanged");
    assert_eq!(site.members("cloud"), before);
    site.run(["rejoin", "cloud", "10.9.9.9:1"]).exits(5).says("10.9.9.9:1 is no node of cloud");

    // Killed: its znode outlives it, and clients still ask it.
    site.kill(0, &site.pid(0, 11212));
    assert_state(&site, &second, "orphan", "until its session expires");
    site.await_members("cloud", 3);
    assert_state(&site, &second, "not-running", &format!("arcusctl memcached start cloud {second}"));
    let run = site.run(["rejoin", "cloud"]).exits(3).says("its process is gone");
    assert!(run.stderr.contains(&format!("arcusctl memcached start cloud {second}")), "{}", run.stderr);
    site.run(["memcached", "start", "cloud"]).success();

    // It hears nothing of ZooKeeper any more, and goes on saying READY.
    let fourth = site.node(1, 11212);
    let ends = site.pid(1, 11211);
    assert_eq!(site.ask(1, 11212, "config zkfailstop off"), "END");
    let zookeeper = site.ip(0);
    let device = site.sh(1, &format!("ip -o route get {zookeeper} | sed 's/.* dev \\([^ ]*\\).*/\\1/'"));
    let nowhere = "lladdr 02:00:00:00:00:99 nud permanent";
    site.sh(1, &format!("ip neigh replace {zookeeper} {nowhere} dev {device}"));
    site.await_members("cloud", 2);
    assert_state(&site, &third, "zombie", "runs and says READY, but it is no member of cloud");
    site.run(["rejoin", "cloud", &third]).exits(5).says(&format!("arcusctl memcached restart cloud {third}"));
    site.sh(1, &format!("ip neigh del {zookeeper} dev {device}"));
    // Now they hear that their sessions have expired: one ends, one was told not to, and waits.
    await_not_ready(&site, 1, 11212);
    site.wait_on(1, &format!("[ ! -e /proc/{ends} ]"));
    let run = site.run(["status", "cloud"]).exits(3);
    assert_eq!(state(&run, &third), "not-running", "{}", run.stdout);
    assert_eq!(state(&run, &fourth), "paused", "{}", run.stdout);
    site.run(["rejoin", "cloud", &fourth]).success().says("rejoined, and says READY");

    // It takes connections and says nothing.
    let pid = site.pid(0, 11211);
    site.sh(0, &format!("kill -STOP {pid}"));
    let run = site.run(["status", "cloud"]).exits(3);
    assert_eq!(state(&run, &first), "hung", "{}", run.stdout);
    assert_eq!(state(&run, &second), "well", "{}", run.stdout);
    run.says(&format!("its process (pid {pid}) runs, but does not answer"));
    site.sh(0, &format!("kill -CONT {pid}"));
}

#[test]
fn what_runs_is_held_against_what_is_registered_and_deployed() {
    let (site, conf) = cloud();
    let (first, second) = (site.node(1, 11211), site.node(1, 11212));

    // The registered document wants other options than the nodes were started with.
    let text = std::fs::read_to_string(&conf).unwrap();
    let bigger = site.file("bigger.json", &text.replace("\"memlimit\": \"64\"", "\"memlimit\": \"128\""));
    site.run(["memcached", "register", path(&bigger)]).success();
    assert_state(&site, &first, "drifted", "runs with -m 64, not 128");
    site.run(["memcached", "register", path(&conf)]).success();
    site.run(["status", "cloud"]).success();

    // It was told of another ensemble than the operator's.
    let more = format!("{},10.77.1.2:2181", site.ensemble());
    assert_eq!(site.ask(1, 11212, &format!("zkensemble set {more}")), "OK");
    assert_state(&site, &second, "other-ensemble", &format!("follows ZooKeeper at {more}"));
    assert_eq!(site.ask(1, 11212, &format!("zkensemble set {}", site.ensemble())), "OK");

    // A member that could not start again.
    let mapping = format!("/arcus/cache_server_mapping/{second}");
    site.delete_znodes(&[&format!("{mapping}/cloud"), &mapping]);
    assert_state(&site, &second, "unregistered", "is a member of cloud, but is not registered");
    site.run(["memcached", "register", path(&conf)]).success();

    // Somebody else's memcached sits on its port.
    site.run(["memcached", "stop", "cloud", &second]).success();
    site.sh(1, "/usr/bin/memcached -u root -p 11212 -d -P /tmp/foreign.pid </dev/null >/dev/null 2>&1");
    site.wait_on(1, "bash -c 'exec 3<>/dev/tcp/127.0.0.1/11212' 2>/dev/null");
    assert_state(&site, &second, "foreign", "/usr/bin/memcached -u root -p 11212 -d -P /tmp/foreign.pid");
    site.run(["rejoin", "cloud", &second]).exits(5).says("not of this install and ensemble");
    site.kill(1, &site.sh(1, "cat /tmp/foreign.pid"));
    site.run(["memcached", "start", "cloud"]).success();

    // A newer release is there, and the nodes still run the one before.
    let package = site.changed_package("newer");
    site.run(["deploy", path(&conf), "--package", path(&package)]).success();
    assert_state(&site, &first, "outdated", "arcusctl memcached restart cloud");
    let document = site.run(["status", "cloud", "--output", "json"]).exits(3).json();
    let node = &document["data"]["status"]["clouds"][0]["nodes"][0];
    assert_eq!(node["disagreements"][0]["kind"], "outdated", "{node}");
    assert_eq!(node["process"]["drifts"][0]["differs"], "release", "{node}");
    assert_eq!(document["failures"].as_array().unwrap().len(), 4, "{document}");
}

#[test]
fn what_cannot_be_reached_hides_nothing_else() {
    let (site, conf) = cloud();
    site.settings("[timeouts]\nconnect = \"2s\"\n");
    site.lab.cut(site.host(1)).unwrap();
    let run = site.run(["status", "cloud"]).exits(3);
    assert_eq!(state(&run, &site.node(0, 11211)), "well", "{}", run.stdout);
    assert!(state(&run, &site.node(1, 11211)).contains("host-unreachable"), "{}", run.stdout);
    let all = site.run(["status"]).exits(3);
    assert!(all.stdout.contains("cloud  "), "{}", all.stdout);
    site.lab.join(site.host(1)).unwrap();

    // Without ZooKeeper nobody knows who is a member; what can be seen is shown all the same.
    site.run(["zookeeper", "stop"]).success();
    let run = site.run(["status", "cloud"]).exits(6).says("cannot reach ZooKeeper").says("--config CONF");
    assert!(run.stderr.contains("arcusctl zookeeper start"), "{}", run.stderr);
    let run = site.run(["status", "cloud", "--config", path(&conf)]).exits(6).says("cannot reach ZooKeeper");
    assert_eq!(state(&run, &site.node(0, 11211)), "well", "{}", run.stdout);
    assert!(run.stdout.contains("? of 4 online; ensemble: 0 of 1 serve"), "{}", run.stdout);
    let document = site.run(["status", "--config", path(&conf), "--output", "json"]).exits(6).json();
    let node = &document["data"]["status"]["clouds"][0]["nodes"][0];
    assert_eq!((&node["registered"], &node["member"]), (&Value::Null, &Value::Null), "{node}");
    assert_eq!(node["answer"]["ready"], "ready", "{node}");
    site.run(["status", "other", "--config", path(&conf)]).exits(4).says("not other");
}

//! `plan` and `apply`: a cloud becomes what its JSON says, and no more is touched than that takes.

mod cutting;
mod keys;
mod scaling;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Site, document, path};

/// The cloud `cloud` of these nodes, as host and port; each host in the lab is one of the admin's `cloud.json`.
fn conf(site: &Site, nodes: &[(usize, u16)]) -> PathBuf {
    conf_with(site, nodes, |_| {})
}

fn conf_with(site: &Site, nodes: &[(usize, u16)], change: impl FnOnce(&mut Value)) -> PathBuf {
    let nodes: Vec<(&str, String, u16)> =
        nodes.iter().map(|(index, port)| (site.host(*index).name.as_str(), site.ip(*index), *port)).collect();
    let mut document = document("cloud", &nodes);
    change(&mut document);
    site.file("cloud.json", &document.to_string())
}

/// Everything that the cloud consists of: its znodes and its processes.
fn everything(site: &Site, hosts: usize) -> (String, Vec<String>) {
    (format!("{:?}", site.znodes("/arcus")), (0..hosts).map(|index| site.servers(index)).collect())
}

#[test]
fn a_new_cloud_is_registered_and_started_and_then_there_is_nothing_to_do() {
    let site = Site::with_ensemble(2);
    let conf = conf(&site, &[(0, 11211), (0, 11212), (1, 11211)]);
    let before = everything(&site, 2);
    let planned = site.run(["plan", path(&conf), "--output", "json"]).success().json();
    assert_eq!((&planned["command"], &planned["dryRun"]), (&json!("apply"), &json!(true)));
    assert_eq!(everything(&site, 2), before, "a plan changes nothing");

    let applied = site.run(["apply", path(&conf), "--output", "json"]).success().json();
    let without_times = |plan: &Value| plan.to_string().replace(char::is_numeric, "");
    assert_eq!(without_times(&applied["plan"]), without_times(&planned["plan"]), "the same object");
    assert_eq!(applied["plan"]["price"]["moves"], json!(0.0));
    assert_eq!(site.members("cloud").len(), 3);

    let before = everything(&site, 2);
    let again = site.run(["apply", path(&conf)]).success();
    let again = again.says("cloud is registered with these 3 node(s)").says("runs already");
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
    let plan = site.run(["plan", path(&conf)]).success();
    assert!(plan.stdout.contains("nothing to do"), "{}", plan.stdout);
    assert_eq!(everything(&site, 2), before);
}

#[test]
fn what_was_deleted_by_hand_is_mended_and_nobody_is_stopped_for_it() {
    let (site, conf) = Site::with_cloud(1);
    let node = site.node(0, 11211);
    let mapping = format!("/arcus/cache_server_mapping/{node}");
    let whole = site.znodes("/arcus").into_keys().collect::<Vec<_>>();
    let servers = site.servers(0);
    site.delete_znodes(&[&format!("{mapping}/cloud"), &mapping, "/arcus/client_list/cloud"]);
    site.run(["apply", path(&conf)]).success().says(&format!("add node {node}"));
    assert_eq!(site.znodes("/arcus").into_keys().collect::<Vec<_>>(), whole);
    assert_eq!(site.servers(0), servers);
    assert_eq!(site.members("cloud").len(), 2);
    site.run(["apply", path(&conf)]).success().says("unchanged");
}

#[test]
fn other_options_restart_just_the_nodes_that_have_them() {
    let site = Site::with_ensemble(1);
    let nodes = [(0, 11211), (0, 11212), (0, 11213)];
    site.run(["apply", path(&conf(&site, &nodes))]).success();
    let pids = || [11211, 11212, 11213].map(|port| site.pid(0, port));
    let before = pids();
    let changed = conf_with(&site, &nodes, |document| {
        document["servers"][1]["config"]["memlimit"] = json!("96");
        // The name is for people; nobody has to be restarted for it.
        document["servers"][2]["hostname"] = json!("renamed");
    });
    let plan = site.run(["plan", path(&changed)]).success().stdout;
    let node = site.node(0, 11212);
    assert!(plan.contains(&format!("{node}: runs with -m 64, not 96")), "{plan}");
    assert!(plan.contains(&format!("1. restart {node}")) && plan.contains("empties"), "{plan}");

    let run = site.command().args(["apply", path(&changed)]).output().unwrap();
    let refused = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(5), "{refused}");
    assert!(refused.contains("1 running cache node(s) of cloud will be restarted"), "{refused}");
    assert_eq!(pids(), before);

    site.run(["apply", path(&changed), "--drain", "1"]).success().says(&format!("{node}  restarted"));
    let after = pids();
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_ne!(after[1], before[1]);
    site.sh(0, &format!("tr '\\0' ' ' </proc/{}/cmdline | grep -E -e '-m ?96 '", after[1]));
    site.run(["apply", path(&changed)]).success().says("unchanged");
}

#[test]
fn a_node_that_cannot_start_stops_the_rest_and_what_is_left_is_told() {
    let site = Site::with_ensemble(2);
    site.run(["apply", path(&conf(&site, &[(0, 11211), (0, 11212)]))]).success();
    // Something that is no memcached has the port of the first of the new nodes.
    site.sh(
        1,
        "setsid perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 11211, Listen => 1, ReuseAddr => 1) or die; open my $f, \">\", \"/tmp/bound\"; sleep 600' </dev/null >/dev/null 2>&1 &",
    );
    site.wait_on(1, "[ -e /tmp/bound ]");
    let wish = conf(&site, &[(0, 11211), (1, 11211), (1, 11212)]);
    let run = site.run(["apply", path(&wish), "--settle", "0", "--drain", "0"]).exits(3);
    let (first, second, leaving) = (site.node(1, 11211), site.node(1, 11212), site.node(0, 11212));
    let run = run.says(&format!("{first}: ended before it joined"));
    for left in [format!("start {second} was not begun"), format!("stop {leaving}")] {
        assert!(run.stderr.contains(&left), "{left}\n{}", run.stderr);
    }
    assert_eq!(site.members("cloud").len(), 2, "nobody was taken away");

    site.sh(1, "pkill -x perl; while pgrep -x perl >/dev/null; do sleep 0.05; done");
    site.run(["apply", path(&wish), "--settle", "0", "--drain", "0"]).success();
    let members = site.members("cloud");
    let names = [site.node(0, 11211), first, second];
    assert!(
        members.len() == 3 && names.iter().all(|name| members.iter().any(|member| member.starts_with(name))),
        "{members:?}"
    );
}

#[test]
fn a_dead_host_is_given_up_once_its_nodes_are_no_members_any_more() {
    let site = Site::with_short_sessions(2);
    site.settings("[zookeeper.properties]\nmaxSessionTimeout = 4000\n[timeouts]\nconnect = \"3s\"\n");
    site.run(["apply", path(&conf(&site, &[(0, 11211), (1, 11211)]))]).success();
    let wish = conf(&site, &[(0, 11211)]);
    let gone = site.node(1, 11211);
    site.lab.kill(site.host(1)).unwrap();
    let early = site.run(["apply", path(&wish)]);
    if early.code != 0 {
        early.says(&format!("{gone} is still a member"));
        site.await_members("cloud", 1);
        site.run(["apply", path(&wish)])
            .success()
            .says(&format!("{gone} is taken out without being stopped"));
    }
    let mappings = site.znodes("/arcus/cache_server_mapping");
    assert!(mappings.keys().all(|path| !path.contains(&gone)), "{mappings:?}");
    site.run(["apply", path(&wish)]).success().says("unchanged");
}

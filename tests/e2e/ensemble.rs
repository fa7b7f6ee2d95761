//! `zookeeper restart`, `add`, `remove`, `status`: the ensemble serves all the while, and no acknowledged write is lost.

mod status;

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Run, Site, path};

const CONF: &str = "/opt/arcus/zookeeper/conf/zoo.cfg";

/// The members on these hosts, `ip:2181,…`.
fn list(site: &Site, hosts: &[usize]) -> String {
    hosts.iter().map(|index| format!("{}:2181", site.ip(*index))).collect::<Vec<_>>().join(",")
}

fn members(site: &Site, hosts: &[usize]) -> Vec<String> {
    list(site, hosts).split(',').map(str::to_owned).collect()
}

fn modes(site: &Site, ensemble: &str) -> Vec<(String, String)> {
    let stat = site.run(["-z", ensemble, "zookeeper", "stat", "--output", "json"]).json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let members = stat["data"]["members"].as_array().unwrap();
    members.iter().map(|member| (text(&member["member"]), text(&member["mode"]))).collect()
}

fn leader(site: &Site, ensemble: &str) -> String {
    modes(site, ensemble).into_iter().find(|(_, mode)| mode == "leader").unwrap().0
}

fn index_of(site: &Site, member: &str) -> usize {
    (0..site.lab.hosts().len()).find(|index| member == format!("{}:2181", site.ip(*index))).unwrap()
}

/// The ensemble that a cache node says it follows. arcus-memcached has blanks in it where the lab's has commas.
fn followed(site: &Site, index: usize, port: u16) -> String {
    site.ask(index, port, "zkensemble get").trim().replace(' ', ",")
}

/// What every member serves as, sorted; all must have the same list in their `zoo.cfg`.
#[track_caller]
fn assert_members(site: &Site, hosts: &[usize]) {
    let mut modes: Vec<String> = modes(site, &list(site, hosts)).into_iter().map(|(_, mode)| mode).collect();
    modes.sort();
    let mut expected = vec!["follower"; hosts.len() - 1];
    expected.push("leader");
    assert_eq!(modes, expected);
    let servers = |index: usize| site.sh(index, &format!("grep ^server {CONF}"));
    let first = servers(hosts[0]);
    assert_eq!(first.lines().count(), hosts.len(), "{first}");
    for index in hosts {
        assert_eq!(servers(*index), first);
    }
}

#[test]
fn a_rolling_restart_has_one_member_out_at_a_time_and_loses_no_acknowledged_write() {
    let site = Site::with_short_sessions(3);
    let leader = leader(&site, &site.ensemble());
    let before = [0, 1, 2].map(|index| site.servers(index));
    let load = site.under_load(&site.ensemble(), &members(&site, &[0, 1, 2]), || {
        site.run(["zookeeper", "restart"]).success().says("in sync with 2 other(s)");
    });
    site.assert_written(&site.ensemble(), &load);
    assert_eq!(load.most_out, 1, "{load:#?}");
    assert_eq!(load.order.len(), 3, "{:?}", load.order);
    assert_eq!(load.order.last(), Some(&leader), "{:?}", load.order);
    assert!(load.longest_pause < Duration::from_secs(10), "{:?}", load.longest_pause);
    for (index, pids) in before.iter().enumerate() {
        assert_ne!(&site.servers(index), pids);
    }
    site.run(["zookeeper", "stat"]).success();
}

#[test]
fn a_member_that_does_not_come_back_stops_the_restart_and_the_others_are_left_alone() {
    let site = Site::with_short_sessions(3);
    let leader = leader(&site, &site.ensemble());
    let followers: Vec<usize> =
        (0..3).filter(|index| leader != format!("{}:2181", site.ip(*index))).collect();
    let (broken, other) = (followers[0], followers[1]);
    site.shadow(broken, "java", "echo this java is broken >&2; exit 1");
    let before = [site.servers(other), site.servers(index_of(&site, &leader))];
    let run = site.run(["zookeeper", "restart", "--rolling"]).exits(1);
    let run = run.says(&format!("{}:2181: could not start ZooKeeper", site.ip(broken)));
    run.says("was not begun");
    assert_eq!([site.servers(other), site.servers(index_of(&site, &leader))], before);

    // Of three, two are left: none of them can be done without.
    let refused = site.run(["zookeeper", "restart"]).exits(5).says("would cost the ensemble its quorum");
    refused.says(&format!("{}:2181 is down", site.ip(broken))).says("arcusctl zookeeper start");
    assert_eq!([site.servers(other), site.servers(index_of(&site, &leader))], before);

    site.sh(broken, "rm /usr/local/bin/java");
    let one = format!("{}:2181", site.ip(broken));
    site.run(["zookeeper", "restart", "--member", &one]).success();
    site.run(["zookeeper", "stat"]).success();
}

#[test]
fn ctrl_c_brings_back_the_member_that_is_out_and_touches_no_other() {
    let site = Site::with_short_sessions(3);
    let followers: Vec<usize> = modes(&site, &site.ensemble())
        .iter()
        .filter(|(_, mode)| mode == "follower")
        .map(|(member, _)| index_of(&site, member))
        .collect();
    let before = [0, 1, 2].map(|index| site.servers(index));
    let restart = site.spawn(["zookeeper", "restart", "--yes"]);
    site.wait_on(followers[0], &format!("! kill -0 {}", before[followers[0]].trim()));
    Run::of(Command::new("kill").args(["-INT", &restart.id().to_string()])).success();
    site.end(restart).exits(130).says("was not begun: interrupted");
    let after = [0, 1, 2].map(|index| site.servers(index));
    let changed: Vec<usize> = (0..3).filter(|index| before[*index] != after[*index]).collect();
    assert_eq!(changed, [followers[0]]);
    site.run(["zookeeper", "stat"]).success();
}

#[test]
fn one_server_alone_is_restarted_only_when_the_interruption_is_asked_for() {
    let site = Site::with_ensemble(1);
    let before = site.servers(0);
    site.run(["zookeeper", "restart"]).exits(5).says("without an interruption").says("--all");
    site.run(["zookeeper", "add", "10.9.9.9:2181"]).exits(6).says("10.9.9.9");
    assert_eq!(site.servers(0), before);
    site.run(["zookeeper", "restart", "--all"]).success();
    assert_ne!(site.servers(0), before);
    site.run(["zookeeper", "restart", "--all", "--rolling"]).exits(2);
}

#[test]
fn three_become_five_and_three_again_under_writes_and_live_cache_nodes_are_told() {
    // Sessions are long enough for a node that hangs to stay a member.
    let site = Site::with_ensemble(5);
    site.start_cloud("cloud", &site.directory().join("cloud.json"));
    let (three, five) = (list(&site, &[0, 1, 2]), list(&site, &[0, 1, 2, 3, 4]));
    let everybody = members(&site, &[0, 1, 2]);
    let (d, e) = (format!("{}:2181", site.ip(3)), format!("{}:2181", site.ip(4)));
    // It will hang, so that it cannot be told.
    let pid = site.pid(4, 11212);
    let load = site.under_load(&three, &everybody, || {
        let added = site.run(["zookeeper", "add", &d, &e]).success();
        assert!(added.stdout.contains(&format!("ARCUSCTL_ZOOKEEPER={five}")), "{}", added.stdout);
        assert_members(&site, &[0, 1, 2, 3, 4]);
        for index in 0..5 {
            assert_eq!(followed(&site, index, 11211), five);
        }
        // Nothing is left to do, whichever list the operator has.
        for ensemble in [&three, &five] {
            let again =
                site.run(["-z", ensemble, "zookeeper", "add", &d, &e, "--output", "json"]).success().json();
            assert!(
                again["parts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|part| { part["plan"]["stages"].as_array().is_none_or(Vec::is_empty) }),
                "{again:#}"
            );
        }

        let removing = site.spawn(["-z", &five, "--yes", "zookeeper", "remove", &e, &d]);
        site.wait_on(0, &format!("[ $(grep -c ^server {CONF}) = 3 ]"));
        site.sh(4, &format!("kill -STOP {pid}"));
        let removed = site.end(removing).exits(3);
        site.sh(4, &format!("kill -CONT {pid}"));
        let removed = removed.says(&format!("{}:11212", site.ip(4))).says("zkensemble set");
        assert!(removed.stdout.contains(&format!("the ensemble is now {three}")), "{}", removed.stdout);
    });
    site.assert_written(&three, &load);
    assert_eq!(load.most_out, 1, "{load:#?}");
    assert_members(&site, &[0, 1, 2]);
    assert_eq!(followed(&site, 0, 11211), three);
    for index in [3, 4] {
        assert_eq!(site.sh(index, "pgrep -x java || true"), "");
        site.sh(
            index,
            &format!(
                "test ! -e {CONF} && test -e {CONF}.removed && test -d /opt/arcus/zookeeper/data/version-2"
            ),
        );
    }
    // Whom nobody could tell is told by running it again, and nobody else.
    let again = site.run(["zookeeper", "remove", &e, &d]).success();
    again.says("tell 1 live cache node(s)");
    assert_eq!(followed(&site, 4, 11212), three);
    site.await_members("cloud", 10);

    // What lies there from before is none of a new member's.
    site.run(["zookeeper", "add", &d]).exits(5).says("keeps znodes of an earlier time").says("version-2.old");
}

#[test]
fn an_add_that_was_killed_half_way_is_finished_by_running_it_again() {
    let site = Site::with_short_sessions(4);
    let d = format!("{}:2181", site.ip(3));
    let three = list(&site, &[0, 1, 2]);
    let load = site.under_load(&three, &members(&site, &[0, 1, 2]), || {
        let mut add = site.command();
        add.args(["--yes", "zookeeper", "add", &d]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut add = add.spawn().unwrap();
        // The first of the old members has the new list by now, and is being restarted.
        let follower = modes(&site, &three).into_iter().find(|(_, mode)| mode == "follower").unwrap().0;
        let index = index_of(&site, &follower);
        site.wait_on(index, &format!("grep -q ^server.4= {CONF}"));
        add.kill().unwrap();
        add.wait().unwrap();
        let lists: Vec<String> =
            (0..3).map(|index| site.sh(index, &format!("grep -c ^server {CONF}"))).collect();
        assert!(lists.contains(&"3".to_owned()) && lists.contains(&"4".to_owned()), "{lists:?}");
        site.run(["zookeeper", "add", &d, "--lock-wait", "30s"]).success();
        assert_members(&site, &[0, 1, 2, 3]);
    });
    site.assert_written(&three, &load);
    assert_eq!(load.most_out, 1, "{load:#?}");
}

#[test]
fn a_leader_is_removed_once_another_member_leads() {
    let site = Site::new(4);
    site.settings("[zookeeper.properties]\nmaxSessionTimeout = 4000\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    let four = list(&site, &[0, 1, 2, 3]);
    site.run(["-z", &four, "zookeeper", "init"]).success();
    let leader = leader(&site, &four);
    let gone = index_of(&site, &leader);
    let left: Vec<usize> = (0..4).filter(|index| *index != gone).collect();
    let dry = site.run(["-z", &four, "zookeeper", "remove", &leader, "--dry-run"]).success();
    assert!(dry.stdout.contains("leads now"), "{}", dry.stdout);
    let load = site.under_load(&list(&site, &left), &members(&site, &left), || {
        site.run(["-z", &four, "zookeeper", "remove", &leader]).success().says("Hand over");
    });
    site.assert_written(&list(&site, &left), &load);
    assert_eq!(load.most_out, 1, "{load:#?}");
    assert_members(&site, &left);
    assert_eq!(site.sh(gone, "pgrep -x java || true"), "");
}

#[test]
fn two_members_become_three_only_with_an_interruption_that_is_asked_for() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    let two = list(&site, &[0, 1]);
    let c = format!("{}:2181", site.ip(2));
    site.run(["-z", &two, "zookeeper", "init"]).success();
    let before = [site.servers(0), site.servers(1)];
    site.run(["-z", &two, "zookeeper", "add", &c]).exits(5).says("without losing the quorum").says("--all");
    assert_eq!([site.servers(0), site.servers(1)], before);
    assert_eq!(site.sh(2, "pgrep -x java || true"), "");
    site.run(["-z", &two, "zookeeper", "add", &c, "--all"]).success();
    assert_members(&site, &[0, 1, 2]);
    assert!(site.znodes("/arcus").contains_key("/arcus/cache_list"));
}

#[test]
fn where_reconfig_is_enabled_zookeeper_changes_its_list_itself_and_nobody_is_restarted() {
    let site = Site::new(4);
    site.settings("[zookeeper.properties]\nreconfigEnabled = true\nskipACL = \"yes\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.run(["zookeeper", "init"]).success();
    for index in 0..3 {
        site.wait_on(index, &format!("grep -q ^dynamicConfigFile= {CONF}"));
    }
    let before = [0, 1, 2].map(|index| site.servers(index));
    let d = format!("{}:2181", site.ip(3));
    site.run(["zookeeper", "add", &d]).success().says("Reconfigure");
    let four = list(&site, &[0, 1, 2, 3]);
    assert_eq!(modes(&site, &four).iter().filter(|(_, mode)| mode == "follower").count(), 3);
    assert_eq!([0, 1, 2].map(|index| site.servers(index)), before);
    for index in 0..4 {
        let dynamic = site.sh(index, &format!("cat $(sed -n s/^dynamicConfigFile=//p {CONF})"));
        assert_eq!(dynamic.lines().filter(|line| line.starts_with("server.")).count(), 4, "{dynamic}");
    }
    // The leader goes as any other does.
    let gone = leader(&site, &four);
    site.run(["-z", &four, "zookeeper", "remove", &gone]).success();
    let left: Vec<usize> = (0..4).filter(|index| *index != index_of(&site, &gone)).collect();
    site.run(["-z", &list(&site, &left), "zookeeper", "stat"]).success();
    // What ZooKeeper wrote it starts from.
    site.run(["-z", &list(&site, &left), "zookeeper", "restart"]).success();
}

#[test]
fn reconfig_that_is_not_allowed_is_told_with_what_to_do_by_hand() {
    let site = Site::new(4);
    site.settings("[zookeeper.properties]\nreconfigEnabled = true\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.run(["zookeeper", "init"]).success();
    for index in 0..3 {
        site.wait_on(index, &format!("grep -q ^dynamicConfigFile= {CONF}"));
    }
    let d = format!("{}:2181", site.ip(3));
    let run = site.run(["zookeeper", "add", &d]).exits(3).says("does not let arcusctl change its servers");
    run.says("super user").says("reconfig -members server.1=");
    site.run(["zookeeper", "stat"]).success();
}

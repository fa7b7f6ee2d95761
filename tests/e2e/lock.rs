//! Two operators at once never interleave, and nobody's death keeps anybody from going on.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Run, Site, await_words, path};

/// A second operator, with a home of their own and the same keys.
fn other_operator(site: &Site) -> Command {
    let state = site.directory().join("state-of-another");
    let mut command = site.command();
    command.env("XDG_STATE_HOME", state);
    command
}

/// The locks that `lock status` shows, each with its state.
fn locks(site: &Site, what: &str) -> Vec<(String, String)> {
    let document = site.run(["lock", "status", what, "--output", "json"]).success().json();
    let locks = document["data"]["locks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = locks.map(|lock| {
        let place = if lock["place"]["host"].is_string() { "host" } else { "cloud" };
        (text(&lock["place"][place]), text(&lock["state"]))
    });
    named.collect()
}

/// Waits until the lock of a host is free, which takes a holder that is not heard of any more 75 s.
#[track_caller]
fn await_free(site: &Site, index: usize, seconds: u64) {
    let free = format!("flock -w {seconds} /opt/arcus/.operation.lock true");
    assert_eq!(site.on(index, &free).code, 0, "still locked after {seconds} s");
}

#[test]
fn a_second_run_is_refused_by_name_or_waits_and_finds_nothing_left_to_do() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let deploy = ["deploy", path(&conf), "--package", path(&site.package)];
    assert_eq!(site.run(["lock", "status", path(&conf)]).exits(3).stdout.matches("  free  ").count(), 2);
    let first = site.deploy_halfway("cloud.json");

    let start = Instant::now();
    let refused = Run::of(other_operator(&site).args(deploy)).exits(5);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let refused = refused.says(&format!("{}: another run is at work there", site.ip(0)));
    let refused =
        refused.says("root@").says(&format!("(pid {}) since ", first.id())).says("deploy cloud.json");
    refused.says("--lock-wait 5m");
    assert!(!site.directory().join("state-of-another").exists(), "a run that was refused is on no record");
    let status = site.run(["lock", "status", path(&conf)]).exits(3).stdout;
    assert_eq!(status.matches("  held  ").count(), 2, "{status}");
    assert!(
        status.contains(&format!("(pid {})", first.id())) && status.contains("deploy cloud.json"),
        "{status}"
    );
    // What only looks is let in.
    site.run(["releases", path(&conf)]).success();
    site.run(["deploy", path(&conf), "--package", path(&site.package), "--dry-run"]).success();

    let mut command = other_operator(&site);
    command.args(deploy).args(["--lock-wait", "2m"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = command.spawn().unwrap();
    let mut rest = await_words(&mut second, "where another run is at work: root@");
    site.release(0);
    site.end(first).success();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut rest, &mut said).unwrap();
    let second = site.end(second);
    assert_eq!(second.code, 0, "{said}");
    assert!(said.contains("looking again") && said.contains("in use"), "{said}");
    assert!(said.contains("deploy: 2 unchanged"), "{said}");
    assert!(!site.directory().join("state-of-another").exists(), "it had nothing to do");
    assert_eq!(site.run(["lock", "status", path(&conf)]).exits(3).stdout.matches("  free  ").count(), 2);
}

#[test]
fn a_wait_for_a_lock_has_an_end_and_can_be_interrupted() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let deploy = ["deploy", path(&conf), "--package", path(&site.package)];
    let first = site.deploy_halfway("cloud.json");
    let start = Instant::now();
    let refused = Run::of(other_operator(&site).args(deploy).args(["--lock-wait", "3s"])).exits(5);
    refused.says("another run is at work there");
    assert!((3..25).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let mut command = other_operator(&site);
    command.args(deploy).args(["--lock-wait", "5m"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = command.spawn().unwrap();
    let _rest = await_words(&mut second, "where another run is at work: root@");
    Run::of(Command::new("kill").args(["-INT", &second.id().to_string()])).success();
    assert_eq!(second.wait().unwrap().code(), Some(130));
    site.release(0);
    site.end(first).success();
}

#[test]
fn a_cloud_belongs_to_one_run_at_a_time_and_others_do_not_mind() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["memcached", "register", path(&conf)]).success();
    let other = site.cloud_on_ports("other", &[12000]);
    site.shadow(
        0,
        "setsid",
        "touch /tmp/held; until [ -e /tmp/go ]; do sleep 0.05; done\nexec /usr/bin/setsid \"$@\"",
    );
    let first = site.spawn(["memcached", "start", "cloud"]);
    site.wait_on(0, "[ -e /tmp/held ]");
    let refused = Run::of(other_operator(&site).args(["memcached", "unregister", "cloud", "--yes"])).exits(5);
    refused.says("service code cloud: another run is at work there").says("memcached start cloud");
    let held = [("cloud".to_owned(), "held".to_owned()), (site.ip(0), "held".to_owned())];
    assert_eq!(locks(&site, "cloud"), held);
    Run::of(other_operator(&site).args(["memcached", "register", path(&other)])).success();

    let mut stop = other_operator(&site);
    stop.args(["memcached", "stop", "cloud", "--yes", "--lock-wait", "2m"]);
    // It has nothing to stop, as it sees it, and so nothing to wait for.
    Run::of(&mut stop).success().says("is not running");
    let wider = site.cloud_on_ports("cloud", &[11211, 11212]);
    let mut register = other_operator(&site);
    register.args(["memcached", "register", path(&wider), "--lock-wait", "2m"]);
    let mut waiting = register.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _rest = await_words(&mut waiting, "waiting for service code cloud");
    site.release(0);
    site.end(first).success();
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
    assert!(
        site.znodes("/arcus").contains_key(&format!("/arcus/cache_server_mapping/{}", site.node(0, 11212)))
    );
    let free = [("cloud".to_owned(), "free".to_owned()), (site.ip(0), "free".to_owned())];
    assert_eq!(locks(&site, "cloud"), free);
    let own = site.znodes("/arcusctl/locks");
    assert!(own.keys().all(|name| !name.ends_with("holder")), "{own:?}");
}

#[test]
fn a_run_that_was_killed_frees_its_locks_at_once_and_the_next_one_goes_on() {
    let (site, _) = Site::with_cloud(1);
    let pid = site.pid(0, 11211);
    // The node stands still, so its stop goes on for as long as it may.
    site.sh(0, &format!("kill -STOP {pid}"));
    let mut stop = site.spawn(["memcached", "stop", "cloud", "--yes", "--timeout", "60"]);
    let newest = || {
        let runs = site.run(["history", "--output", "json"]).success().json();
        runs["data"]["runs"][0]["outcome"].as_str().unwrap().to_owned()
    };
    let start = Instant::now();
    while newest() != "running" {
        assert!(start.elapsed() < Duration::from_secs(30));
    }
    assert!(locks(&site, "cloud").iter().all(|(_, state)| state == "held"));
    stop.kill().unwrap();
    stop.wait().unwrap();
    await_free(&site, 0, 5);
    assert_eq!(newest(), "died", "{}", site.run(["history", "show", "last"]).stdout);
    site.sh(0, &format!("kill -CONT {pid}"));
    // Of what was killed on this machine it is known that only its session has to expire.
    let resumed = site.run(["resume"]).success();
    resumed.says("until ZooKeeper notices that a run on service code cloud was killed");
    assert_eq!(site.members("cloud").len(), 0);
    let runs = site.run(["history", "--output", "json"]).success().json();
    assert_eq!(runs["data"]["runs"][1]["outcome"], "died");
}

#[test]
fn a_frozen_operator_loses_the_lock_and_begins_nothing_more() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_verification(0);
    let first = site.spawn(["deploy", path(&conf), "--package", path(&site.package)]);
    site.wait_on(0, "[ -e /tmp/held ]");
    let signal = |name: &str| {
        Run::of(Command::new("kill").args([name, &first.id().to_string()])).success();
    };
    signal("-STOP");
    await_free(&site, 0, 120);
    signal("-CONT");
    site.release(0);
    // What was under way is finished.
    let run = site.end(first).exits(3).says("staged release");
    run.says("the operation lock was lost").says("somebody else may be at work by now");
    site.sh(0, "test ! -e /opt/arcus/current");
}

#[test]
fn a_host_whose_cable_was_cut_frees_its_lock_by_itself() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let first = site.deploy_halfway(path(&conf));
    site.lab.cut(site.host(0)).unwrap();
    await_free(&site, 0, 120);
    assert_ne!(site.end(first).code, 0);
    site.lab.join(site.host(0)).unwrap();
    site.release(0);
    site.wait_on(0, "flock -n /opt/arcus/releases/.lock true");
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
}

#[test]
fn a_dead_host_keeps_nobody_from_the_others() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.kill(site.host(1)).unwrap();
    let run = site.run(["deploy", path(&conf), "--package", path(&site.package), "--partial"]).exits(3);
    run.says(&format!("{}: cannot connect with ssh", site.ip(1)));
    site.sh(0, "test -x /opt/arcus/bin/memcached");
}

#[test]
fn a_host_that_does_not_give_its_lock_costs_its_own_steps_only() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.settings("[timeouts]\ncommand = \"3s\"\n");
    site.shadow(1, "flock", "exec sleep 600");
    let run = site.run(["deploy", path(&conf), "--package", path(&site.package), "--partial"]).exits(3);
    run.says(&format!("{}: did not say within 3 s who has its lock", site.ip(1)));
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    site.sh(1, "test ! -e /opt/arcus/releases");
}

#[test]
fn where_there_is_no_flock_a_run_goes_on_without() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "rm /usr/bin/flock");
    let run = site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    run.says("goes on without the operation lock").says("there is no flock on the host");
    let status = site.run(["lock", "status", path(&conf)]).exits(3).stdout;
    assert!(status.contains("free") || status.contains("there is no flock"), "{status}");
}

#[test]
fn one_machine_under_two_names_is_locked_once() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.settings(&format!("[zookeeper]\nservers = [\"{}:2181\"]\n", site.host(0).name));
    let mut command = site.command();
    command.env_remove("ARCUSCTL_ZOOKEEPER").args([
        "quicksetup",
        path(&conf),
        "--package",
        path(&site.package),
    ]);
    Run::of(&mut command).success();
}

/// When the steps of a run were begun and ended, the first and the last.
fn span(directory: &std::path::Path) -> (String, String) {
    let journal = fs::read_dir(directory.join("arcusctl/runs")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(journal).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| {
        let times = entries.iter().filter(|entry| entry["record"] == kind);
        times.map(|entry| entry["at"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(entries.last().unwrap()["exitCode"], json!(0), "{text}");
    (of("begin").into_iter().min().unwrap(), of("result").into_iter().max().unwrap())
}

#[test]
fn runs_that_begin_together_go_one_after_the_other() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let packages = ["one", "two", "three"].map(|mark| site.changed_package(mark));
    let states = ["one", "two", "three"].map(|mark| site.directory().join(format!("state-{mark}")));
    let runs: Vec<Child> = packages
        .iter()
        .zip(&states)
        .map(|(package, state)| {
            let mut command = site.command();
            command.env("XDG_STATE_HOME", state).args(["deploy", path(&conf), "--package", path(package)]);
            command.args(["--lock-wait", "2m"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for run in runs {
        site.end(run).success();
    }
    let mut spans: Vec<(String, String)> = states.iter().map(|state| span(state)).collect();
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
    let current = |index| site.sh(index, "readlink /opt/arcus/current");
    assert_eq!((current(0), current(1)), (current(1), current(2)));
}

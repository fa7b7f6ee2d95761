//! `zookeeper init|start|stop|restart|stat`: members are told apart, and what is said of them is so.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Run, Site, path};

const CONF: &str = "/opt/arcus/zookeeper/conf/zoo.cfg";

/// Hosts with the package deployed and nothing else.
fn deployed(hosts: usize) -> Site {
    let site = Site::new(hosts);
    deploy(&site).success();
    site
}

fn deploy(site: &Site) -> Run {
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["deploy", path(&conf), "--package", path(&site.package)])
}

/// `ip:port,…` with several members on one host.
fn members_on(site: &Site, index: usize, ports: &[u16]) -> String {
    let members: Vec<String> = ports.iter().map(|port| format!("{}:{port}", site.ip(index))).collect();
    members.join(",")
}

fn myid(site: &Site, index: usize) -> String {
    site.sh(index, "cat /opt/arcus/zookeeper/data/myid")
}

/// `(member, state or mode)` of `zookeeper stat`.
fn states(document: &Value) -> Vec<(String, String)> {
    let members = document["data"]["members"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    members
        .iter()
        .map(|member| {
            let state = if member["state"] == "serving" { &member["mode"] } else { &member["state"] };
            (text(&member["member"]), text(state))
        })
        .collect()
}

/// A member that others can do without for a moment: one that follows.
fn follower(document: &Value) -> String {
    let found = states(document).into_iter().find(|(_, mode)| mode == "follower");
    found.unwrap_or_else(|| panic!("{document:#}")).0
}

fn state_of(document: &Value, member: &str) -> String {
    states(document).into_iter().find(|(name, _)| name == member).unwrap().1
}

fn facts(document: &Value) -> Vec<String> {
    let holds = document["plan"]["holds"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    holds.iter().map(|hold| hold["fact"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn init_leaves_a_serving_ensemble_and_has_nothing_to_do_again() {
    let site = deployed(3);
    let first = site.run(["zookeeper", "init", "--output", "json"]).success().json();
    assert!(!first["plan"]["stages"].as_array().unwrap().is_empty());
    let stat = site.run(["zookeeper", "stat", "--output", "json"]).success().json();
    let mut modes: Vec<String> = states(&stat).into_iter().map(|(_, mode)| mode).collect();
    modes.sort();
    assert_eq!(modes, ["follower", "follower", "leader"]);
    assert_eq!([0, 1, 2].map(|index| myid(&site, index)), ["1", "2", "3"]);
    let config = site.sh(0, &format!("cat {CONF}"));
    for line in
        ["maxClientCnxns=100", "tickTime=2000", "initLimit=10", "syncLimit=5", "minSessionTimeout=4000"]
    {
        assert!(config.contains(line), "as in arcus.sh's zoo.cfg: {line}\n{config}");
    }
    for line in ["autopurge.purgeInterval=24", "admin.enableServer=false"] {
        assert!(config.contains(line), "unlike arcus.sh's zoo.cfg: {line}\n{config}");
    }
    assert!(config.contains(&format!("server.2={}:2888:3888", site.ip(1))), "{config}");
    let tree = site.znodes("/arcus");
    let tree: Vec<&str> = tree.keys().map(String::as_str).collect();
    assert_eq!(tree, ["/arcus", "/arcus/cache_list", "/arcus/cache_server_mapping", "/arcus/client_list"]);

    let own = "find /opt/arcus/zookeeper/conf /opt/arcus/zookeeper/data/myid -printf '%p %i %T@\\n' | sort";
    let seen = |site: &Site| [0, 1, 2].map(|index| (site.servers(index), site.sh(index, own)));
    let before = seen(&site);
    let again = site.run(["zookeeper", "init", "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert!(facts(&again).contains(&"is configured as server 2".to_owned()), "{again:#}");
    assert!(facts(&again).contains(&"the base znodes below /arcus exist".to_owned()), "{again:#}");
    assert_eq!(seen(&site), before);
}

#[test]
fn a_reordered_list_renumbers_nobody() {
    let site = deployed(1);
    let (list, reordered) =
        (members_on(&site, 0, &[2181, 2182, 2183]), members_on(&site, 0, &[2183, 2181, 2182]));
    site.run(["-z", &list, "zookeeper", "init"]).success();
    let own = "find /opt/arcus/zookeeper/conf /opt/arcus/zookeeper/data/*/myid -printf '%p %i %T@\\n' | sort";
    let before = (site.servers(0), site.sh(0, own));
    let again = site.run(["-z", &reordered, "zookeeper", "init", "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert_eq!((site.servers(0), site.sh(0, own)), before);
    assert_eq!(site.sh(0, "cat /opt/arcus/zookeeper/data/2183/myid"), "3");
}

#[test]
fn a_dry_run_of_init_shows_the_plan_that_is_then_run_and_changes_nothing() {
    let site = deployed(1);
    let before = site.untouched(0, "/opt/arcus");
    let dry = site.run(["zookeeper", "init", "--output", "json", "--dry-run"]).success().json();
    assert_eq!(site.untouched(0, "/opt/arcus"), before);
    assert_eq!(site.servers(0), "");
    let run = site.run(["zookeeper", "init", "--output", "json"]).success().json();
    assert_eq!(run["plan"], dry["plan"]);
}

#[test]
fn several_members_live_on_the_machine_where_the_program_runs() {
    let site = deployed(1);
    let program = Path::new(env!("CARGO_BIN_EXE_arcusctl"));
    site.put(0, program, "/usr/local/bin/arcusctl");
    let ensemble = "127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183";
    let local = |args: &[&str]| {
        let mut command = site.lab.on(site.host(0), "/usr/local/bin/arcusctl");
        Run::of(command.env("ARCUSCTL_ZOOKEEPER", ensemble).arg("--yes").args(args))
    };
    // Served without ssh: root of this host has no key for it.
    let first = local(&["zookeeper", "init"]).success();
    assert!(first.stderr.contains("created /arcus"), "{}", first.stderr);
    for (id, port) in [("1", 2181), ("2", 2182), ("3", 2183)] {
        assert_eq!(site.sh(0, &format!("cat /opt/arcus/zookeeper/data/{port}/myid")), id);
        let config = site.sh(0, &format!("cat /opt/arcus/zookeeper/conf/{port}/zoo.cfg"));
        for line in [format!("clientPort={port}"), format!("dataDir=/opt/arcus/zookeeper/data/{port}")] {
            assert!(config.contains(&line), "{config}");
        }
        assert!(config.contains("server.1=127.0.0.1:2888:3888"), "{config}");
        assert!(config.contains("server.3=127.0.0.1:2890:3890"), "{config}");
    }
    assert_eq!(site.servers(0).lines().count(), 3);
    let again = local(&["zookeeper", "init", "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));

    let one = follower(&local(&["zookeeper", "stat", "--output", "json"]).success().json());
    local(&["zookeeper", "stop", "--member", &one]).success();
    assert_eq!(site.servers(0).lines().count(), 2);
    let stat = local(&["zookeeper", "stat", "--output", "json"]).exits(3).json();
    assert_eq!(state_of(&stat, &one), "down");
    local(&["zookeeper", "start"]).success();
    local(&["zookeeper", "stat"]).success();
    local(&["zookeeper", "stop"]).success();
    assert_eq!(site.servers(0), "");
}

#[test]
fn one_member_is_stopped_started_and_restarted_while_the_others_serve() {
    let site = deployed(1);
    let ensemble = members_on(&site, 0, &[2181, 2182, 2183]);
    let run = |args: &[&str]| {
        site.run(["-z", ensemble.as_str(), "zookeeper"].into_iter().chain(args.iter().copied()))
    };
    run(&["init"]).success();
    let one = follower(&run(&["stat", "--output", "json"]).success().json());
    let pids = || site.servers(0).lines().map(str::to_owned).collect::<Vec<_>>();
    let all = pids();
    assert_eq!(all.len(), 3);

    run(&["stop", "--member", &one]).success();
    let others = pids();
    assert_eq!(others.len(), 2);
    let stat = run(&["stat", "--output", "json"]).exits(3).json();
    assert_eq!(state_of(&stat, &one), "down");
    assert_eq!(stat["failures"].as_array().unwrap().len(), 1);
    let told = run(&["stat"]).exits(3).says(&one);
    assert!(told.stdout.contains("down (connection refused)"), "{}", told.stdout);
    assert!(told.stdout.contains("leader") && told.stdout.contains("follower"), "{}", told.stdout);

    // What is so already is success.
    let again = run(&["stop", "--member", &one, "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert_eq!(facts(&again), ["is not running"]);

    run(&["start", "--member", &one]).success();
    assert!(others.iter().all(|pid| pids().contains(pid)));
    let again = run(&["start", "--member", &one, "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));

    let before = pids();
    run(&["restart", "--member", &one]).success();
    assert!(others.iter().all(|pid| pids().contains(pid)));
    assert_ne!(pids(), before);
    run(&["stat"]).success();

    run(&["stop", "--member", "10.9.9.9:2181"]).exits(5).says("10.9.9.9:2181").says("no member");
}

#[test]
fn all_members_stop_and_start_with_their_data() {
    let site = deployed(1);
    let ensemble = members_on(&site, 0, &[2181, 2182, 2183]);
    let run = |args: &[&str]| {
        site.run(["-z", ensemble.as_str(), "zookeeper"].into_iter().chain(args.iter().copied()))
    };
    run(&["init"]).success();
    run(&["stop"]).success();
    assert_eq!(site.servers(0), "");
    let stat = run(&["stat", "--output", "json"]).exits(6).json();
    assert!(states(&stat).iter().all(|(_, state)| state == "down"), "{stat:#}");
    assert_eq!(stat["failures"].as_array().unwrap().len(), 3);
    run(&["stop"]).success();
    run(&["start"]).success();
    run(&["stat"]).success();
    let init = run(&["init", "--output", "json"]).success().json();
    assert!(facts(&init).contains(&"the base znodes below /arcus exist".to_owned()), "{init:#}");
}

#[test]
fn a_start_that_comes_to_no_quorum_ends_when_its_time_is_up() {
    let site = deployed(1);
    let ensemble = members_on(&site, 0, &[2181, 2182, 2183]);
    let run = |args: &[&str]| {
        site.run(["-z", ensemble.as_str(), "zookeeper"].into_iter().chain(args.iter().copied()))
    };
    run(&["init"]).success();
    run(&["stop"]).success();
    let one = format!("{}:2182", site.ip(0));
    let start = Instant::now();
    let told = run(&["start", "--member", &one, "--timeout", "4"]).exits(3);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    told.says(&format!("{one}: does not serve after 4 s"))
        .says("running, but without a quorum")
        .says("no quorum");
    // It was left running: with the others it serves.
    let first = site.servers(0);
    run(&["start"]).success();
    assert!(site.servers(0).contains(first.trim()), "{first} in {}", site.servers(0));
    run(&["stat"]).success();
}

#[test]
fn two_of_three_are_enough_to_init_and_the_third_follows() {
    let site = Site::new(3);
    site.lab.kill(site.host(2)).unwrap();
    let conf = site.cloud("cloud", 11211, 1);
    let partial = ["deploy", path(&conf), "--package", path(&site.package), "--partial"];
    site.run(partial).exits(3).says(&site.ip(2));
    let run = site.run(["zookeeper", "init", "--output", "json"]).exits(3);
    let document = run.json();
    let failures = document["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{document:#}");
    assert!(failures[0]["message"].as_str().unwrap().contains(&site.ip(2)), "{document:#}");
    let stat = site.run(["zookeeper", "stat", "--output", "json"]).exits(3).json();
    assert_eq!(states(&stat)[2], (format!("{}:2181", site.ip(2)), "unreachable".to_owned()));

    site.lab.boot(site.host(2)).unwrap();
    deploy(&site).success();
    let before = [site.servers(0), site.servers(1)];
    site.run(["zookeeper", "init"]).success();
    site.run(["zookeeper", "stat"]).success();
    assert_eq!(myid(&site, 2), "3");
    assert_eq!([site.servers(0), site.servers(1)], before);
}

#[test]
fn one_of_three_is_too_few_to_init_and_is_left_as_it_was() {
    let site = deployed(3);
    let before = site.untouched(0, "/opt/arcus");
    site.lab.kill(site.host(1)).unwrap();
    site.lab.kill(site.host(2)).unwrap();
    let run = site.run(["zookeeper", "init"]).exits(6);
    let run = run.says(&site.ip(1)).says(&site.ip(2)).says("only 1 of 3 members can be used");
    run.says("nothing was changed");
    assert_eq!(site.untouched(0, "/opt/arcus"), before);
    assert_eq!(site.servers(0), "");
}

#[test]
fn a_port_that_a_foreign_process_holds_is_left_to_it() {
    let site = deployed(1);
    site.sh(0, "memcached -d -u memcached -p 2181 </dev/null >/dev/null 2>&1");
    site.wait_on(0, "bash -c '</dev/tcp/127.0.0.1/2181' 2>/dev/null");
    let foreign = site.servers(0);
    site.run(["zookeeper", "init"]).exits(5).says(&format!("{}:2181: its port is taken", site.ip(0)));
    site.run(["zookeeper", "stop"]).exits(5).says("its port is taken");
    site.run(["zookeeper", "stat"]).exits(6).says(&format!("{}:2181", site.ip(0)));
    assert_eq!(site.servers(0), foreign);
    site.sh(0, &format!("test ! -e {CONF}"));
}

#[test]
fn a_host_without_java_is_told_so_before_anything_is_written() {
    let site = deployed(1);
    site.sh(0, "rm /usr/bin/java");
    site.run(["zookeeper", "init"]).exits(5).says(&site.ip(0)).says("no java").says("install a Java runtime");
    site.sh(0, &format!("test ! -e {CONF}"));

    // A Java that only login shells know of will do.
    site.sh(0, "echo export JAVA_HOME=$(ls -d /usr/lib/jvm/*/bin/java | head -n 1 | xargs dirname | xargs dirname) >/etc/profile.d/java.sh");
    site.run(["zookeeper", "init"]).success();
}

#[test]
fn a_host_without_the_package_is_told_to_deploy_first() {
    let site = Site::new(1);
    site.run(["zookeeper", "init"]).exits(5).says("not installed there").says("arcusctl deploy");
    site.run(["zookeeper", "start"]).exits(5).says("not installed there");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

#[test]
fn a_zoo_cfg_that_zookeeper_rewrote_is_left_alone() {
    let site = deployed(1);
    site.settings("[zookeeper.properties]\nreconfigEnabled = true\n");
    let ensemble = members_on(&site, 0, &[2181, 2182, 2183]);
    site.run(["-z", &ensemble, "zookeeper", "init"]).success();
    for port in [2181, 2182, 2183] {
        site.wait_on(0, &format!("grep -q ^dynamicConfigFile= /opt/arcus/zookeeper/conf/{port}/zoo.cfg"));
    }
    let before = site.sums(0, "/opt/arcus/zookeeper/conf");
    let run = site.run(["-z", &ensemble, "zookeeper", "init", "--output", "json"]).success();
    let document = run.json();
    assert_eq!(document["plan"]["stages"], json!([]));
    let notes = document["plan"]["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 3, "{document:#}");
    assert!(notes[0].as_str().unwrap().contains("left alone"), "{document:#}");
    assert_eq!(site.sums(0, "/opt/arcus/zookeeper/conf"), before);
    // It stops, and starts from the file that it wrote.
    site.run(["-z", &ensemble, "zookeeper", "restart"]).success();
    site.run(["-z", &ensemble, "zookeeper", "stat"]).success();
}

#[test]
fn a_server_that_dies_at_its_start_tells_its_reason() {
    let site = deployed(1);
    // Not an address of the host's.
    site.settings("[zookeeper.properties]\nclientPortAddress = \"10.99.99.99\"\n");
    let start = Instant::now();
    let run = site.run(["zookeeper", "init", "--output", "json"]).exits(3);
    // Long before the time for a quorum is up.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let document = run.json();
    let failures = document["failures"].as_array().unwrap();
    let of_member = |failure: &&Value| failure["message"].as_str().unwrap().contains(&site.ip(0));
    let told: Vec<&Value> = failures.iter().filter(of_member).collect();
    assert_eq!(told.len(), 1, "{failures:#?}");
    assert!(told[0]["message"].as_str().unwrap().starts_with(&format!("{}:2181: ", site.ip(0))), "{told:#?}");
    assert!(told[0]["log"].to_string().contains("Cannot assign requested address"), "{told:#?}");
    assert!(run.stderr.contains("log |"), "{}", run.stderr);
    assert_eq!(site.servers(0), "");

    site.settings("");
    site.run(["zookeeper", "init"]).success();
}

#[test]
fn an_ensemble_of_arcus_sh_is_taken_over_while_it_serves() {
    let site = Site::new(3);
    // arcus.sh was once given the list in another order.
    let servers = [(3, site.ip(0)), (1, site.ip(1)), (2, site.ip(2))];
    for (index, (id, _)) in servers.iter().enumerate() {
        site.install_like_arcus_sh(index, *id, &servers);
    }
    (0..3).for_each(|index| site.await_serving(index));
    site.create_znodes(&[("/arcus", b"0"), ("/arcus/cache_list", b"0"), ("/arcus/cache_list/old", b"0")]);
    let before = [0, 1, 2].map(|index| site.servers(index));

    let run = site.run(["zookeeper", "init", "--output", "json"]).success();
    let document = run.json();
    assert_eq!([0, 1, 2].map(|index| myid(&site, index)), ["3", "1", "2"]);
    assert_eq!([0, 1, 2].map(|index| site.servers(index)), before);
    assert!(document["plan"]["notes"][0].as_str().unwrap().contains("zookeeper restart"), "{document:#}");
    let config = site.sh(0, &format!("cat {CONF}"));
    for (id, ip) in &servers {
        assert!(config.contains(&format!("server.{id}={ip}:2888:3888")), "{config}");
    }
    let tree = site.znodes("/arcus");
    for node in ["/arcus/cache_list/old", "/arcus/client_list", "/arcus/cache_server_mapping"] {
        assert!(tree.contains_key(node), "{node} in {:?}", tree.keys());
    }
    site.run(["zookeeper", "restart"]).success();
    assert!(site.znodes("/arcus").contains_key("/arcus/cache_list/old"));
    let again = site.run(["zookeeper", "init", "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
}

#[test]
fn a_malformed_ensemble_list_names_each_bad_entry() {
    // Refused before anything is contacted: no lab is needed.
    let nowhere = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arcusctl"));
        command.args(args).current_dir(nowhere.path()).env("HOME", nowhere.path());
        command
            .env_remove("ARCUSCTL_SETTINGS")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("ARCUSCTL_ZOOKEEPER");
        command
    };
    let list = "a:2181,b,c:0,d:port,,[::1]:2181,e:2181/arcus,a:2181,-oProxyCommand=x:1";
    let faults = [
        "'b'",
        "'c:0'",
        "'d:port'",
        "entry 5",
        "'[::1]:2181'",
        "'e:2181/arcus'",
        "'a:2181'",
        "'-oProxyCommand=x:1'",
    ];
    let told = Run::of(&mut run(&["-z", list, "zookeeper", "stat"])).exits(4);
    for fault in faults {
        assert!(told.stderr.contains(fault), "{fault} in {}", told.stderr);
    }
    let document =
        Run::of(&mut run(&["--zklist", list, "zookeeper", "init", "--output", "json"])).exits(4).json();
    assert_eq!(document["failures"].as_array().unwrap().len(), faults.len(), "{document:#}");
    assert!(document["failures"].as_array().unwrap().iter().all(|failure| failure["kind"] == "config"));
    Run::of(run(&["zookeeper", "stat"]).env("ARCUSCTL_ZOOKEEPER", "b"))
        .exits(4)
        .says("ARCUSCTL_ZOOKEEPER")
        .says("'b'");
    Run::of(&mut run(&["-z", "", "zookeeper", "stat"])).exits(4).says("empty");
    // A member that cannot be one is a matter of the command line.
    Run::of(&mut run(&["-z", "a:2181", "zookeeper", "stop", "--member", "a"])).exits(2).says("has no port");
}

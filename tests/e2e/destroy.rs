//! `destroy`: a cloud goes with all that only it needs; what others need, and what others put there, stays.

use std::process::Command;

use serde_json::json;

use crate::support::{Run, Site, path};

const BASE: [&str; 4] = ["/arcus", "/arcus/cache_list", "/arcus/cache_server_mapping", "/arcus/client_list"];

/// Two hosts with a running cloud; the ensemble's one member is on the first.
fn running() -> (Site, std::path::PathBuf) {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.start_cloud("cloud", &conf);
    (site, conf)
}

fn notices(run: &Run) -> String {
    run.json()["plan"]["holds"].to_string()
}

#[test]
fn a_cloud_goes_in_full_and_what_others_need_stays() {
    let (site, conf) = running();
    site.sh(1, "echo mine >/opt/arcus/notes.txt");
    let dry = site.run(["destroy", path(&conf), "--dry-run"]).success();
    assert!(dry.stdout.contains("ZooKeeper member") && dry.stdout.contains("notes.txt"), "{}", dry.stdout);
    assert_eq!(site.members("cloud").len(), 2);

    // Its name has to be typed; without a terminal it has to be confirmed.
    let unasked = Run::of(site.command().args(["destroy", path(&conf)])).exits(5);
    unasked.says("cloud cloud will be gone: 2 running cache node(s)");
    assert_eq!(site.at_terminal(["destroy", path(&conf)], "yes\n").code, 130);
    assert_eq!(site.members("cloud").len(), 2);
    let typed = site.at_terminal(["destroy", path(&conf)], "cloud\n");
    assert_eq!(typed.code, 0, "{}", typed.stdout);

    assert_eq!(site.znodes("/arcus").into_keys().collect::<Vec<_>>(), BASE);
    // The member of the first host runs on with its release; the second host has only what is not of arcusctl.
    site.sh(0, "test -x /opt/arcus/bin/memcached && test ! -e /opt/arcus/logs/memcached-11211.log");
    site.await_serving(0);
    assert_eq!(site.sh(1, "ls -A /opt/arcus"), "notes.txt");
    assert_eq!(site.servers(1), "");

    let again = site.run(["destroy", path(&conf), "--output", "json"]).success();
    assert_eq!(again.json()["plan"]["stages"], json!([]));
    assert!(notices(&again).contains("cloud is not registered"), "{}", notices(&again));
    // It can be made anew.
    site.run(["quicksetup", path(&conf), "--package", path(&site.package)]).success();
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn another_cloud_on_the_same_hosts_runs_on_with_its_releases() {
    let (site, conf) = running();
    let other = site.cloud("other", 12000, 1);
    site.start_cloud("other", &other);
    // On the second host a node of nobody's cloud, besides.
    let (members, pid) = (site.members("other"), site.pid(1, 12000));
    let run = site.run(["destroy", path(&conf), "--output", "json"]).success();
    assert!(notices(&run).contains("cloud other has nodes there"), "{}", notices(&run));
    assert_eq!((site.members("other"), site.pid(1, 12000)), (members, pid));
    site.sh(1, "test -x /opt/arcus/current/bin/memcached && test ! -e /opt/arcus/logs/memcached-11211.log");
    site.sh(1, "test -e /opt/arcus/logs/memcached-12000.log");

    // With data it is refused while the other is registered, and names it.
    let refused = site.run(["destroy", path(&conf), "--with-data"]).exits(5);
    refused.says("that of other clouds as well").says("registered are: other");
}

#[test]
fn a_release_that_a_strange_process_executes_is_left_and_named() {
    let (site, conf) = running();
    // Registered nowhere by this name any more once its own cloud is unregistered: started by hand, of the same build.
    let strange = "cd /tmp && setsid /opt/arcus/bin/memcached -u memcached -E /opt/arcus/lib/default_engine.so -p 13000 </dev/null >/dev/null 2>&1 & \
                   until bash -c 'exec 3<>/dev/tcp/127.0.0.1/13000' 2>/dev/null; do sleep 0.05; done";
    site.sh(1, strange);
    let run = site.run(["destroy", path(&conf)]).exits(3);
    run.says("stays, since process").says("kept the releases").says("one that a process executes");
    assert!(!site.servers(1).is_empty());
    site.sh(1, "test -x /opt/arcus/current/bin/memcached");
    let pid = site.servers(1).trim().to_owned();
    site.kill(1, &pid);
    site.run(["destroy", path(&conf)]).success();
    site.sh(1, "test ! -e /opt/arcus");
}

#[test]
fn a_dead_host_is_left_for_the_next_time_and_the_others_go() {
    let (site, conf) = running();
    site.settings("[timeouts]\nconnect = \"3s\"\n[zookeeper.properties]\nmaxSessionTimeout = 4000\n");
    site.lab.kill(site.host(1)).unwrap();
    site.await_members("cloud", 1);
    let run = site.run(["destroy", path(&conf)]).exits(3);
    run.says(&format!("{}: cannot connect with ssh", site.ip(1)));
    // Its node's session has expired, so what is registered could go.
    assert_eq!(site.znodes("/arcus").into_keys().collect::<Vec<_>>(), BASE);
    site.sh(0, "test ! -e /opt/arcus/logs/memcached-11211.log");

    site.lab.boot(site.host(1)).unwrap();
    site.sh(1, "test -d /opt/arcus/releases");
    site.run(["destroy", path(&conf)]).success();
    site.sh(1, "test ! -e /opt/arcus");
}

#[test]
fn killed_half_way_it_is_simply_run_again() {
    let (site, conf) = running();
    // Nodes are stopped and unregistered, and the removal on the second host stands still in the middle.
    site.shadow(
        1,
        "rmdir",
        "if mkdir /tmp/held 2>/dev/null; then echo $PPID >/tmp/held/pid; mv /tmp/held/pid /tmp/held/by; until [ -e /tmp/go ]; do sleep 0.05; done; fi\nexec /usr/bin/rmdir \"$@\"",
    );
    let mut child = site.spawn(["destroy", path(&conf), "--yes"]);
    site.wait_on(1, "[ -e /tmp/held/by ]");
    Run::of(Command::new("kill").arg("-KILL").arg(child.id().to_string())).success();
    child.wait().unwrap();
    let script = site.sh(1, "cat /tmp/held/by");
    site.kill(1, &script);
    site.release(1);
    site.sh(1, "test -d /opt/arcus/releases");
    assert_eq!(site.znodes("/arcus").into_keys().collect::<Vec<_>>(), BASE);

    let history = site.run(["history"]).success();
    assert!(history.stdout.contains("died"), "{}", history.stdout);
    let again = site.run(["destroy", path(&conf), "--output", "json"]).success();
    let stages = again.json()["plan"]["stages"].clone();
    assert_eq!(stages.as_array().unwrap().len(), 1, "{stages:#}");
    assert_eq!(stages[0]["steps"][0]["action"]["do"], "remove-install");
    site.sh(1, "test ! -e /opt/arcus");
}

#[test]
fn with_data_the_ensemble_goes_too_and_a_removal_that_was_cut_short_is_finished() {
    let (site, conf) = running();
    site.sh(0, "echo mine >/opt/arcus/zookeeper/data/notes");
    // The power fails, so to speak, in the middle of the removal of the member's data.
    site.shadow(
        0,
        "sed",
        "case \"$*\" in *dataLogDir*) rm /usr/local/bin/sed; kill -9 $PPID; exit 1 ;; esac\nexec /usr/bin/sed \"$@\"",
    );
    let cut = site.run(["destroy", path(&conf), "--with-data"]).exits(3);
    cut.says("could not remove its ZooKeeper data");
    site.sh(0, "test -e /opt/arcus/zookeeper/data/version-2 && ! pgrep -x java");
    // Nobody serves any more who could say whose data that is; what the first run noted does.
    let run = site.run(["destroy", path(&conf), "--with-data"]).success();
    run.says("left what is not of ZooKeeper: /opt/arcus/zookeeper/data/notes");
    assert_eq!(site.sh(0, "cd /opt/arcus && find . -type f -o -type l"), "./zookeeper/data/notes");
    site.sh(1, "test ! -e /opt/arcus");
    let again = site.run(["destroy", path(&conf), "--with-data", "--output", "json"]).success();
    assert_eq!(again.json()["plan"]["stages"], json!([]));
}

#[test]
fn with_data_an_ensemble_that_does_not_serve_is_not_taken_for_nobodys() {
    let (site, conf) = running();
    site.run(["memcached", "stop", "cloud"]).success();
    site.run(["zookeeper", "stop"]).success();
    let refused = site.run(["destroy", path(&conf), "--with-data"]).exits(6);
    refused.says("nobody can say whether other clouds need its data").says("arcusctl zookeeper start");
    site.sh(0, "test -e /opt/arcus/zookeeper/data/version-2 && test -e /opt/arcus/current");
    site.run(["zookeeper", "start"]).success();
    site.run(["destroy", path(&conf), "--with-data"]).success();
    site.sh(0, "test ! -e /opt/arcus");
}

//! `memcached start`: each node seen to join, each failure told with its reason, no node held back by another's.

use std::process::Stdio;

use crate::support::{Site, document, path};

#[test]
fn nodes_join_detached_under_their_own_user_and_nothing_of_the_program_stays() {
    let site = Site::with_ensemble(1);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 2));
    let members = site.members("cloud");
    for (port, member) in [11211, 11212].into_iter().zip(members) {
        assert!(member.starts_with(&format!("{}-", site.node(0, port))), "{member}");
        let pid = site.pid(0, port);
        // User, parent, session and terminal.
        let process = site.sh(0, &format!("ps -o user=,ppid=,sid=,tty= -p {pid}"));
        assert_eq!(process.split_whitespace().collect::<Vec<_>>(), ["memcach+", "1", &pid, "?"]);
        let streams = site.sh(0, &format!("cd /proc/{pid}/fd && readlink 0 1 2"));
        let log = format!("/opt/arcus/logs/memcached-{port}.log");
        assert_eq!(streams.lines().collect::<Vec<_>>(), ["/dev/null", &log, &log]);
        let line = site.sh(0, &format!("tr '\\0' ' ' </proc/{pid}/cmdline"));
        for part in [
            "/opt/arcus/bin/memcached -E /opt/arcus/lib/default_engine.so ",
            " -X /opt/arcus/lib/ascii_scrub.so ",
            " -u memcached ",
            " -v -r -R5 -U 0 -D: -b 8192 -m64 ",
            &format!(" -p {port} -c 100 -t 2 "),
            &format!(" -z {}", site.ensemble()),
        ] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }
    // Neither a session on the host nor an ssh of the admin's is left.
    site.wait_on(0, "! pgrep -f '^sshd: root'");
    let script = r#"for process in /proc/[0-9]*; do
        [ "$(readlink $process/ns/net)" = "$(readlink /proc/self/ns/net)" ] && cat $process/comm
    done 2>/dev/null; true"#;
    let mut admin = site.lab.admin("sh");
    let left = String::from_utf8(admin.args(["-c", script]).output().unwrap().stdout).unwrap();
    assert!(!left.lines().any(|name| ["ssh", "arcusctl"].contains(&name)), "{left}");
}

#[test]
fn starting_again_starts_nothing_twice() {
    let (site, _) = Site::with_cloud(1);
    let before = site.servers(0);
    let again = site.run(["memcached", "start", "cloud"]).success();
    for port in [11211, 11212] {
        let fact = format!("{}  runs already (pid {})", site.node(0, port), site.pid(0, port));
        assert!(again.stderr.contains(&fact), "{}", again.stderr);
    }
    assert_eq!(site.servers(0), before);
}

#[test]
fn one_selected_node_is_started_and_no_other() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 3))]).success();
    let wanted = site.node(0, 11212);
    let plan = site.run(["memcached", "start", "cloud", &wanted, "--dry-run"]).success();
    assert!(plan.stdout.contains("start cache node 11212\n"), "{}", plan.stdout);
    assert_eq!(site.members("cloud").len(), 0, "a dry run starts nothing");

    site.run(["memcached", "start", "cloud", &wanted]).success().says(&format!("{wanted}  joined"));
    let members = site.members("cloud");
    assert!(members.len() == 1 && members[0].starts_with(&wanted), "{members:?}");

    site.run(["memcached", "start", "cloud", &site.node(0, 1)]).exits(5).says("is no node of cloud");
    site.run(["memcached", "start", "clouds"]).exits(5).says("registered are: cloud");
}

#[test]
fn the_session_of_a_killed_node_is_waited_out() {
    let site = Site::with_short_sessions(1);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 2));
    let (killed, other) = (site.pid(0, 11211), site.pid(0, 11212));
    let old = site.znode(&format!("/arcus/cache_list/cloud/{}-memcached-1", site.node(0, 11211)));
    site.kill(0, &killed);
    let run = site.run(["memcached", "start", "cloud"]).success();
    run.says("left by a process that was killed").says(&format!("{}  joined", site.node(0, 11211)));
    let new = site.znode(&format!("/arcus/cache_list/cloud/{}-memcached-1", site.node(0, 11211)));
    assert_ne!(new.made, old.made, "what is there is the new node's own");
    assert_ne!(site.pid(0, 11211), killed);
    assert_eq!(site.pid(0, 11212), other);
}

#[test]
fn a_port_held_by_a_stranger_fails_its_own_node_only() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 3);
    site.run(["memcached", "register", path(&conf)]).success();
    // One that is found before the start, and one whose name tells nothing until the port is asked for.
    site.sh(0, "cp /usr/bin/memcached /usr/local/bin/squatter && squatter -d -u memcached -p 11211");
    site.sh(0, "/usr/bin/memcached -d -u memcached -p 11212");
    site.wait_on(0, "pgrep -x squatter >/dev/null && pgrep -x memcached >/dev/null");
    let (squatter, stranger) = (site.sh(0, "pgrep -x squatter"), site.sh(0, "pgrep -x memcached"));

    let run = site.run(["memcached", "start", "cloud"]).exits(3);
    let run = run.says(&format!("{}  joined", site.node(0, 11213)));
    let run = run.says(&format!("{}: ended before it joined", site.node(0, 11211)));
    let run = run.says("exit status 71").says(&format!("port 11211 is held by process {squatter}: squatter"));
    run.says(&format!("{}: its port belongs to a memcached", site.node(0, 11212)))
        .says(&format!("pid {stranger}: /usr/bin/memcached"));
    assert_eq!(site.sh(0, "pgrep -x squatter"), squatter);
    site.sh(0, &format!("kill -0 {stranger}"));

    let json = site.run(["memcached", "start", "cloud", "--output", "json"]).exits(3).json();
    assert_eq!(json["failures"].as_array().unwrap().len(), 2);
}

#[test]
fn a_missing_user_is_named() {
    let site = Site::with_ensemble(1);
    site.settings("[memcached]\nuser = \"cacher\"\n");
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 2))]).success();
    let run = site.run(["memcached", "start", "cloud"]).exits(1);
    run.says("cacher").says("exit status 67").says("useradd");
    assert_eq!(site.servers(0).lines().count(), 1, "only ZooKeeper runs");
}

#[test]
fn a_missing_build_is_named() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 2))]).success();
    site.sh(0, "mv /opt/arcus/bin/memcached /tmp/away");
    let run = site.run(["memcached", "start", "cloud"]).exits(1);
    run.says("/opt/arcus/bin/memcached is missing").says(&site.node(0, 11211)).says("arcusctl deploy");

    site.sh(0, "mv /tmp/away /opt/arcus/bin/memcached && rm /opt/arcus/lib/default_engine.so");
    let run = site.run(["memcached", "start", "cloud"]).exits(1);
    run.says("exit status 1").says("default_engine.so");
}

#[test]
fn a_mapping_that_a_node_cannot_use_is_explained() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 2);
    site.run(["memcached", "register", path(&conf)]).success();
    let mapping = format!("/arcus/cache_server_mapping/{}", site.node(0, 11211));
    site.create_znodes(&[(&format!("{mapping}/other"), b"")]);
    let run = site.run(["memcached", "start", "cloud"]).exits(3);
    let run = run.says(&format!("{}: ended before it joined", site.node(0, 11211)));
    run.says("exit status 76").says("mapping").says(&format!("{}  joined", site.node(0, 11212)));

    // Mended, it joins.
    site.delete_znodes(&[&format!("{mapping}/other")]);
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn a_mapping_that_was_removed_by_hand_is_missed_and_registering_restores_it() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 2);
    site.run(["memcached", "register", path(&conf)]).success();
    let (lost, mapping) =
        (site.node(0, 11211), format!("/arcus/cache_server_mapping/{}", site.node(0, 11211)));
    site.delete_znodes(&[&format!("{mapping}/cloud"), &mapping]);
    let words = format!("{lost}: has no mapping");
    site.run(["memcached", "start", "cloud", &lost]).exits(5).says(&words);
    let all = site.run(["memcached", "start", "cloud"]).exits(3);
    all.says(&words).says(&format!("{}  joined", site.node(0, 11212)));

    site.run(["memcached", "register", path(&conf)]).success().says(&format!("add node {lost}"));
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn a_loopback_ensemble_is_never_handed_to_a_remote_node() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    // The ensemble is in reach of the admin under a loopback address, as through a tunnel.
    let mut ssh = site.lab.admin("ssh");
    ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", "2181:127.0.0.1:2181", &site.ip(0)]);
    let mut tunnel = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut wait = site.lab.admin("timeout");
    let open = wait.args([
        "20",
        "bash",
        "-c",
        "until (: </dev/tcp/127.0.0.1/2181) 2>/dev/null; do sleep 0.05; done",
    ]);
    assert!(open.status().unwrap().success());
    let run = site.run(["-z", "127.0.0.1:2181", "memcached", "start", "cloud"]);
    tunnel.kill().unwrap();
    tunnel.wait().unwrap();
    run.exits(5).says("127.0.0.1:2181 cannot be handed to the cache node").says("-z host:port");
    assert_eq!(site.members("cloud").len(), 0);
}

#[test]
fn a_dead_host_keeps_no_other_from_starting() {
    let site = Site::with_ensemble(2);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 2))]).success();
    site.lab.kill(site.host(1)).unwrap();
    let run = site.run(["memcached", "start", "cloud"]).exits(3);
    run.says(&site.ip(1)).says(&format!("{}  joined", site.node(0, 11211)));
    assert_eq!(site.members("cloud").len(), 2);

    site.lab.boot(site.host(1)).unwrap();
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 4);
}

#[test]
fn a_node_that_cannot_reach_zookeeper_is_told_and_may_join_later() {
    let site = Site::with_ensemble(2);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let (lost, other) = (site.node(1, 11211), site.node(0, 11211));
    // What the host sends to ZooKeeper goes to a card that nobody has.
    let neighbour = format!("{} dev $(ip -o route get {0} | sed 's/.* dev \\([^ ]*\\).*/\\1/')", site.ip(0));
    site.sh(1, &format!("ip neigh replace {neighbour} lladdr 02:00:00:00:ff:ff nud permanent"));
    let run = site.run(["memcached", "start", "cloud", "--timeout", "4"]).exits(3);
    let run = run.says(&format!("{lost}: did not join within 4 s"));
    run.says("its route to ZooKeeper").says(&format!("{other}  joined"));

    site.sh(1, &format!("ip neigh del {neighbour}"));
    let running = site.servers(1);
    let run = site.run(["memcached", "start", "cloud"]).success();
    run.says(&lost).says(&format!("{other}  runs already"));
    assert_eq!(site.members("cloud").len(), 2);
    assert_eq!(site.servers(1), running, "the node that was waiting is the one that joined");
}

#[test]
fn a_node_whose_address_is_not_the_one_it_reaches_zookeeper_from_is_explained() {
    let site = Site::with_ensemble(2);
    // A second address of the host: ssh works with it, but the way to ZooKeeper leads out of the first.
    let other = "10.77.9.9";
    site.sh(
        1,
        &format!(
            "ip addr add {other}/16 dev $(ip -o route get {} | sed 's/.* dev \\([^ ]*\\).*/\\1/')",
            site.ip(0)
        ),
    );
    let conf =
        site.file("cloud.json", &document("cloud", &[("memcached-2", other.to_owned(), 11211)]).to_string());
    site.run(["memcached", "register", path(&conf)]).success();
    let run = site.run(["memcached", "start", "cloud", "--accept-new-host-keys"]).exits(1);
    run.says(&format!("{other}:11211: ended before it joined")).says("exit status 76").says("as its ip");
}

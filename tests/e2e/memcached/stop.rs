//! `memcached stop`: the right processes and no others, each seen to end and to leave.

use crate::support::Site;

#[test]
fn what_is_stopped_is_gone_when_the_command_returns() {
    let (site, _) = Site::with_cloud(1);
    let pids = [site.pid(0, 11211), site.pid(0, 11212)];
    let run = site.run(["memcached", "stop", "cloud", "--dry-run"]).success();
    assert!(run.stdout.contains("stop cache nodes 11211, 11212\n"), "{}", run.stdout);
    let plan = site.run(["memcached", "stop", "cloud", "--dry-run", "--output", "json"]).success().json();
    let first = &plan["plan"]["stages"][0]["steps"][0]["action"]["nodes"][0];
    assert_eq!(
        (&first["addr"], first["process"]["pid"].to_string()),
        (&site.node(0, 11211).into(), pids[0].clone())
    );
    assert_eq!(site.members("cloud").len(), 2);

    site.run(["memcached", "stop", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 0);
    site.sh(0, &format!("! kill -0 {} && ! kill -0 {}", pids[0], pids[1]));
    site.sh(0, "[ -z \"$(ls /opt/arcus/run)\" ]");

    let again = site.run(["memcached", "stop", "cloud"]).success();
    again.says(&format!("{}  is not running", site.node(0, 11211)));
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn a_port_that_begins_with_the_same_digits_is_another_nodes() {
    let site = Site::with_ensemble(1);
    site.start_cloud("cloud", &site.cloud_on_ports("cloud", &[1121, 11211]));
    let other = site.pid(0, 11211);
    site.run(["memcached", "stop", "cloud", &site.node(0, 1121)]).success();
    assert_eq!(site.pid(0, 11211), other);
    let members = site.members("cloud");
    assert!(members.len() == 1 && members[0].starts_with(&site.node(0, 11211)), "{members:?}");
}

#[test]
fn a_second_service_code_on_the_same_host_is_not_touched() {
    let (site, _) = Site::with_cloud(1);
    site.start_cloud("other", &site.cloud_on_ports("other", &[12000, 12001]));
    let others = [site.pid(0, 12000), site.pid(0, 12001)];
    site.run(["memcached", "stop", "cloud"]).success();
    assert_eq!([site.pid(0, 12000), site.pid(0, 12001)], others);
    assert_eq!(site.members("other").len(), 2);
    // A node of one cloud cannot be stopped through the other.
    site.run(["memcached", "stop", "cloud", &site.node(0, 12000)]).exits(5).says("is no node of cloud");
    assert_eq!(site.pid(0, 12000), others[0]);
}

#[test]
fn a_foreign_process_is_never_signalled() {
    let (site, _) = Site::with_cloud(1);
    site.run(["memcached", "stop", "cloud"]).success();
    // A memcached of somebody else on one port; the very words of a node's command line in somebody else's.
    site.sh(0, "/usr/bin/memcached -d -u memcached -p 11211");
    site.sh(
        0,
        "setsid sh -c 'sleep 600; :' /opt/arcus/bin/memcached -p 11212 -z x:1 </dev/null >/dev/null 2>&1 &",
    );
    site.wait_on(0, "pgrep -x memcached >/dev/null && pgrep -f 'bin/memcached -p 11212' >/dev/null");
    let strangers = site.sh(0, "pgrep -x memcached; pgrep -f '^sh -c sleep 600'");
    let run = site.run(["memcached", "stop", "cloud", "--force", "--timeout", "2"]);
    assert_ne!(run.code, 1, "nothing was tried that could fail: {}", run.stderr);
    run.says("its port belongs to a memcached that is not of this install")
        .says(&format!("{}  is not running", site.node(0, 11212)));
    assert_eq!(site.sh(0, "pgrep -x memcached; pgrep -f '^sh -c sleep 600'"), strangers);
}

#[test]
fn a_node_that_does_not_end_is_left_until_force_is_asked_for() {
    let site = Site::with_short_sessions(1);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 2));
    let stuck = site.pid(0, 11211);
    site.sh(0, &format!("kill -STOP {stuck}"));
    let run = site.run(["memcached", "stop", "cloud", "--timeout", "3"]).exits(3);
    let run = run.says(&format!("{}: pid {stuck} did not end within 3 s", site.node(0, 11211)));
    run.says("--force").says(&format!("{}  stopped", site.node(0, 11212)));
    site.sh(0, &format!("kill -0 {stuck}"));

    let run = site.run(["memcached", "stop", "cloud", "--timeout", "3", "--force"]).success();
    run.says("killed");
    site.sh(0, &format!("! kill -0 {stuck}"));
    assert_eq!(site.members("cloud").len(), 0);
}

#[test]
fn instances_that_arcus_sh_started_are_stopped_as_well() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", crate::support::path(&site.cloud("cloud", 11211, 2))]).success();
    for port in [11211, 11212] {
        site.start_node_like_arcus_sh(0, port, &site.ensemble());
    }
    assert_eq!(site.members("cloud").len(), 2);
    site.run(["memcached", "stop", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 0);
    site.sh(0, "! pgrep -x memcached");
}

#[test]
fn a_node_that_was_killed_counts_as_stopped() {
    let site = Site::with_short_sessions(1);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 1));
    site.kill(0, &site.pid(0, 11211));
    site.run(["memcached", "stop", "cloud"]).success().says("was not running; its znode is gone");
    assert_eq!(site.members("cloud").len(), 0);
}

#[test]
fn a_host_that_is_cut_off_keeps_no_other_from_stopping() {
    let (site, _) = Site::with_cloud(2);
    site.settings("[timeouts]\nconnect = \"3s\"\n");
    let far = site.servers(1);
    site.lab.cut(site.host(1)).unwrap();
    let run = site.run(["memcached", "stop", "cloud"]).exits(3);
    run.says(&format!("{}: cannot connect with ssh", site.ip(1)))
        .says(&format!("{}  stopped", site.node(0, 11211)))
        .says(&format!("{}  stopped", site.node(0, 11212)));
    assert_eq!(site.servers(1), far);
}

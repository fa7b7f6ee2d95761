//! Failures that explain themselves: the cause by name, what to do, and one block for all who share it.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Run, Site, path};

/// How often words stand in what a run said.
fn count(run: &Run, words: &str) -> usize {
    run.stderr.matches(words).count()
}

#[test]
fn limits_that_are_too_low_are_told_apart_and_once_for_all_nodes_of_one_cause() {
    let site = Site::with_ensemble(2);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 2))]).success();
    // root raises its own limits unless it lost the power to.
    let powerless = "exec setpriv --bounding-set -sys_resource /usr/bin/setsid \"$@\"";
    site.shadow(0, "setsid", &format!("ulimit -c 0\n{powerless}"));
    site.shadow(1, "setsid", &format!("ulimit -n 60\n{powerless}"));
    let run = site.run(["memcached", "start", "cloud"]).exits(1);
    let run = run.says(&format!(
        "{}: ended before it joined\n also: {}\n",
        site.node(0, 11211),
        site.node(0, 11212)
    ));
    let run = run.says("exit status 71: EX_OSERR: core files are forbidden").says("core limit above 0");
    let run = run.says(&format!(
        "{}: ended before it joined\n also: {}\n",
        site.node(1, 11211),
        site.node(1, 11212)
    ));
    let run =
        run.says("exit status 71: EX_OSERR: the open-file limit is too low").says("above connections + 20");
    assert_eq!(count(&run, "error:"), 2, "{}", run.stderr);
    // Programs are given every failure by itself.
    let document = site.run(["memcached", "start", "cloud", "--output", "json"]).exits(1).json();
    assert_eq!(document["failures"].as_array().unwrap().len(), 4, "{document:#}");
}

#[test]
fn a_library_that_is_missing_on_a_host_is_named() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    // The real memcached in place of the stand-in, without the libevent that it is linked with.
    site.sh(0, "cp --remove-destination /usr/bin/memcached $(readlink -f /opt/arcus/bin/memcached) && rm /usr/lib/*/libevent-2*");
    let run = site.run(["memcached", "start", "cloud"]).exits(1);
    run.says("exit status 127: a library").says("error while loading shared libraries: libevent");
}

#[test]
fn dead_hosts_are_one_block_and_the_rest_is_done() {
    let site = Site::with_ensemble(4);
    let conf = site.cloud("cloud", 11211, 1);
    site.run(["memcached", "register", path(&conf)]).success();
    site.settings("[timeouts]\nconnect = \"1s\"\n");
    for index in [1, 2, 3] {
        site.sh(index, "kill $(cat /run/sshd.pid)");
    }
    let run = site.run(["memcached", "start", "cloud"]).exits(3);
    let run = run.says(&format!("{}  joined", site.node(0, 11211)));
    assert_eq!(count(&run, "error:"), 1, "{}", run.stderr);
    let block = format!(
        "cannot connect with ssh\n also: {}, {} (3 in all)\ncause: connect to host",
        site.ip(2),
        site.ip(3)
    );
    run.says(&block).says("Connection refused").says("1 done").says("3 failed");
}

#[test]
fn a_host_that_hangs_keeps_no_other_node_from_starting() {
    let (site, _) = Site::with_cloud(2);
    site.run(["memcached", "stop", "cloud"]).success();
    site.settings("[timeouts]\nconnect = \"1s\"\ncommand = \"3s\"\n");
    site.lab.freeze(site.host(1)).unwrap();
    let start = Instant::now();
    let run = site.run(["memcached", "start", "cloud"]).exits(3);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let run = run
        .says(&format!("{}  joined", site.node(0, 11211)))
        .says(&format!("{}  joined", site.node(0, 11212)));
    run.says(&site.ip(1)).says("timed out").says("see whether it hangs").says("2 done").says("failed");
    site.lab.thaw(site.host(1)).unwrap();
    site.run(["memcached", "start", "cloud"]).success().says("2 done, 2 unchanged");
}

#[test]
fn an_sshd_that_drops_connections_is_told_from_a_dead_one() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "echo MaxStartups 1 >>/etc/ssh/sshd_config && kill -HUP $(cat /run/sshd.pid)");
    let ip = site.host(0).ip;
    // Somebody who logs in and never finishes takes the only place. sshd restarts itself on SIGHUP.
    let mut waiting = Vec::new();
    site.wait_on(0, "[ \"$(ps -o args= -p $(cat /run/sshd.pid) | grep -c '1 of 1-1\\|0 of 1-1')\" = 1 ]");
    waiting.push(site.lab.inside(|| {
        let mut stream = TcpStream::connect((ip, 22))?;
        stream.read_exact(&mut [0; 4])?;
        Ok(stream)
    }));
    let run = site.run(["deploy", path(&conf), "--package", path(&site.package)]).exits(6);
    run.says(&format!("{ip}: cannot connect with ssh")).says("MaxStartups").says("lower --concurrency");
    drop(waiting);
    site.wait_on(0, "ps -o args= -p $(cat /run/sshd.pid) | grep -q '0 of 1-1'");
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
}

#[test]
fn a_member_whose_port_is_taken_says_so() {
    let site = Site::with_ensemble(1);
    site.run(["zookeeper", "stop"]).success();
    let squat = |address: &str| {
        site.sh(0, &format!("squatter -d -u memcached -p 2181 -l {address} -P /tmp/squatter"));
        site.wait_on(0, &format!("bash -c 'exec 3<>/dev/tcp/{address}/2181' 2>/dev/null"));
    };
    site.sh(0, "cp /usr/bin/memcached /usr/local/bin/squatter");
    // Where the member would be asked, the stranger is met before anything is started.
    squat(&site.ip(0));
    let run = site.run(["zookeeper", "start"]).exits(5);
    run.says("its port is taken by a process that this install does not own").says("stop that process");
    // Elsewhere on the host it is the server that finds out.
    site.sh(0, "kill $(cat /tmp/squatter); while pgrep -x squatter >/dev/null; do sleep 0.05; done");
    squat("127.0.0.1");
    let run = site.run(["zookeeper", "start"]);
    run.says("a port of it is taken").says("see who listens there").says("Address already in use");
}

#[test]
fn a_member_whose_myid_is_not_in_its_configuration_says_so() {
    let site = Site::with_ensemble(3);
    site.run(["zookeeper", "stop", "--member", &format!("{}:2181", site.ip(2))]).success();
    site.sh(2, "echo 9 >/opt/arcus/zookeeper/data/myid");
    let run = site.run(["zookeeper", "start"]).exits(3);
    let run = run.says("its myid and its zoo.cfg do not fit each other").says("My id 9 not in the peer list");
    run.says(&format!("error: {}:2181: ", site.ip(2)))
        .says("write the number that zoo.cfg has for this host");
    // What the hint says mends it.
    site.sh(2, "echo 3 >/opt/arcus/zookeeper/data/myid");
    site.run(["zookeeper", "start"]).success().says(&format!("{}:2181  serves as follower", site.ip(2)));
}

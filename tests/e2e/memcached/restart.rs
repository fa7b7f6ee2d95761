//! `memcached restart`: one node after the other, under live load, and no further than the first that does not come back.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use arcusctl::model::NodeAddr;

use crate::support::load::Answer;
use crate::support::{Run, Site, await_words, path};

/// What the sessions of `Site::with_short_sessions` come to, and so the time between two nodes.
const SESSION: Duration = Duration::from_secs(4);

/// Two hosts with two nodes each, and short sessions.
fn four_nodes() -> Site {
    let site = Site::with_short_sessions(2);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 2));
    site
}

fn pids(site: &Site, hosts: usize, ports: std::ops::Range<u16>) -> Vec<String> {
    (0..hosts).flat_map(|host| ports.clone().map(move |port| site.pid(host, port))).collect()
}

fn interrupt(child: &Child) {
    Run::of(Command::new("kill").args(["-INT", &child.id().to_string()])).success();
}

/// Waits for its end and gives all that it said after what was read.
fn end(mut child: Child, mut rest: impl std::io::Read) -> Run {
    let mut stderr = String::new();
    rest.read_to_string(&mut stderr).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    Run { code: child.wait().unwrap().code().unwrap_or(-1), stdout, stderr }
}

#[test]
fn twelve_nodes_restart_under_load_never_two_out_and_no_client_fails_elsewhere() {
    let site = Site::with_short_sessions(4);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 3));
    let before = pids(&site, 4, 11211..11214);
    let (run, seen) =
        site.while_a_client_uses("cloud", || site.run(["memcached", "restart", "cloud", "--drain", "2"]));
    let run = run.success().says("Restart (round 12 of 12)").says("memcached restart: 12 done");
    // There is one more before the first where nodes joined a moment ago.
    assert!(run.stderr.matches("waiting 4 s").count() >= 11, "{}", run.stderr);
    let after = pids(&site, 4, 11211..11214);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");

    let nodes = seen.timeline[0].1.clone();
    assert_eq!((nodes.len(), seen.most_out(&nodes)), (12, 1));
    // Each was out once; the next left no earlier than a session timeout after it was back.
    let mut outages: Vec<(Instant, Instant)> = Vec::new();
    for node in &nodes {
        match seen.outages(*node).as_slice() {
            [(left, Some(back))] => outages.push((*left, *back)),
            other => panic!("{node}: {other:?}"),
        }
    }
    outages.sort_unstable();
    for pair in outages.windows(2) {
        assert!(pair[1].0 - pair[0].1 >= SESSION, "{:?}", pair[1].0 - pair[0].1);
    }

    let longest = outages.iter().map(|(left, back)| *back - *left).max().unwrap();
    println!(
        "{} operations, {} hits, {} misses, {} failed; longest outage {longest:?}",
        seen.operations.len(),
        seen.count(&Answer::Hit),
        seen.count(&Answer::Miss),
        seen.failed().len()
    );
    assert!(seen.operations.len() > 2000, "{}", seen.operations.len());
    assert_eq!(seen.failed_elsewhere(Duration::ZERO).len(), 0, "{:?}", seen.failed());
    // What was lost with each node was missed, and nothing old was ever read.
    assert!(seen.count(&Answer::Hit) > 1000 && seen.count(&Answer::Miss) > 0);
    assert_eq!(seen.count(&Answer::Stale), 0);
}

#[test]
fn a_node_that_does_not_come_back_stops_it_there_and_resume_goes_on_with_the_rest() {
    let site = four_nodes();
    let before = pids(&site, 2, 11211..11213);
    // The second host's program fails from now on.
    site.sh(1, "cd /opt/arcus/current/bin && mv memcached spare && printf '#!/bin/sh\\nexit 71\\n' >memcached && chmod 755 memcached");
    let restart = ["memcached", "restart", "cloud", "--drain", "0", "--settle", "1"];
    let run = site.run(restart).exits(3);
    let run = run.says(&format!("done: {}, {}", site.node(0, 11211), site.node(0, 11212)));
    let run = run.says(&format!("failed: {}", site.node(1, 11211)));
    let run = run.says(&format!("left as they were: {}", site.node(1, 11212)));
    run.says(&format!("arcusctl memcached start cloud {}", site.node(1, 11211)));
    assert_eq!(site.members("cloud").len(), 3);
    assert_eq!(site.pid(1, 11212), before[3]);
    let halfway = [site.pid(0, 11211), site.pid(0, 11212)];
    assert!(halfway[0] != before[0] && halfway[1] != before[1]);

    // Of the others none may go while that one is out, unless that is allowed for.
    let others = format!("!{}", site.node(1, 11211));
    let refused = site.run(["memcached", "restart", "cloud", "--", &others]).exits(5);
    refused.says("2 nodes of cloud would be out at once; 1 may be").says(&site.node(1, 11211));
    assert_eq!(site.pid(1, 11212), before[3]);

    site.sh(1, "cd /opt/arcus/current/bin && mv spare memcached");
    let resumed = site.run(["resume"]).success();
    let resumed = resumed.says("was restarted by that run already").says("Bring back (round 1 of 2)");
    resumed.says("memcached restart: 2 done, 2 unchanged");
    assert_eq!([site.pid(0, 11211), site.pid(0, 11212)], halfway);
    assert_ne!(site.pid(1, 11212), before[3]);
    assert_eq!(site.members("cloud").len(), 4);
}

#[test]
fn a_client_keeps_its_connection_until_the_drained_node_ends() {
    let site = four_nodes();
    let ip = site.host(0).ip;
    let stream = site.lab.inside(|| Ok(TcpStream::connect((ip, 11211))?)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = BufReader::new(stream);
    let mut ask = |line: &str| {
        stream.get_mut().write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        answer
    };
    assert_eq!(ask("set k 0 0 1\r\nv\r\n"), "STORED\r\n");
    let node = site.node(0, 11211);
    let mut child = site.spawn(["memcached", "restart", "cloud", &node, "--drain", "8", "--yes"]);
    let rest = await_words(&mut child, "leaves its cloud, and drains for 8 s");
    site.await_members("cloud", 3);
    // Out of the cloud, it takes nobody new, and serves who was there.
    site.wait_on(0, "! bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211' 2>/dev/null");
    assert_eq!(ask("get k\r\n"), "VALUE k 0 1\r\n");
    end(child, rest).exits(0).says("drained for 8 s and stopped").says("restarted: joined");
    assert_eq!(ask(""), "v\r\n");
    assert_eq!(ask(""), "END\r\n");
    assert_eq!(ask(""), "", "its connection outlived it");
    assert_eq!(site.members("cloud").len(), 4);
}

#[test]
fn an_older_server_is_sent_sigterm_and_its_membership_is_enough() {
    let site = four_nodes();
    // The stand-in, whatever is tested else, started through a shell that takes from it what came with 1.13.5 and 1.14.0.
    let package = arcus_lab::bundle::sample().unwrap();
    let conf = site.cloud("cloud", 11211, 2);
    site.run(["deploy", path(&conf), "--package", path(&package)]).success();
    site.sh(0, "cd /opt/arcus/current && mkdir sbin && mv bin/memcached sbin/ && printf '#!/bin/sh\\nARCUS_LAB_CACHE_NODE_LACKS=ready,shutdown exec /opt/arcus/current/sbin/memcached \"$@\"\\n' >bin/memcached && chmod 755 bin/memcached && mkdir -p libexec");
    let host = site.ip(0);
    site.run(["memcached", "restart", "cloud", &host, "--settle", "0", "--drain", "0"]).success();
    assert_eq!(site.ask(0, 11211, "ready"), "ERROR no matching command");
    let begun = Instant::now();
    let run = site.run(["memcached", "restart", "cloud", &host, "--settle", "0", "--drain", "60"]).success();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    run.says("does not drain (it said: ERROR no matching command); it is sent SIGTERM instead");
    assert_eq!(site.members("cloud").len(), 4);
}

#[test]
fn ctrl_c_leaves_whole_nodes_and_ends_a_wait_at_once() {
    let site = four_nodes();
    let before = pids(&site, 2, 11211..11213);
    let nodes: Vec<String> =
        (0..2).flat_map(|host| [11211, 11212].map(|port| site.node(host, port))).collect();
    // The time that is due to nodes which have just joined.
    let mut child = site.spawn(["memcached", "restart", "cloud", "--yes", "--settle", "600"]);
    let rest = await_words(&mut child, "s: others drop what is no longer theirs");
    interrupt(&child);
    end(child, rest).exits(130).says(&format!("left as they were: {}\n", nodes.join(", ")));
    assert_eq!(pids(&site, 2, 11211..11213), before);

    // While a node drains: it comes back all the same.
    let mut child = site.spawn(["memcached", "restart", "cloud", "--yes", "--settle", "6", "--drain", "2"]);
    let rest = await_words(&mut child, "drains for 2 s");
    interrupt(&child);
    let run = end(child, rest).exits(130).says(&format!("done: {}\n", nodes[0]));
    run.says(&format!("left as they were: {}\n", nodes[1..].join(", ")));
    assert_eq!(site.members("cloud").len(), 4);
    assert_ne!(site.pid(0, 11211), before[0]);
    assert_eq!(pids(&site, 2, 11211..11213)[1..], before[1..]);

    // While it waits between two of them; going on gives the one that came back its time, and leaves it alone.
    for node in &nodes[1..3] {
        let mut child = site.spawn(["resume", "--yes"]);
        let rest = await_words(&mut child, "restarted: joined");
        interrupt(&child);
        let begun = Instant::now();
        let run = end(child, rest).exits(130).says(&format!("done: {node}\n"));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(!run.stderr.contains("waited 6 s"), "{}", run.stderr);
    }
    assert_eq!(pids(&site, 2, 11211..11213)[3], before[3]);
    assert_eq!(site.members("cloud").len(), 4);
}

#[test]
fn killed_in_the_middle_of_a_node_it_brings_that_node_back_when_run_again() {
    let site = four_nodes();
    let restart = ["memcached", "restart", "cloud", "--yes", "--settle", "1", "--drain", "3"];
    let mut child = site.spawn(restart);
    let _rest = await_words(&mut child, "drains for 3 s");
    child.kill().unwrap();
    child.wait().unwrap();
    site.await_members("cloud", 3);
    let before = [site.pid(0, 11212), site.pid(1, 11211), site.pid(1, 11212)];
    // Nobody need know how far it had come: what is out is brought back, whether it drains still or is gone.
    let run = site.run(["memcached", "restart", "cloud", "--settle", "1", "--drain", "0"]).success();
    run.says("Bring back (round 1 of 4)").says("memcached restart: 4 done");
    assert_eq!(site.members("cloud").len(), 4);
    let after = [site.pid(0, 11212), site.pid(1, 11211), site.pid(1, 11212)];
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
}

#[test]
fn a_dead_host_counts_among_those_that_may_be_out() {
    let site = Site::with_short_sessions(4);
    site.start_cloud("cloud", &site.cloud("cloud", 11211, 1));
    site.lab.kill(site.host(3)).unwrap();
    site.await_members("cloud", 3);
    let before = pids(&site, 3, 11211..11212);
    let refused = site.run(["memcached", "restart", "cloud", "--settle", "0"]).exits(5);
    let refused = refused.says("2 nodes of cloud would be out at once; 1 may be");
    refused
        .says(&format!("out already, and staying so: {}", site.node(3, 11211)))
        .says("--max-unavailable 2");
    assert_eq!(pids(&site, 3, 11211..11212), before);

    let restart =
        ["memcached", "restart", "cloud", "--settle", "0", "--drain", "0", "--max-unavailable", "2"];
    let json = site.run(restart.into_iter().chain(["--output", "json"])).exits(3).json();
    assert_eq!(json["plan"]["problems"][0]["target"]["node"], site.node(3, 11211).as_str());
    assert_eq!(json["plan"]["stages"][1]["steps"][0]["action"]["do"], "restart-nodes");
    assert_eq!(json["plan"]["stages"][2]["steps"][0]["action"]["do"], "settle");
    assert_eq!(json["plan"]["stages"][3]["round"], 2);
    assert!(before.iter().zip(pids(&site, 3, 11211..11212)).all(|(before, after)| *before != after));

    // One that goes out on the way is seen before the next goes.
    let mut child = site.spawn([
        "memcached",
        "restart",
        "cloud",
        "--yes",
        "--max-unavailable",
        "2",
        "--settle",
        "8",
        "--drain",
        "0",
    ]);
    let rest = await_words(&mut child, "restarted: joined");
    site.kill(2, &site.pid(2, 11211));
    let stays = site.pid(1, 11211);
    let run = end(child, rest)
        .exits(3)
        .says("cloud has 2 member(s); there must be 3 before the next node goes out");
    run.says(&format!("left as they were: {}, {}", site.node(1, 11211), site.node(2, 11211)));
    assert_eq!(site.pid(1, 11211), stays);
}

#[test]
fn all_at_the_same_time_in_batches_or_not_at_all() {
    let site = four_nodes();
    let before = pids(&site, 2, 11211..11213);
    let dry = site.run(["memcached", "restart", "cloud", "--dry-run"]).success();
    assert!(dry.stdout.contains("in 4 rounds, 4 s between them"), "{}", dry.stdout);
    assert!(
        dry.stdout.contains("restart cache nodes 11211, 11212, drained for 5 s, one by one"),
        "{}",
        dry.stdout
    );
    for cost in ["will restart, 1 at a time, which takes at least ", "is lost (100.0 % of the keys).\n"] {
        assert!(dry.stdout.contains(cost), "{}", dry.stdout);
    }
    site.run(["memcached", "restart", "cloud", "--all", "--batch", "2"]).exits(2);
    site.run(["memcached", "restart", "cloud", "--batch", "2", "--max-unavailable", "1"])
        .exits(5)
        .says("2 nodes of cloud would be out at once; 1 may be");
    Run::of(site.command().args(["memcached", "restart", "cloud"])).exits(5).says("--yes");
    site.run(["memcached", "restart", "nope"]).exits(5).says("service code nope is not registered");
    site.run(["memcached", "restart", "cloud", "@offline"]).exits(5);
    assert_eq!(pids(&site, 2, 11211..11213), before);

    // Two at a time, across hosts; meanwhile another operator is kept out.
    let nodes = [site.node(0, 11211), site.node(1, 11211), site.node(1, 11212)];
    let mut args =
        vec!["memcached", "restart", "cloud", "--yes", "--batch", "2", "--settle", "5", "--drain", "0"];
    args.extend(nodes.iter().map(String::as_str));
    let mut child = site.spawn(args);
    let rest = await_words(&mut child, "restarted: joined");
    let mut other = site.command();
    other.env("XDG_STATE_HOME", site.directory().join("state-of-another"));
    Run::of(other.args(["--yes", "memcached", "restart", "cloud"])).exits(5).says("another run is at work");
    end(child, rest).exits(0).says("memcached restart: 3 done");
    let between = pids(&site, 2, 11211..11213);
    assert_eq!(between[1], before[1]);
    assert!([0, 2, 3].iter().all(|index| between[*index] != before[*index]));

    let run = site.run(["memcached", "restart", "cloud", "--all", "--drain", "0"]).success();
    run.says("4 running cache node(s) of cloud will restart, all at the same time; what they hold is lost (100.0 % of the keys), and nobody serves meanwhile");
    let members: BTreeSet<NodeAddr> =
        site.members("cloud").iter().map(|name| NodeAddr::from_ephemeral_name(name).unwrap()).collect();
    assert_eq!(members.len(), 4);
}

#[test]
fn a_new_release_is_taken_in_use_node_by_node() {
    let site = four_nodes();
    let conf = site.cloud("cloud", 11211, 2);
    let package = site.changed_package("new");
    site.run(["deploy", path(&conf), "--package", path(&package)]).success();
    let restart = ["memcached", "restart", "cloud", "@outdated", "--settle", "0", "--drain", "0"];
    site.run(restart).success().says("memcached restart: 4 done");
    site.run(restart).exits(5).says("no node of cloud runs an older release or other options");
    let release = site.sh(0, "basename $(readlink /opt/arcus/current)");
    for host in 0..2 {
        for port in [11211, 11212] {
            let exe = site.sh(host, &format!("readlink /proc/{}/exe", site.pid(host, port)));
            assert!(exe.contains(&release), "{exe}");
        }
    }
}

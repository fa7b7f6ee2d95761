//! `logs` and `zookeeper logs`: what many wrote in the order of time, and what they write while somebody looks.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{Run, Site, path};

/// Two hosts with a cloud of two nodes each. None runs, so that their logs say what a test wrote and nothing else.
fn site() -> Site {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 2);
    site.run(["memcached", "register", path(&conf)]).success();
    for index in 0..2 {
        for port in [11211, 11212] {
            site.sh(index, &format!("true >/opt/arcus/logs/memcached-{port}.log"));
        }
    }
    site
}

fn write(site: &Site, index: usize, port: u16, lines: &str) {
    site.sh(index, &format!("printf '%b' '{lines}' >>/opt/arcus/logs/memcached-{port}.log"));
}

/// A command that follows, and what it has shown so far.
struct Follower {
    child: Child,
    shown: BufReader<ChildStdout>,
    text: String,
}

impl Follower {
    fn start(site: &Site, args: &[&str]) -> Self {
        let mut child =
            site.command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let shown = BufReader::new(child.stdout.take().unwrap());
        Self { child, shown, text: String::new() }
    }

    /// Reads on until these words are shown.
    #[track_caller]
    fn await_words(&mut self, words: &str) {
        while !self.text.contains(words) {
            let read = self.shown.read_line(&mut self.text).unwrap();
            assert_ne!(read, 0, "it ended without {words:?}:\n{}", self.text);
        }
    }

    /// Ctrl-C, and all it said.
    fn interrupt(mut self) -> Run {
        Run::of(Command::new("kill").arg("-INT").arg(self.child.id().to_string())).success();
        self.shown.read_to_string(&mut self.text).unwrap();
        let output = self.child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: self.text,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn what_many_wrote_comes_by_time_and_can_be_chosen_from() {
    let site = site();
    write(
        &site,
        0,
        11211,
        "2026-01-01 10:00:00,000:1(0x7f):ZOO_INFO@a: first\\n  goes on\\n2026-01-01 10:00:03,000 fourth\\n",
    );
    write(&site, 1, 11212, "2026-01-01 10:00:02,000 third\\n");
    write(&site, 1, 11211, "2026-01-01 10:00:01,000 second \\033]0;title\\007\\n");
    let run = site.run(["logs", "cloud"]).success();
    let expected = [
        (site.node(0, 11211), "2026-01-01 10:00:00,000:1(0x7f):ZOO_INFO@a: first"),
        (site.node(0, 11211), "  goes on"),
        (site.node(1, 11211), "2026-01-01 10:00:01,000 second \\u{1b}]0;title\\u{7}"),
        (site.node(1, 11212), "2026-01-01 10:00:02,000 third"),
        (site.node(0, 11211), "2026-01-01 10:00:03,000 fourth"),
    ];
    let expected: String = expected.iter().map(|(node, line)| format!("{node}  {line}\n")).collect();
    assert_eq!(run.stdout, expected);

    // Some nodes, some lines.
    let some = site.run(["logs", "cloud", &format!("{},!{}", site.ip(1), site.node(1, 11212))]).success();
    assert_eq!(some.stdout.lines().count(), 1, "{}", some.stdout);
    assert_eq!(site.run(["logs", "cloud", "-n", "1"]).success().stdout.lines().count(), 3);
    let grep = site.run(["logs", "cloud", "--grep", "(?i)THIRD|goes on"]).success();
    assert_eq!(grep.stdout.lines().count(), 2, "{}", grep.stdout);
    let since = site.run(["logs", "cloud", "--since", "2026-01-01T10:00:02Z", "--output", "json"]).success();
    let document = since.json();
    let lines = document["data"]["logs"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{document:#}");
    assert_eq!(lines[0]["target"]["node"], site.node(1, 11212));
    assert_eq!(lines[0]["at"], "2026-01-01T10:00:02Z");
    // By the host's own clock, which the line is written with.
    site.sh(0, "date '+%Y-%m-%d %H:%M:%S,000 just now' >>/opt/arcus/logs/memcached-11212.log");
    let ago = site.run(["logs", "cloud", "--since", "10m"]).success();
    assert!(ago.stdout.lines().count() == 1 && ago.stdout.contains("just now"), "{}", ago.stdout);

    site.run(["logs", "cloud", "10.9.9.9"]).exits(5).says("no node of cloud is on 10.9.9.9");
    site.run(["logs", "nope"]).exits(5).says("service code nope is not registered");
    site.run(["logs", "cloud", "--grep", "("]).exits(2);
    site.run(["logs", "cloud", "--since", "yesterday"]).exits(2).says("how long ago");
}

#[test]
fn lines_are_shown_as_they_come_and_ctrl_c_is_a_good_end() {
    let site = site();
    write(&site, 0, 11211, "2026-01-01 10:00:00,000 before\\n");
    let mut follower = Follower::start(&site, &["logs", "cloud", "-f", "--grep", "wanted|before"]);
    follower.await_words("before");
    write(&site, 1, 11212, "not this\\nwanted one\\n");
    follower.await_words(&format!("{}  wanted one\n", site.node(1, 11212)));
    // A log that is moved away and begun anew is followed on.
    site.sh(0, "cd /opt/arcus/logs && mv memcached-11211.log memcached-11211.log.1 && echo wanted two >memcached-11211.log");
    follower.await_words(&format!("{}  wanted two\n", site.node(0, 11211)));
    let run = follower.interrupt().success();
    assert!(!run.stdout.contains("not this"), "{}", run.stdout);
    assert!(!run.stderr.contains("resume"), "{}", run.stderr);
    // Nothing of it runs on.
    for index in 0..2 {
        site.wait_on(index, "! pgrep -x tail >/dev/null");
    }

    let mut follower = Follower::start(&site, &["logs", "cloud", "-f", "-n", "1", "--output", "json"]);
    follower.await_words("wanted two");
    write(&site, 1, 11211, "later\\n");
    follower.await_words("later");
    let run = follower.interrupt().success();
    let values: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, lines) = values.split_last().unwrap();
    assert_eq!((end["command"].as_str(), end["exitCode"].as_u64()), (Some("logs"), Some(0)));
    assert_eq!(lines.last().unwrap()["line"], "later");
    assert_eq!(lines.last().unwrap()["target"]["node"], site.node(1, 11211));
}

#[test]
fn a_follower_that_was_killed_leaves_nothing_behind() {
    let site = site();
    write(&site, 0, 11211, "one\\n");
    let mut follower = Follower::start(&site, &["logs", "cloud", "-f"]);
    follower.await_words("one");
    site.wait_on(0, "pgrep -x tail >/dev/null");
    Run::of(Command::new("kill").arg("-KILL").arg(follower.child.id().to_string())).success();
    follower.child.wait().unwrap();
    site.wait_on(0, "! pgrep -x tail >/dev/null");
}

#[test]
fn a_dead_host_is_told_and_the_others_go_on() {
    let site = site();
    write(&site, 0, 11211, "one\\n");
    let mut follower = Follower::start(&site, &["logs", "cloud", "-f"]);
    follower.await_words("one");
    site.wait_on(1, "pgrep -x tail >/dev/null");
    site.lab.kill(site.host(1)).unwrap();
    let mut warned = String::new();
    let mut stderr = BufReader::new(follower.child.stderr.take().unwrap());
    while !warned.contains("no longer followed") {
        assert_ne!(stderr.read_line(&mut warned).unwrap(), 0, "{warned}");
    }
    write(&site, 0, 11211, "two\\n");
    follower.await_words("two");
    follower.interrupt().exits(3);

    let run = site.run(["logs", "cloud"]).exits(3);
    assert!(run.stdout.contains("two"), "{}", run.stdout);
    run.says(&format!("{}: cannot connect with ssh", site.ip(1)));
}

#[test]
fn members_have_logs_too() {
    let site = Site::with_short_sessions(1);
    let run = site.run(["zookeeper", "logs", "-n", "100000", "--grep", "INFO", "--output", "json"]).success();
    let document = run.json();
    let lines = document["data"]["logs"].as_array().unwrap();
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(line["target"]["member"], format!("{}:2181", site.ip(0)));
        assert!(line["at"].is_string(), "{line}");
    }
}

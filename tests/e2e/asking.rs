//! Before anything changes, the plan is shown, and what it costs others is asked about in proportion.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::support::{Run, Site, path};

/// The program at a terminal of its own, where keys are struck when it has come to a question.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    fn start(site: &Site, args: &[&str]) -> Self {
        let command = [&[env!("CARGO_BIN_EXE_arcusctl")], args].concat().join(" ");
        let mut script = site.lab.admin("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        script.env("ARCUSCTL_ZOOKEEPER", site.ensemble()).env("TERM", "xterm").env("NO_COLOR", "1");
        script.current_dir(site.directory()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, shown: String::new() }
    }

    #[track_caller]
    fn await_words(&mut self, words: &str) {
        let mut read = [0; 1024];
        while !self.shown.contains(words) {
            let count = self.screen.read(&mut read).unwrap();
            assert_ne!(count, 0, "it ended without {words:?}:\n{}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&read[..count]));
        }
    }

    /// Strikes keys and waits for the end.
    fn strike(mut self, keys: &str) -> Run {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Run { code, stdout: self.shown.replace('\r', ""), stderr: String::new() }
    }
}

#[track_caller]
fn shows(run: &Run, words: &str) {
    assert!(run.stdout.contains(words), "{words:?} is not in:\n{}", run.stdout);
}

#[test]
fn stopping_running_nodes_needs_a_yes() {
    let (site, _) = Site::with_cloud(1);
    let stop = ["memcached", "stop", "cloud"];
    // No, in all its forms: nothing, the end of the input, another word.
    for keys in ["n\n", "\n", "\u{4}", "cloud\n"] {
        let mut terminal = Terminal::start(&site, &stop);
        terminal.await_words("Go on? [y/N]");
        let run = terminal.strike(keys).exits(130);
        shows(&run, "stop cache nodes 11211, 11212");
        shows(&run, "2 running cache node(s) of cloud will stop");
        shows(&run, "nothing was changed");
        assert_eq!(site.members("cloud").len(), 2, "after {keys:?}");
    }
    // What is asked is shown, however quiet the rest is.
    let mut terminal = Terminal::start(&site, &["-q", "memcached", "stop", "cloud"]);
    terminal.await_words("Go on? [y/N]");
    let run = terminal.strike("Yes\n").success();
    shows(&run, "Plan: memcached stop");
    assert_eq!(site.members("cloud").len(), 0);
    // There is nothing to ask about what is so already, or about what stops nobody.
    let again = Terminal::start(&site, &stop).strike("").success();
    assert!(!again.stdout.contains("[y/N]"), "{}", again.stdout);
    let start = Terminal::start(&site, &["memcached", "start", "cloud"]).strike("").success();
    assert!(!start.stdout.contains("[y/N]"), "{}", start.stdout);
    shows(&start, "1. Start: start cache nodes 11211, 11212");
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn ctrl_c_at_the_question_changes_nothing() {
    let (site, _) = Site::with_cloud(1);
    let mut terminal = Terminal::start(&site, &["memcached", "stop", "cloud"]);
    terminal.await_words("Go on? [y/N]");
    let run = terminal.strike("\u{3}").exits(130);
    shows(&run, "nothing was changed");
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn destroying_needs_the_name_to_be_typed() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let unregister = ["memcached", "unregister", "cloud"];
    for keys in ["y\n", "\n", "\u{4}", "clou\n"] {
        let mut terminal = Terminal::start(&site, &unregister);
        terminal.await_words("to go on:");
        shows(&terminal.strike(keys).exits(130), "nothing was changed");
    }
    assert!(site.znodes("/arcus").contains_key("/arcus/cache_list/cloud"));
    let mut terminal = Terminal::start(&site, &unregister);
    terminal.await_words("to go on:");
    terminal.strike("cloud\n").success();
    assert!(!site.znodes("/arcus").contains_key("/arcus/cache_list/cloud"));
}

#[test]
fn without_a_terminal_it_is_refused_unless_confirmed_beforehand() {
    let (site, _) = Site::with_cloud(1);
    let ensemble = site.servers(0);
    let cases = [
        (&["memcached", "stop", "cloud"][..], "2 running cache node(s) of cloud will stop"),
        (&["zookeeper", "stop"], "the ensemble will have no quorum"),
        (&["zookeeper", "restart", "--all"], "1 running ZooKeeper member(s) will stop"),
    ];
    for (args, costs) in cases {
        let refused = Run::of(site.command().args(args)).exits(5);
        refused.says("no terminal to ask at").says(costs).says("add --yes").says("Plan: ");
        let document = Run::of(site.command().args(args).args(["--output", "json"])).exits(5).json();
        assert_eq!(document["failures"][0]["kind"], "refused");
    }
    assert_eq!(site.servers(0), ensemble);
    assert_eq!(site.members("cloud").len(), 2);
    Run::of(site.command().args(["-y", "memcached", "stop", "cloud"])).success();
    let refused = Run::of(site.command().args(["memcached", "unregister", "cloud"])).exits(5);
    refused.says("service code cloud will be gone").says("add --yes");
    assert!(site.znodes("/arcus").contains_key("/arcus/cache_list/cloud"));
    Run::of(site.command().args(["memcached", "unregister", "cloud", "--yes"])).success();
}

#[test]
fn a_live_cloud_may_grow_unasked_but_not_change() {
    let (site, _) = Site::with_cloud(1);
    let register = |ports: &[u16]| {
        let conf = site.cloud_on_ports("cloud", ports);
        Run::of(site.command().args(["memcached", "register", path(&conf)]))
    };
    register(&[11211, 11212, 11213]).success();
    register(&[11211, 11212]).exits(5).says("no terminal to ask at").says("2 live cache node(s)");
}

#[test]
fn the_plan_that_is_shown_is_the_one_a_dry_run_prints() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let deploy = ["deploy", path(&conf), "--package", path(&site.package)];
    let dry = Run::of(site.command().args(deploy).arg("--dry-run")).success();
    let hosts = format!("{}, {}, {}", site.ip(0), site.ip(1), site.ip(2));
    assert!(
        dry.stdout.contains(&format!("Plan: deploy\n  {hosts}\n    1. Stage: send and unpack")),
        "{}",
        dry.stdout
    );
    let document =
        Run::of(site.command().args(deploy).args(["--dry-run", "--output", "json"])).success().json();
    assert_eq!(document["plan"]["risk"]["level"], "harmless");
    // Nothing of it is worth a question.
    let run = Run::of(site.command().args(deploy)).success().says(dry.stdout.trim_end());
    let shown = run.stderr.find("Plan: deploy").unwrap();
    assert!(shown < run.stderr.find("Stage (3)").unwrap(), "{}", run.stderr);
    let again = Run::of(site.command().args(deploy)).success();
    assert!(!again.stderr.contains("Plan:"), "there is nothing to plan: {}", again.stderr);

    let stop = Run::of(site.command().args(["zookeeper", "init", "--dry-run", "--output", "json"])).success();
    assert_eq!(stop.json()["plan"]["risk"], serde_json::json!({"level": "harmless"}));
    assert_ne!(stop.json()["plan"]["stages"], Value::Array(Vec::new()));
}

//! Ctrl-C, and worse: what was done is told, nothing is left behind, and the next run goes on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Run, Site, path};

/// A deploy under way, whose temporary files (the control sockets of ssh among them) lie where they can be found.
struct Deploy {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    temporary: PathBuf,
}

impl Deploy {
    fn start(site: &Site, args: &[&str]) -> Self {
        let temporary = site.directory().join("t");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = site.command();
        command.env("TMPDIR", &temporary).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new(), temporary }
    }

    fn signal(&self, signal: &str) {
        Run::of(Command::new("kill").arg(signal).arg(self.child.id().to_string())).success();
    }

    /// Reads on until it says these words.
    #[track_caller]
    fn await_words(&mut self, words: &str) {
        while !self.said.contains(words) {
            let read = self.stderr.read_line(&mut self.said).unwrap();
            assert_ne!(read, 0, "it ended without {words:?}:\n{}", self.said);
        }
    }

    /// Waits for its end; asserts that no ssh master and no file of its own outlives it.
    #[track_caller]
    fn end(mut self) -> Run {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let run = Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: self.said,
        };
        let left: Vec<_> =
            std::fs::read_dir(&self.temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?} left behind; stderr:\n{}", run.stderr);
        let masters = commands_that_name(&self.temporary);
        assert!(masters.is_empty(), "{masters:?} left behind; stderr:\n{}", run.stderr);
        run
    }
}

/// Command lines of this machine's processes that name a path.
fn commands_that_name(path: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let texts = commands.map(|command| String::from_utf8_lossy(&command).replace('\0', " "));
    texts.filter(|text| text.contains(path.to_str().unwrap())).collect()
}

#[test]
fn one_ctrl_c_finishes_what_is_under_way_and_begins_nothing_new() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_verification(0);
    let mut deploy = Deploy::start(&site, &["deploy", path(&conf), "--package", path(&site.package)]);
    site.wait_on(0, "[ -e /tmp/held ]");
    assert!(
        !commands_that_name(&deploy.temporary).is_empty(),
        "the ssh master is looked for in the wrong place"
    );
    deploy.signal("-INT");
    // It has to hear of it before what it waits for ends.
    deploy.await_words("nothing new is begun");
    site.release(0);
    let run = deploy.end().exits(130);
    let run = run
        .says("staged release")
        .says("was not begun: interrupted")
        .says("interrupted: 1 done, 1 not begun");
    assert_eq!(run.stdout, "");
    site.sh(0, "test ! -e /opt/arcus/current");

    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success().says("already");
    site.sh(0, "test -x /opt/arcus/bin/memcached");
}

#[test]
fn a_second_ctrl_c_aborts_at_once_and_says_what_was_cut_short() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_verification(0);
    let args = ["deploy", path(&conf), "--package", path(&site.package), "--output", "json"];
    let mut deploy = Deploy::start(&site, &args);
    site.wait_on(0, "[ -e /tmp/held ]");
    site.wait_on(1, "ls -d /opt/arcus/releases/[!.]* >/dev/null 2>&1");
    deploy.signal("-INT");
    deploy.await_words("nothing new is begun");
    let start = Instant::now();
    deploy.signal("-INT");
    let run = deploy.end().exits(130);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let document = run.json();
    assert_eq!(document["interrupted"], true);
    let outcome = |ip: &str, outcome: &str| {
        let results = document["results"].as_array().unwrap();
        results.iter().filter(|result| result["target"]["host"] == ip && result["outcome"] == outcome).count()
    };
    assert_eq!((outcome(&site.ip(0), "failed"), outcome(&site.ip(0), "skipped")), (1, 1), "{document:#}");
    assert_eq!((outcome(&site.ip(1), "done"), outcome(&site.ip(1), "skipped")), (1, 1), "{document:#}");
    run.says("was cut short").says("run the command again");

    site.release(0);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    site.sh(1, "test -x /opt/arcus/bin/memcached");
}

#[test]
fn ctrl_c_while_looking_changes_nothing() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.freeze(site.host(1)).unwrap();
    let deploy = Deploy::start(&site, &["deploy", path(&conf), "--package", path(&site.package)]);
    // The first host has been logged in to; the second keeps it waiting.
    site.wait_on(0, "pgrep -f '^sshd.*root' >/dev/null");
    deploy.signal("-TERM");
    let start = Instant::now();
    deploy.end().exits(130).says("nothing was changed");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

#[test]
fn a_program_that_was_killed_in_the_middle_of_an_upload_is_simply_run_again() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_upload(0);
    let mut deploy = Deploy::start(&site, &["deploy", path(&conf), "--package", path(&site.package)]);
    site.wait_on(0, "[ -e /tmp/halfway ]");
    deploy.signal("-KILL");
    deploy.child.wait().unwrap();
    site.release(0);
    site.wait_on(0, "! pgrep -x cat >/dev/null");
    site.sh(0, "test ! -e /opt/arcus/current");

    // What has arrived is not sent again.
    let run =
        site.run(["deploy", path(&conf), "--package", path(&site.package), "--output", "json"]).success();
    let stage = run.json()["plan"]["stages"][0]["steps"][0]["action"].clone();
    assert_eq!(stage["do"], "stage-release", "{stage}");
    assert!(stage["partial"].as_u64().unwrap() >= 1_000_000, "{stage}");
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    let left = site.sh(0, "ls -A /opt/arcus/releases | grep '^\\.'");
    assert_eq!(left, ".lock");
    let again =
        site.run(["deploy", path(&conf), "--package", path(&site.package), "--output", "json"]).success();
    assert_eq!(again.json()["plan"]["stages"], json!([]));
}

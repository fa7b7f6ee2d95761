//! `init`: two files to begin with, by questions or options; none of anybody's is overwritten.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Run, Site, path};

/// The program in a directory, without a terminal.
fn init(directory: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arcusctl"));
    command.current_dir(directory).env("HOME", directory).stdin(Stdio::null());
    Run::of(command.arg("init").args(args))
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn cloud(directory: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join("cloud.json")).unwrap()).unwrap()
}

/// Somebody at a terminal, who reads before typing.
struct Terminal {
    child: Child,
    seen: String,
    /// So far it has been looked through.
    read: usize,
}

impl Terminal {
    /// Runs `init` there, and then tells its exit code and how the terminal was left.
    fn start(directory: &Path, args: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_arcusctl");
        let script = format!("{program} init {args}; echo \"code=$?\"; stty -a; echo over");
        // A question that nobody answers must not keep the tests.
        let mut command = Command::new("timeout");
        command.args([
            "--foreground",
            "60",
            "script",
            "--quiet",
            "--return",
            "--command",
            &script,
            "/dev/null",
        ]);
        command.current_dir(directory).env("HOME", directory).env("TERM", "xterm");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), seen: String::new(), read: 0 }
    }

    /// Waits until these words are shown.
    #[track_caller]
    fn read(&mut self, words: &str) -> &mut Self {
        let stdout = self.child.stdout.as_mut().unwrap();
        loop {
            if let Some(place) = self.seen[self.read..].find(words) {
                self.read += place + words.len();
                return self;
            }
            let mut part = [0; 4096];
            let count = stdout.read(&mut part).unwrap();
            assert_ne!(count, 0, "it ended without {words:?}:\n{}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&part[..count]));
        }
    }

    fn type_in(&mut self, keys: &str) -> &mut Self {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        self
    }

    /// All that was shown; the terminal must be as it was.
    #[track_caller]
    fn end(mut self) -> String {
        self.read("over\r\n");
        self.child.wait().unwrap();
        let (_, settings) = self.seen.split_once("code=").unwrap();
        for mode in ["icanon", "echo", "isig", "opost"] {
            assert!(
                settings.split_whitespace().any(|word| word.trim_end_matches(';') == mode),
                "{mode}: {settings}"
            );
        }
        self.seen
    }
}

#[test]
fn what_it_writes_is_a_cloud_that_can_be_set_up() {
    let site = Site::new(2);
    let hosts = format!("{},{}", site.host(0).name, site.host(1).name);
    let package = site.package.clone();
    let args = [
        "init",
        "site",
        "--code",
        "shop",
        "--hosts",
        &hosts,
        "--memlimit",
        "64",
        "--package",
        path(&package),
    ];
    let run = site.run(args).success();
    assert!(run.stdout.starts_with("wrote site/cloud.json\nwrote site/arcusctl.toml\n"), "{}", run.stdout);
    // What it says is to be done next is done, as it is said.
    let next = run.stdout.lines().skip_while(|line| *line != "Next").skip(1).map(str::trim);
    let commands: Vec<&str> = next.map(|line| line.split("  ").next().unwrap()).collect();
    let typed = ["hosts trust", "hosts prepare", "check", "quicksetup", "quicksetup"];
    assert_eq!(commands[0], "cd site");
    assert_eq!(commands.len(), 1 + typed.len(), "{commands:?}");
    for (line, known) in commands[1..].iter().zip(typed) {
        assert!(line.starts_with(&format!("arcusctl {known} cloud.json")), "{line}");
        let mut command = site.command();
        command.env_remove("ARCUSCTL_ZOOKEEPER").current_dir(site.directory().join("site"));
        Run::of(command.args(line.split(' ').skip(1)).arg("--yes")).success();
    }
    assert_eq!(site.members("shop").len(), 2);
}

#[test]
fn without_a_terminal_every_option_that_is_missing_is_named_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let run = init(directory.path(), &[]).exits(2);
    run.says("--code and --hosts are missing").says("no terminal");
    init(directory.path(), &["--hosts", "10.0.0.1"]).exits(2).says("--code is missing");
    let bad = ["--code", "a/b", "--hosts", "10.0.0.1", "--install-path", "opt", "-z", "10.0.0.1:zk"];
    let run = init(directory.path(), &bad).exits(4);
    run.says("$.serviceCode: contains '/'").says("install_path").says("zookeeper.servers");
    assert_eq!(names(directory.path()), [""; 0]);
    let document = init(directory.path(), &["--code", "c", "--hosts", "h=10.0.0.1", "--output", "json"])
        .success()
        .json();
    assert_eq!(document["data"]["files"]["written"], json!(["cloud.json", "arcusctl.toml"]));
    assert_eq!(names(directory.path()), ["arcusctl.toml", "cloud.json"]);
}

#[test]
fn nothing_is_overwritten() {
    for there in ["cloud.json", "arcusctl.toml"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(there), "mine").unwrap();
        let run = init(directory.path(), &["--code", "c", "--hosts", "h=10.0.0.1"]).exits(5);
        run.says(&format!("{there} is there already")).says("overwrites nothing");
        assert_eq!(names(directory.path()), [there]);
        assert_eq!(std::fs::read_to_string(directory.path().join(there)).unwrap(), "mine");
    }
    // A link that leads nowhere is somebody's too.
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere", directory.path().join("cloud.json")).unwrap();
    init(directory.path(), &["--code", "c", "--hosts", "h=10.0.0.1"]).exits(5);
}

#[test]
fn at_a_terminal_it_asks_for_what_was_not_given() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(directory.path(), "--memlimit 256 --package arcus.tar.gz");
    terminal.read("Service code").type_in("a/b\r").read("would split the znode");
    terminal.type_in("\u{7f}\u{7f}\u{7f}shop\r");
    terminal.read("Hosts of the cache nodes").type_in("a=10.0.0.1, b=10.0.0.2, c=10.0.0.3\r");
    terminal.read("Cache nodes on each host").type_in("2\r");
    terminal.read("Port of a host's first node").type_in("\r");
    terminal.read("ZooKeeper ensemble").read("10.0.0.3:2181").type_in("\r");
    terminal.read("Install path").type_in("/srv/arcus\r");
    let seen = terminal.end();
    assert!(seen.contains("code=0") && seen.contains("wrote arcusctl.toml"), "{seen}");
    assert!(!seen.contains("Memory of each node") && !seen.contains("Package to deploy"), "{seen}");
    let cloud = cloud(directory.path());
    assert_eq!(cloud["serviceCode"], "shop");
    assert_eq!(cloud["servers"].as_array().unwrap().len(), 6);
    assert_eq!(cloud["servers"][5], json!({"hostname": "c", "ip": "10.0.0.3", "config": {"port": "11212"}}));
    assert_eq!(cloud["config"]["memlimit"], "256");
    let settings: PathBuf = directory.path().join("arcusctl.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    for line in [
        "install_path = \"/srv/arcus\"",
        "package = \"arcus.tar.gz\"",
        "servers = [\"10.0.0.1:2181\", \"10.0.0.2:2181\", \"10.0.0.3:2181\"]",
    ] {
        assert!(settings.lines().any(|known| known == line), "{line} is not in:\n{settings}");
    }
}

#[test]
fn who_goes_away_in_the_middle_leaves_no_file_and_a_clean_terminal() {
    for key in ["\u{3}", "\u{1b}"] {
        let directory = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::start(directory.path(), "");
        terminal.read("Service code").type_in("shop\r").read("Hosts of the cache nodes").type_in(key);
        let seen = terminal.end();
        assert!(seen.contains("code=130") && seen.contains("nothing was written"), "{key:?}: {seen}");
        assert_eq!(names(directory.path()), [""; 0]);
    }
}

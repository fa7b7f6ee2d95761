//! The script that reads logs, run by sh on a directory that stands for an install.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// The script with `root/dev/log` in place of syslog's socket, and with the programs of `root/bin` before all others.
fn command(root: &Path, args: &[&str]) -> Command {
    let script = LOGS.replace("/dev/log", &format!("{}/dev/log", root.display()));
    let script = script.replace("/var/log/", &format!("{}/var/log/", root.display()));
    let path = format!("{}/bin:{}", root.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(root).args(args).env("PATH", path);
    command
}

fn run(root: &Path, args: &[&str]) -> Vec<String> {
    let output = command(root, args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("log "));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let (clock, lines) = lines.split_first().unwrap();
    assert!(clock.starts_with("clock "), "{clock}");
    lines.to_vec()
}

fn write(root: &Path, file: &str, text: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn the_last_lines_come_from_the_file_before_too_and_each_has_its_log_in_front() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "logs/memcached-1.log.1", "a\nb\n");
    write(root.path(), "logs/memcached-1.log", "c\nno end");
    write(root.path(), "zk/zookeeper-root-server-h.out", "1:2\n");
    let zk = format!("member:{}/zk", root.path().display());
    let nothing = format!("member:{}/none", root.path().display());
    let lines = run(root.path(), &["once", "3", "1000", "node:1", "node:2", &nothing, &zk]);
    assert_eq!(lines, ["0:b", "0:c", "0:no end", "3:1:2"]);
    // So many bytes at most.
    assert_eq!(run(root.path(), &["once", "", "8", "node:1"]), ["0:c", "0:no end"]);
}

#[test]
fn what_a_node_writes_to_syslog_is_its_log_too() {
    let root = tempfile::tempdir().unwrap();
    let _socket = {
        fs::create_dir_all(root.path().join("dev")).unwrap();
        UnixListener::bind(root.path().join("dev/log")).unwrap()
    };
    write(root.path(), "logs/memcached-1.log", "in the file\n");
    write(root.path(), "run/memcached-1.pid", "77\n");
    write(root.path(), "var/log/syslog", "Nov 22 h memcached[77]: mine\nNov 22 h memcached[78]: another's\n");
    // Where there is no journal, the file.
    write(root.path(), "bin/journalctl", "#!/bin/sh\necho \"$*\"\n");
    let journal = root.path().join("bin/journalctl");
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o755)).unwrap();
    let lines = run(root.path(), &["once", "9", "1000", "node:1"]);
    assert_eq!(
        lines,
        ["0:in the file", "0s:-q --no-pager -o short-iso-precise -n 9 -b _PID=77 _COMM=memcached"]
    );
}

#[test]
fn what_comes_is_told_until_the_input_ends_and_then_nothing_is_left_running() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "logs/memcached-1.log", "before\n");
    let mut command = command(root.path(), &["follow", "9", "1000", "node:1"]);
    // As on a host: the script and what it starts are a group of their own.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line == "0:before"));
    assert!(lines.by_ref().any(|line| line == "live"));
    let mut log = fs::OpenOptions::new().append(true).open(root.path().join("logs/memcached-1.log")).unwrap();
    writeln!(log, "after {}", "x".repeat(10_000)).unwrap();
    let after = lines.by_ref().find(|line| line.starts_with("0:after")).unwrap();
    assert_eq!(after.len(), "0:".len() + 3900);
    drop(child.stdin.take());
    // All that could write to it have ended.
    assert_eq!(lines.next(), None);
    child.wait().unwrap();
}

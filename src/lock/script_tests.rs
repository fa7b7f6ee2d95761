//! What the scripts of a host's lock do, as the shell here runs them.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{started, this_process};
use crate::remote::scripts::{HOLD_LOCK, LOCK_STATUS};

/// One attempt at the lock; what is held is freed with it.
struct Attempt {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    answer: String,
}

impl Attempt {
    fn of(text: &str, directory: &Path, holder: &str, dead: &str) -> Self {
        Self::by(Command::new("sh").args(["-c", text, "sh"]).arg(directory).args([holder, "0", dead]))
    }

    fn by(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        Self { child, stdin, stdout, answer: answer.trim_end_matches('\n').to_owned() }
    }

    /// The word of its last line, once it has ended.
    fn end(mut self, input: &str, directory: &Path) -> String {
        let mut stdin = self.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        self.ended();
        let text = fs::read_to_string(directory.join(".operation.lock")).unwrap();
        text.lines().last().unwrap().split(' ').next().unwrap().to_owned()
    }

    fn ended(&mut self) {
        assert_eq!(self.stdout.read_line(&mut String::new()).unwrap(), 0);
        self.child.wait().unwrap();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.stdin = None;
        self.child.wait().unwrap();
    }
}

fn take(directory: &Path, holder: &str, dead: &str) -> Attempt {
    Attempt::of(HOLD_LOCK, directory, holder, dead)
}

fn status(directory: &Path) -> String {
    let out = Command::new("sh").args(["-c", LOCK_STATUS, "sh"]).arg(directory).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim_end_matches('\n').to_owned()
}

#[test]
fn the_lock_is_held_by_one_that_is_named_as_it_wrote_itself() {
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    assert_eq!(status(directory), "none");
    let holder = r#"{"run":"r1","command":"deploy \"a\nb\" 'c\\d' %s"}"#;
    let first = take(directory, holder, "");
    assert_eq!(first.answer, "locked new");
    assert_eq!(take(directory, "{}", "").answer, format!("busy {holder}"));
    assert_eq!(status(directory), format!("held {holder}"));
    assert_eq!(first.end(".\ndone\n", directory), "released");
    assert_eq!(status(directory), format!("free {holder}"));

    let second = take(directory, "{}", "");
    let words: Vec<&str> = second.answer.split(' ').collect();
    let [locked, freed, now, state] = words[..] else { panic!("{}", second.answer) };
    let age = now.parse::<f64>().unwrap() - freed.parse::<f64>().unwrap();
    assert!((0.0..30.0).contains(&age), "{}", second.answer);
    assert_eq!((locked, state), ("locked", "released"));
    assert_eq!(second.end(".\n", directory), "left");
    assert!(take(directory, "{}", "").answer.ends_with(" left"));
}

#[test]
fn what_was_left_by_another_boot_has_ended_with_it() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(".operation.lock"), "{}\n17 4711 another-boot\n. 987654321.00\n")
        .unwrap();
    let answer = take(directory.path(), "{}", "").answer.clone();
    assert!(answer.starts_with("locked 0.00 ") && answer.ends_with(" released"), "{answer}");
}

#[test]
fn a_holder_that_is_not_heard_of_any_more_loses_the_lock() {
    let directory = TempDir::new().unwrap();
    let impatient = HOLD_LOCK.replace("timeout 75", "timeout 1");
    let mut first = Attempt::of(&impatient, directory.path(), r#"{"run":"r1"}"#, "");
    first.ended();
    assert_eq!(status(directory.path()), r#"free {"run":"r1"}"#);
}

#[test]
fn the_lock_of_a_dead_run_is_taken_from_what_is_left_of_it() {
    let directory = TempDir::new().unwrap();
    let mut first = take(directory.path(), r#"{"run":"r1"}"#, "");
    assert_eq!(take(directory.path(), "{}", "another").answer, r#"busy {"run":"r1"}"#);
    let second = take(directory.path(), r#"{"run":"r2"}"#, "r1");
    assert!(second.answer.starts_with("locked ") && second.answer.ends_with(" ."), "{}", second.answer);
    first.ended();
    assert_eq!(status(directory.path()), r#"held {"run":"r2"}"#);
}

#[test]
fn no_process_is_ended_but_the_one_that_holds_the_lock() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(".operation.lock");
    let mut other = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let (pid, start) = (other.id(), started(other.id()).unwrap());
    let key = this_process();
    let boot = key.world.split(' ').next().unwrap();
    // Its number and start are written there, by whoever owns the file.
    fs::write(&file, format!("{{\"run\":\"r1\"}}\n{pid} {start} {boot}\n. 1.00\n")).unwrap();
    let holder = fs::File::open(&file).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let hasty = HOLD_LOCK.replace("wait=10", "wait=1");
    assert_eq!(Attempt::of(&hasty, directory.path(), "{}", "r1").answer, r#"busy {"run":"r1"}"#);
    assert_eq!(other.try_wait().unwrap(), None);
    other.kill().unwrap();
    other.wait().unwrap();

    // A lock that was given up: its holder's number may be anybody's.
    let mut waiting = Command::new("sh");
    waiting.args(["-c", "exec 9<\"$1\"; echo; read -r _", "sh"]).arg(&file);
    let mut waiting = Attempt::by(&mut waiting);
    let (pid, start) = (waiting.child.id(), started(waiting.child.id()).unwrap());
    for (line, end) in [
        (format!("{pid} {start} {boot}"), "released 1.00"),
        (format!("{pid} {} {boot}", start + 1), ". 1.00"),
        (format!("{pid} {start} another-boot"), ". 1.00"),
        (format!("-{pid} {start} {boot}"), ". 1.00"),
    ] {
        fs::write(&file, format!("{{\"run\":\"r1\"}}\n{line}\n{end}\n")).unwrap();
        let _busy = Attempt::of(&hasty, directory.path(), "{}", "r1");
        assert_eq!(waiting.child.try_wait().unwrap(), None, "{line}");
    }
}

#[test]
fn a_lock_file_of_another_user_is_locked_all_the_same() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(".operation.lock");
    let left = "{\"run\":\"r1\"}\n1 1 another-boot\nreleased 1.00\n";
    fs::write(&file, left).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", HOLD_LOCK, "sh"]).arg(directory.path()).args(["{}", "0", ""]);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let first = Attempt::by(&mut command);
    assert!(first.answer.starts_with("locked "), "{}", first.answer);
    // It cannot say who it is.
    assert_eq!(status(directory.path()), "held ");
    let start = Instant::now();
    assert_eq!(take(directory.path(), "{}", "").answer, "busy ");
    assert!(start.elapsed() < Duration::from_secs(20));
    drop(first);
    assert_eq!(fs::read_to_string(&file).unwrap(), left);
    assert!(take(directory.path(), "{}", "").answer.ends_with(" released"));
}

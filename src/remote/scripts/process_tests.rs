//! The scripts that look at processes and signal them, run by sh beside processes that are what they seem, or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::*;

/// A process of that program, which is `sleep` by another name, until it is dropped.
struct Process(Child);

impl Process {
    fn start(program: &Path, name: &str) -> Self {
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy("/bin/sleep", program).unwrap();
        Self(
            std::os::unix::process::CommandExt::arg0(Command::new(program).args(["600", "0"]), name)
                .spawn()
                .unwrap(),
        )
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// As the field of `/proc/PID/stat` says.
    fn started(&self) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _has_ended = self.0.kill();
        let _is_reaped = self.0.wait();
    }
}

fn sh(script: &str, args: &[&str]) -> String {
    let output = Command::new("sh").args(["-c", script, "sh"]).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_name_of_a_program_cannot_look_like_another_process() {
    let root = tempfile::tempdir().unwrap();
    let forged: PathBuf = root.path().join("x\n4242\t17\t").join("opt/arcus/bin/memcached");
    let process = Process::start(&forged, "memcached");
    let said = sh(PROCESSES, &["/opt/arcus"]);
    assert!(!said.lines().any(|line| line.starts_with("4242\t17")), "{said}");
    let own = format!("{}\t{}\t\tmemcached", process.pid(), process.started());
    assert!(said.lines().any(|line| line.starts_with(&own)), "{said}");
}

#[test]
fn only_a_cache_node_of_that_port_is_signalled() {
    let root = tempfile::tempdir().unwrap();
    let run = |process: &Process, port: &str, force: &str| {
        let node = format!("{port}:{}:{}:0", process.pid(), process.started());
        sh(STOP_NODES, &[root.path().to_str().unwrap(), "5", force, &node])
    };
    let mut other = Process::start(&root.path().join("sshd"), "memcached");
    assert_eq!(run(&other, "600", "force"), "strange 600\n");
    assert!(other.0.try_wait().unwrap().is_none(), "it runs on");
    let mut node = Process::start(&root.path().join("memcached"), "memcached");
    assert_eq!(run(&node, "700", "force"), "strange 700\n");
    assert!(node.0.try_wait().unwrap().is_none(), "it runs on");
    assert_eq!(run(&node, "600", ""), "ended 600\n");
    assert!(!node.0.wait().unwrap().success());
}

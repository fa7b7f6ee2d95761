//! The scripts of `hosts prepare`, run by sh on a directory that stands for `/etc`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::*;

/// Runs `script` with `root/etc` in place of `/etc`, and with the programs of `root/bin` before all others.
fn run(root: &Path, script: &str, args: &[&str]) -> Output {
    let script = script.replace("/etc/", &format!("{}/etc/", root.display()));
    let path = format!("{}/bin:{}", root.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).args(args).env("PATH", path).env_remove("JAVA_HOME");
    command.env("LOG", root.join("log")).output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn me() -> String {
    done(&Command::new("id").arg("-un").output().unwrap()).trim().to_owned()
}

fn write(root: &Path, file: &str, text: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn lines_of_the_operator_are_seen_as_they_are_and_written_back_as_they_are() {
    let root = tempfile::tempdir().unwrap();
    let text = "# by hand\n\nCORP\\nick hard nofile 5\n  deploy hard core 0\n";
    let file = "etc/security/limits.d/arcus.conf";
    write(root.path(), file, text);
    let seen = done(&run(root.path(), PREPARED, &["nobody", "/opt/arcus", ""]));
    let lines: Vec<&str> = seen.lines().filter_map(|line| line.strip_prefix("limit ")).collect();
    assert_eq!(lines, text.lines().collect::<Vec<_>>());
    done(&run(root.path(), WRITE_LIMITS, &lines));
    assert_eq!(fs::read_to_string(root.path().join(file)).unwrap(), text);
}

#[test]
fn limits_are_written_to_a_file_that_says_whose_it_is() {
    let root = tempfile::tempdir().unwrap();
    done(&run(root.path(), WRITE_LIMITS, &["deploy hard nofile 5"]));
    let text = fs::read_to_string(root.path().join("etc/security/limits.d/arcus.conf")).unwrap();
    assert_eq!(text, "# Written by arcusctl hosts prepare: what cache nodes need.\ndeploy hard nofile 5\n");
}

#[test]
fn the_run_directorys_line_is_written_among_those_of_others() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("etc/tmpfiles.d/arcus.conf");
    let directory = root.path().join("run/memcached");
    let directory = directory.to_str().unwrap();
    let make = |line: &str| {
        done(&run(root.path(), MAKE_RUN_DIRECTORY, &[directory, &me(), line]));
        fs::read_to_string(&file).unwrap()
    };
    let line = |owner: &str| format!("d {directory} 0755 {owner} - -");
    assert_eq!(make(&line("a")), format!("# Written by arcusctl hosts prepare.\n{}\n", line("a")));
    let theirs = format!("# by hand\n  d {directory}-other 0700 CORP\\nick - -\n");
    write(root.path(), "etc/tmpfiles.d/arcus.conf", &format!("{}\n{theirs}", line("a")));
    assert_eq!(make(&line("b")), format!("{theirs}{}\n", line("b")));
    assert_eq!(make(&line("b")), format!("{theirs}{}\n", line("b")));
}

/// A machine whose apt-get does as `install` says, and whose dpkg and Java work.
fn with_apt(install: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let apt = format!(
        "echo \"apt-get $*, $NEEDRESTART_SUSPEND\" >>\"$LOG\"\ncase $* in *install*) {install} ;; esac"
    );
    let java = "echo 'openjdk version \"17.0.15\"' >&2";
    for (name, does) in [("apt-get", &*apt), ("dpkg", "echo \"dpkg $*\" >>\"$LOG\""), ("java", java)] {
        let file = format!("bin/{name}");
        write(root.path(), &file, &format!("#!/bin/sh\n{does}\n"));
        fs::set_permissions(root.path().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    }
    root
}

/// The program and first word that tells it what to do, of each call.
fn calls(root: &Path) -> Vec<String> {
    let log = fs::read_to_string(root.join("log")).unwrap();
    let call = |line: &str| {
        let words = ["dpkg --configure", "update", "install"];
        words.into_iter().find(|word| line.contains(word)).map(str::to_owned)
    };
    log.lines().filter_map(call).collect()
}

#[test]
fn packages_of_others_are_left_alone_by_the_installation_of_java() {
    let root = with_apt(":");
    let output = run(root.path(), INSTALL_JAVA, &["apt-get", "default-jre-headless"]);
    assert_eq!(done(&output), "17.0.15\n");
    assert_eq!(calls(root.path()), ["update", "install"]);
    // Nor are services restarted.
    let log = fs::read_to_string(root.path().join("log")).unwrap();
    assert!(log.lines().all(|line| line.ends_with(", 1")), "{log}");

    let root = with_apt("echo 'E: Unable to locate package' >&2; exit 100");
    let output = run(root.path(), INSTALL_JAVA, &["apt-get", "default-jre-headless"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Unable to locate package"), "{output:?}");
    assert_eq!(calls(root.path()), ["update", "install"]);
}

#[test]
fn an_installation_that_was_cut_short_is_finished_first() {
    let root = with_apt(
        "grep -q configure \"$LOG\" || { echo \"E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\" >&2; exit 100; }",
    );
    let output = run(root.path(), INSTALL_JAVA, &["apt-get", "default-jre-headless"]);
    assert_eq!(done(&output), "17.0.15\n");
    assert_eq!(calls(root.path()), ["update", "install", "dpkg --configure", "install"]);
}

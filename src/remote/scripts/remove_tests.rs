//! The script that removes an install, run by sh on a directory that stands for one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::*;

fn run(mode: &str, install: &Path) -> String {
    let output = Command::new("sh").args(["-c", REMOVE_INSTALL, "sh", mode]).arg(install).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn write(root: &Path, file: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "x").unwrap();
}

/// As deploys, nodes and runs that were cut short leave it.
fn install(root: &Path) {
    for file in [
        "releases/0123456789ab/bin/memcached",
        "releases/0123456789ab/zookeeper/conf.dist/log4j.properties",
        "releases/adopted-20261122080910-77/bin/memcached",
        "releases/.lock",
        "releases/.pruned-00112233445f/x",
        "releases/.00112233445f.tar.gz",
        "zookeeper/conf/log4j.properties",
        "run/memcached-11211.pid",
        "logs/memcached-11211.log",
        "logs/memcached-11211.log.1",
        "work/core",
        ".operation.lock",
        ".arcusctl-destroy",
    ] {
        write(root, file);
    }
    for directory in ["zookeeper/data", "zookeeper/logs"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (target, link) in [
        ("releases/0123456789ab", "current"),
        ("releases/adopted-20261122080910-77", "previous"),
        ("current/bin", "bin"),
        ("current/gone", "gone"),
        ("../current/zookeeper/bin", "zookeeper/bin"),
        ("../../../zookeeper/conf", "releases/0123456789ab/zookeeper/conf"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
}

fn names(said: &str, word: &str) -> BTreeSet<String> {
    said.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).collect()
}

#[test]
fn what_arcusctl_made_goes_with_the_install_path_itself() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("arcus");
    install(&path);
    let seen = run("look", &path);
    assert!(names(&seen, "theirs").is_empty(), "{seen}");
    assert!(path.join("current/bin/memcached").exists(), "looking changes nothing");
    assert_eq!(names(&run("remove", &path), "ours"), names(&seen, "ours"));
    assert!(!path.exists(), "{:?}", fs::read_dir(&path).unwrap().collect::<Vec<_>>());
    assert_eq!(run("remove", &path), "");
}

#[test]
fn what_others_put_there_stays_with_the_directories_it_is_in() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("arcus");
    install(&path);
    let theirs = [
        "notes.txt",
        ".hidden",
        "bin2/tool",
        "logs/mine.log",
        "logs/memcached-old.log",
        "run/memcached-.pid",
        "work/core.notes",
        "work/dump.sh",
        "releases/readme",
        "releases/hand-made-backup/bin/memcached",
        "releases/20261122080910/bin/memcached",
        "releases/0123456789ac/zookeeper/conf/x",
        "releases/ffffffffffff/x",
        "releases/.backup.tar.gz",
        "zookeeper/conf/zoo.cfg",
        "zookeeper/data/myid",
    ];
    for file in theirs {
        write(&path, file);
    }
    fs::write(path.join("zookeeper/conf/log4j.properties"), "changed by hand").unwrap();
    symlink("/etc/hosts", path.join("link")).unwrap();
    let said = run("remove", &path);
    let expected: BTreeSet<String> = theirs
        .iter()
        .map(|file| match *file {
            "bin2/tool" => "bin2",
            file if file.starts_with("releases/") => {
                &file[..file[9..].find('/').map_or(file.len(), |end| end + 9)]
            }
            file => file,
        })
        .chain(["link", "zookeeper/conf/log4j.properties"])
        .map(str::to_owned)
        .collect();
    assert_eq!(names(&said, "theirs"), expected);
    for file in theirs.iter().chain(&["link", "zookeeper/conf/log4j.properties"]) {
        assert!(fs::symlink_metadata(path.join(file)).is_ok(), "{file} is gone");
    }
    for gone in ["current", "releases/0123456789ab", "work/core"] {
        assert!(!path.join(gone).exists(), "{gone} is still there");
    }
    assert!(names(&run("look", &path), "ours").is_empty());
}

#[test]
fn links_in_place_of_directories_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (root.path().join("arcus"), root.path().join("elsewhere"));
    write(&elsewhere, "memcached-11211.log");
    write(&elsewhere, "core");
    fs::create_dir_all(&path).unwrap();
    for name in ["logs", "work", "run", "releases", "zookeeper"] {
        symlink(&elsewhere, path.join(name)).unwrap();
    }
    let said = run("remove", &path);
    assert_eq!(names(&said, "theirs").len(), 5, "{said}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 2);
}

#[test]
fn what_another_tool_deploys_in_the_same_manner_is_not_of_arcusctl() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("app");
    write(&path, "releases/20261122080910/bin/memcached");
    write(&path, "releases/20261122080910/public/index.html");
    symlink("releases/20261122080910", path.join("current")).unwrap();
    symlink("current/public", path.join("public")).unwrap();
    let said = run("remove", &path);
    // But for the lock, which this run itself made.
    assert_eq!(names(&said, "ours"), BTreeSet::from(["releases/.lock".to_owned()]), "{said}");
    assert!(path.join("public/index.html").exists());
}

#[test]
fn a_release_is_never_half_there_under_its_name() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("arcus");
    install(&path);
    // The power is gone, so to speak, when the first release is about to be removed.
    let bin = root.path().join("bin");
    write(&bin, "rm");
    fs::write(
        bin.join("rm"),
        "#!/bin/sh\ncase \"$*\" in *releases*[0-9a-f]) [ ! -e \"$2\" ] || exit 1 ;; esac\nexec /bin/rm \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(bin.join("rm"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut sh = Command::new("sh");
    let output =
        sh.args(["-c", REMOVE_INSTALL, "sh", "remove"]).arg(&path).env("PATH", search).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(!path.join("releases/0123456789ab").exists());
    assert!(path.join("releases/.pruned-0123456789ab/bin/memcached").exists());
    run("remove", &path);
    assert!(!path.exists());
}

/// A process that has the name of a cache node and executes this program, until it is dropped.
struct Node(std::process::Child);

impl Node {
    fn start(program: &Path, args: &[&str]) -> Self {
        fs::copy("/bin/sleep", program).unwrap();
        Self(Command::new(program).args(args).spawn().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _has_ended = self.0.kill();
        let _is_reaped = self.0.wait();
    }
}

#[test]
fn while_a_process_executes_a_release_nothing_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("arcus");
    install(&path);
    // The links lead to the release that the process does not execute: it could be started again from there.
    let node = Node::start(&path.join("releases/adopted-20261122080910-77/bin/memcached"), &["600"]);
    assert_eq!(run("remove", &path), "used adopted-20261122080910-77\n");
    assert!(path.join("current/bin/memcached").exists() && path.join("run/memcached-11211.pid").exists());
    drop(node);
    run("remove", &path);
    assert!(!path.exists());
}

#[test]
fn a_member_that_kept_something_since_it_was_noted_is_not_taken_for_gone() {
    let root = tempfile::tempdir().unwrap();
    let (install, data) = (root.path().join("arcus"), root.path().join("data"));
    write(&data, "version-2/log.1");
    fs::create_dir_all(&install).unwrap();
    let sh = |script: &str, args: &[&str]| {
        let output = Command::new("sh").args(["-c", script, "sh"]).arg(&install).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let marked = |what: &str| sh(MEMBER_MARKED, &[what, data.to_str().unwrap()]);
    assert_eq!(marked("zk c"), "");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::open(data.join("version-2/log.1")).unwrap().set_modified(old).unwrap();
    sh(MARK_DESTROYED, &["zk c"]);
    assert_eq!((marked("zk c").as_str(), marked("zk other").as_str()), ("marked\n", ""));
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::open(data.join("version-2/log.1")).unwrap().set_modified(later).unwrap();
    assert_eq!(marked("zk c"), "");
}

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

#[test]
fn a_members_files_go_and_what_is_beside_them_or_behind_links_stays_and_is_named() {
    let root = tempfile::tempdir().unwrap();
    let [conf, data, logs, apart, elsewhere] =
        ["conf", "data", "logs", "apart", "elsewhere"].map(|name| root.path().join(name));
    for file in ["zoo.cfg.bak", "zoo.cfg.dynamic.100000000", "zoo.cfg.orig"] {
        write(&conf, file);
    }
    // As ZooKeeper reads it: blanks at the end are none of the name.
    fs::write(conf.join("zoo.cfg"), format!("dataLogDir = {}  \n", apart.display())).unwrap();
    write(&apart, "version-2/log.1");
    write(&elsewhere, "version-2/snapshot.0");
    for file in ["zookeeper-root-server-h.out", "zookeeper.log.1", "zookeeper_exporter.log"] {
        write(&logs, file);
    }
    write(&data, "myid");
    symlink(elsewhere.join("version-2"), data.join("version-2")).unwrap();
    let output =
        Command::new("sh").args(["-c", REMOVE_MEMBER, "sh"]).args([&conf, &data, &logs]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let left = ["conf/zoo.cfg.orig", "data/version-2", "logs/zookeeper_exporter.log"];
    let left: BTreeSet<String> =
        left.iter().map(|name| root.path().join(name).display().to_string()).collect();
    assert_eq!(names(&said, "theirs"), left);
    assert!(
        left.iter().all(|name| Path::new(name).exists()) && !apart.exists() && !conf.join("zoo.cfg").exists()
    );
    assert!(elsewhere.join("version-2/snapshot.0").exists());
}

#[test]
fn whoever_waited_for_an_install_that_was_removed_holds_the_lock_that_others_see() {
    let root = tempfile::tempdir().unwrap();
    let install = root.path().join("arcus");
    let file = install.join(".operation.lock");
    fs::create_dir_all(&install).unwrap();
    let opened = fs::File::create(&file).unwrap();
    opened.lock().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", HOLD_LOCK, "sh"]).arg(&install).args(["{}", "30", ""]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    // It has the file open, and so waits for that lock or is about to.
    let has_it = || {
        let open = fs::read_link(format!("/proc/{}/fd/9", waiting.id()));
        open.is_ok_and(|open| open == file)
    };
    while !has_it() {
        std::thread::yield_now();
    }
    fs::remove_dir_all(&install).unwrap();
    drop(opened);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiting.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "locked new\n");
    assert!(fs::File::open(&file).unwrap().try_lock().is_err(), "it is another lock");
    drop(waiting.stdin.take());
    waiting.wait().unwrap();
}

#[test]
fn a_lock_on_a_file_that_was_removed_meanwhile_is_none() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("lock");
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{LOCK}{script}"), "sh"]).arg(&file);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let says = |child: &mut std::process::Child| {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        line
    };
    let hold = "take_lock \"$1\" 30; echo has; read -r word; rm -f \"$1\"; exit";
    let mut first = sh(hold);
    assert_eq!(says(&mut first), "has\n");
    // It opens the file that is about to be removed; the one that is there afterwards is another.
    let mut waiting = sh(
        "flock() { command flock \"$@\" && return; [ -n \"${told:-}\" ] || echo waits; told=y; return 1; }\n\
                          take_lock \"$1\" 30; [ \"$(stat -L -c %i /proc/$$/fd/9)\" = \"$(stat -c %i \"$1\")\" ] && echo same",
    );
    assert_eq!(says(&mut waiting), "waits\n");
    drop(first.stdin.take());
    first.wait().unwrap();
    assert_eq!(says(&mut waiting), "same\n");
    waiting.wait().unwrap();
}

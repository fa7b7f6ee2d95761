use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::elf::tests::head;
use super::*;
use crate::remote::scripts;

/// A directory in the making.
struct Made(TempDir);

impl Made {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// What every package holds.
    fn good() -> Self {
        Self::empty()
            .file("bin/memcached", 0o755, &head(183, true))
            .file("lib/default_engine.so", 0o644, b"engine")
            .file("zookeeper/bin/zkServer.sh", 0o755, b"#!/bin/bash\n")
            .file("zookeeper/conf/log4j.properties", 0o644, b"log\n")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(self, name: &str, mode: u32, data: &[u8]) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, data).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn link(self, name: &str, target: &str) -> Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// What is said of it, without its name.
    fn said(&self) -> Vec<String> {
        let failures = open(self.path()).unwrap_err();
        let name = format!("{}: ", self.path().display());
        failures.as_slice().iter().map(|failure| failure.message.replace(&name, "")).collect()
    }
}

/// Names in the archive of `package`, as `tar` lists them.
fn listed(package: &Package) -> Vec<String> {
    let tar = Command::new("tar").arg("-tzf").arg(&package.path).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    String::from_utf8(tar.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn run(script: &str, args: &[&str], stdin: Stdio) {
    let ran = Command::new("sh").args(["-c", script, "sh"]).args(args).stdin(stdin).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// Brings `package` to `install` as a deploy does.
fn deploy(package: &Package, install: &Path) {
    let (install, release, parcel) = (install.to_str().unwrap(), package.release(), package.parcel());
    let root = parcel.root.unwrap_or_default();
    let archive = File::open(&parcel.gzip.path).unwrap();
    let size = parcel.gzip.bytes.to_string();
    let args = [
        install,
        release.as_str(),
        ".x.tar.gz",
        &parcel.gzip.sha256,
        &root,
        &parcel.names_sha256,
        "",
        &size,
        "0",
    ];
    run(scripts::STAGE, &args, archive.into());
    let current = fs::read_link(Path::new(install).join("current")).unwrap_or_default();
    let current = current.file_name().unwrap_or_default().to_str().unwrap().to_owned();
    run(scripts::SWITCH, &[install, release.as_str(), &current], Stdio::null());
}

#[test]
fn a_directory_is_described_and_packed_under_one_root() {
    let package = open(Made::good().path()).unwrap();
    assert_eq!(package.root.as_deref(), Some("arcus"));
    assert_eq!(package.entries, ["bin", "lib", "zookeeper", "zookeeper/bin"]);
    assert_eq!(package.architecture.as_deref(), Some("aarch64"));
    assert_eq!(package.unpacked_bytes, 4 * 4096);
    assert_eq!(package.bytes, fs::metadata(&package.path).unwrap().len());
    let sum = Command::new("sha256sum").arg(&package.path).output().unwrap().stdout;
    assert_eq!(package.sha256.as_bytes(), &sum[..64]);
}

#[test]
fn what_is_packed_here_is_a_good_archive() {
    let deep = format!("share/{}/{}", "d".repeat(90), "f".repeat(120));
    let made = Made::good().file(&deep, 0o600, &[1; 70_000]).link("share/long", &format!("../{deep}"));
    let packed = open(made.path()).unwrap();
    let read = open(&packed.path).unwrap();
    assert_eq!((read.facts(), read.parcel()), (packed.facts(), packed.parcel()));
    assert_eq!(read.unpacked_bytes, packed.unpacked_bytes);
}

#[test]
fn the_archive_goes_with_the_package() {
    let package = open(Made::good().path()).unwrap();
    let path = package.path.clone();
    assert!(path.exists());
    drop(package);
    assert!(!path.exists());
}

#[test]
fn the_same_tree_gives_the_same_release() {
    let one = Made::good().file("bin/a", 0o755, b"a").file("bin/b", 0o644, b"b").link("lib/x", "../bin");
    let other = Made::empty()
        .link("lib/x", "../bin")
        .file("bin/b", 0o600, b"b")
        .file("bin/a", 0o711, b"a")
        .file("zookeeper/conf/log4j.properties", 0o444, b"log\n")
        .file("zookeeper/bin/zkServer.sh", 0o700, b"#!/bin/bash\n")
        .file("lib/default_engine.so", 0o664, b"engine")
        .file("bin/memcached", 0o755, &head(183, true));
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::open(other.path().join("bin/a")).unwrap().set_modified(past).unwrap();
    File::open(other.path().join("bin")).unwrap().set_modified(past).unwrap();
    fs::set_permissions(other.path().join("lib"), fs::Permissions::from_mode(0o700)).unwrap();
    let release = open(one.path()).unwrap().release();
    assert_eq!(open(other.path()).unwrap().release(), release);
    let program = other.file("bin/b", 0o700, b"b");
    assert_ne!(open(program.path()).unwrap().release(), release);
}

#[test]
fn what_is_unpacked_equals_what_was_packed() {
    let made = Made::good()
        .file("lib/empty", 0o644, b"")
        .file("lib/exact", 0o644, &[3; 1024])
        .file("lib/large", 0o755, &(0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>())
        .file(&format!("share/{}", "캐시 ".repeat(30)), 0o644, b"x")
        .link("share/link", "./../lib//exact")
        .link("share/dir", "../lib");
    fs::create_dir(made.path().join("share/nothing")).unwrap();
    fs::hard_link(made.path().join("lib/exact"), made.path().join("lib/again")).unwrap();
    let package = open(made.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(&package.path).arg("-C").arg(out.path()).status().unwrap();
    assert!(tar.success());
    let unpacked = out.path().join("arcus");
    let same = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .arg(made.path())
        .arg(&unpacked)
        .output()
        .unwrap();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
    let mode = |name: &str| fs::metadata(unpacked.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/memcached"), mode("lib/exact"), mode("share/nothing")), (0o755, 0o644, 0o755));
}

#[test]
fn no_header_tells_times_or_owners() {
    let package = open(Made::good().path()).unwrap();
    let gzip = fs::read(&package.path).unwrap();
    assert_eq!(&gzip[3..8], [0; 5], "flags and time");
    let tar =
        Command::new("tar").args(["--utc", "--full-time", "-tvzf"]).arg(&package.path).output().unwrap();
    for line in String::from_utf8(tar.stdout).unwrap().lines() {
        assert!(line.contains(" 0/0 ") && line.contains("1970-01-01 00:00:00"), "{line}");
    }
}

#[test]
fn what_belongs_to_one_machine_is_left_out() {
    let kept = [
        "arcus/.hidden",
        "arcus/dist.tar.gz",
        "arcus/lib/core/",
        "arcus/lib/core/a.jar",
        "arcus/lib/core.jar",
        "arcus/lib/run/",
        "arcus/lib/run/x",
        "arcus/zookeeper/conf/zoo_sample.cfg",
        "arcus/zookeeper/zoo.cfg",
        "arcus/lib/x.pid/",
        "arcus/lib/x.pid/y",
    ];
    let left_out = [
        ".git/HEAD",
        "lib/.git/HEAD",
        "releases/1/bin/memcached",
        "current/x",
        "logs/x",
        "run/11211.pid",
        "zookeeper/data/myid",
        "zookeeper/logs/x",
        "zookeeper/conf/zoo.cfg",
        "zookeeper/conf/zoo.cfg.bak",
        "zookeeper/conf/zoo.cfg.dynamic.100000000",
        "zookeeper/conf/.zoo.cfg.new",
        "zookeeper/conf/2181/zoo.cfg",
        "bin/memcached.pid",
        "core",
        "core.4711",
        "bin/core",
        "ARCUSlog",
        "bin/ARCUSlog/x",
    ];
    let plain = listed(&open(Made::good().path()).unwrap());
    let mut made = Made::good();
    for name in left_out.into_iter().chain(kept.map(|name| name.trim_start_matches("arcus/"))) {
        if !name.ends_with('/') {
            made = made.file(name, 0o644, b"");
        }
    }
    UnixListener::bind(made.path().join("run/socket")).unwrap();
    let mut found = listed(&open(made.path()).unwrap());
    found.retain(|name| !plain.contains(name));
    found.sort();
    let mut kept = kept.map(str::to_owned);
    kept.sort();
    assert_eq!(found, kept);
}

#[test]
fn what_cannot_be_packed_is_named_all_at_once() {
    let made = Made::good()
        .file("lib/setuid", 0o4755, b"")
        .file("lib/a\nb", 0o644, b"")
        .file(".arcusctl-old-bin/x", 0o644, b"")
        .file("my notes", 0o644, b"")
        .link("lib/dangling", "nothing")
        .link("lib/escaping", "../../etc")
        .link("lib/absolute", "/etc")
        .link("lib/left-out", "../logs/x")
        .file("logs/x", 0o644, b"");
    fs::write(made.path().join(OsStr::from_bytes(b"lib/caf\xe9")), b"").unwrap();
    UnixListener::bind(made.path().join("lib/socket")).unwrap();
    assert!(Command::new("mkfifo").arg(made.path().join("lib/fifo")).status().unwrap().success());
    let said = made.said();
    for expected in [
        "'lib/setuid' has mode 4755; no setuid, setgid or sticky bit may be set",
        r"'lib/a\nb' has control characters in its name",
        "'.arcusctl-old-bin' has a name that arcusctl keeps for its own files",
        "'my notes' has a space, a leading '-' or one of * ? [ ] \\ in its name; so near the top none may",
        "'lib/dangling' is a symbolic link to 'nothing', which is not in the package",
        "'lib/escaping' is a symbolic link to '../../etc', which leads out of the package",
        "'lib/absolute' is a symbolic link to '/etc', which leads out of the package",
        "'lib/left-out' is a symbolic link to '../logs/x', which is not in the package",
        r"'lib/caf\xe9' has a name that is not UTF-8",
        "'lib/socket' is a socket",
        "'lib/fifo' is a fifo",
    ] {
        assert!(said.iter().any(|message| message == expected), "{expected}: {said:#?}");
    }
}

#[test]
fn what_a_directory_lacks_is_named() {
    assert_eq!(Made::empty().said(), ["is empty"]);
    assert_eq!(
        Made::empty().file("arcus/bin/memcached", 0o755, b"").said(),
        [
            "bin/memcached is missing",
            "lib/default_engine.so is missing",
            "zookeeper/bin/zkServer.sh is missing"
        ]
    );
}

#[test]
fn an_install_made_from_a_directory_gives_its_release_again() {
    let package = open(Made::good().link("lib/x.so", "default_engine.so").path()).unwrap();
    let install = tempfile::tempdir().unwrap();
    deploy(&package, install.path());
    // What a host adds in the course of time.
    for name in
        ["zookeeper/conf/zoo.cfg", "zookeeper/data/myid", "zookeeper/logs/x.out", "run/1.pid", "notes"]
    {
        fs::write(install.path().join(name), "x").unwrap();
    }
    fs::write(install.path().join("zookeeper/conf/log4j.properties"), "changed here").unwrap();
    let release = format!("releases/{}", package.release());
    for given in ["", "current", &release] {
        let again =
            open(&install.path().join(given)).unwrap_or_else(|failures| panic!("{given}: {failures}"));
        assert_eq!(again.release(), package.release(), "{given}");
    }
    fs::remove_dir_all(install.path().join(&release)).unwrap();
    let failure = open(install.path()).unwrap_err();
    assert!(
        failure.as_slice()[0].message.ends_with(&format!("its current release, {release}, is not there"))
    );
}

#[test]
fn an_adopted_install_is_packed_with_the_configuration_that_it_has() {
    let install = Made::good().file("zookeeper/conf/zoo.cfg", 0o644, b"").file("notes", 0o644, b"");
    let before = open(install.path()).unwrap();
    let newer = open(Made::good().file("lib/new", 0o644, b"").path()).unwrap();
    deploy(&newer, install.path());
    let adopted = fs::read_dir(install.path().join("releases")).unwrap().flatten();
    let adopted =
        adopted.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("adopted-")).unwrap();
    let mut listed = [&before, &open(&adopted).unwrap()].map(listed);
    listed[0].retain(|name| name != "arcus/notes");
    assert_eq!(listed[0], listed[1]);
}

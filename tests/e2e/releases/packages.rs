//! What is no package, and what no host may unpack, is refused before anything is sent.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::{current, deploy};
use crate::support::{Run, Site, path};
use crate::tree::Tree;

type Tape = tar::Builder<GzEncoder<File>>;

/// The tree as an archive, with whatever is put in front of it.
fn pack(tree: &Path, archive: &Path, put: impl FnOnce(&mut Tape)) {
    let mut tape = Tape::new(GzEncoder::new(File::create(archive).unwrap(), Compression::fast()));
    put(&mut tape);
    tape.append_dir_all("arcus", tree).unwrap();
    tape.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

/// An entry whose name and link nobody has checked.
fn entry(kind: EntryType, name: &str, link: &str, mode: u32) -> impl FnOnce(&mut Tape) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    move |tape| tape.append(&header, std::io::empty()).unwrap()
}

#[test]
fn an_archive_with_an_entry_that_no_host_may_unpack_is_refused_by_its_name() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = Tree::new(site.directory(), "good", 0);
    let archive = site.directory().join("arcus.tar.gz");
    let (file, link, hard) = (EntryType::Regular, EntryType::Symlink, EntryType::Link);
    for (kind, name, to, mode, words) in [
        (file, "/etc/cron.d/x", "", 0o644, "'/etc/cron.d/x' is an absolute path"),
        (
            file,
            "arcus/../../etc/x",
            "",
            0o644,
            "'arcus/../../etc/x' leads out of the package or back, by '..'",
        ),
        (
            link,
            "arcus/lib/x",
            "/etc/passwd",
            0o777,
            "'arcus/lib/x' is a symbolic link to '/etc/passwd', which leads out",
        ),
        (
            link,
            "arcus/lib/x",
            "../../../etc",
            0o777,
            "'arcus/lib/x' is a symbolic link to '../../../etc', which leads out",
        ),
        (
            hard,
            "arcus/lib/x",
            "/etc/shadow",
            0o644,
            "'arcus/lib/x' is a hard link to '/etc/shadow', which is an absolute path",
        ),
        (hard, "arcus/lib/x", "../x", 0o644, "'arcus/lib/x' is a hard link to '../x', which leads out"),
        (EntryType::Fifo, "arcus/lib/x", "", 0o644, "'arcus/lib/x' is a fifo"),
        (EntryType::Char, "arcus/lib/x", "", 0o644, "'arcus/lib/x' is a device"),
        (EntryType::Block, "arcus/lib/x", "", 0o644, "'arcus/lib/x' is a device"),
        (file, "arcus/bin/x", "", 0o4755, "'arcus/bin/x' has mode 4755"),
        (file, "arcus/bin/x", "", 0o2755, "'arcus/bin/x' has mode 2755"),
        (link, "arcus/lib", "bin", 0o777, "'arcus/lib' is there twice"),
        (
            file,
            "arcus/releases/x",
            "",
            0o644,
            "'arcus/releases' has a name that the install path of a host keeps",
        ),
    ] {
        pack(&tree.path, &archive, entry(kind, name, to, mode));
        deploy(&site, &conf, &archive, &[]).exits(4).says("arcus.tar.gz").says(words);
        assert_eq!(site.sh(0, "ls -A /opt"), "", "{words}");
    }
    // Without them it is fine.
    pack(&tree.path, &archive, |_| {});
    deploy(&site, &conf, &archive, &[]).success();
    assert_ne!(current(&site, 0), "");
}

#[test]
fn an_archive_that_is_not_whole_is_refused() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = Tree::new(site.directory(), "good", 200_000);
    let archive = site.directory().join("arcus.tar.gz");
    pack(&tree.path, &archive, |_| {});
    let whole = std::fs::read(&archive).unwrap();
    let mut corrupt = whole.clone();
    corrupt[whole.len() / 2] ^= 0x55;
    let mut wrong_sum = whole.clone();
    wrong_sum[whole.len() - 6] ^= 0x55;
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "breaks off after"),
        (&whole[..whole.len() - 4], "breaks off after"),
        (&corrupt[..], "is damaged after"),
        (&wrong_sum[..], "is damaged after"),
        (&[][..], "is empty"),
        (b"<!DOCTYPE html><title>404</title>", "is a web page"),
    ] {
        std::fs::write(&archive, bytes).unwrap();
        deploy(&site, &conf, &archive, &[]).exits(4).says("arcus.tar.gz").says(words);
    }
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

#[test]
fn a_tree_without_what_a_cloud_needs_is_refused_as_an_archive_and_as_a_directory() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    for missing in ["bin/memcached", "lib/default_engine.so", "zookeeper/bin/zkServer.sh"] {
        let tree = Tree::new(site.directory(), "good", 0);
        std::fs::remove_file(tree.path.join(missing)).unwrap();
        let archive = site.directory().join("arcus.tar.gz");
        pack(&tree.path, &archive, |_| {});
        for package in [&archive, &tree.path] {
            deploy(&site, &conf, package, &[]).exits(4).says(&format!("{missing} is missing"));
        }
    }
    let tree = Tree::new(site.directory(), "good", 0);
    tree.write("bin/memcached", b"#!/bin/sh\n", 0o644);
    deploy(&site, &conf, &tree.path, &[]).exits(4).says("bin/memcached is not executable");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

/// The beginning of a program for an `aarch64` machine, and of one for `x86_64`.
fn elf(architecture: &str) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(64, 0);
    head[16] = 2;
    head[18] = if architecture == "aarch64" { 183 } else { 62 };
    head
}

#[test]
fn a_build_for_another_processor_is_refused_by_every_host() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let here = site.sh(0, "uname -m");
    let other = if here == "aarch64" { "x86_64" } else { "aarch64" };
    let tree = Tree::new(site.directory(), "other", 0);
    tree.write("bin/memcached", &elf(other), 0o755);
    let run = deploy(&site, &conf, &tree.path, &["--output", "json"]).exits(5);
    let failures = run.json()["failures"].as_array().unwrap().clone();
    assert_eq!(failures.len(), 2, "{failures:?}");
    for (index, failure) in failures.iter().enumerate() {
        assert_eq!(failure["message"], format!("{}: the package does not fit its processor", site.ip(index)));
        assert_eq!(failure["causes"][0], format!("bin/memcached is built for {other}, the host is {here}"));
    }
    assert_eq!([site.sh(0, "ls -A /opt"), site.sh(1, "ls -A /opt")], ["", ""]);
}

#[test]
fn a_host_of_another_processor_keeps_all_from_switching() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let here = site.sh(0, "uname -m");
    let other = if here == "aarch64" { "x86_64" } else { "aarch64" };
    site.shadow(1, "uname", &format!("exec /usr/bin/uname \"$@\" | sed s/{here}/{other}/"));
    let tree = Tree::new(site.directory(), "other", 0);
    tree.write("bin/memcached", &elf(&here), 0o755);
    let run = deploy(&site, &conf, &tree.path, &[]).exits(3);
    run.says(&format!("{}: the package does not fit", site.ip(1)));
    site.sh(0, "test ! -e /opt/arcus/current");
    assert_eq!(site.sh(1, "ls -A /opt"), "");
    site.run(["deploy", path(&conf), "--package", path(&tree.path), "--partial"]).exits(3);
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    assert_eq!(site.sh(1, "ls -A /opt"), "");
}

#[test]
fn every_fault_of_a_package_is_told_at_once() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = Tree::new(site.directory(), "bad", 0);
    std::fs::remove_file(tree.path.join("lib/default_engine.so")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tree.path.join("lib/link")).unwrap();
    Run::of(std::process::Command::new("mkfifo").arg(tree.path.join("bin/pipe"))).success();
    let run = deploy(&site, &conf, &tree.path, &[]).exits(4).says("lib/default_engine.so is missing");
    run.says("'lib/link' is a symbolic link to '/etc/passwd'").says("'bin/pipe' is a fifo");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

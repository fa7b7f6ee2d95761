//! Whether a build fits the hosts, before it is sent and once it is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::check::check;
use crate::support::{Run, Site, path};

/// The machine's own directory of shared libraries.
fn libraries(site: &Site) -> String {
    site.sh(0, "dirname \"$(ldconfig -p | sed -n 's/.*libgcc_s\\.so\\.1 (libc6,.*=> //p' | head -n 1)\"")
}

/// A library at `out` that wants `wanted`, which lies beside it or nowhere.
fn library(out: &Path, wanted: Option<&Path>) {
    let name = format!("-Wl,-soname,{}", out.file_name().unwrap().to_str().unwrap());
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wl,--no-as-needed", &name]);
    compiler.args(["-x", "c", "/dev/null", "-x", "none", "-o"]).arg(out);
    Run::of(compiler.args(wanted)).success();
}

/// The package as a directory, its engine a library that wants `libnowhere.so` beside libc.
fn wanting(site: &Site) -> (PathBuf, PathBuf) {
    let tree = site.unpacked();
    let nowhere = site.directory().join("libnowhere.so");
    library(&nowhere, None);
    library(&tree.join("lib/default_engine.so"), Some(&nowhere));
    (tree, nowhere)
}

#[test]
fn a_library_that_a_host_lacks_is_told_by_name_from_a_directory_and_an_archive() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let (tree, nowhere) = wanting(&site);
    let archive = site.directory().join("wanting.tar.gz");
    let pack = || {
        let mut tar = Command::new("tar");
        Run::of(tar.arg("-czf").arg(&archive).arg("-C").arg(tree.parent().unwrap()).arg("arcus")).success();
    };
    pack();
    for package in [&tree, &archive] {
        let items = check(&site, &conf, &["--package", path(package)]);
        items.expect("libraries", &site.ip(0), "fail", "libnowhere.so (lib/default_engine.so wants it)");
        items.expect("glibc", &site.ip(1), "pass", "glibc ");
    }
    // Brought by the package it is no matter of the host.
    std::fs::copy(&nowhere, tree.join("lib/libnowhere.so")).unwrap();
    pack();
    for package in [&tree, &archive] {
        check(&site, &conf, &["--package", path(package)]).expect(
            "libraries",
            &site.ip(0),
            "pass",
            "has all",
        );
    }
}

#[test]
fn a_library_that_was_removed_from_a_host_is_missed_before_and_after_a_deploy() {
    let (site, conf) = Site::with_cloud(1);
    let ip = site.ip(0);
    let package = ["--package", path(&site.package)];
    check(&site, &conf, &package).expect("libraries", &ip, "pass", "has all");
    let directory = libraries(&site);
    site.sh(0, &format!("rm {directory}/libgcc_s.so.1"));
    let items = check(&site, &conf, &package);
    items.expect("libraries", &ip, "fail", "libgcc_s.so.1");
    items.expect("loader", &ip, "fail", "bin/memcached lacks libgcc_s.so.1");
}

#[test]
fn a_build_for_a_newer_glibc_or_another_processor_fails() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    let tree = site.unpacked();
    let program = tree.join("bin/memcached");
    let mut bytes = std::fs::read(&program).unwrap();
    let wanted = b"\0GLIBC_2.34\0";
    let place = bytes.windows(wanted.len()).position(|window| window == wanted).expect("GLIBC_2.34 in it");
    bytes[place..place + wanted.len()].copy_from_slice(b"\0GLIBC_9.34\0");
    std::fs::write(&program, bytes).unwrap();
    let package = ["--package", path(&tree)];
    let items = check(&site, &conf, &package);
    items.expect("glibc", &ip, "fail", "glibc 2.").expect("architecture", &ip, "pass", "");
    assert!(
        items.item("glibc", &ip)["needed"]
            .as_str()
            .unwrap()
            .contains("glibc 9.34 or later, which bin/memcached")
    );
    site.shadow(0, "uname", "[ \"$1\" != -m ] || { echo m68k; exit; }\nexec /usr/bin/uname \"$@\"");
    check(&site, &conf, &package).expect("architecture", &ip, "fail", "m68k");
    site.shadow(0, "getconf", "exit 1");
    check(&site, &conf, &package).expect("glibc", &ip, "warn", "cannot be told");
}

#[test]
fn hosts_of_several_processors_are_warned_of_while_no_package_says_which() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    site.shadow(1, "uname", "echo m68k");
    let items = check(&site, &conf, &[]);
    items.expect("architecture", &site.ip(1), "warn", "m68k").expect("architecture", &site.ip(0), "pass", "");
}

#[test]
fn a_package_that_cannot_be_deployed_fails_and_the_hosts_are_judged_all_the_same() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let page = site.file("arcus.tar.gz", "<!DOCTYPE html><title>404</title>");
    let items = check(&site, &conf, &["--package", path(&page)]);
    items.expect("package", "package", "fail", "is a web page").expect("java", &site.ip(0), "pass", "Java");
    let tree = site.unpacked();
    std::fs::write(tree.join("lib/default_engine.so"), "text").unwrap();
    check(&site, &conf, &["--package", path(&tree)]).expect(
        "package",
        "package",
        "warn",
        "lib/default_engine.so",
    );
}

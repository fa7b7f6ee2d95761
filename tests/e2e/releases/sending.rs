//! The way to the hosts: compressed as each can unpack it, no faster than allowed, to many at once.

use std::process::Command;

use serde_json::{Value, json};

use super::{current, deploy, holds};
use crate::support::{Run, Site, path};
use crate::tree::Tree;

/// Everything below the release in use: kind, mode, name, where links lead, and the SHA-256 of files.
fn listing(site: &Site, index: usize) -> String {
    site.sh(
        index,
        "cd /opt/arcus/current/ && find . -printf '%y %m %P %l\\n' -type f -exec sha256sum {} + | sort",
    )
}

#[test]
fn every_host_gets_the_compression_that_it_can_unpack() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "rm /usr/bin/zstd");
    site.sh(1, "command -v zstd || { echo 'install zstd on this machine' >&2; exit 1; }");
    let args = ["deploy", path(&conf), "--package", path(&site.package), "--output", "json"];
    let document = site.run(args).success().json();
    let sent = |index: usize| &document["plan"]["stages"][0]["steps"][index]["action"];
    assert_eq!([&sent(0)["compression"], &sent(1)["compression"]], ["gzip", "zstd"]);
    assert_eq!(sent(0)["release"], sent(1)["release"]);
    assert_eq!(current(&site, 0), current(&site, 1));
    assert_eq!(listing(&site, 0), listing(&site, 1));
    let sum = Run::of(Command::new("sha256sum").arg(&site.package)).success().stdout;
    assert!(sum.starts_with(&current(&site, 0)), "a release is named after the package, however it is sent");
    assert_eq!(site.run(args).success().json()["plan"]["stages"], json!([]));
}

#[test]
fn an_upload_that_was_cut_short_is_not_mistaken_for_one_of_another_compression() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_upload(0);
    let mut first = site.spawn(["deploy", path(&conf), "--package", path(&site.package)]);
    site.wait_on(0, "[ -e /tmp/halfway ]");
    first.kill().unwrap();
    first.wait().unwrap();
    site.release(0);
    site.sh(
        0,
        "flock -w 30 /opt/arcus/releases/.lock true && ls /opt/arcus/releases/.*.tar.zst && rm /usr/bin/zstd",
    );
    deploy(&site, &conf, &site.package, &[]).success();
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    assert_eq!(site.sh(0, "ls -A /opt/arcus/releases | grep '^\\.'"), ".lock");
}

#[test]
fn the_same_tree_is_the_same_release_whatever_its_times_and_its_order() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = Tree::new(site.directory(), "first", 300_000);
    deploy(&site, &conf, &tree.path, &[]).success();
    let (release, before) = (current(&site, 0), site.untouched(0, "/opt/arcus"));

    // The same files, made in the opposite order, at other times, by somebody else.
    let copy = site.directory().join("copy");
    let script = "mkdir $2 && cd $1 && find . -type f | sort -r | while read -r file; do \
                  mkdir -p $2/$(dirname $file) && cp -p $file $2/$file; done && \
                  chown -R 1234:1234 $2 && find $2 -exec touch -d 2001-02-03 {} +";
    Run::of(Command::new("sh").args(["-c", script, "sh", path(&tree.path), path(&copy)])).success();
    let again = deploy(&site, &conf, &copy, &["--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert_eq!(holds(&again), [format!("has release {release} in use")]);
    assert_eq!(site.untouched(0, "/opt/arcus"), before);
}

#[test]
fn a_limited_rate_is_kept_by_each_host() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = Tree::new(site.directory(), "large", 10_000_000);
    let flags = ["--limit-rate", "5M", "--output", "json"];
    let document = deploy(&site, &conf, &tree.path, &flags).success().json();
    let staged: Vec<&Value> = document["results"].as_array().unwrap()[..2].iter().collect();
    for result in staged {
        assert!(result["detail"].as_str().unwrap().starts_with("staged"), "{result}");
        assert!(result["seconds"].as_f64().unwrap() >= 1.8, "{result}");
    }
}

#[test]
fn thirty_two_hosts_are_served_by_one_run() {
    let site = Site::new(32);
    let conf = site.cloud("cloud", 11211, 1);
    let args = ["deploy", path(&conf), "--package", path(&site.package), "--output", "json"];
    let document = site.run(args).success().json();
    assert_eq!(document["failures"], json!([]));
    assert_eq!(document["results"].as_array().unwrap().len(), 64);
    let release = current(&site, 0);
    for index in 0..32 {
        assert_eq!(current(&site, index), release);
        site.sh(index, "cd /opt/arcus && test -x bin/memcached && test -x zookeeper/bin/zkServer.sh");
    }
    let before = site.untouched(31, "/opt/arcus");
    let again = site.run(args).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert_eq!(holds(&again).len(), 32);
    assert_eq!(site.untouched(31, "/opt/arcus"), before);
}

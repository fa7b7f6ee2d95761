//! Hosts that hang, vanish or are shared: what each costs, and that it costs the others nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Run, Site, path};

#[test]
fn a_host_that_hangs_costs_its_timeout_and_no_more() {
    let site = Site::new(2);
    site.settings("[timeouts]\nconnect = \"1s\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.freeze(site.host(1)).unwrap();
    let start = Instant::now();
    let run = site.run(["deploy", path(&conf), "--package", path(&site.package), "--partial"]).exits(3);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    run.says(&site.ip(1));
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    site.lab.thaw(site.host(1)).unwrap();
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.sh(1, "test -x /opt/arcus/bin/memcached");
}

#[test]
fn a_host_that_is_cut_off_in_the_middle_of_an_upload_is_given_up() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.hold_upload(1);
    let run = site.spawn(["deploy", path(&conf), "--package", path(&site.package), "--partial"]);
    site.wait_on(1, "[ -e /tmp/halfway ]");
    site.lab.cut(site.host(1)).unwrap();
    let start = Instant::now();
    let run = site.end(run).exits(3);
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    run.says(&site.ip(1));
    site.sh(0, "test -x /opt/arcus/bin/memcached");
    site.sh(1, "test ! -e /opt/arcus/current");

    // The session that was cut off goes on to its end there.
    site.lab.join(site.host(1)).unwrap();
    site.release(1);
    site.wait_on(1, "! pgrep -x cat >/dev/null");
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.sh(1, "test -x /opt/arcus/bin/memcached");
}

#[test]
fn two_deploys_at_once_leave_one_whole_release() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let args = ["deploy", path(&conf), "--package", path(&site.package)];
    // The second comes to the host while the first stands in the middle of its upload.
    let first = site.deploy_halfway(path(&conf));
    let second = site.spawn(args.into_iter().chain(["--lock-wait", "5m"]));
    // It waits for the lock.
    site.wait_on(0, "pgrep -fx 'flock -w [0-9]+ 9' >/dev/null");
    site.release(0);
    site.end(first).success();
    site.end(second).success();
    let here = Run::of(Command::new("sha256sum").arg("bin/memcached").current_dir(site.unpacked())).success();
    assert_eq!(site.sh(0, "cd /opt/arcus/current && sha256sum bin/memcached"), here.stdout.trim());
    let current = site.sh(0, "basename $(readlink /opt/arcus/current)");
    assert_eq!(site.sh(0, "ls -A /opt/arcus/releases"), format!(".lock\n{current}"));
}

#[test]
fn a_host_that_another_run_keeps_busy_is_refused() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let args = ["deploy", path(&conf), "--package", path(&site.package)];
    let first = site.deploy_halfway(path(&conf));
    site.run(args).exits(5).says(&format!("{}: another run is at work there", site.ip(0)));
    site.release(0);
    site.end(first).success();
    let again =
        site.run(["deploy", path(&conf), "--package", path(&site.package), "--output", "json"]).success();
    assert_eq!(again.json()["plan"]["stages"], json!([]));
}

#[test]
fn deploys_of_two_packages_at_once_leave_one_of_them_in_use() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let second = site.changed_package("second");
    let runs = [&site.package, &second]
        .map(|package| site.spawn(["deploy", path(&conf), "--package", path(package), "--lock-wait", "5m"]));
    // Whoever comes second waits, looks anew and switches then.
    for run in runs {
        site.end(run).success();
    }
    assert_eq!(site.sh(0, "ls /opt/arcus/releases").lines().count(), 2);
    site.sh(0, "cd /opt/arcus && test -x bin/memcached && test -x zookeeper/bin/zkServer.sh");
    assert_eq!(
        site.sh(0, "find /opt/arcus -name '*arcusctl-new' -o -name '*arcusctl-old*' -o -name '*.tree.*'"),
        ""
    );
    assert_eq!(site.sh(0, "ls -A /opt/arcus/releases | grep '^\\.'"), ".lock");
}

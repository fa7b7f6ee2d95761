//! What is checked of single hosts.

use crate::check::check;
use crate::support::{Site, path};

#[test]
fn bare_hosts_pass_with_a_warning_of_what_is_not_set_up_yet() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 2);
    let items = check(&site, &conf, &[]);
    assert!(items.of("fail").is_empty(), "{:#?}", items.of("fail"));
    let warned: Vec<&str> = items.ids("warn").into_iter().collect();
    assert_eq!(warned, ["member-state", "znodes"]);
    items.expect("zookeeper-reach", &site.ip(0), "pass", "nothing listens at some");
    items.expect("node-port", &site.node(2, 11212), "pass", "free");

    // For people the passes of many hosts are one line, and a warning says what to do.
    let told = site.run(["check", path(&conf)]).success().says("passed");
    let java: Vec<&str> = told.stdout.lines().filter(|line| line.contains(" java ")).collect();
    assert!(java.len() == 1 && java[0].ends_with("3 hosts"), "{java:?}");
    assert!(told.stdout.contains("arcusctl zookeeper init"), "{}", told.stdout);
    assert_eq!(site.sh(0, "ls -A /opt"), "", "looking changes nothing");
}

#[test]
fn a_running_cloud_passes_and_its_own_processes_are_not_in_its_way() {
    let (site, conf) = Site::with_cloud(3);
    let items = check(&site, &conf, &[]);
    assert!(items.of("fail").is_empty(), "{:#?}", items.of("fail"));
    // The sample build's engine is an empty file, which a real one's is not.
    let warned: Vec<&str> = items.ids("warn").into_iter().filter(|id| *id != "loader").collect();
    assert!(warned.is_empty(), "{:#?}", items.of("warn"));
    items.expect("node-port", &site.node(0, 11211), "pass", "this install's cache node has it");
    items.expect("member-port", &format!("{}:2181", site.ip(0)), "pass", "this member has them");
    items.expect("member-state", &format!("{}:2181", site.ip(0)), "pass", "serves");
    items.expect("zookeeper-reach", &site.ip(1), "pass", "all answer");
    items.expect("registration", "cloud", "pass", "is registered");
    items.expect("mapping", &site.node(1, 11212), "pass", "belongs to cloud");
}

#[test]
fn a_host_without_java_or_with_an_old_one_fails_and_one_that_does_not_tell_is_warned_of() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    check(&site, &conf, &[]).expect("java", &ip, "pass", "Java ");
    site.sh(0, "rm /usr/bin/java");
    check(&site, &conf, &[]).expect("java", &ip, "fail", "no Java");
    site.sh(0, "mkdir -p /opt/jdk/bin && echo 'JAVA_VERSION=\"1.7.0_80\"' >/opt/jdk/release");
    site.sh(0, "printf '#!/bin/sh\\n' >/opt/jdk/bin/java && chmod 755 /opt/jdk/bin/java && ln -s /opt/jdk/bin/java /usr/bin/");
    check(&site, &conf, &[]).expect("java", &ip, "fail", "is Java 1.7.0_80");
    site.sh(0, "rm /opt/jdk/release");
    check(&site, &conf, &[]).expect("java", &ip, "warn", "cannot be told");
    let version = "echo 'openjdk version \"1.8.0_402\"' >&2";
    site.sh(
        0,
        &format!("printf '%s\\n' '#!/bin/sh' '{}' >/opt/jdk/bin/java", version.replace('\'', r"'\''")),
    );
    check(&site, &conf, &[]).expect("java", &ip, "pass", "Java 1.8.0_402");
    // One that only login shells know of.
    site.sh(0, "rm /usr/bin/java && echo 'JAVA_HOME=/opt/jdk' >/etc/profile");
    check(&site, &conf, &[]).expect("java", &ip, "pass", "Java 1.8.0_402");
}

#[test]
fn missing_tools_are_told_by_name() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    check(&site, &conf, &[]).expect("tools", &ip, "pass", "").expect("flock", &ip, "pass", "");
    site.sh(0, "rm /usr/bin/flock");
    check(&site, &conf, &[]).expect("flock", &ip, "warn", "no flock");
    site.sh(0, "rm -f /bin/ps /usr/bin/ps /bin/gzip /usr/bin/gzip");
    check(&site, &conf, &[]).expect("tools", &ip, "fail", "no gzip, no ps");
}

#[test]
fn a_distribution_that_does_not_name_itself_is_warned_of() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    check(&site, &conf, &[]).expect("os", &site.ip(0), "pass", "");
    site.sh(0, "rm /etc/os-release");
    check(&site, &conf, &[]).expect("os", &site.ip(0), "warn", "no /etc/os-release");
}

#[test]
fn two_addresses_of_one_machine_may_not_want_the_same_port() {
    let site = Site::new(2);
    let second = "10.77.1.100";
    site.sh(1, &format!("ip addr add {second}/16 dev eth0"));
    let conf = |port| {
        let nodes = [("memcached-2", site.ip(1), 11211), ("memcached-2", second.to_owned(), port)];
        site.file("cloud.json", &crate::support::document("cloud", &nodes).to_string())
    };
    let args = ["--accept-new-host-keys"];
    let items = check(&site, &conf(11211), &args);
    items.expect("same-machine", second, "fail", "11211").expect("same-machine", &site.ip(1), "pass", "");
    // It joins by one of them only.
    items.expect("zookeeper-route", second, "fail", &site.ip(1));
    check(&site, &conf(11212), &args).expect("same-machine", second, "warn", &site.ip(1));
}

#[test]
fn a_disk_that_is_full_fails_and_one_that_soon_will_be_is_warned_of() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.settings("[zookeeper]\ndata_dir = \"/data\"\n");
    let ip = site.ip(0);
    site.sh(
        0,
        "mount -t tmpfs -o size=300m none /opt && mkdir /data && mount -t tmpfs -o size=90m none /data",
    );
    let items = check(&site, &conf, &[]);
    items.expect("install-disk", &ip, "warn", "MB free").expect("data-disk", &ip, "warn", "MB free");
    site.sh(0, "head -c 260M /dev/zero >/opt/fill; head -c 80M /dev/zero >/data/fill");
    let items = check(&site, &conf, &[]);
    items.expect("install-disk", &ip, "fail", "MB free").expect("data-disk", &ip, "fail", "MB free");
    // By the package it is measured exactly.
    site.sh(0, "head -c 180M /dev/zero >/opt/fill");
    let fits = ["--package", path(&site.package)];
    check(&site, &conf, &fits).expect("install-disk", &ip, "warn", "MB free");
    site.sh(0, "umount /opt /data");
    let items = check(&site, &conf, &[]);
    items.expect("install-disk", &ip, "pass", "more than").expect("data-disk", &ip, "pass", "more than");
}

#[test]
fn a_directory_that_cannot_be_written_to_fails() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.settings("[zookeeper]\ndata_dir = \"/data\"\n");
    let ip = site.ip(0);
    site.sh(0, "mount -t tmpfs -o ro none /opt && echo >/data");
    let items = check(&site, &conf, &[]);
    items.expect("install-path", &ip, "fail", "read-only").expect("log-directory", &ip, "fail", "read-only");
    items.expect("data-directory", &ip, "fail", "/data is no directory");
    site.sh(0, "umount /opt && rm /data");
    let items = check(&site, &conf, &[]);
    for id in ["install-path", "data-directory", "log-directory"] {
        items.expect(id, &ip, "pass", "can be made in");
    }
}

#[test]
fn the_cache_nodes_user_and_its_directory_are_looked_for() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    let items = check(&site, &conf, &[]);
    items.expect("user", &ip, "pass", "memcached").expect("run-directory", &ip, "pass", "memcached");
    site.sh(0, "sed -i '/^memcached:/s,:[^:]*$,:/bin/bash,' /etc/passwd && chown root /var/run/memcached");
    let items = check(&site, &conf, &[]);
    items.expect("user", &ip, "warn", "/bin/bash").expect("run-directory", &ip, "warn", "belongs to root");
    site.sh(0, "sed -i /^memcached:/d /etc/passwd && rm -r /var/run/memcached");
    let items = check(&site, &conf, &[]);
    items.expect("user", &ip, "fail", "no user memcached").expect(
        "run-directory",
        &ip,
        "warn",
        "there is no",
    );
    site.sh(0, "echo >/var/run/memcached");
    check(&site, &conf, &[]).expect("run-directory", &ip, "fail", "no directory");
}

#[test]
fn a_clock_that_is_off_is_told_with_its_direction() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(1);
    check(&site, &conf, &[]).expect("clock", &ip, "pass", "agrees");
    site.shadow(1, "date", "exec /usr/bin/date -d '8 seconds' \"$@\"");
    let items = check(&site, &conf, &[]);
    items.expect("clock", &ip, "warn", "ahead").expect("clock", &site.ip(0), "pass", "agrees");
    site.shadow(1, "date", "exec /usr/bin/date -d '1 hour ago' \"$@\"");
    let items = check(&site, &conf, &[]);
    items.expect("clock", &ip, "fail", "behind").expect("clock", &site.ip(2), "pass", "agrees");
    site.shadow(1, "date", "echo today");
    check(&site, &conf, &[]).expect("clock", &ip, "warn", "cannot be told");
}

#[test]
fn memory_is_held_against_all_cache_nodes_of_the_host() {
    let site = Site::with_ensemble(1);
    let ip = site.ip(0);
    let memory: u64 =
        site.sh(0, "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo").parse().unwrap();
    let megabytes = |percent: u64| (memory / 1024 * percent / 100).to_string();
    let cloud = |code: &str, port: u16, percent: u64| {
        let mut cloud = crate::support::document(code, &[("memcached-1", site.ip(0), port)]);
        cloud["config"]["memlimit"] = megabytes(percent).into();
        site.file(&format!("{code}.json"), &cloud.to_string())
    };
    let conf = cloud("cloud", 11211, 50);
    check(&site, &conf, &[]).expect("memory", &ip, "pass", "1 node(s)");
    let other = cloud("other", 11212, 35);
    site.run(["memcached", "register", path(&other)]).success();
    check(&site, &conf, &[]).expect("memory", &ip, "warn", "2 node(s)");
    check(&site, &cloud("large", 11213, 101), &[]).expect("memory", &ip, "fail", "% of");
}

#[test]
fn a_foreign_process_on_a_port_is_named() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let (node, member) = (site.node(0, 11211), format!("{}:2181", site.ip(0)));
    for port in [11211, 3888] {
        site.sh(0, &format!("memcached -d -u memcached -l {} -p {port} -P /tmp/{port}", site.ip(0)));
        site.wait_on(0, &format!("[ -s /tmp/{port} ]"));
    }
    let pids = [11211, 3888].map(|port| site.sh(0, &format!("cat /tmp/{port}")));
    let words = [format!("memcached (pid {}, /usr/bin/memcached)", pids[0]), format!("pid {}", pids[1])];
    let items = check(&site, &conf, &[]);
    items.expect("node-port", &node, "fail", &words[0]).expect("member-port", &member, "fail", &words[1]);
    // The kernel's own table tells as much.
    site.sh(0, "rm -f /bin/ss /usr/bin/ss");
    let items = check(&site, &conf, &[]);
    items.expect("node-port", &node, "fail", &words[0]).expect("member-port", &member, "fail", &words[1]);
    for pid in &pids {
        site.kill(0, pid);
    }
    let items = check(&site, &conf, &[]);
    items.expect("node-port", &node, "pass", "free").expect("member-port", &member, "pass", "free");
}

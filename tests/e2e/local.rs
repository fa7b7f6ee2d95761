//! A cloud on the very machine that the program runs on: no SSH, one ZooKeeper and two nodes on 127.0.0.1.

use std::path::Path;

use crate::support::{Run, Site};

/// A machine with the program, a package and the local sample in `home`, and with no ssh at all.
fn machine(home: &str) -> Site {
    let site = Site::new(1);
    site.sh(0, &format!("rm /usr/bin/ssh && mkdir -p {home}"));
    site.put(0, Path::new(env!("CARGO_BIN_EXE_arcusctl")), "/usr/local/bin/arcusctl");
    site.put(0, &site.package, &format!("{home}/arcus.tar.gz"));
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/local.json");
    site.put(0, &conf, &format!("{home}/local.json"));
    site
}

/// Runs a line of shell as a login user of the machine, in the user's home.
fn as_user(site: &Site, user: &str, line: &str) -> Run {
    Run::of(site.lab.on(site.host(0), "runuser").args(["-l", user, "-c", line]))
}

const OK: &str = " local-cloud  OK          2       2        0          0 ";

#[test]
fn root_sets_up_a_cloud_without_ssh() {
    let site = machine("/root/kit");
    let run =
        as_user(&site, "root", "cd kit && arcusctl quicksetup local.json --package arcus.tar.gz").success();
    assert!(run.stdout.contains(OK), "{}", run.stdout);
    for port in [11211, 11212] {
        let pid = site.pid(0, port);
        assert_eq!(
            site.sh(0, &format!("ps -o user=,sid= -p {pid}")).split_whitespace().next(),
            Some("memcach+")
        );
        let line = site.sh(0, &format!("tr '\\0' ' ' </proc/{pid}/cmdline"));
        assert!(line.ends_with("-z 127.0.0.1:2181"), "{line}");
    }
    let listed = as_user(&site, "root", "arcusctl memcached list local-cloud").success();
    assert!(listed.stdout.contains("\nOnline\n  127.0.0.1:11211\n  127.0.0.1:11212\n"), "{}", listed.stdout);
    let ping = as_user(&site, "root", "arcusctl ping local-cloud").success();
    assert_eq!(ping.stdout.lines().count(), 1 + 1 + 1 + 2, "{}", ping.stdout);

    let again =
        as_user(&site, "root", "cd kit && arcusctl quicksetup local.json --package arcus.tar.gz").success();
    again.says("127.0.0.1:11211  runs already");

    as_user(&site, "root", "arcusctl --yes memcached stop local-cloud && arcusctl --yes zookeeper stop")
        .success();
    assert_eq!(site.servers(0), "");
}

/// A machine on which somebody without any rights has an install of their own.
fn machine_of_a_keeper() -> Site {
    let site = machine("/home/keeper");
    site.sh(
        0,
        "useradd --home-dir /home/keeper --shell /bin/bash keeper
         mkdir -p /home/keeper/.config/arcusctl
         printf 'install_path = \"%s\"\\npackage = \"~/arcus.tar.gz\"\\n' /home/keeper/arcus \
             >/home/keeper/.config/arcusctl/arcusctl.toml
         chown -R keeper: /home/keeper",
    );
    site
}

#[test]
fn somebody_without_rights_sets_up_a_cloud_below_their_home() {
    let site = machine_of_a_keeper();
    let run = as_user(&site, "keeper", "arcusctl quicksetup local.json").success();
    assert!(run.stdout.contains(OK), "{}", run.stdout);
    let owners =
        site.sh(0, "for pid in $(pgrep -x 'memcached|java'); do ps -o user= -p $pid; done | sort | uniq -c");
    assert_eq!(owners.split_whitespace().collect::<Vec<_>>(), ["3", "keeper"]);
    site.sh(0, "[ ! -e /opt/arcus ] && [ -x /home/keeper/arcus/bin/memcached ]");

    as_user(&site, "keeper", "arcusctl --yes memcached stop local-cloud 127.0.0.1:11211").success();
    let listed = as_user(&site, "keeper", "arcusctl memcached list local-cloud").success();
    assert!(listed.stdout.contains("SOME_DOWN"), "{}", listed.stdout);
    as_user(&site, "keeper", "arcusctl memcached start local-cloud").success();
    as_user(&site, "keeper", "arcusctl --yes memcached stop local-cloud && arcusctl --yes zookeeper stop")
        .success();
    assert_eq!(site.servers(0), "");
}

#[test]
fn limits_that_are_too_low_are_explained() {
    let site = machine_of_a_keeper();
    site.sh(0, "sed -i 's/\"100\"/\"1000\"/' /home/keeper/local.json");
    as_user(&site, "keeper", "arcusctl quicksetup local.json").success();
    as_user(&site, "keeper", "arcusctl --yes memcached stop local-cloud").success();

    let check = |limit: &str| as_user(&site, "keeper", &format!("{limit} && arcusctl check local.json"));
    let run = check("ulimit -n 500").exits(1);
    assert!(run.stdout.contains("the hard limit is 500"), "{}", run.stdout);
    let run = check("ulimit -c 0").exits(1);
    assert!(run.stdout.contains("the hard limit is 0"), "{}", run.stdout);
    let run = check("true").success();
    assert!(run.stdout.contains("this machine, as keeper"), "{}", run.stdout);

    let files = as_user(&site, "keeper", "ulimit -n 500 && arcusctl memcached start local-cloud").exits(1);
    files.says("exit status 71").says("failed to set rlimit for open files");
    let cores = as_user(&site, "keeper", "ulimit -c 0 && arcusctl memcached start local-cloud").exits(1);
    cores.says("exit status 71").says("failed to ensure core").says("core limit above 0");
    as_user(&site, "keeper", "arcusctl memcached start local-cloud").success();
}

//! `deploy`: every host ends with the whole old tree or the whole new one, and what runs goes on running.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Run, Site, cloud_json, path};

/// What a host has in use.
fn release(site: &Site, index: usize) -> String {
    site.sh(index, "readlink /opt/arcus/current || true").trim_start_matches("releases/").to_owned()
}

/// Everything that lies among the releases of a host, but for the lock file.
fn releases(site: &Site, index: usize) -> String {
    site.sh(index, "ls -A /opt/arcus/releases | grep -v '^\\.lock$' || true")
}

fn deploy(site: &Site, conf: &Path, package: &Path) -> Run {
    site.run(["deploy", path(conf), "--package", path(package)])
}

/// What the plan of a document says holds already.
fn holds(document: &Value) -> Vec<String> {
    let holds = document["plan"]["holds"].as_array().unwrap();
    holds.iter().map(|hold| hold["fact"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_host_gets_the_release_at_the_paths_of_arcus_sh() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    deploy(&site, &conf, &site.package).success();
    for index in [0, 1] {
        for file in ["bin/memcached", "lib/default_engine.so", "zookeeper/bin/zkServer.sh"] {
            site.sh(index, &format!("test -f /opt/arcus/{file}"));
        }
        assert_eq!(site.sh(index, "readlink /opt/arcus/bin"), "current/bin");
        assert_eq!(site.sh(index, "readlink /opt/arcus/zookeeper/bin"), "../current/zookeeper/bin");
        assert_eq!(releases(&site, index), release(&site, index));
        assert_eq!(site.sh(index, "stat -c %F /opt/arcus/zookeeper/conf"), "directory");
        assert_eq!(
            site.sh(index, "ls /opt/arcus/zookeeper/conf/*.cfg"),
            "/opt/arcus/zookeeper/conf/zoo_sample.cfg"
        );
    }
    assert_eq!(release(&site, 0), release(&site, 1));
}

#[test]
fn a_second_deploy_changes_nothing_and_says_so() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    deploy(&site, &conf, &site.package).success();
    let before = site.untouched(0, "/opt/arcus");
    let again = site
        .run(["deploy", path(&conf), "--package", path(&site.package), "--output", "json"])
        .success()
        .json();
    assert_eq!(again["plan"]["stages"], json!([]));
    assert_eq!(again["failures"], json!([]));
    let fact = format!("has release {} in use", release(&site, 0));
    assert_eq!(holds(&again), [fact.clone(), fact]);
    assert_eq!(site.untouched(0, "/opt/arcus"), before);
}

#[test]
fn a_dry_run_shows_the_plan_that_is_then_run_and_changes_nothing() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let args = ["deploy", path(&conf), "--package", path(&site.package), "--output", "json"];
    let dry = site.run(args.into_iter().chain(["--dry-run"])).success().json();
    assert_eq!(dry["dryRun"], json!(true));
    assert!(!dry["plan"]["stages"].as_array().unwrap().is_empty());
    assert_eq!(site.sh(0, "ls -A /opt"), "");
    let run = site.run(args).success().json();
    assert_eq!(run["dryRun"], json!(false));
    assert_eq!(run["plan"], dry["plan"]);
    let told = site.run(["deploy", path(&conf), "--package", path(&site.package), "--dry-run"]).success();
    assert!(told.stdout.contains("nothing to do"), "{}", told.stdout);
}

#[test]
fn a_changed_package_is_switched_to_under_running_servers() {
    let (site, conf) = Site::with_cloud(1);
    let stored = site.talk(0, 11211, "set kept 0 0 5\r\nvalue\r\n");
    assert!(stored.contains("STORED"), "{stored}");
    let (servers, old) = (site.servers(0), release(&site, 0));
    assert_eq!(servers.lines().count(), 3, "{servers}");

    deploy(&site, &conf, &site.changed_package("second")).success();
    assert_ne!(release(&site, 0), old);
    assert_eq!(site.sh(0, "cat /opt/arcus/lib/second"), "second");
    assert_eq!(site.servers(0), servers);
    assert!(site.talk(0, 11211, "get kept\r\n").contains("value"));
    site.run(["zookeeper", "stat"]).success();
    let list = site.run(["memcached", "list", "cloud"]).success();
    assert!(list.stdout.contains("OK"), "{}", list.stdout);

    // The ensemble runs from the new tree with the old one's data; nodes live through that.
    site.run(["zookeeper", "restart", "--all"]).success();
    let list = site.run(["memcached", "list", "cloud"]).success();
    assert!(list.stdout.contains("OK"), "{}", list.stdout);
    assert!(site.talk(0, 11211, "get kept\r\n").contains("value"));
}

#[test]
fn what_belongs_to_the_machine_survives_a_deploy() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    deploy(&site, &conf, &site.package).success();
    site.sh(
        0,
        "cd /opt/arcus/zookeeper && mkdir -p data/version-2 && echo 3 >data/myid && echo log >data/version-2/log.1 && \
         echo out >logs/zookeeper.out && echo tickTime=2000 >conf/zoo.cfg && echo '# mine' >conf/log4j.properties && \
         mkdir -p ../logs ../run && echo log >../logs/memcached-11211.log && echo 7 >../run/memcached-11211.pid && \
         echo mine >../notes.txt",
    );
    let own = "{ find zookeeper/data zookeeper/logs zookeeper/conf logs run; echo notes.txt; } | sort | xargs ls -ldi --full-time";
    let own = format!("cd /opt/arcus && {own}");
    let before = site.sh(0, &own);
    deploy(&site, &conf, &site.changed_package("second")).success();
    assert_eq!(site.sh(0, "cat /opt/arcus/lib/second"), "second");
    assert_eq!(site.sh(0, &own), before);
}

#[test]
fn a_directory_is_packed_without_what_belongs_to_one_machine() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let tree = site.unpacked();
    for file in [
        "zookeeper/data/myid",
        "zookeeper/data/version-2/log.1",
        "zookeeper/data/zookeeper_server.pid",
        "zookeeper/logs/zookeeper-root-server-admin.out",
        "zookeeper/conf/zoo.cfg",
        "zookeeper/conf/zoo.cfg.dynamic.100000000",
        "run/memcached-11211.pid",
        "logs/memcached-11211.log",
        ".git/HEAD",
    ] {
        let file = tree.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "admin's own\n").unwrap();
    }
    deploy(&site, &conf, &tree).success();
    site.sh(0, "test -x /opt/arcus/bin/memcached && test -f /opt/arcus/zookeeper/conf/zoo_sample.cfg");
    let found = site.sh(0, "grep -rl \"admin's own\" /opt/arcus; true");
    assert_eq!(found, "", "came along");
    assert_eq!(site.sh(0, "find /opt/arcus -name .git"), "");

    // Packing the same tree gives the same release.
    let again =
        site.run(["deploy", path(&conf), "--package", path(&tree), "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
}

#[test]
fn an_archive_that_arrives_damaged_is_refused_by_the_host() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    // Some bytes that are piped through cat there come out as others.
    site.shadow(0, "cat", "[ $# -eq 0 ] || exec /usr/bin/cat \"$@\"\nexec env LC_ALL=C tr '\\000' '\\001'");
    deploy(&site, &conf, &site.package).exits(3).says(&site.ip(0)).says("arrived damaged");
    assert_eq!(releases(&site, 0), "");
    // All or none.
    assert_eq!([release(&site, 0), release(&site, 1)], ["", ""]);

    site.sh(0, "rm /usr/local/bin/cat");
    deploy(&site, &conf, &site.package).success();
    assert_eq!(release(&site, 0), release(&site, 1));
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_sent() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "mount -t tmpfs -o size=4m none /opt");
    deploy(&site, &conf, &site.package).exits(5).says(&site.ip(0)).says("not enough room").says("free space");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

#[test]
fn a_disk_that_fills_up_meanwhile_keeps_its_old_release() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "mount -t tmpfs -o size=80m none /opt");
    deploy(&site, &conf, &site.package).success();
    let old = release(&site, 0);
    let before = site.sums(0, "/opt/arcus/current");
    let second = site.changed_package("second");
    // There was room when it was asked for.
    site.shadow(0, "df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\nnone 9000000 0 9000000 0%% /opt\\n'");
    site.sh(0, "head -c 80M /dev/zero >/opt/fill 2>/dev/null; true");
    deploy(&site, &conf, &second)
        .exits(1)
        .says(&site.ip(0))
        .says("No space left on device")
        .says("free space");
    assert_eq!(release(&site, 0), old);
    assert_eq!(site.sums(0, "/opt/arcus/current"), before);
    assert_eq!(site.sh(0, "ls /opt/arcus/releases"), old);

    site.sh(0, "rm /opt/fill");
    deploy(&site, &conf, &second).success();
    assert_eq!(site.sh(0, "cat /opt/arcus/lib/second"), "second");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "mount -t tmpfs -o ro none /opt");
    deploy(&site, &conf, &site.package).exits(5).says("cannot write to /opt/arcus").says(&site.ip(0));
}

#[test]
fn a_host_without_gzip_or_zstd_is_told_what_it_lacks() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.sh(0, "rm -f /usr/bin/gzip /usr/bin/zstd");
    deploy(&site, &conf, &site.package).exits(1).says("gzip").says("install what is missing");
    assert_eq!(site.sh(0, "ls /opt/arcus/releases"), "");
}

#[test]
fn an_install_of_arcus_sh_is_adopted_while_it_runs() {
    let site = Site::new(1);
    let ip = site.ip(0);
    site.install_like_arcus_sh(0, 1, &[(1, ip.clone())]);
    let mapping = format!("/arcus/cache_server_mapping/{ip}:11211");
    site.await_serving(0);
    site.create_znodes(&[
        ("/arcus", b""),
        ("/arcus/cache_list", b""),
        ("/arcus/client_list", b""),
        ("/arcus/cache_server_mapping", b""),
        ("/arcus/cache_list/hand", b"0"),
        ("/arcus/client_list/hand", b""),
        (&mapping, b""),
        (&format!("{mapping}/hand"), b""),
    ]);
    site.start_node_like_arcus_sh(0, 11211, &format!("{ip}:2181"));
    site.sh(
        0,
        "mkdir -p /opt/arcus/scripts && echo mine >/opt/arcus/scripts/notes && echo mine >/opt/arcus/notes",
    );
    assert!(site.talk(0, 11211, "set kept 0 0 5\r\nvalue\r\n").contains("STORED"));
    let servers = site.servers(0);
    assert_eq!(servers.lines().count(), 2, "{servers}");
    // The server's own log and data grow by themselves.
    let plain = "cd /opt/arcus && find -L . \\( -path ./releases -o -path ./current -o -path ./previous -o -path ./zookeeper/logs \
                 -o -path ./zookeeper/data -o -path ./.operation.lock \\) -prune -o -type f -exec sha256sum {} + | sort -k 2";
    let before = site.sh(0, plain);

    let conf = site.cloud("hand", 11211, 1);
    let second = site.changed_package("second");
    let dry = site.run(["deploy", path(&conf), "--package", path(&second), "--dry-run"]).success();
    assert!(dry.stdout.contains("as a release of its own, then switch to release"), "{}", dry.stdout);
    assert_eq!(site.sh(0, plain), before);
    deploy(&site, &conf, &second).success();

    assert_eq!(site.servers(0), servers);
    assert!(site.talk(0, 11211, "get kept\r\n").contains("value"));
    let list = site.run(["memcached", "list", "hand"]).success();
    assert!(list.stdout.contains("OK"), "{}", list.stdout);
    // At the old paths lies the new release; everything else is where it was.
    let after = site.sh(0, plain);
    let lost: Vec<&str> = before.lines().filter(|line| !after.lines().any(|found| found == *line)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let added: Vec<&str> = after.lines().filter(|line| !before.lines().any(|found| found == *line)).collect();
    assert!(added.len() == 1 && added[0].ends_with("./lib/second"), "{added:#?}");
    // The old one is a release of its own, whole.
    let adopted = site.sh(0, "cd /opt/arcus/releases && ls -d adopted-*");
    site.sh(0, &format!("cd /opt/arcus/releases/{adopted} && test -x bin/memcached && test -x zookeeper/bin/zkServer.sh && test ! -e lib/second"));
    assert_eq!(site.sh(0, "cat /opt/arcus/zookeeper/data/myid"), "1");
    site.sh(0, "test -d /opt/arcus/zookeeper/data/version-2");

    // What arcus.sh started can be stopped, and started anew from the release.
    site.run(["memcached", "stop", "hand"]).success();
    site.run(["zookeeper", "restart", "--all"]).success();
    let again =
        site.run(["deploy", path(&conf), "--package", path(&second), "--output", "json"]).success().json();
    assert_eq!(again["plan"]["stages"], json!([]));
}

#[test]
fn a_host_without_power_is_named_and_the_others_are_made_ready() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.kill(site.host(1)).unwrap();
    let run =
        site.run(["deploy", path(&conf), "--package", path(&site.package), "--output", "json"]).exits(3);
    let failures = run.json()["failures"].clone();
    assert_eq!(failures.as_array().unwrap().len(), 1, "{failures}");
    assert_eq!(failures[0]["kind"], "unreachable");
    assert!(failures[0]["message"].as_str().unwrap().starts_with(&site.ip(1)), "{failures}");
    // All or none: the release lies ready on the other host and is in use only when that is asked for.
    assert_ne!(releases(&site, 0), "");
    assert_eq!(release(&site, 0), "");
    let partial = ["deploy", path(&conf), "--package", path(&site.package), "--partial"];
    site.run(partial).exits(3).says(&site.ip(1)).says("has release");
    assert_eq!(release(&site, 0), releases(&site, 0));

    site.lab.boot(site.host(1)).unwrap();
    deploy(&site, &conf, &site.package).success();
    assert_eq!(release(&site, 1), release(&site, 0));
}

#[test]
fn no_host_that_can_be_reached_is_an_unreachable_cloud() {
    let site = Site::new(2);
    site.settings("[timeouts]\nconnect = \"2s\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.kill(site.host(0)).unwrap();
    site.lab.cut(site.host(1)).unwrap();
    let run = deploy(&site, &conf, &site.package).exits(6);
    run.says(&site.ip(0)).says(&site.ip(1));
}

#[test]
fn an_unknown_host_key_is_refused_until_it_is_accepted() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let known = site.lab.admin_ssh_dir().join("known_hosts");
    std::fs::write(&known, "").unwrap();
    let run = deploy(&site, &conf, &site.package).exits(5);
    run.says(&site.ip(0)).says("its ssh host key is unknown").says("--accept-new-host-keys");
    assert_eq!(std::fs::read_to_string(&known).unwrap(), "");
    assert_eq!(site.sh(0, "ls -A /opt"), "");

    let accepting = ["deploy", path(&conf), "--package", path(&site.package), "--accept-new-host-keys"];
    site.run(accepting).success();
    assert!(std::fs::read_to_string(&known).unwrap().contains("ssh-ed25519"));
    // It is known from now on.
    deploy(&site, &conf, &site.package).success();
}

#[test]
fn a_changed_host_key_is_refused_even_if_new_ones_are_accepted() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let known = site.lab.admin_ssh_dir().join("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    let key_of = |ip: &str| {
        let line = text.lines().find(|line| line.contains(ip)).unwrap();
        line.split_once(' ').unwrap().1.to_owned()
    };
    let (first, second) = (site.ip(0), site.ip(1));
    // The first host answers with another key than the one that is on record.
    std::fs::write(&known, format!("{first} {key}\n{second} {key}\n", key = key_of(&second))).unwrap();
    for flags in [&[][..], &["--accept-new-host-keys"][..]] {
        let args = ["deploy", path(&conf), "--package", path(&site.package)]
            .into_iter()
            .chain(flags.iter().copied());
        site.run(args)
            .exits(3)
            .says(&format!("{first}: its ssh host key is not the known one"))
            .says("ssh-keygen -R");
    }
    assert_eq!(site.sh(0, "ls -A /opt"), "");
    assert_eq!(release(&site, 1), "");
}

#[test]
fn a_machine_with_two_names_is_served_once() {
    let site = Site::new(2);
    let conf = site.cloud("cloud", 11211, 1);
    let by_name = format!("{}:2181", site.host(0).name);
    let run = site.run([
        "-z",
        &by_name,
        "deploy",
        path(&conf),
        "--package",
        path(&site.package),
        "--output",
        "json",
    ]);
    let document = run.success().json();
    assert_eq!(holds(&document), [format!("is the same machine as {}", site.ip(0))]);
    assert_eq!(document["plan"]["holds"][0]["target"]["host"], site.host(0).name);
    let staged = document["plan"]["stages"][0]["steps"].as_array().unwrap();
    assert_eq!(staged.len(), 2, "{staged:?}");
}

#[test]
fn what_is_no_arcus_build_is_refused_before_any_host_is_changed() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let missing = site.directory().join("missing.tar.gz");
    deploy(&site, &conf, &missing).exits(4).says("missing.tar.gz");

    let text = site.file("text.tar.gz", "this is no archive\n");
    deploy(&site, &conf, &text).exits(4).says("text.tar.gz");

    let whole = std::fs::read(&site.package).unwrap();
    let cut = site.directory().join("cut.tar.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    deploy(&site, &conf, &cut).exits(4).says("cut.tar.gz");

    let other = site.directory().join("other.tar.gz");
    std::fs::create_dir_all(site.directory().join("other/bin")).unwrap();
    site.file("other/bin/redis-server", "not Arcus\n");
    let mut tar = std::process::Command::new("tar");
    Run::of(tar.arg("-czf").arg(&other).arg("-C").arg(site.directory()).arg("other")).success();
    deploy(&site, &conf, &other).exits(4).says("other.tar.gz").says("bin/memcached");

    site.run(["deploy", path(&conf)]).exits(4).says("--package");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

/// Makes a user `deployer` on a host whom the admin may log in as.
fn add_deployer(site: &Site, index: usize) {
    let key = std::fs::read_to_string(site.lab.admin_ssh_dir().join("id_ed25519.pub")).unwrap();
    let key = site.file("key.pub", &key);
    site.sh(index, "useradd -m -p '*' -s /bin/sh deployer && install -d -o deployer -m 700 ~deployer/.ssh");
    site.put(index, &key, "/home/deployer/.ssh/authorized_keys");
    site.sh(
        index,
        "chown deployer /home/deployer/.ssh/authorized_keys && chmod 600 /home/deployer/.ssh/authorized_keys",
    );
}

#[test]
fn a_login_user_who_may_not_write_there_is_named() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    add_deployer(&site, 0);
    site.settings("[ssh]\nuser = \"deployer\"\n");
    let run = deploy(&site, &conf, &site.package).exits(5);
    run.says("cannot write to /opt/arcus").says("deployer").says("[ssh] user");
    assert_eq!(site.sh(0, "ls -A /opt"), "");
}

#[test]
fn a_login_user_who_owns_the_install_path_needs_no_root() {
    let site = Site::new(1);
    let conf =
        site.file("cloud.json", &cloud_json("cloud", &[(site.host(0).name.clone(), site.ip(0))], 11211, 1));
    add_deployer(&site, 0);
    site.settings("install_path = \"/home/deployer/arcus\"\n[ssh]\nuser = \"deployer\"\n");
    site.run(["quicksetup", path(&conf), "--package", path(&site.package)]).success();
    let owners = site.sh(0, "ps -o user= -p $(pgrep -d, -x 'memcached|java') | sort -u");
    assert_eq!(owners, "deployer");
    assert_eq!(site.sh(0, "find /home/deployer/arcus ! -user deployer; ls -A /opt"), "");
    let list = site.run(["memcached", "list", "cloud"]).success();
    assert!(list.stdout.contains("OK"), "{}", list.stdout);
    site.run(["memcached", "stop", "cloud"]).success();
    site.run(["zookeeper", "stop"]).success();
}

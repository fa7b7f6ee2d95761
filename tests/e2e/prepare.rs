//! `hosts prepare`: bare hosts made ready for a first deploy, as root, by sudo, and with no rights at all.

use serde_json::Value;

use crate::support::{Run, Site, path};

/// Bare hosts and the cloud they are to be made ready for.
fn bare(hosts: usize) -> (Site, std::path::PathBuf) {
    let site = Site::new(hosts);
    for index in 0..hosts {
        site.make_bare(index);
    }
    let conf = site.cloud("cloud", 11211, 2);
    (site, conf)
}

fn steps(run: &Run) -> Vec<Value> {
    let stages = run.json()["plan"]["stages"].as_array().unwrap().clone();
    stages.iter().flat_map(|stage| stage["steps"].as_array().unwrap().clone()).collect()
}

#[track_caller]
fn nothing_is_left_to_do(site: &Site, conf: &std::path::Path) {
    let again = site.run(["hosts", "prepare", path(conf), "--output", "json"]).success();
    assert_eq!(steps(&again), [] as [Value; 0], "{}", again.stdout);
}

/// Takes away every Java that a login finds; the packages stay.
#[track_caller]
fn hide_java(site: &Site, index: usize) {
    site.sh(index, "readlink -f /usr/bin/java >/srv/java && rm /usr/bin/java && ! command -v java");
}

/// Makes the host's own apt-get find its packages in a directory of the host, with a JRE that links to the Java there.
#[track_caller]
fn offer_java(site: &Site, index: usize) {
    site.sh(
        index,
        r#"set -e
        mkdir -p /srv/jre/DEBIAN /srv/jre/usr/bin /srv/repo
        ln -s "$(cat /srv/java)" /srv/jre/usr/bin/java
        control='Package: default-jre-headless
Version: 9:99
Architecture: all
Maintainer: Lab <lab@localhost>
Description: links to the Java that this machine has'
        echo "$control" >/srv/jre/DEBIAN/control
        dpkg-deb --build /srv/jre /srv/repo/jre.deb
        cd /srv/repo
        { echo "$control"; echo 'Filename: ./jre.deb'; echo "Size: $(stat -c %s jre.deb)"
          echo "SHA256: $(sha256sum jre.deb | cut -d ' ' -f 1)"; } >Packages"#,
    );
    packages_from(site, index, "deb [trusted=yes] file:/srv/repo ./");
}

#[track_caller]
fn packages_from(site: &Site, index: usize, source: &str) {
    site.sh(
        index,
        &format!(
            "rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/* && echo '{source}' >/etc/apt/sources.list"
        ),
    );
}

#[test]
fn bare_hosts_are_prepared_once_and_a_deploy_then_runs_on_them() {
    let (site, conf) = bare(3);
    let shown = site.run(["hosts", "prepare", path(&conf), "--dry-run"]).success();
    assert!(shown.stdout.contains("create the user memcached, who cannot log in"), "{}", shown.stdout);
    site.sh(0, "! getent passwd memcached && [ ! -e /run/memcached ] && [ ! -e /opt/arcus ]");

    let run = site.run(["hosts", "prepare", path(&conf)]).success();
    run.says("created the user memcached").says("hosts prepare: 9 done");
    for index in 0..3 {
        assert_eq!(
            site.sh(index, "getent passwd memcached | cut -d : -f 6,7"),
            "/nonexistent:/usr/sbin/nologin"
        );
        assert_eq!(site.sh(index, "getent shadow memcached | cut -d : -f 2"), "!");
        assert_eq!(
            site.sh(index, "stat -c '%U %a' /var/run/memcached /opt/arcus"),
            "memcached 755\nroot 755"
        );
    }
    nothing_is_left_to_do(&site, &conf);
    site.run(["quicksetup", path(&conf), "--package", path(&site.package)]).success();
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn the_run_directory_comes_back_after_a_reboot() {
    let (site, conf) = bare(1);
    site.run(["hosts", "prepare", path(&conf)]).success();
    site.lab.kill(site.host(0)).unwrap();
    site.lab.boot(site.host(0)).unwrap();
    // What systemd does at each boot; the lab's hosts have none.
    site.sh(0, "rm -rf /run/memcached && systemd-tmpfiles --create arcus.conf");
    assert_eq!(site.sh(0, "stat -c %U /run/memcached"), "memcached");
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn a_login_with_sudo_gets_the_install_path_and_limits_that_its_logins_have_from_then_on() {
    let (site, _) = bare(1);
    site.make_login(0, "deploy");
    site.let_sudo(0, "deploy");
    site.sshd_with(0, "UsePAM yes");
    site.sh(0, "printf 'deploy hard nofile 600\\ndeploy hard core 0\\n' >/etc/security/limits.d/00-low.conf");
    assert_eq!(site.as_login(0, "deploy", "ulimit -H -n; ulimit -H -c").success().stdout, "600\n0\n");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    let many = std::fs::read_to_string(&conf).unwrap().replace("\"100\"", "\"3000\"");
    let conf = site.file("many.json", &many);

    // What may be running there changes hands only when somebody agrees to it, and what is not root's never.
    site.sh(0, "mkdir -p /opt/arcus/root /opt/arcus/others && chown nobody /opt/arcus/others");
    Run::of(site.command().args(["hosts", "prepare", path(&conf)])).exits(5).says("is given away on");
    let run = site.run(["hosts", "prepare", path(&conf)]).success();
    run.says("give it to deploy").says("(with sudo)");
    let owners = site.sh(0, "stat -c %U /run/memcached /opt/arcus /opt/arcus/root /opt/arcus/others");
    assert_eq!(owners, "deploy\ndeploy\ndeploy\nnobody");
    assert_eq!(
        site.as_login(0, "deploy", "ulimit -H -n; ulimit -H -c").success().stdout,
        "3020\nunlimited\n"
    );
    nothing_is_left_to_do(&site, &conf);

    site.run(["quicksetup", path(&conf), "--package", path(&site.package)]).success();
    let owner = site.sh(0, "stat -c %U /opt/arcus/current/bin/memcached");
    assert_eq!(owner, "deploy");
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn a_login_without_rights_is_told_what_it_lacks_and_the_other_hosts_go_on() {
    let (site, conf) = bare(2);
    for index in 0..2 {
        site.make_login(index, "deploy");
    }
    site.let_sudo(1, "deploy");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let run = site.run(["hosts", "prepare", path(&conf)]).exits(3);
    let run = run.says(&format!("{}: deploy cannot do this without sudo: make /opt/arcus", site.ip(0)));
    run.says("a password is required").says("NOPASSWD");
    site.sh(0, "[ ! -e /opt/arcus ] && [ ! -e /run/memcached ]");
    assert_eq!(site.sh(1, "stat -c %U /opt/arcus"), "deploy");

    site.let_sudo(0, "deploy");
    site.run(["hosts", "prepare", path(&conf)]).success();
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn somebody_without_rights_needs_none_below_their_home() {
    let (site, conf) = bare(1);
    site.make_login(0, "deploy");
    site.settings("install_path = \"/home/deploy/arcus\"\n[ssh]\nuser = \"deploy\"\n");
    site.run(["hosts", "prepare", path(&conf)]).success().says("cache nodes run as deploy");
    assert_eq!(site.sh(0, "stat -c %U /home/deploy/arcus"), "deploy");
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn java_is_installed_by_the_hosts_own_package_manager_when_agreed_to() {
    let (site, conf) = bare(1);
    hide_java(&site, 0);
    offer_java(&site, 0);
    let unasked = Run::of(site.command().args(["hosts", "prepare", path(&conf)])).exits(3);
    unasked.says("has no Java runtime").says("--install-java").says("created the user memcached");
    site.sh(0, "! command -v java");

    let run = Run::of(site.command().args(["hosts", "prepare", path(&conf), "--install-java"])).success();
    run.says("installed default-jre-headless, Java ");
    assert_eq!(site.sh(0, "dpkg-query --show --showformat '${Version}' default-jre-headless"), "9:99");
    nothing_is_left_to_do(&site, &conf);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.run(["zookeeper", "init"]).success();
}

#[test]
fn at_a_terminal_java_is_asked_for() {
    let (site, conf) = bare(1);
    hide_java(&site, 0);
    offer_java(&site, 0);
    let no = site.at_terminal(["hosts", "prepare", path(&conf)], "\n").exits(3);
    assert!(no.stdout.contains("Install this on 1 host(s)? [y/N]"), "{}", no.stdout);
    site.sh(0, "getent passwd memcached && ! command -v java");
    site.at_terminal(["hosts", "prepare", path(&conf)], "y\n").success();
    site.sh(0, "java -version");
}

#[test]
fn a_package_manager_that_cannot_help_speaks_for_itself() {
    let (site, conf) = bare(1);
    hide_java(&site, 0);
    packages_from(&site, 0, "");
    // The package is there as far as dpkg knows, so apt-get has nothing to do.
    let run = site.run(["hosts", "prepare", path(&conf), "--yes"]).exits(3);
    run.says("could not install a Java runtime").says("there is still no java in PATH").says("JAVA_HOME");
    site.sh(0, "dpkg --remove --force-depends default-jre-headless");
    let run = site.run(["hosts", "prepare", path(&conf), "--yes"]).exits(3);
    run.says("default-jre-headless").says("E: ");
}

#[test]
fn a_run_that_is_cut_short_is_resumed_and_finished() {
    let (site, conf) = bare(1);
    // It stands between making the run directory and giving it away.
    site.shadow(0, "chown", "echo $PPID $$ >/tmp/held\nuntil [ -e /tmp/go ]; do sleep 0.05; done");
    let mut run = site.spawn(["hosts", "prepare", path(&conf)]);
    site.wait_on(0, "[ -s /tmp/held ]");
    run.kill().unwrap();
    site.end(run);
    site.sh(0, "kill -9 $(cat /tmp/held) && rm /usr/local/bin/chown");
    assert_eq!(site.sh(0, "stat -c %U /run/memcached"), "root");
    // Its journal knows what was meant.
    site.run(["resume"]).success();
    assert_eq!(site.sh(0, "stat -c %U /run/memcached"), "memcached");
    nothing_is_left_to_do(&site, &conf);
}

#[test]
fn a_dead_host_and_one_with_a_file_in_the_way_keep_no_other_from_being_prepared() {
    let (site, conf) = bare(3);
    site.settings("[timeouts]\nconnect = \"1s\"\n");
    site.lab.cut(site.host(1)).unwrap();
    site.sh(2, "ln -s /etc /run/memcached");
    let run = site.run(["hosts", "prepare", path(&conf)]).exits(3);
    let run = run.says(&site.ip(1)).says("/run/memcached is no directory");
    run.says("created the user memcached");
    site.sh(0, "getent passwd memcached");
    assert_eq!(site.sh(2, "stat -c %U /etc"), "root");
}

//! Logins that are not root: what they may, what they cannot tell, and the limits that they have.

use crate::check::check;
use crate::support::Site;

/// A host where the admin logs in as `deploy`.
fn site() -> Site {
    let site = Site::new(1);
    site.settings("[ssh]\nuser = \"deploy\"\n");
    site.sh(
        0,
        "echo 'deploy:x:4000:4000::/home/deploy:/bin/sh' >>/etc/passwd && echo 'deploy:x:4000:' >>/etc/group && \
         mkdir -p /home/deploy/.ssh && cp /root/.ssh/authorized_keys /home/deploy/.ssh/ && chown -R 4000:4000 /home/deploy && \
         sed -i 's,^deploy:[^:]*,deploy:*,' /etc/shadow; grep -q ^deploy: /etc/shadow || echo 'deploy:*:19000:0:99999:7:::' >>/etc/shadow",
    );
    site
}

#[test]
fn who_is_not_root_needs_sudo_or_directories_of_its_own() {
    let site = site();
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    site.sh(0, "rm -f /bin/sudo /usr/bin/sudo");
    let items = check(&site, &conf, &[]);
    items.expect("ssh", &ip, "pass", "logged in as deploy").expect("sudo", &ip, "fail", "may not use sudo");
    items.expect("install-path", &ip, "fail", "cannot be written to by deploy");
    items.expect("user", &ip, "pass", "deploy");
    site.sh(0, "install -d -o deploy /opt/arcus");
    let items = check(&site, &conf, &[]);
    items.expect("sudo", &ip, "warn", "not root").expect("install-path", &ip, "pass", "/opt/arcus");
    site.shadow(0, "sudo", "[ \"$*\" = '-n true' ]");
    check(&site, &conf, &[]).expect("sudo", &ip, "pass", "works");
}

#[test]
fn whose_a_port_is_cannot_be_told_without_root_but_that_it_is_taken_can() {
    let site = site();
    let conf = site.cloud("cloud", 11211, 1);
    let node = site.node(0, 11211);
    site.sh(0, &format!("memcached -d -u memcached -l {} -p 11211", site.ip(0)));
    for without_ss in ["true", "rm -f /bin/ss /usr/bin/ss"] {
        site.sh(0, without_ss);
        check(&site, &conf, &[]).expect(
            "node-port",
            &node,
            "fail",
            "a process of another user has port 11211",
        );
    }
}

#[test]
fn low_limits_fail_where_they_cannot_be_raised() {
    let site = site();
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    let items = check(&site, &conf, &[]);
    items.expect("connections", &ip, "pass", "120 can be had").expect("core-limit", &ip, "pass", "unlimited");
    let limit = |limits: &str| site.sh(0, &format!("prlimit --pid $(cat /run/sshd.pid) {limits}"));
    limit("--nofile=100:120 --core=1048576:1048576");
    let items = check(&site, &conf, &[]);
    items.expect("connections", &ip, "pass", "120").expect("core-limit", &ip, "warn", "blocks");
    limit("--nofile=100:119 --core=0:0");
    let items = check(&site, &conf, &[]);
    items.expect("connections", &ip, "fail", "119").expect("core-limit", &ip, "fail", "0");
}

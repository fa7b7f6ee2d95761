//! What is checked between hosts: routes, ports, hosts that cannot be reached.

use crate::check::check;
use crate::support::{Site, path};

#[test]
fn a_dead_host_and_one_with_an_unknown_key_fail_and_the_others_are_judged() {
    let site = Site::new(4);
    site.settings("[timeouts]\nconnect = \"2s\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.kill(site.host(3)).unwrap();
    let known_hosts = site.lab.admin_ssh_dir().join("known_hosts");
    let text = std::fs::read_to_string(&known_hosts).unwrap();
    let (ip, name) = (site.ip(2), site.host(2).name.clone());
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&ip) && !line.contains(&name)).collect();
    std::fs::write(&known_hosts, kept.join("\n") + "\n").unwrap();
    let items = check(&site, &conf, &[]);
    items.expect("ssh", &site.ip(0), "pass", "logged in as root");
    items.expect("ssh", &site.ip(2), "fail", "its ssh host key is unknown");
    items.expect("ssh", &site.ip(3), "fail", "cannot connect with ssh");
    items.expect("java", &site.ip(1), "pass", "Java");
    site.run(["check", path(&conf)]).exits(3);
    site.run(["-q", "check", path(&conf), "--accept-new-host-keys"]).exits(3);
    check(&site, &conf, &[]).expect("ssh", &site.ip(2), "pass", "logged in as root");
    // The host was set up anew, or somebody is in between.
    site.sh(2, "rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key");
    site.lab.kill(site.host(2)).unwrap();
    site.lab.boot(site.host(2)).unwrap();
    check(&site, &conf, &[]).expect("ssh", &site.ip(2), "fail", "its ssh host key is not the known one");
}

#[test]
fn a_host_that_hangs_costs_its_timeout_and_no_more() {
    let site = Site::new(2);
    site.settings("[timeouts]\nconnect = \"1s\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    site.lab.freeze(site.host(1)).unwrap();
    let start = std::time::Instant::now();
    let items = check(&site, &conf, &[]);
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    items.expect("ssh", &site.ip(1), "fail", "").expect("ssh", &site.ip(0), "pass", "");
    site.lab.thaw(site.host(1)).unwrap();
}

#[test]
fn a_second_interface_that_leads_to_zookeeper_by_another_address_is_told() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(1);
    check(&site, &conf, &[]).expect("zookeeper-route", &ip, "pass", "");
    site.sh(
        1,
        "ip link add second type veth peer name third && ip addr add 10.99.0.2/24 dev second && ip link set second up",
    );
    check(&site, &conf, &[]).expect("zookeeper-route", &ip, "pass", "");
    site.sh(1, &format!("ip route add {}/32 dev eth0 src 10.99.0.2", site.ip(2)));
    check(&site, &conf, &[]).expect("zookeeper-route", &ip, "warn", "10.99.0.2 toward");
    site.sh(1, &format!("ip route add {}/32 dev eth0 src 10.99.0.2", site.ip(0)));
    let items = check(&site, &conf, &[]);
    items.expect("zookeeper-route", &ip, "fail", &format!("10.99.0.2 toward {}", site.ip(0)));
    items.expect("zookeeper-route", &site.ip(2), "pass", "");
    site.sh(1, "rm -f /bin/ip /sbin/ip /usr/bin/ip /usr/sbin/ip");
    check(&site, &conf, &[]).expect("zookeeper-route", &ip, "warn", "no ip command");
}

#[test]
fn a_name_that_a_host_cannot_resolve_is_told() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let [one, two, three] = [0, 1, 2].map(|index| site.host(index).name.clone());
    let list = format!("{one}:2181,{two}:2181,{three}:2181");
    check(&site, &conf, &["-z", &list]).expect("zookeeper-route", &site.ip(0), "pass", "");
    site.sh(0, &format!("sed '/{two}/d' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts"));
    check(&site, &conf, &["-z", &list]).expect("zookeeper-route", &site.ip(0), "warn", "no address");
}

#[test]
fn members_that_do_not_reach_each_other_fail_by_port() {
    let site = Site::with_ensemble(3);
    let conf = site.cloud("cloud", 11211, 1);
    let members = [0, 1, 2].map(|index| format!("{}:2181", site.ip(index)));
    check(&site, &conf, &[]).expect("member-reach", &members[0], "pass", "");
    // Packets to one port of one host vanish on the way, as in a firewall.
    let ip = site.ip(1);
    site.sh(
        0,
        &format!(
            "ip link add void type veth peer name nowhere && ip link set nowhere up && ip link set void up && \
             ip neigh add {ip} lladdr 02:00:00:00:00:01 dev void && ip route add default dev void table 99 && \
             ip rule add to {ip} ipproto tcp dport 3888 lookup 99"
        ),
    );
    let items = check(&site, &conf, &[]);
    items.expect("member-reach", &members[0], "fail", &format!("{}:3888 no answer", site.ip(1)));
    items.expect("member-reach", &members[1], "pass", "").expect("zookeeper-reach", &site.ip(0), "pass", "");
    site.sh(0, &format!("ip route add unreachable {}/32", site.ip(2)));
    let items = check(&site, &conf, &[]);
    items.expect("zookeeper-reach", &site.ip(0), "fail", &format!("{}:2181 no route to host", site.ip(2)));
    site.sh(1, "rm /usr/bin/timeout");
    let items = check(&site, &conf, &[]);
    items.expect("zookeeper-reach", &site.ip(1), "warn", "no bash").expect(
        "member-reach",
        &members[1],
        "warn",
        "no bash",
    );
}

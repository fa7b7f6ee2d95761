//! What is checked of the ensemble, the znodes and the plan as a whole.

use crate::check::check;
use crate::support::{Site, path};

#[test]
fn the_ensembles_size_spread_and_addresses_are_judged() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 1);
    let [a, b, c] = [0, 1, 2].map(|index| site.ip(index));
    let of = |list: &str| check(&site, &conf, &["-z", list]);
    of(&format!("{a}:2181,{b}:2181,{c}:2181"))
        .expect("ensemble-size", "ensemble", "pass", "3 members")
        .expect("ensemble-spread", "ensemble", "pass", "3 host(s)")
        .expect("ensemble-layout", "ensemble", "pass", "3 members");
    of(&format!("{a}:2181,{b}:2181")).expect("ensemble-size", "ensemble", "fail", "both must run");
    of(&format!("{a}:2181,{a}:2182,{b}:2181,{c}:2181"))
        .expect("ensemble-size", "ensemble", "warn", "4 members")
        .expect("ensemble-spread", "ensemble", "warn", &format!("2 of 4 are on {a}"));
    of(&format!("{a}:2888,{b}:2181,{c}:2181")).expect("ensemble-layout", "ensemble", "fail", "2888");
    of("127.0.0.1:2181").expect("ensemble-address", "ensemble", "fail", "127.0.0.1:2181");
    site.sh(0, "mkdir -p /opt/arcus/zookeeper/data && echo 7 >/opt/arcus/zookeeper/data/myid");
    site.sh(1, "mkdir -p /opt/arcus/zookeeper/data && echo 7 >/opt/arcus/zookeeper/data/myid");
    of(&format!("{a}:2181,{b}:2181,{c}:2181")).expect(
        "ensemble-layout",
        "ensemble",
        "fail",
        "both have the server id 7",
    );
}

#[test]
fn members_that_do_not_run_are_warned_of_and_strangers_fail() {
    let site = Site::with_ensemble(3);
    let conf = site.cloud("cloud", 11211, 1);
    let members = [0, 1, 2].map(|index| format!("{}:2181", site.ip(index)));
    check(&site, &conf, &[]).expect("member-state", &members[2], "pass", "serves");
    site.run(["zookeeper", "stop", "--member", &members[2]]).success();
    check(&site, &conf, &[]).expect("member-state", &members[2], "warn", "does not run").expect(
        "zookeeper-reach",
        &site.ip(0),
        "pass",
        "nothing listens at some",
    );
    site.sh(2, &format!("memcached -d -u memcached -l {} -p 2181", site.ip(2)));
    let items = check(&site, &conf, &[]);
    items.expect("member-state", &members[2], "fail", "").expect(
        "member-port",
        &members[2],
        "fail",
        "memcached",
    );
}

#[test]
fn a_cloud_that_is_not_registered_or_otherwise_is_warned_of_with_the_changes() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 2);
    let items = check(&site, &conf, &[]);
    items.expect("registration", "cloud", "warn", "not registered yet");
    items.expect("mapping", &site.node(0, 11211), "pass", "is free").expect("znodes", "ensemble", "pass", "");
    let before = site.znodes("/arcus");
    site.run(["memcached", "register", path(&conf)]).success();
    check(&site, &conf, &[]).expect("registration", "cloud", "pass", "with these 2 node(s)");
    let text = std::fs::read_to_string(&conf).unwrap().replace("\"64\"", "\"65\"");
    let changed = site.file("changed.json", &text);
    check(&site, &changed, &[]).expect("registration", "cloud", "warn", "change service code cloud");
    site.run(["memcached", "unregister", "cloud", "--yes"]).success();
    assert_eq!(site.znodes("/arcus").keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    site.delete_znodes(&["/arcus/client_list"]);
    check(&site, &conf, &[]).expect("znodes", "ensemble", "warn", "/arcus/client_list");
}

#[test]
fn addresses_of_other_clouds_and_codes_of_the_other_edition_fail() {
    let site = Site::with_ensemble(1);
    let theirs = site.cloud_on_ports("theirs", &[11212]);
    site.run(["memcached", "register", path(&theirs)]).success();
    let ours = site.cloud_on_ports("ours", &[11211, 11212]);
    let items = check(&site, &ours, &[]);
    items.expect("mapping", &site.node(0, 11212), "fail", "belongs to theirs");
    items.expect("mapping", &site.node(0, 11211), "pass", "is free");
    let bare_ip = format!("/arcus/cache_server_mapping/{}", site.ip(0));
    let code = format!("{bare_ip}/theirs");
    site.create_znodes(&[(&bare_ip, b""), (&code, b"")]);
    check(&site, &theirs, &[]).expect("mapping", &site.node(0, 11212), "warn", "several mappings");
    site.create_znodes(&[
        ("/arcus_repl", b""),
        ("/arcus_repl/cache_list", b""),
        ("/arcus_repl/cache_list/ours", b""),
    ]);
    check(&site, &ours, &[]).expect("registration", "ours", "fail", "/arcus_repl/cache_list");
}

#[test]
fn nodes_that_are_online_and_left_out_of_the_document_fail() {
    let (site, _) = Site::with_cloud(1);
    let fewer = site.cloud_on_ports("cloud", &[11211]);
    check(&site, &fewer, &[]).expect("registration", "cloud", "fail", &site.node(0, 11212));
}

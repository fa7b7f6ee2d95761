//! Beside `arcus.sh`: a cloud that was made by hand in its way is managed like any other, and the other way round.

use serde_json::{Value, json};

use crate::support::{Site, document};

/// The document of the cloud that was there before, as `arcus.sh` registers it.
fn registered(site: &Site) -> Value {
    let mut registered =
        document("hand", &[("memcached-1", site.ip(0), 11211), ("memcached-1", site.ip(0), 11212)]);
    registered["created"] = json!("2014-05-22 07:27:21.121711");
    registered["modified"] = json!(null);
    registered
}

/// A host on which everything was installed, registered and started by hand, as `arcus.sh` would have.
fn site_made_by_hand() -> Site {
    let site = Site::new(1);
    site.install_like_arcus_sh(0, 1, &[(1, site.ip(0))]);
    let base = ["/arcus", "/arcus/cache_list", "/arcus/client_list", "/arcus/cache_server_mapping"];
    site.create_znodes(&base.map(|path| (path, &b""[..])));
    site.create_znodes(&[
        ("/arcus/cache_list/hand", registered(&site).to_string().as_bytes()),
        ("/arcus/client_list/hand", b""),
    ]);
    for port in [11211, 11212] {
        let config =
            json!({"threads": "2", "memlimit": "64", "connections": "100", "port": port.to_string()});
        let mapping = format!("/arcus/cache_server_mapping/{}", site.node(0, port));
        site.create_znodes(&[(&mapping, config.to_string().as_bytes()), (&format!("{mapping}/hand"), b"")]);
        site.start_node_like_arcus_sh(0, port, &site.ensemble());
    }
    site
}

#[test]
fn a_cloud_of_arcus_sh_is_seen_as_it_is_and_left_as_it_is() {
    let site = site_made_by_hand();
    let before = (site.znodes("/arcus"), site.servers(0));
    let listed = site.run(["memcached", "list", "hand"]).success();
    assert!(
        listed
            .stdout
            .contains(" hand         OK          2       2        0          0  2014-05-22 07:27:21.121711 "),
        "{}",
        listed.stdout
    );
    site.run(["ping", "hand"]).success();
    site.run(["zookeeper", "stat"]).success();
    site.run(["memcached", "start", "hand"])
        .success()
        .says(&format!("{}  runs already", site.node(0, 11211)));

    // The document it was made from, without the times that registering adds.
    let mut document = registered(&site);
    document.as_object_mut().unwrap().retain(|key, _| !["created", "modified"].contains(&key.as_str()));
    let conf = site.file("hand.json", &document.to_string());
    site.run(["memcached", "register", conf.to_str().unwrap()])
        .success()
        .says("is registered with these 2 node(s)");
    assert_eq!((site.znodes("/arcus"), site.servers(0)), before);
}

#[test]
fn a_cloud_of_arcus_sh_is_changed_in_place_stopped_and_started() {
    let site = site_made_by_hand();
    let (first, second) = (site.node(0, 11211), site.node(0, 11212));
    let before = site.znodes("/arcus");
    let mut document = registered(&site);
    document["config"]["memlimit"] = json!("96");
    let conf = site.file("hand.json", &document.to_string());
    site.run(["memcached", "register", conf.to_str().unwrap()]).success();
    let list = site.znode("/arcus/cache_list/hand");
    assert_eq!(list.made, before["/arcus/cache_list/hand"].made);
    assert_eq!(list.json()["created"], "2014-05-22 07:27:21.121711");
    assert_eq!(site.ask(0, 11211, "ready"), "READY", "live nodes stay members while their cloud is changed");

    site.run(["memcached", "stop", "hand", &first]).success();
    assert_eq!(site.members("hand"), [format!("{second}-memcached-1")]);
    site.run(["memcached", "start", "hand"]).success().says(&format!("{first}  joined"));
    let znodes = site.znodes("/arcus/cache_list/hand");
    assert_eq!(znodes[&format!("/arcus/cache_list/hand/{first}-memcached-1")].data, b"96MB");
    assert_eq!(znodes[&format!("/arcus/cache_list/hand/{second}-memcached-1")].data, b"64MB");
}

#[test]
fn a_second_service_code_lives_beside_it() {
    let site = site_made_by_hand();
    let processes = site.servers(0);
    let before = site.znodes("/arcus/cache_list/hand");
    let conf = site.cloud_on_ports("other", &[12000, 12001]);
    site.start_cloud("other", &conf);
    let listed = site.run(["memcached", "listall"]).success();
    assert_eq!(listed.stdout.matches("  OK  ").count(), 2, "{}", listed.stdout);
    site.run(["memcached", "stop", "other"]).success();
    site.run(["memcached", "unregister", "other", "--yes"]).success();
    assert_eq!(site.znodes("/arcus/cache_list/hand"), before);
    assert_eq!(site.servers(0), processes);

    let clash = site.cloud_on_ports("other", &[11212]);
    let refused = site.run(["memcached", "register", clash.to_str().unwrap()]).exits(5);
    refused.says(&format!("{} belongs to service code hand", site.node(0, 11212)));
}

#[test]
fn what_was_started_here_is_stopped_by_arcus_sh_too() {
    let (site, _) = Site::with_cloud(1);
    let stopped = site.pid(0, 11211);
    // As arcus.sh looks for the node of a port.
    let script =
        "kill -INT $(ps -ef | grep -v grep | grep memcached | grep -e '-p 11211' | awk '{ print $2 }')";
    site.sh(0, script);
    site.await_members("cloud", 1);
    site.sh(0, &format!("timeout 30 tail -s 0.05 --pid={stopped} -f /dev/null"));
    let listed = site.run(["memcached", "list", "cloud"]).success();
    assert!(listed.stdout.contains("SOME_DOWN"), "{}", listed.stdout);
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud").len(), 2);
}

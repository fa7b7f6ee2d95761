//! `memcached unregister`: asked for, refused while somebody uses the cloud.

use crate::support::{Site, path};

const BASE: [&str; 4] = ["/arcus", "/arcus/cache_list", "/arcus/cache_server_mapping", "/arcus/client_list"];

#[test]
fn a_cloud_with_live_nodes_is_refused_and_they_are_named() {
    let (site, _) = Site::with_cloud(1);
    let refused = site.run(["memcached", "unregister", "cloud", "--yes"]).exits(5);
    let refused = refused.says("2 node(s) are online").says(&site.node(0, 11211));
    refused.says(&site.node(0, 11212)).says("arcusctl memcached stop cloud");
    assert_eq!(site.members("cloud").len(), 2);

    site.run(["memcached", "stop", "cloud"]).success();
    site.run(["memcached", "unregister", "cloud", "--yes"]).success();
    assert_eq!(site.znodes("/arcus").into_keys().collect::<Vec<_>>(), BASE);
    let again = site.run(["memcached", "unregister", "cloud", "--yes"]).success();
    again.says("cloud is not registered");
}

#[test]
fn a_cloud_with_connected_clients_is_refused() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let client = "/arcus/client_list/cloud/app-1_10.0.0.9_1_java_1.14.1_20260101120000_1_jre=17";
    site.create_znodes(&[(client, b"")]);
    let refused = site.run(["memcached", "unregister", "cloud", "--yes"]).exits(5);
    refused.says("1 client(s) are connected").says("app-1_10.0.0.9");
    assert!(site.znodes("/arcus").contains_key("/arcus/cache_list/cloud"));
}

#[test]
fn a_second_service_code_on_the_same_hosts_stays() {
    let (site, _) = Site::with_cloud(1);
    let other = site.cloud_on_ports("other", &[12000]);
    site.run(["memcached", "register", path(&other)]).success();
    let before = site.znodes("/arcus/cache_list/cloud");
    site.run(["memcached", "unregister", "other", "--yes"]).success();
    assert_eq!(site.znodes("/arcus/cache_list/cloud"), before);
    assert_eq!(site.ask(0, 11211, "ready"), "READY");
}

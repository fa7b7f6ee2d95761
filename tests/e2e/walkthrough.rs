//! Every step of the walkthrough, in its order and by its names.

use crate::support::{Site, path};

#[test]
fn the_walkthrough_ends_with_six_nodes_online() {
    let site = Site::new(3);
    let conf = site.cloud("ruo91-cloud", 11211, 2);
    site.run(["deploy", path(&conf), "--package", path(&site.package)]).success();
    site.run(["zookeeper", "init"]).success();
    site.run(["zookeeper", "start"]).success();
    let stat = site.run(["zookeeper", "stat"]).success();
    assert_eq!(stat.stdout.matches("follower").count(), 2, "{}", stat.stdout);
    assert_eq!(stat.stdout.matches("leader").count(), 1, "{}", stat.stdout);
    site.run(["memcached", "register", path(&conf)]).success();
    site.run(["memcached", "start", "ruo91-cloud"]).success();
    let listall = site.run(["memcached", "listall"]).success();
    assert!(listall.stdout.contains("ruo91-cloud  OK          6       6        0"), "{}", listall.stdout);
    let list = site.run(["memcached", "list", "ruo91-cloud"]).success();
    assert_eq!(list.stdout.matches(":1121").count(), 6, "{}", list.stdout);
}

//! `zookeeper status`: what is wrong is produced for real, and named.

use serde_json::Value;
use zookeeper_client::{Acls, CreateMode};

use super::{CONF, index_of, leader, list};
use crate::support::{Run, Site};

const DATA: &str = "/opt/arcus/zookeeper/data";

fn status(site: &Site) -> Run {
    site.run(["zookeeper", "status", "--output", "json"])
}

fn standing(run: &Run, member: &str) -> Value {
    let document = run.json();
    let members = document["data"]["standing"]["members"].as_array().unwrap();
    members.iter().find(|standing| standing["member"] == member).unwrap().clone()
}

#[test]
fn members_are_shown_with_lag_snapshot_logs_and_disk_and_drift_and_a_full_disk_are_named() {
    let site = Site::with_short_sessions(3);
    let well = site.run(["zookeeper", "status"]).success();
    assert!(well.stdout.contains("snapshot."), "{}", well.stdout);
    assert!(
        well.stdout
            .contains("3 of 3 members serve, a quorum needs 2; the leader counts 2 follower(s) in sync")
    );
    let run = status(&site).success();
    for index in 0..3 {
        let one = standing(&run, &format!("{}:2181", site.ip(index)));
        assert!(one["lag"].as_u64().unwrap() < 50, "{one:#}");
        assert_eq!(one["servers"].as_array().unwrap().len(), 3, "{one:#}");
        assert!(one["storage"]["logBytes"].as_u64().unwrap() > 0, "{one:#}");
        assert!(one["storage"]["diskFree"].as_u64().unwrap() > 0, "{one:#}");
    }

    // Somebody adds a server to a zoo.cfg, and a snapshot is of long ago.
    let second = format!("{}:2181", site.ip(1));
    site.sh(1, &format!("cp {CONF} {CONF}.kept && echo server.4=10.77.1.9:2888:3888:observer >>{CONF}"));
    site.sh(0, &format!("touch -d '40 days ago' {DATA}/version-2/snapshot.*"));
    let run = site.run(["zookeeper", "status"]).exits(3);
    assert!(run.stdout.contains("its last snapshot is 40 days old"), "{}", run.stdout);
    run.says(&format!("{second}: its zoo.cfg has other servers than it runs with"));

    // Once that one is restarted the members run with different lists.
    let one = ["zookeeper", "restart", "--member", &second];
    site.run(one).exits(5).says("its zoo.cfg has other servers than the members run with");
    site.run(one.into_iter().chain(["--all"])).success();
    site.run(["zookeeper", "status"]).exits(3).says("the members do not run with one list of servers");
    site.sh(1, &format!("mv {CONF}.kept {CONF}"));
    site.run(one.into_iter().chain(["--all"])).success();

    // A small disk.
    let third = format!("{}:2181", site.ip(2));
    site.run(["zookeeper", "stop", "--member", &third]).success();
    site.sh(
        2,
        &format!(
            "cp -a {DATA} /tmp/kept && mount -t tmpfs -o size=100m none {DATA} && cp -a /tmp/kept/. {DATA}/"
        ),
    );
    // It may have led; then the others elect another first.
    (0..2).for_each(|index| site.await_serving(index));
    let run = status(&site).exits(3);
    assert_eq!(standing(&run, &third)["state"], "down");
    site.run(["zookeeper", "start", "--member", &third]).success();
    site.run(["zookeeper", "status"]).exits(3).says(&format!("{third}: its disk is nearly full"));
}

#[test]
fn a_follower_that_gets_nothing_from_its_leader_is_told_to_lag() {
    let site = Site::new(3);
    // The leader drops a follower that is silent for as long as that.
    site.settings("[zookeeper.properties]\nsyncLimit = 60\n");
    let conf = site.cloud("cloud", 11211, 1);
    let package = site.package.to_str().unwrap();
    site.run(["deploy", conf.to_str().unwrap(), "--package", package]).success();
    site.run(["zookeeper", "init"]).success();
    let ensemble = list(&site, &[0, 1, 2]);
    let leader = leader(&site, &ensemble);
    let cut_off = (0..3).find(|index| *index != index_of(&site, &leader)).unwrap();
    let follower = format!("{}:2181", site.ip(cut_off));
    // What it sends to its leader gets lost, and so what the leader sends comes to a halt.
    let leader_ip = leader.trim_end_matches(":2181");
    site.sh(cut_off, &format!("ip route add blackhole {leader_ip}/32"));
    let others: Vec<usize> = (0..3).filter(|index| *index != cut_off).collect();
    let through = list(&site, &others);
    site.zookeeper_at(&through, async |client| {
        let options = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        for _ in 0..30 {
            let batch = (0..100).map(|_| client.create("/arcus/w-", &[b'x'; 500], &options));
            for written in futures::future::join_all(batch).await {
                written.unwrap();
            }
        }
    });
    let run = status(&site).exits(3);
    let one = standing(&run, &follower);
    assert!(one["lag"].as_u64().unwrap() > 1000, "{one:#}");
    let run = site.run(["zookeeper", "status"]).exits(3).says(&format!("{follower}: not in sync:"));
    run.says("transactions behind the leader");
}

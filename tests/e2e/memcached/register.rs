//! `memcached register`: the znodes, what changes them, and what is refused.

use serde_json::json;

use crate::support::{Site, document, path};

#[test]
fn the_znodes_are_those_of_arcus_sh() {
    let site = Site::with_ensemble(1);
    let (first, second) = (site.node(0, 11211), site.node(0, 11212));
    let mut cloud = document("cloud", &[("memcached-1", site.ip(0), 11211)]);
    let own =
        json!({"hostname": "memcached-1", "ip": site.ip(0), "config": {"port": 11212, "memlimit": "128"}});
    cloud["servers"].as_array_mut().unwrap().push(own);
    cloud["config"]["owner"] = json!("search");
    let conf = site.file("cloud.json", &cloud.to_string());
    let run = site.run(["memcached", "register", path(&conf)]).success();
    let run = run.says("add service code cloud").says(&format!("add node {first}"));
    run.says(&format!("add node {second}"));

    let znodes = site.znodes("/arcus");
    let mapping = |addr: &str| format!("/arcus/cache_server_mapping/{addr}");
    let paths: Vec<&str> = znodes.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/arcus",
            "/arcus/cache_list",
            "/arcus/cache_list/cloud",
            "/arcus/cache_server_mapping",
            &mapping(&first),
            &mapping(&format!("{first}/cloud")),
            &mapping(&second),
            &mapping(&format!("{second}/cloud")),
            "/arcus/client_list",
            "/arcus/client_list/cloud",
        ]
    );
    assert!(znodes.values().all(|znode| !znode.ephemeral && znode.is_open), "{znodes:#?}");

    let mut registered = znodes["/arcus/cache_list/cloud"].json();
    let registered = registered.as_object_mut().unwrap();
    assert!(registered.remove("created").unwrap().is_string());
    assert_eq!(registered.remove("modified").unwrap(), json!(null));
    assert_eq!(&json!(registered), &cloud, "the document is kept to the last unknown key");

    // The node's own values over the global ones, each as it was written.
    assert_eq!(
        znodes[&mapping(&first)].json(),
        json!({"threads": "2", "memlimit": "64", "connections": "100", "owner": "search", "port": "11211"})
    );
    assert_eq!(
        znodes[&mapping(&second)].json(),
        json!({"threads": "2", "memlimit": "128", "connections": "100", "owner": "search", "port": 11212})
    );
    for empty in ["/arcus/client_list/cloud", &mapping(&format!("{first}/cloud"))] {
        assert_eq!(znodes[empty].data, b"", "{empty}");
    }

    let again = site.run(["memcached", "register", path(&conf)]).success();
    again.says("cloud is registered with these 2 node(s)");
    assert_eq!(site.znodes("/arcus"), znodes, "registering again writes nothing");
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let site = Site::with_ensemble(1);
    let before = site.znodes("/arcus");
    let conf = site.cloud("cloud", 11211, 1);
    let plan = site.run(["memcached", "register", path(&conf), "--dry-run"]).success();
    assert!(plan.stdout.contains("add service code cloud"), "{}", plan.stdout);
    assert_eq!(site.znodes("/arcus"), before);
}

#[test]
fn a_changed_document_is_written_in_place_and_live_nodes_stay_members() {
    let (site, conf) = Site::with_cloud(1);
    let before = site.znodes("/arcus");
    let text = std::fs::read_to_string(&conf).unwrap().replace("\"64\"", "\"96\"");
    let changed = site.file("changed.json", &text);
    let run = site.run(["memcached", "register", path(&changed)]).success();
    run.says("change service code cloud").says(&format!("change node {}", site.node(0, 11211)));

    let after = site.znodes("/arcus");
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (name, znode) in &after {
        assert_eq!(znode.made, before[name].made, "{name} was deleted and created");
    }
    let list = "/arcus/cache_list/cloud";
    let (old, new) = (before[list].json(), after[list].json());
    assert_eq!(new["created"], old["created"]);
    assert!(new["modified"].is_string());
    assert_eq!(new["config"]["memlimit"], "96");
    assert_eq!(
        after[&format!("/arcus/cache_server_mapping/{}", site.node(0, 11211))].json()["memlimit"],
        "96"
    );
    for port in [11211, 11212] {
        assert_eq!(site.ask(0, port, "ready"), "READY");
    }
}

#[test]
fn a_node_that_the_document_no_longer_has_is_removed_once_it_is_stopped() {
    let (site, conf) = Site::with_cloud(1);
    let leaving = site.node(0, 11212);
    let fewer = site.cloud_on_ports("cloud", &[11211]);
    assert_eq!(fewer, conf, "it is the same file with a node less");

    let refused = site.run(["memcached", "register", path(&fewer)]).exits(5);
    let refused = refused.says(&leaving).says("arcusctl apply CONF");
    refused.says(&format!("arcusctl memcached stop cloud {leaving}"));
    assert_eq!(site.members("cloud").len(), 2);

    site.run(["memcached", "stop", "cloud", &leaving]).success();
    site.run(["memcached", "register", path(&fewer)]).success().says(&format!("remove node {leaving}"));
    let mappings: Vec<String> = site.znodes("/arcus/cache_server_mapping").into_keys().collect();
    let staying = format!("/arcus/cache_server_mapping/{}", site.node(0, 11211));
    let kept = ["/arcus/cache_server_mapping".to_owned(), staying.clone(), staying + "/cloud"];
    assert_eq!(mappings, kept);
    assert_eq!(site.ask(0, 11211, "ready"), "READY");
}

#[test]
fn an_address_that_belongs_to_another_service_code_is_refused_by_name() {
    let site = Site::with_ensemble(1);
    let theirs = site.cloud_on_ports("theirs", &[11212]);
    site.run(["memcached", "register", path(&theirs)]).success();
    let before = site.znodes("/arcus");
    let ours = site.cloud_on_ports("ours", &[11211, 11212]);
    let refused = site.run(["memcached", "register", path(&ours)]).exits(5);
    refused.says(&format!("{} belongs to service code theirs", site.node(0, 11212)));
    assert_eq!(site.znodes("/arcus"), before, "not even the free address was entered");
}

#[test]
fn a_service_code_of_the_replicating_edition_is_refused() {
    let site = Site::with_ensemble(1);
    site.create_znodes(&[
        ("/arcus_repl", b""),
        ("/arcus_repl/cache_list", b""),
        ("/arcus_repl/cache_list/cloud", b""),
    ]);
    let conf = site.cloud("cloud", 11211, 1);
    let refused = site.run(["memcached", "register", path(&conf)]).exits(5);
    refused.says("service code cloud exists under /arcus_repl/cache_list");
    let other = site.cloud("other", 11211, 1);
    site.run(["memcached", "register", path(&other)]).success();
}

#[test]
fn without_the_base_znodes_nothing_is_registered() {
    let site = Site::with_ensemble(1);
    site.delete_znodes(&["/arcus/client_list"]);
    let conf = site.cloud("cloud", 11211, 1);
    let refused = site.run(["memcached", "register", path(&conf)]).exits(5);
    refused.says("/arcus/client_list").says("arcusctl zookeeper init");
    site.run(["zookeeper", "init"]).success();
    site.run(["memcached", "register", path(&conf)]).success();
}

#[test]
fn without_zookeeper_the_ensemble_is_named_as_unreachable() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let run = site.run(["memcached", "register", path(&conf)]).exits(6);
    run.says(&format!("cannot reach ZooKeeper at {}", site.ensemble())).says("arcusctl zookeeper stat");
}

#[test]
fn ten_faults_of_a_document_are_told_at_once_each_with_its_place() {
    let site = Site::new(1);
    let conf = site.file(
        "faulty.json",
        r#"{
  "serviceCode": "team/cache",
  "servers": [
    { "hostname": "cache-1", "ip": "10.0.0.300", "config": { "port": "70000" } },
    { "hostname": "cache-2", "ip": "cache-2", "config": { "port": 0, "threads": "many" } },
    { "hostname": "cache-3", "config": { "port": 11211 } },
    { "hostname": "cache-4", "ip": "10.0.0.4", "config": { "port": "11211" } },
    { "hostname": "cache-4", "ip": "10.0.0.4", "config": { "port": 11211 } }
  ],
  "config": { "memlimit": "100MB", "threads": 4 }
}"#,
    );
    let places = [
        "2:18: $.serviceCode:",
        "4:36: $.servers[0].ip:",
        "4:70: $.servers[0].config.port:",
        "5:36: $.servers[1].ip:",
        "5:67: $.servers[1].config.port:",
        "5:81: $.servers[1].config.threads:",
        "6:5: $.servers[2].ip:",
        "8:68: $.servers[4]:",
        "10:13: $.config.connections:",
        "10:27: $.config.memlimit:",
    ];
    let told = site.run(["memcached", "register", path(&conf)]).exits(4);
    let errors: Vec<&str> = told.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), places.len(), "{}", told.stderr);
    for (error, place) in errors.iter().zip(places) {
        assert!(error.contains(&format!("faulty.json:{place}")), "{error}");
    }

    let json = site.run(["memcached", "register", path(&conf), "--output", "json"]).exits(4).json();
    let kinds = json["failures"].as_array().unwrap().iter().map(|failure| failure["kind"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), vec![json!("config"); places.len()]);
}

#[test]
fn what_is_no_json_or_no_file_is_an_invalid_config() {
    let site = Site::new(1);
    let conf = site.file("broken.json", "{\n  \"serviceCode\": \"cloud\",\n  servers: [}\n");
    site.run(["memcached", "register", path(&conf)]).exits(4).says("broken.json:3:");
    site.run(["memcached", "register", "absent.json"]).exits(4).says("absent.json");
}

//! `memcached list`, `listall` and `ping`: what is there, whoever made it, and does it answer.

use serde_json::{Value, json};

use crate::support::{Run, Site, document, path};

/// One row of the table of clouds: status, then total, online, offline and undefined nodes.
#[track_caller]
fn row(run: &Run, code: &str) -> (String, [usize; 4]) {
    let row = run.stdout.lines().find(|line| line.split_whitespace().next() == Some(code));
    let cells: Vec<&str> =
        row.unwrap_or_else(|| panic!("no {code} in:\n{}", run.stdout)).split_whitespace().collect();
    (cells[1].to_owned(), std::array::from_fn(|place| cells[place + 2].parse().unwrap()))
}

#[track_caller]
fn assert_row(site: &Site, code: &str, status: &str, counts: [usize; 4]) {
    let run = site.run(["memcached", "list", code]).success();
    assert_eq!(row(&run, code), (status.to_owned(), counts), "{}", run.stdout);
}

fn clouds(site: &Site) -> Vec<Value> {
    let document = site.run(["memcached", "list", "--output", "json"]).success().json();
    document["data"]["clouds"].as_array().unwrap_or_else(|| panic!("{document}")).clone()
}

#[test]
fn the_status_follows_the_nodes_that_are_registered() {
    let (site, _) = Site::with_cloud(1);
    let (first, second) = (site.node(0, 11211), site.node(0, 11212));
    let run = site.run(["memcached", "list", "cloud"]).success();
    assert_eq!(row(&run, "cloud"), ("OK".to_owned(), [2, 2, 0, 0]));
    assert!(run.stdout.contains(&format!("\nOnline\n  {first}\n  {second}\n")), "{}", run.stdout);
    assert!(!run.stdout.contains("Offline"), "{}", run.stdout);

    site.run(["memcached", "stop", "cloud", &first]).success();
    let run = site.run(["memcached", "list", "cloud"]).success();
    assert_eq!(row(&run, "cloud"), ("SOME_DOWN".to_owned(), [2, 1, 1, 0]));
    assert!(run.stdout.contains(&format!("\nOnline\n  {second}\n\nOffline\n  {first}\n")), "{}", run.stdout);

    // Live, but in no mapping any more: undefined. It changes nothing about the registered one, which is down.
    let mapping = format!("/arcus/cache_server_mapping/{second}");
    site.delete_znodes(&[&format!("{mapping}/cloud"), &mapping]);
    let run = site.run(["memcached", "list", "cloud"]).success();
    assert_eq!(row(&run, "cloud"), ("DOWN".to_owned(), [2, 0, 1, 1]));
    assert!(run.stdout.contains(&format!("\nUndefined\n  {second}\n")), "{}", run.stdout);

    site.run(["memcached", "start", "cloud", &first]).success();
    assert_row(&site, "cloud", "OK", [2, 1, 0, 1]);

    site.run(["memcached", "stop", "cloud"]).success();
    assert_row(&site, "cloud", "DOWN", [1, 0, 1, 0]);
}

#[test]
fn mappings_by_hostname_and_by_bare_address_count_as_their_nodes() {
    let site = Site::with_ensemble(2);
    let (by_name, by_address) = (site.node(0, 11211), site.node(1, 11211));
    let document =
        document("cloud", &[("memcached-1", site.ip(0), 11211), ("memcached-2", site.ip(1), 11211)]);
    site.create_znodes(&[
        ("/arcus/cache_list/cloud", document.to_string().as_bytes()),
        ("/arcus/client_list/cloud", b""),
        ("/arcus/cache_server_mapping/memcached-1:11211", b""),
        ("/arcus/cache_server_mapping/memcached-1:11211/cloud", b""),
        (&format!("/arcus/cache_server_mapping/{}", site.ip(1)), b""),
        (&format!("/arcus/cache_server_mapping/{}/cloud", site.ip(1)), b""),
    ]);
    let run = site.run(["memcached", "list", "cloud"]).success();
    assert_eq!(row(&run, "cloud"), ("DOWN".to_owned(), [2, 0, 2, 0]));
    assert!(run.stdout.contains(&format!("\nOffline\n  {by_name}\n  {by_address}\n")), "{}", run.stdout);

    // They can be started by such mappings as well, and are then online under them.
    site.run(["memcached", "start", "cloud"]).success();
    let run = site.run(["memcached", "list", "cloud"]).success();
    assert_eq!(row(&run, "cloud"), ("OK".to_owned(), [2, 2, 0, 0]));
    assert!(run.stdout.contains(&format!("\nOnline\n  {by_name}\n  {by_address}\n")), "{}", run.stdout);
}

#[test]
fn data_that_other_tools_wrote_breaks_no_list() {
    let (site, _) = Site::with_cloud(1);
    let written: [(&str, &[u8]); 7] = [
        ("zero", b"0"),
        ("empty", b""),
        ("text", b"arcus1.8"),
        ("list", b"[1, 2]"),
        ("half", b"{\"serviceCode\": "),
        ("odd", b"{\"serviceCode\": 7, \"servers\": \"none\", \"created\": null}"),
        ("bytes", b"\xff\xfe\x00\x01"),
    ];
    for (code, data) in written {
        let mapping = format!("/arcus/cache_server_mapping/10.0.0.1:{}", 20000 + data.len());
        site.create_znodes(&[
            (&format!("/arcus/cache_list/{code}"), data),
            (&mapping, data),
            (&format!("{mapping}/{code}"), data),
        ]);
    }
    // Children that are no cache nodes' names, and a mapping that names nobody.
    site.create_znodes(&[
        ("/arcus/cache_list/zero/nonsense", b""),
        ("/arcus/cache_server_mapping/nobody", b""),
        ("/arcus/cache_server_mapping/nobody/empty", b""),
    ]);
    let all = site.run(["memcached", "listall"]).success();
    assert_eq!(row(&all, "cloud"), ("OK".to_owned(), [2, 2, 0, 0]));
    for (code, _) in written {
        let expected = if code == "empty" { [2, 0, 2, 0] } else { [1, 0, 1, 0] };
        assert_eq!(row(&all, code), ("DOWN".to_owned(), expected), "{code}");
        site.run(["memcached", "list", code]).success();
    }
    assert_eq!(
        site.run(["memcached", "list"]).success().stdout,
        all.stdout,
        "list without a code is listall"
    );
}

#[test]
fn an_unknown_service_code_is_refused_with_those_there_are() {
    let site = Site::with_ensemble(1);
    let none = site.run(["memcached", "listall"]).success();
    assert_eq!(none.stdout, "no service code is registered\n");
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let run = site.run(["memcached", "list", "clouds"]).exits(5);
    assert_eq!(run.stdout, "");
    run.says("service code clouds is not registered").says("registered are: cloud");
}

#[test]
fn the_json_document_has_every_cloud_with_its_nodes_by_state() {
    let (site, _) = Site::with_cloud(1);
    site.run(["memcached", "register", path(&site.cloud_on_ports("other", &[12000]))]).success();
    site.run(["memcached", "stop", "cloud", &site.node(0, 11212)]).success();
    site.create_znodes(&[("/arcus/client_list/other/app-1_10.0.0.9_1_java_1.14.1_x", b"")]);
    let clouds = clouds(&site);
    let created = site.znode("/arcus/cache_list/cloud").json()["created"].clone();
    assert_eq!(
        clouds[0],
        json!({
            "serviceCode": "cloud", "status": "SOME_DOWN", "total": 2,
            "online": [site.node(0, 11211)], "offline": [site.node(0, 11212)], "undefined": [],
            "created": created, "modified": null, "clients": 0,
        })
    );
    assert_eq!((&clouds[1]["serviceCode"], &clouds[1]["status"]), (&json!("other"), &json!("DOWN")));
    assert_eq!((&clouds[1]["offline"], &clouds[1]["clients"]), (&json!([site.node(0, 12000)]), &json!(1)));
    assert_eq!(clouds.len(), 2);
}

#[test]
fn two_hundred_nodes_in_ten_codes_are_listed() {
    let site = Site::with_ensemble(1);
    for code in 0..10 {
        let nodes: Vec<(&str, String, u16)> = (0..20)
            .map(|node| ("far-away", format!("10.1.{code}.{}", node / 4 + 1), 11211 + node % 4))
            .collect();
        let name = format!("cloud-{code}");
        let conf = site.file(&format!("{name}.json"), &document(&name, &nodes).to_string());
        site.run(["memcached", "register", path(&conf)]).success();
    }
    let all = site.run(["memcached", "listall"]).success();
    for code in 0..10 {
        assert_eq!(row(&all, &format!("cloud-{code}")), ("DOWN".to_owned(), [20, 0, 20, 0]));
    }
    let one = site.run(["memcached", "list", "cloud-7"]).success();
    assert_eq!(one.stdout.lines().filter(|line| line.starts_with("  10.1.7.")).count(), 20);
    let total: usize = clouds(&site).iter().map(|cloud| cloud["offline"].as_array().unwrap().len()).sum();
    assert_eq!(total, 200);
}

#[test]
fn without_zookeeper_there_is_nothing_to_list_and_one_member_down_does_no_harm() {
    let site = Site::with_ensemble(3);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    site.lab.kill(site.host(0)).unwrap();
    assert_row(&site, "cloud", "DOWN", [3, 0, 3, 0]);
    site.lab.kill(site.host(1)).unwrap();
    site.lab.kill(site.host(2)).unwrap();
    site.run(["memcached", "list", "cloud"]).exits(6).says("cannot reach ZooKeeper at");
}

#[test]
fn the_ensemble_is_named_by_flag_or_environment_or_settings() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let list = |ensemble: Option<&str>, args: &[&str]| {
        let mut command = site.command();
        command.env_remove("ARCUSCTL_ZOOKEEPER").args(["memcached", "list", "cloud"]).args(args);
        Run::of(command.envs(ensemble.map(|list| ("ARCUSCTL_ZOOKEEPER", list))))
    };
    let (right, wrong) = (site.ensemble(), format!("{}:1", site.ip(0)));
    list(None, &[]).exits(6).says("cannot reach ZooKeeper at 127.0.0.1:2181");
    list(Some(&right), &[]).success();
    list(Some(&wrong), &["-z", &right]).success();
    site.settings(&format!("[zookeeper]\nservers = [\"{right}\"]\n"));
    list(None, &[]).success();
    list(Some(&wrong), &[]).exits(6).says(&wrong);
    list(Some(&right), &["--zookeeper", &wrong]).exits(6).says(&wrong);
}

/// What was asked by `ping`, and whether it answered.
#[track_caller]
fn answers(document: &Value) -> Vec<(String, bool)> {
    let answers = document["data"]["answers"].as_array().unwrap_or_else(|| panic!("{document}"));
    let told = |answer: &Value| {
        assert!(answer["milliseconds"].as_f64().unwrap() >= 0.0, "{answer}");
        assert_ne!(answer.get("answer").is_some(), answer.get("failure").is_some(), "{answer}");
        let (kind, name) = answer["target"].as_object().unwrap().iter().next().unwrap();
        (format!("{kind} {}", name.as_str().unwrap()), answer.get("answer").is_some())
    };
    answers.iter().map(told).collect()
}

#[test]
fn a_ping_of_a_healthy_cloud_hears_from_every_member_host_and_node() {
    let (site, _) = Site::with_cloud(2);
    let run = site.run(["ping", "cloud"]).success();
    assert_eq!(run.stdout.lines().count(), 1 + 1 + 2 + 4, "{}", run.stdout);
    assert!(run.stdout.contains("memcached-2"), "a host answers with its name:\n{}", run.stdout);
    let document = site.run(["ping", "cloud", "--output", "json"]).success().json();
    let everyone = [
        format!("member {}", site.ensemble()),
        format!("host {}", site.ip(0)),
        format!("host {}", site.ip(1)),
        format!("node {}", site.node(0, 11211)),
        format!("node {}", site.node(0, 11212)),
        format!("node {}", site.node(1, 11211)),
        format!("node {}", site.node(1, 11212)),
    ];
    assert_eq!(answers(&document), everyone.map(|name| (name, true)));
    site.run(["ping", "clouds"]).exits(5).says("registered are: cloud");
}

#[test]
fn a_ping_names_who_does_not_answer_and_still_hears_the_others() {
    let (site, _) = Site::with_cloud(2);
    site.kill(0, &site.pid(0, 11211));
    let dead = site.run(["ping", "cloud"]).exits(3);
    dead.says(&format!("{}: the cache node does not answer", site.node(0, 11211)));

    site.lab.cut(site.host(1)).unwrap();
    let run = site.run(["ping", "cloud", "--output", "json"]).exits(3);
    let silent: Vec<String> =
        answers(&run.json()).into_iter().filter(|(_, answered)| !answered).map(|(name, _)| name).collect();
    assert_eq!(
        silent,
        [
            format!("host {}", site.ip(1)),
            format!("node {}", site.node(0, 11211)),
            format!("node {}", site.node(1, 11211)),
            format!("node {}", site.node(1, 11212)),
        ]
    );
}

#[test]
fn a_ping_without_zookeeper_is_unreachable() {
    let (site, _) = Site::with_cloud(1);
    site.run(["zookeeper", "stop"]).success();
    site.run(["ping", "cloud"]).exits(6).says(&format!("{}: does not serve", site.ensemble()));
}

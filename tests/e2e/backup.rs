//! `backup` and `restore`: what is registered comes back as it was, and who is live is never touched.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Site, path};

const OTHERS: [(&str, &[u8]); 6] = [
    ("/arcus/meta", b"\xff\x00binary"),
    ("/arcus_repl", b""),
    ("/arcus_repl/group_list", b""),
    ("/arcus_repl/group_list/repl", b""),
    ("/arcus_repl/group_list/repl/g1", b"text"),
    ("/arcus/cache_server_log", b"kept"),
];

/// Removes `/arcus` and all below it, as an accident would.
fn wipe(site: &Site) {
    let mut paths: Vec<String> = site.znodes("/arcus").into_keys().collect();
    paths.reverse();
    site.delete_znodes(&paths.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Path and data of every znode that outlives sessions.
fn kept(site: &Site, root: &str) -> Vec<(String, Vec<u8>)> {
    let znodes = site.znodes(root).into_iter().filter(|(_, znode)| !znode.ephemeral);
    znodes.map(|(path, znode)| (path, znode.data)).collect()
}

#[test]
fn a_wiped_tree_comes_back_and_its_nodes_join_again() {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 2);
    site.start_cloud("cloud", &conf);
    site.create_znodes(&OTHERS);
    let log = "/arcus/cache_server_log/2026-01-01";
    site.create_znodes(&[(log, b"")]);
    let members = site.members("cloud");
    assert_eq!(members.len(), 4);

    let run = site.run(["backup", "before.json", "--output", "json"]).success();
    let report = run.json()["data"]["backup"].clone();
    assert_eq!(report["clouds"], json!(["cloud", "repl"]));
    assert_eq!(report["file"], "before.json");
    let file = site.directory().join("before.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("2026-01-01") && !text.contains(&members[0]), "{text}");
    // A second one beside it has the time in its name; one for a pipe goes to standard output.
    site.run(["backup"]).success();
    let named = std::fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let named: Vec<String> = named.map(|name| name.into_string().unwrap()).collect();
    assert!(named.iter().any(|name| name.starts_with(&format!("arcus-{}-2", site.ip(0)))), "{named:?}");
    let piped: Value =
        serde_json::from_str(&site.run(["backup", "-", "--with-log"]).success().stdout).unwrap();
    assert!(piped["znodes"].as_array().unwrap().iter().any(|znode| znode["path"] == log));

    let before = kept(&site, "/arcus");
    site.run(["memcached", "stop", "cloud"]).success();
    wipe(&site);
    let dry = site.run(["restore", "before.json", "--dry-run"]).success();
    assert!(dry.stdout.contains("create /arcus"), "{}", dry.stdout);
    assert!(site.run(["memcached", "list"]).success().stdout.contains("no service code"));
    site.run(["restore", "before.json"]).success();
    let expected: Vec<_> = before.into_iter().filter(|(path, _)| path != log).collect();
    assert_eq!(kept(&site, "/arcus"), expected);
    assert!(site.znodes("/arcus").values().all(|znode| znode.is_open));
    site.run(["memcached", "start", "cloud"]).success();
    assert_eq!(site.members("cloud"), members);

    // On the live cloud there is nothing to do, and nobody is disturbed.
    let live = site.znodes("/arcus");
    let again = site.run(["restore", "before.json", "--overwrite", "--output", "json"]).success();
    assert_eq!(again.json()["plan"]["stages"], json!([]));
    assert_eq!(site.znodes("/arcus"), live);
    let history = site.run(["history", "--cloud", "cloud"]).success();
    assert!(history.stdout.contains("restore before.json"), "{}", history.stdout);
}

#[test]
fn what_changed_since_is_left_until_it_is_to_be_overwritten() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.start_cloud("cloud", &conf);
    site.run(["backup", "before.json"]).success();
    let then = site.znode("/arcus/cache_list/cloud").data;
    let grown = site.cloud("cloud", 11211, 2);
    site.run(["memcached", "register", path(&grown)]).success();
    let now = site.znodes("/arcus");

    let left = site.run(["restore", "before.json"]).exits(3);
    left.says("1 znode(s) are not as in the backup").says("/arcus/cache_list/cloud").says("--overwrite");
    assert_eq!(site.znodes("/arcus"), now);

    let unasked = site.command().args(["restore", "before.json", "--overwrite"]).output().unwrap();
    assert_eq!(unasked.status.code(), Some(5), "what is written over must be agreed to");
    let said = String::from_utf8(unasked.stderr).unwrap();
    assert!(
        said.contains("1 znode(s) will be overwritten") && said.contains("1 cache node(s) are live"),
        "{said}"
    );
    let over = site.run(["restore", "before.json", "--overwrite"]).success();
    over.says(&site.node(0, 11212));
    let after = site.znode("/arcus/cache_list/cloud");
    assert_eq!(
        (after.data, after.made),
        (then, now["/arcus/cache_list/cloud"].made),
        "it is written in place"
    );
    // What came since stays: the mapping of the second node; and the live one is the same member as before.
    let member = format!("/arcus/cache_list/cloud/{}", site.members("cloud")[0]);
    assert_eq!(site.znode(&member), now[&member]);
    assert!(
        site.znodes("/arcus")
            .contains_key(&format!("/arcus/cache_server_mapping/{}/cloud", site.node(0, 11212)))
    );
    assert_eq!(site.ask(0, 11211, "ready"), "READY");
}

#[test]
fn an_address_that_is_anothers_by_now_keeps_its_cloud_out_and_the_others_come_back() {
    let site = Site::with_ensemble(1);
    let (one, two) = (site.cloud_on_ports("one", &[11211]), site.cloud_on_ports("two", &[12000]));
    for conf in [&one, &two] {
        site.run(["memcached", "register", path(conf)]).success();
    }
    site.run(["backup", "before.json"]).success();
    for code in ["one", "two"] {
        site.run(["memcached", "unregister", code]).success();
    }
    let thief = site.cloud_on_ports("thief", &[11211]);
    site.run(["memcached", "register", path(&thief)]).success();
    let run = site.run(["restore", "before.json"]).exits(3);
    run.says(&format!("{} belongs to service code thief by now", site.node(0, 11211)));
    let paths = site.znodes("/arcus");
    assert!(paths.contains_key("/arcus/cache_list/two") && !paths.contains_key("/arcus/cache_list/one"));

    // A code that the replicating edition has by now would hide this one.
    site.run(["memcached", "unregister", "thief"]).success();
    site.create_znodes(&[
        ("/arcus_repl", b""),
        ("/arcus_repl/cache_list", b""),
        ("/arcus_repl/cache_list/one", b""),
    ]);
    let run = site.run(["restore", "before.json", "--cloud", "one"]).exits(3);
    run.says("exists under /arcus_repl/cache_list");
    let unknown = site.run(["restore", "before.json", "--cloud", "nope"]).exits(5);
    unknown.says("service code nope is not in the backup").says("one, two");
}

#[test]
fn a_damaged_file_is_refused_with_every_fault_and_nothing_is_done() {
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    site.run(["backup", "good.json"]).success();
    let text = std::fs::read_to_string(site.directory().join("good.json")).unwrap();
    site.run(["memcached", "unregister", "cloud"]).success();
    let before = site.znodes("/arcus");

    site.file("half.json", &text[..text.len() / 2]);
    site.run(["restore", "half.json"]).exits(4).says("half.json:").says("is not JSON");
    site.file("bent.json", &text.replace("memlimit", "memlimiT"));
    site.run(["restore", "bent.json"]).exits(4).says("$.sha256").says("changed or damaged");
    let evil = "{\"format\": \"arcusctl backup\", \"version\": 1, \"znodes\": [\n{\"path\": \"/zookeeper/quota\"},\n{\"path\": \"/arcus/a/b\"}]}";
    site.file("evil.json", evil);
    let evil = site.run(["restore", "evil.json"]).exits(4);
    evil.says("evil.json:2:10: $.znodes[0].path: '/zookeeper/quota' is outside").says("evil.json:3:1:");
    site.run(["restore", path(&site.cloud("other", 11211, 1))])
        .exits(4)
        .says("this is no backup of arcusctl");
    assert_eq!(site.znodes("/arcus"), before);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_kept() {
    let site = Site::with_ensemble(1);
    site.create_locked_znode("/arcus/secret", b"hidden");
    let run = site.run(["backup", "part.json"]).exits(3);
    run.says("/arcus/secret is not in the backup");
    let text = std::fs::read_to_string(site.directory().join("part.json")).unwrap();
    assert!(
        text.contains("/arcus/cache_list") && !text.contains("hidden") && !text.contains("/arcus/secret")
    );
    site.run(["backup", "no/such/directory.json"]).exits(1).says("cannot write the backup");
}

//! `check --fix`: what `hosts prepare` can mend is mended, and checked again.

use serde_json::json;

use crate::check::{check, items_of};
use crate::support::{Run, Site, path};

#[test]
fn what_prepare_can_mend_is_mended_and_the_second_look_is_told() {
    let site = Site::new(2);
    site.make_bare(0);
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    let before = check(&site, &conf, &[]);
    before.expect("user", &ip, "fail", "no user memcached").expect(
        "run-directory",
        &ip,
        "warn",
        "there is no",
    );

    let shown = site.run(["check", path(&conf), "--fix", "--dry-run"]).exits(3);
    assert!(shown.stdout.contains("create the user memcached"), "{}", shown.stdout);
    site.sh(0, "! getent passwd memcached");

    let run = site.run(["--output", "json", "check", path(&conf), "--fix"]).success();
    let after = items_of(&run);
    after.expect("user", &ip, "pass", "memcached").expect("run-directory", &ip, "pass", "memcached");
    assert_eq!(run.json()["command"], "check");
    assert_eq!(run.json()["plan"]["command"], "hosts prepare");
    assert!(run.json()["results"].as_array().unwrap().iter().all(|result| result["outcome"] == "done"));
    run.says("hosts prepare may mend 2 item(s)");

    // Nothing is left to mend: it only looks.
    let again = site.run(["--output", "json", "check", path(&conf), "--fix"]).success();
    assert_eq!(again.json().get("plan"), None);
}

#[test]
fn limits_are_mended_for_the_very_next_login() {
    let site = Site::new(1);
    site.make_login(0, "deploy");
    site.let_sudo(0, "deploy");
    site.sshd_with(0, "UsePAM yes");
    site.sh(0, "printf 'deploy hard nofile 110\\ndeploy hard core 0\\n' >/etc/security/limits.d/00-low.conf");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    let ip = site.ip(0);
    check(&site, &conf, &[]).expect("connections", &ip, "fail", "110").expect("core-limit", &ip, "fail", "0");
    let after = check(&site, &conf, &["--fix"]);
    after.expect("connections", &ip, "pass", "120").expect("core-limit", &ip, "pass", "unlimited");
    after.expect("install-path", &ip, "pass", "/opt/arcus").expect("run-directory", &ip, "pass", "deploy");
}

#[test]
fn what_cannot_be_mended_stays_a_fail_with_its_reason() {
    let site = Site::new(1);
    site.make_login(0, "deploy");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    let run = Run::of(site.command().args(["--output", "json", "check", path(&conf), "--fix"]));
    assert_ne!(run.code, 0, "{run:?}");
    let run = run.says("deploy cannot do this without sudo");
    assert_eq!(run.json()["plan"]["stages"], json!([]));
    let items = run.json()["data"]["checks"].as_array().unwrap().clone();
    assert!(items.iter().any(|item| item["id"] == "install-path" && item["verdict"] == "fail"), "{items:#?}");
}

#[test]
fn a_dead_host_is_told_of_once_and_the_others_are_mended() {
    let site = Site::new(2);
    site.make_bare(0);
    site.settings("[timeouts]\nconnect = \"1s\"\n");
    site.lab.cut(site.host(1)).unwrap();
    let conf = site.cloud("cloud", 11211, 1);
    let run = site.run(["--output", "json", "check", path(&conf), "--fix"]).exits(3);
    site.sh(0, "getent passwd memcached");
    let failures = run.json()["failures"].as_array().unwrap().clone();
    let dead = site.ip(1);
    let told = failures.iter().filter(|failure| {
        let message = failure["message"].as_str().unwrap();
        message.starts_with(&format!("{dead}: ")) && message.contains("ssh")
    });
    assert_eq!(told.count(), 1, "{failures:#?}");
}

//! `hosts trust`: key login set up by somebody at a terminal, who types each password to ssh itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::support::{Site, path};

const PASSWORD: &str = "correct horse";

/// Hosts whose user `deploy` gets in by password alone, and their cloud. Their host keys are known.
fn passwords_only(hosts: usize) -> (Site, PathBuf) {
    let site = Site::new(hosts);
    for index in 0..hosts {
        site.make_password_login(index, "deploy", PASSWORD);
    }
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    (site, conf)
}

fn key(site: &Site) -> PathBuf {
    site.lab.admin_ssh_dir().join("id_ed25519")
}

#[track_caller]
fn remove_key(site: &Site) {
    std::fs::remove_file(key(site)).unwrap();
    std::fs::remove_file(key(site).with_extension("pub")).unwrap();
}

/// What ssh asks for the password of host `index`.
fn prompt(site: &Site, index: usize) -> String {
    format!("deploy@{}'s password: ", site.ip(index))
}

fn forget_host_keys(site: &Site) {
    std::fs::write(site.lab.admin_ssh_dir().join("known_hosts"), "").unwrap();
}

fn authorized_keys(site: &Site, index: usize) -> String {
    site.sh(index, "cat /home/deploy/.ssh/authorized_keys 2>/dev/null || :")
}

#[test]
fn a_key_is_made_and_each_password_typed_to_ssh_once() {
    let (site, conf) = passwords_only(2);
    remove_key(&site);
    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    for index in 0..2 {
        terminal.expect(&prompt(&site, index)).type_in(PASSWORD).type_in("\n");
    }
    let run = terminal.end().success();
    assert!(run.stdout.contains(": 3 done"), "{}", run.stdout);
    assert!(!run.stdout.contains(PASSWORD), "{}", run.stdout);
    assert_eq!(std::fs::metadata(key(&site)).unwrap().permissions().mode() & 0o777, 0o600);
    let public = std::fs::read_to_string(key(&site).with_extension("pub")).unwrap();
    assert!(public.starts_with("ssh-ed25519 "), "{public}");
    for index in 0..2 {
        assert_eq!(authorized_keys(&site, index), public.trim());
        assert_eq!(site.as_login(index, "deploy", "id -un").success().stdout, "deploy\n");
    }
    // Without a terminal, for nothing has to be typed any more.
    site.run(["hosts", "trust", path(&conf)]).success().says("accepts the key");
    assert_eq!(authorized_keys(&site, 0), public.trim());
}

#[test]
fn without_a_terminal_it_is_refused_and_no_key_is_made() {
    let (site, conf) = passwords_only(1);
    remove_key(&site);
    let run = site.run(["hosts", "trust", path(&conf)]).exits(5);
    run.says("a password must be typed to ssh").says("run arcusctl hosts trust at a terminal");
    forget_host_keys(&site);
    let run = site.run(["hosts", "trust", path(&conf)]).exits(5);
    run.says("its ssh host key is unknown").says("--accept-new-host-keys");
    site.run(["hosts", "trust", path(&conf), "--accept-new-host-keys"])
        .exits(5)
        .says("a password must be typed");
    assert!(!key(&site).exists());
}

#[test]
fn a_wrong_password_costs_its_host_alone_and_the_next_run_asks_for_that_one_again() {
    let (site, conf) = passwords_only(2);
    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    for _ in 0..3 {
        terminal.expect(&prompt(&site, 0)).type_in("wrong\n");
    }
    terminal.expect(&prompt(&site, 1)).type_in(PASSWORD).type_in("\n");
    let run = terminal.end().exits(3);
    assert!(run.stdout.contains("the key was not installed"), "{}", run.stdout);
    assert_eq!(authorized_keys(&site, 0), "");

    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect(&prompt(&site, 0)).type_in(PASSWORD).type_in("\n");
    let run = terminal.end().success();
    assert!(!run.stdout.contains(&prompt(&site, 1)), "{}", run.stdout);
    site.run(["hosts", "trust", path(&conf)]).success();
}

#[test]
fn an_unknown_host_key_is_confirmed_to_ssh_or_the_host_is_left_alone() {
    let (site, conf) = passwords_only(1);
    forget_host_keys(&site);
    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect("Are you sure you want to continue connecting").type_in("no\n");
    let run = terminal.end();
    assert_eq!((run.code, authorized_keys(&site, 0)), (5, String::new()), "{}", run.stdout);

    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect("ED25519 key fingerprint is");
    terminal.expect("Are you sure you want to continue connecting").type_in("yes\n");
    terminal.expect(&prompt(&site, 0)).type_in(PASSWORD).type_in("\n");
    terminal.end().success();
    site.as_login(0, "deploy", "true").success();
}

#[test]
fn new_host_keys_are_recorded_unseen_only_when_told_to() {
    let (site, conf) = passwords_only(1);
    forget_host_keys(&site);
    let mut terminal = site.terminal(["hosts", "trust", path(&conf), "--accept-new-host-keys"]);
    terminal.expect(&prompt(&site, 0)).type_in(PASSWORD).type_in("\n");
    let run = terminal.end().success();
    assert!(!run.stdout.contains("Are you sure"), "{}", run.stdout);

    forget_host_keys(&site);
    let run = site.run(["hosts", "trust", path(&conf), "--accept-new-host-keys"]).success();
    run.says("its host key was recorded");
    site.as_login(0, "deploy", "true").success();
}

#[test]
fn a_changed_host_key_and_a_dead_host_are_told_and_the_others_go_on() {
    let (site, conf) = passwords_only(3);
    site.settings("[ssh]\nuser = \"deploy\"\n[timeouts]\nconnect = \"1s\"\n");
    let known = site.lab.admin_ssh_dir().join("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    // The first host has the key of the second.
    let [first, second] = [site.ip(0), site.ip(1)];
    let other =
        text.lines().find(|line| line.contains(&second)).unwrap().split_once(' ').unwrap().1.to_owned();
    let changed: String = text
        .lines()
        .map(|line| if line.contains(&first) { format!("{first} {other}\n") } else { format!("{line}\n") })
        .collect();
    std::fs::write(&known, &changed).unwrap();
    site.lab.cut(site.host(1)).unwrap();

    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect(&prompt(&site, 2)).type_in(PASSWORD).type_in("\n");
    let run = terminal.end().exits(3);
    assert!(
        run.stdout.contains(&format!("{first}: its ssh host key is not the known one")),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains(&format!("{second}: cannot connect with ssh")), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(&known).unwrap(), changed);
    assert_eq!(authorized_keys(&site, 0), "");
}

#[test]
fn the_key_and_the_port_of_the_settings_are_used() {
    let (site, conf) = passwords_only(1);
    site.sshd_with(0, "Port 2222");
    let known = site.lab.admin_ssh_dir().join("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    let host_key = text.split_once(' ').unwrap().1;
    std::fs::write(&known, format!("[{}]:2222 {host_key}", site.ip(0))).unwrap();
    site.settings("[ssh]\nuser = \"deploy\"\nport = 2222\nidentity = \"keys/cloud\"\n");

    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect(&prompt(&site, 0)).type_in(PASSWORD).type_in("\n");
    terminal.end().success();
    let public = std::fs::read_to_string(site.directory().join("keys/cloud.pub")).unwrap();
    assert_eq!(authorized_keys(&site, 0), public.trim());

    // A key without its public part is completed, not replaced.
    std::fs::remove_file(site.directory().join("keys/cloud.pub")).unwrap();
    site.sh(0, "rm /home/deploy/.ssh/authorized_keys");
    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect(&prompt(&site, 0)).type_in(PASSWORD).type_in("\n");
    terminal.end().success();
    let words = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(words(&authorized_keys(&site, 0)), words(&public));
}

#[test]
fn a_host_that_takes_no_passwords_is_not_asked_for_one() {
    let site = Site::new(1);
    site.make_login(0, "deploy");
    site.sh(0, "rm /home/deploy/.ssh/authorized_keys");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let conf = site.cloud("cloud", 11211, 1);
    let run = site.at_terminal(["hosts", "trust", path(&conf)], "");
    assert_eq!(run.code, 5, "{}", run.stdout);
    assert!(run.stdout.contains("its sshd takes no passwords"), "{}", run.stdout);
}

#[test]
fn an_interrupt_at_the_password_ends_it_and_says_what_was_not_done() {
    let (site, conf) = passwords_only(2);
    let mut terminal = site.terminal(["hosts", "trust", path(&conf)]);
    terminal.expect(&prompt(&site, 0)).type_in("\u{3}");
    let run = terminal.end();
    assert_eq!(run.code, 130, "{}", run.stdout);
    assert!(run.stdout.contains("1 not begun"), "{}", run.stdout);
    assert_eq!(authorized_keys(&site, 0), "");
}

#[test]
fn a_dry_run_shows_what_would_be_asked_and_touches_nothing() {
    let (site, conf) = passwords_only(1);
    remove_key(&site);
    let run = site.at_terminal(["hosts", "trust", path(&conf), "--dry-run"], "").success();
    assert!(run.stdout.contains("make an ed25519 key without a passphrase"), "{}", run.stdout);
    assert!(run.stdout.contains("ssh asks for the password"), "{}", run.stdout);
    assert!(!key(&site).exists());
}

//! `exec`: a command on many hosts, what each said and how it ended.

use std::process::Command;

use serde_json::json;

use crate::support::{Run, Site, path};

#[test]
fn hosts_that_say_the_same_are_told_once_and_every_status_counts() {
    let site = Site::new(3);
    let conf = site.cloud("cloud", 11211, 2);
    let same =
        site.run(["exec", path(&conf), "--", "printf", "%s\\n", "a  b", "$HOME; exit 9", "*"]).success();
    // No shell reads the words; hosts fold.
    let folded = site.ip(0).trim_end_matches('1').to_owned() + "[1-3] (3 hosts): exit status 0";
    assert_eq!(same.stdout, format!("{folded}\na  b\n$HOME; exit 9\n*\n"));

    site.sh(1, "touch /tmp/odd");
    let script = "[ ! -e /tmp/odd ] || { echo why >&2; exit 7; }; echo fine";
    let run = site.run(["exec", path(&conf), "--output", "json", "--", "sh", "-c", script]).exits(3);
    let document = run.json();
    let outputs = document["data"]["outputs"].as_array().unwrap();
    let told: Vec<_> =
        outputs.iter().map(|one| [&one["exitStatus"], &one["stdout"], &one["stderr"]]).collect();
    let fine = [&json!(0), &json!("fine\n"), &json!("")];
    assert_eq!(told, [fine, [&json!(7), &json!(""), &json!("why\n")], fine]);
    run.says(&format!("{}: exit status 7", site.ip(1)));

    // All failed; a word that is no program; a signal.
    site.run(["exec", path(&conf), "--", "false"]).exits(1);
    let missing = site.run(["exec", path(&conf), &site.ip(0), "--", "no-such-program"]).exits(1);
    missing.says("exit status 127");
    site.run(["exec", path(&conf), &site.ip(0), "--", "sh", "-c", "kill -9 $$"])
        .exits(1)
        .says("exit status 137");
    let dry = site.run(["exec", path(&conf), "--dry-run", "--", "touch", "/tmp/dry"]).success();
    assert!(dry.stdout.contains("run touch /tmp/dry"), "{}", dry.stdout);
    site.sh(0, "test ! -e /tmp/dry");
    site.run(["exec", path(&conf)]).exits(2);
}

#[test]
fn a_dead_host_keeps_nobody_and_selectors_pick_hosts() {
    let site = Site::with_short_sessions(3);
    let conf = site.cloud("cloud", 11211, 1);
    site.start_cloud("cloud", &conf);
    site.settings("[timeouts]\nconnect = \"3s\"\n[zookeeper.properties]\nmaxSessionTimeout = 4000\n");
    let name = site.host(1).name.clone();
    let one = site.run(["exec", path(&conf), &name, "--", "uname", "-n"]).success();
    assert_eq!(one.stdout, format!("{}: exit status 0\n{name}\n", site.ip(1)));
    site.run(["exec", path(&conf), "nobody*", "--", "true"]).exits(5).says("no node of cloud");

    site.run(["memcached", "stop", "cloud", &site.ip(2)]).success();
    let offline = site.run(["exec", path(&conf), "@offline", "--", "true"]).success();
    assert_eq!(offline.stdout, format!("{}: exit status 0\n", site.ip(2)));

    site.lab.kill(site.host(2)).unwrap();
    let run = site.run(["exec", path(&conf), "--members", "--", "true"]).exits(3);
    assert!(run.stdout.contains("(2 hosts): exit status 0"), "{}", run.stdout);
    run.says(&format!("{}: cannot connect with ssh", site.ip(2)));
    // What was run is on record here, and not where everyone could read it; nobody runs it again by mistake.
    let history = site.run(["history"]).success();
    assert!(history.stdout.contains("exec") && history.stdout.contains("-- true"), "{}", history.stdout);
    assert!(!site.run(["history", "--cloud", "cloud"]).success().stdout.contains("exec"));
    site.run(["resume", "last"]).exits(5).says("was a command of your own");
}

#[test]
fn as_root_it_runs_by_sudo_and_is_ended_the_same_way() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    site.make_login(0, "deploy");
    site.settings("[ssh]\nuser = \"deploy\"\n");
    let who = |flags: &[&str]| {
        let args = ["exec", path(&conf)].into_iter().chain(flags.iter().copied()).chain(["--", "id", "-un"]);
        site.run(args)
    };
    assert!(who(&[]).success().stdout.ends_with("\ndeploy\n"));
    who(&["--sudo"]).exits(1).says("exit status 1");
    site.let_sudo(0, "deploy");
    assert!(who(&["--sudo"]).success().stdout.ends_with("\nroot\n"));
    site.run(["exec", path(&conf), "--sudo", "--timeout", "2", "--", "sleep", "4322"]).exits(1);
    site.wait_on(0, "! pgrep -f '^sleep 4322' >/dev/null");
}

#[test]
fn output_is_bounded_and_harmless_and_the_command_has_no_input() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let bytes = site.run(["exec", path(&conf), "--output", "json", "--", "printf", "\\377\\000"]).success();
    let output = bytes.json()["data"]["outputs"][0].clone();
    assert_eq!((output["stdoutBase64"].as_str(), output.get("stdout")), (Some("/wA="), None));
    let wild = site.run(["exec", path(&conf), "--", "printf", "\\033]0;title\\007\\377"]).success();
    assert!(wild.stdout.contains("\\u{1b}]0;title\\u{7}"), "{:?}", wild.stdout);

    let much =
        site.run(["exec", path(&conf), "--output", "json", "--", "head", "-c", "3000000", "/dev/zero"]);
    let output = much.success().json()["data"]["outputs"][0].clone();
    assert_eq!(output["stdoutCut"], 3_000_000 - (1 << 20));
    assert_eq!(
        site.run(["exec", path(&conf), "--", "cat"]).success().stdout,
        format!("{}: exit status 0\n", site.ip(0))
    );
}

#[test]
fn what_does_not_end_in_time_is_ended_with_all_it_started() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let script = "echo begun; sleep 4321 & sleep 4321";
    let run = site.run(["exec", path(&conf), "--timeout", "2", "--", "sh", "-c", script]).exits(1);
    assert!(run.stdout.contains("did not end\nbegun"), "{}", run.stdout);
    run.says("did not end within 2 s");
    site.wait_on(0, "! pgrep -f '^sleep 4321' >/dev/null");

    // Two Ctrl-C end it as well, and so does the end of the program.
    for signals in [["-INT", "-INT"].as_slice(), &["-KILL"]] {
        let mut child = site.spawn(["exec", path(&conf), "--", "sh", "-c", script]);
        site.wait_on(0, "pgrep -f '^sleep 4321' >/dev/null");
        for signal in signals {
            Run::of(Command::new("kill").arg(signal).arg(child.id().to_string())).success();
            std::thread::yield_now();
        }
        child.wait().unwrap();
        site.wait_on(0, "! pgrep -f '^sleep 4321' >/dev/null");
    }
}

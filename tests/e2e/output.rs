//! What programs and people get to read: one JSON document, data apart from talk, colours where they are wanted.

use std::process::Command;

use serde_json::json;

use crate::support::{Run, Site, path};

/// The program without a lab, for what needs none.
fn arcusctl(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arcusctl"));
    let directory = tempfile::tempdir().unwrap();
    command.current_dir(directory.path()).env_clear().env("HOME", directory.path());
    Run::of(command.args(args))
}

/// Every command there is, found by asking each for those below it.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while next < found.len() {
        let words: Vec<&str> = found[next].iter().map(String::as_str).collect();
        let help = arcusctl(&[&words[..], &["--help"]].concat()).success().stdout;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
        let below = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        let below: Vec<Vec<String>> =
            below.map(|name| found[next].iter().cloned().chain([name.to_owned()]).collect()).collect();
        found.extend(below);
        next += 1;
    }
    found
}

/// Asserts that a run with `--output json` prints one document that agrees with how the run ended.
#[track_caller]
fn assert_document(site: &Site, command: &str, args: &[&str], code: i32) {
    let run = site.run(args.iter().copied().chain(["--output", "json"])).exits(code);
    let document = run.json();
    assert_eq!(document["version"], 1, "{document}");
    assert_eq!(document["command"], command, "{document}");
    assert_eq!(document["exitCode"], code, "{document}");
    assert_eq!(document["failures"].as_array().unwrap().is_empty(), code == 0, "{document}");
    let is_dry = args.contains(&"--dry-run") || args[0] == "plan";
    assert_eq!(document["dryRun"], is_dry, "{document}");
    assert_eq!(document["interrupted"], false, "{document}");
    assert!(!run.stdout.contains('\u{1b}'), "{document}");
}

#[test]
fn every_command_prints_one_json_document_that_knows_its_exit_code() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 2);
    let conf = path(&conf);
    let package = path(&site.package);
    let node = site.node(0, 11211);
    let faulty = site.file("faulty.json", "{\"serviceCode\": \"\"}");
    let backup = path(&site.directory().join("backup.json")).to_owned();
    let steps: [(&str, &[&str], i32); 46] = [
        ("check", &["check", path(&faulty)], 4),
        ("check", &["check", conf, "-z", "10.77.1.1:2181,10.77.1.1:2182"], 3),
        ("memcached list", &["memcached", "list"], 6),
        ("memcached register", &["memcached", "register", path(&faulty)], 4),
        ("deploy", &["deploy", path(&faulty)], 4),
        ("deploy", &["deploy", conf, "--package", package, "--dry-run"], 0),
        ("deploy", &["deploy", conf, "--package", package], 0),
        ("deploy", &["deploy", conf, "--package", package], 0),
        ("zookeeper stat", &["zookeeper", "stat"], 6),
        ("zookeeper init", &["zookeeper", "init", "--dry-run"], 0),
        ("zookeeper init", &["zookeeper", "init"], 0),
        ("zookeeper init", &["zookeeper", "init"], 0),
        ("zookeeper stat", &["zookeeper", "stat"], 0),
        ("zookeeper restart", &["zookeeper", "restart"], 5),
        ("zookeeper restart", &["zookeeper", "restart", "--all"], 0),
        ("zookeeper start", &["zookeeper", "start"], 0),
        ("zookeeper start", &["zookeeper", "start", "--member", "10.0.0.1:2181"], 5),
        ("memcached start", &["memcached", "start", "cloud"], 5),
        ("memcached register", &["memcached", "register", conf, "--dry-run"], 0),
        ("memcached register", &["memcached", "register", conf], 0),
        ("memcached start", &["memcached", "start", "cloud", &node], 0),
        ("memcached start", &["memcached", "start", "cloud"], 0),
        ("memcached list", &["memcached", "list", "cloud"], 0),
        ("memcached list", &["memcached", "listall"], 0),
        ("ping", &["ping", "cloud"], 0),
        ("check", &["check", conf], 0),
        ("status", &["status"], 0),
        ("status", &["status", "cloud"], 0),
        ("zookeeper status", &["zookeeper", "status"], 0),
        ("smoke", &["smoke", "cloud"], 0),
        ("locate", &["locate", "cloud", "key", "--get"], 0),
        ("rejoin", &["rejoin", "cloud"], 0),
        ("apply", &["plan", conf], 0),
        ("apply", &["apply", conf], 0),
        ("memcached restart", &["memcached", "restart", "cloud", "--dry-run"], 0),
        ("logs", &["logs", "cloud"], 0),
        ("backup", &["backup", &backup], 0),
        ("restore", &["restore", &backup], 0),
        ("destroy", &["destroy", conf, "--dry-run"], 0),
        ("quicksetup", &["quicksetup", conf, "--package", package], 0),
        ("memcached unregister", &["memcached", "unregister", "cloud", "--yes"], 5),
        ("memcached stop", &["memcached", "stop", "cloud", "--dry-run"], 0),
        ("memcached stop", &["memcached", "stop", "cloud"], 0),
        ("memcached unregister", &["memcached", "unregister", "cloud", "--yes"], 0),
        ("zookeeper stop", &["zookeeper", "stop"], 0),
        ("memcached register", &["memcached", "register", conf], 6),
    ];
    for (command, args, code) in steps {
        assert_document(&site, command, args, code);
    }
}

#[test]
fn a_partial_failure_has_its_results_and_its_failures_in_the_document() {
    let (site, _) = Site::with_cloud(1);
    site.run(["memcached", "stop", "cloud"]).success();
    site.sh(0, "cp /usr/bin/memcached /usr/local/bin/squatter && squatter -d -u memcached -p 11212");
    site.wait_on(0, "pgrep -x squatter >/dev/null");
    let document = site.run(["memcached", "start", "cloud", "--output", "json"]).exits(3).json();
    assert_eq!(document["exitCode"], 3);
    let result = |port: u16| {
        let results = document["results"].as_array().unwrap();
        results.iter().find(|result| result["target"]["node"] == site.node(0, port).as_str()).unwrap()
    };
    assert_eq!(result(11211)["outcome"], "done");
    assert_eq!(result(11212)["outcome"], "failed");
    assert!(result(11211)["seconds"].is_number());
    let failures = document["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0], result(11212)["failure"]);
    assert_eq!(failures[0]["kind"], "failed");
    for told in ["causes", "hints", "log"] {
        assert!(!failures[0][told].as_array().unwrap().is_empty(), "{told} in {}", failures[0]);
    }
}

#[test]
fn data_goes_to_standard_output_and_everything_else_to_standard_error() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    for args in [
        &["deploy", path(&conf), "--package", path(&site.package)][..],
        &["zookeeper", "init"],
        &["memcached", "register", path(&conf)],
        &["memcached", "start", "cloud"],
        &["memcached", "stop", "cloud"],
    ] {
        let run = site.run(args.iter().copied()).success();
        assert_eq!(run.stdout, "", "{args:?}");
        assert!(
            run.stderr.contains(&args[..args.len().min(2)].join(" ")) || args[0] == "deploy",
            "{}",
            run.stderr
        );
    }
    for args in [
        &["zookeeper", "stat"][..],
        &["memcached", "list", "cloud"],
        &["memcached", "listall"],
        &["memcached", "start", "cloud", "--dry-run"],
    ] {
        let run = site.run(args.iter().copied()).success();
        assert!(run.stdout.lines().count() >= 2, "{args:?}: {}", run.stdout);
        let talk = if args.contains(&"--dry-run") { "dry run: nothing was changed\n" } else { "" };
        assert_eq!(run.stderr, talk, "{args:?}");
    }
    let refused = site.run(["memcached", "list", "nothing"]).exits(5);
    assert_eq!(refused.stdout, "");
    refused.says("error: ");
}

#[test]
fn quiet_tells_only_what_failed() {
    let site = Site::with_ensemble(1);
    let conf = site.cloud("cloud", 11211, 1);
    for args in [
        &["memcached", "register", path(&conf)][..],
        &["memcached", "register", path(&conf)],
        &["memcached", "start", "cloud"],
        &["memcached", "stop", "cloud"],
    ] {
        let run = site.run(["--quiet"].into_iter().chain(args.iter().copied())).success();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{args:?}");
    }
    let listed = site.run(["-q", "memcached", "list"]).success();
    assert!(listed.stdout.contains("cloud"), "data is what was asked for: {}", listed.stdout);
    site.run(["-q", "memcached", "start", "nothing"]).exits(5).says("service code nothing is not registered");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    const ESCAPE: char = '\u{1b}';
    let site = Site::with_ensemble(1);
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    let list = ["memcached", "list", "cloud"];
    let asked = |color: &'static str| list.into_iter().chain(["--color", color]);

    let piped = site.run(list).success();
    assert!(!piped.stdout.contains(ESCAPE), "{}", piped.stdout);
    let failing = site.run(["memcached", "list", "nothing"]).exits(5);
    assert!(!failing.stderr.contains(ESCAPE), "{}", failing.stderr);
    let always = site.run(asked("always")).success();
    assert!(always.stdout.contains(ESCAPE), "{}", always.stdout);

    let shown = site.at_terminal(list, "").success();
    assert!(shown.stdout.contains(ESCAPE), "{}", shown.stdout);
    let never = site.at_terminal(asked("never"), "").success();
    assert!(!never.stdout.contains(ESCAPE), "{}", never.stdout);
    let plain = site.at_terminal_with(&[("NO_COLOR", "1")], list, "").success();
    assert!(!plain.stdout.contains(ESCAPE), "{}", plain.stdout);
    assert_eq!(plain.stdout.replace('\r', ""), piped.stdout);
}

#[test]
fn every_command_explains_itself() {
    let commands = commands();
    let names: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
    for known in ["deploy", "zookeeper stat", "memcached register", "memcached listall", "ping", "quicksetup"]
    {
        assert!(names.iter().any(|name| name == known), "{known} is not among {names:?}");
    }
    for (words, name) in commands.iter().zip(names) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let help = arcusctl(&[&words[..], &["--help"]].concat()).success();
        assert_eq!(help.stderr, "", "{name}");
        let usage = format!("Usage: {} [", ["arcusctl", &name].join(" ").trim_end());
        assert!(help.stdout.contains(&usage), "{usage:?} is not in:\n{}", help.stdout);
        assert!(!help.stdout.contains('\u{1b}'), "{}", help.stdout);
        // An argument or option is followed by what it means, on its own line or on the next.
        for line in
            help.stdout.lines().filter(|line| line.starts_with("  ") && line.trim_end().ends_with(['>', ']']))
        {
            let explained = line.split_once("  ").is_some_and(|(_, rest)| rest.trim().contains("  "));
            assert!(explained || line.starts_with("      "), "unexplained: {line:?} of {name}");
        }
        let short = arcusctl(&[&words[..], &["-h"]].concat()).success();
        assert!(short.stdout.contains(&usage), "{}", short.stdout);
    }
    let help = arcusctl(&["--help"]).success().stdout;
    assert!(help.contains("Exit codes: 0 success"), "{help}");
    let version = arcusctl(&["--version"]).success().stdout;
    assert_eq!(version, format!("arcusctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_cannot_be_understood_ends_with_2_and_says_why() {
    for args in [
        &["memcached"][..],
        &["memcached", "begin"],
        &["memcached", "register"],
        &["memcached", "start"],
        &["memcached", "start", "cloud", "@online"],
        &["memcached", "start", "cloud", "10.0.0.1:0"],
        &["memcached", "start", "a/b"],
        &["memcached", "listall", "cloud"],
        &["memcached", "unregister", "cloud", "--no"],
        &["zookeeper", "stat", "--member", "10.0.0.1"],
        &["deploy", "a.json", "b.json"],
        &["memcached", "list", "--output", "xml"],
        &["memcached", "list", "--timeout", "0"],
        &["memcached", "list", "--concurrency", "0"],
        &["memcached", "list", "--color", "some"],
        &["-q", "-v", "memcached", "list"],
    ] {
        let run = arcusctl(args).exits(2);
        assert_eq!(run.stdout, "", "{args:?}");
        assert!(run.stderr.contains("Usage: arcusctl") || run.stderr.contains("error: "), "{}", run.stderr);
        if args.contains(&"--output") {
            continue;
        }
        for wanted in [&["--output", "json"][..], &["--output=json"]] {
            let asked = arcusctl(&[args, wanted].concat()).exits(2);
            let document = asked.json();
            assert_eq!((&document["version"], &document["exitCode"]), (&json!(1), &json!(2)), "{document}");
            assert_eq!(document["command"], "arcusctl", "{document}");
            assert_eq!(document["failures"][0]["kind"], "usage", "{document}");
            let message = document["failures"][0]["message"].as_str().unwrap();
            assert!(!message.is_empty() && !message.contains('\n'), "{document}");
            assert!(
                asked.stderr.contains("Usage: arcusctl") || asked.stderr.contains("error: "),
                "{asked:?}"
            );
        }
    }
}

#[test]
fn what_is_wrong_with_the_ensemble_or_the_settings_is_an_invalid_config() {
    let site = Site::new(1);
    site.run(["-z", "10.0.0.1:2181,10.0.0.2:zk", "zookeeper", "stat"]).exits(4).says("10.0.0.2:zk");
    site.run(["--zklist", "10.0.0.1:2181,,10.0.0.2:2181", "zookeeper", "stat"]).exits(4);
    site.run(["--settings", "absent.toml", "zookeeper", "stat"]).exits(4).says("absent.toml");
    site.settings("install_path = \"relative\"\n[ssh]\nport = 70000\ncolour = true\n");
    let run = site.run(["zookeeper", "stat"]).exits(4);
    for fault in ["arcusctl.toml:1:", "arcusctl.toml:3:", "arcusctl.toml:4:"] {
        assert!(run.stderr.contains(fault), "{fault} is not in {}", run.stderr);
    }
}

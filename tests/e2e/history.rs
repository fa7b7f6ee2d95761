//! What was done is on record, also of a run that was killed, and what was not finished is gone on with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Run, Site, path};

/// The journals of the admin, the oldest first.
fn journals(site: &Site) -> Vec<PathBuf> {
    let directory = site.lab.admin_home().join(".local/state/arcusctl/runs");
    let mut files: Vec<PathBuf> = match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    files
}

fn records(journal: &PathBuf) -> Vec<Value> {
    fs::read_to_string(journal).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn runs(site: &Site) -> Vec<Value> {
    let document = site.run(["history", "--output", "json"]).success().json();
    document["data"]["runs"].as_array().unwrap().clone()
}

fn of(runs: &[Value], key: &str) -> Vec<String> {
    runs.iter().map(|run| run[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_run_that_changed_something_is_on_record_with_its_steps() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 2);
    let deploy = ["deploy", path(&conf), "--package", path(&site.package)];
    let none = site.run(["history"]).success();
    assert_eq!(none.stdout, "no run is on record\n");
    let mut secretly = site.command();
    Run::of(secretly.env("SOME_PASSWORD", "hunter2hunter2").args(deploy)).success();
    site.run(["zookeeper", "init"]).success();
    site.run(["memcached", "register", path(&conf)]).success();
    site.run(["memcached", "start", "cloud"]).success();
    // Neither what was so already, nor what was only shown, nor what was refused, changed anything.
    site.run(deploy).success();
    site.run(["memcached", "stop", "cloud", "--dry-run"]).success();
    Run::of(site.command().args(["memcached", "stop", "cloud"])).exits(5);
    site.run(["memcached", "start", "nothing"]).exits(5);

    let runs = runs(&site);
    assert_eq!(of(&runs, "outcome"), ["done"; 4]);
    assert_eq!(runs[0]["command"], "--yes memcached start cloud");
    assert_eq!(runs[3]["command"], deploy.join(" "));
    assert!(of(&runs, "id").is_sorted_by(|newer, older| newer > older), "{runs:#?}");
    assert_eq!((&runs[0]["user"], &runs[0]["exitCode"]), (&json!("root"), &json!(0)));
    let listed = site.run(["history", "-n", "1"]).success().stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("  done  ") && listed.contains("memcached start cloud"), "{listed}");

    let show = site.run(["history", "show", "last", "--output", "json"]).success().json();
    let steps = show["data"]["run"]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["state"]), (1, &json!("done")));
    let nodes = steps[0]["results"].as_array().unwrap();
    assert_eq!(nodes.len(), 2, "{show:#}");
    assert!(
        nodes.iter().all(|node| node["detail"].as_str().unwrap().starts_with("joined (pid ")),
        "{show:#}"
    );
    let deployed = runs[3]["id"].as_str().unwrap();
    let shown = site.run(["history", "show", deployed]).success().stdout;
    for words in ["Stage: ", "Switch: ", "staged release", "exit code 0", path(&conf), path(&site.package)] {
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}");
    }
    site.run(["history", "show", "1999"]).exits(5).says("no run 1999 is on record");

    // Nobody else reads it, and nothing is in it that nobody may read.
    let key = fs::read_to_string(site.lab.admin_ssh_dir().join("id_ed25519")).unwrap();
    for journal in journals(&site) {
        assert_eq!(fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
        let directory = fs::metadata(journal.parent().unwrap()).unwrap();
        assert_eq!(directory.permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(&journal).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let secret = key.lines().filter(|line| !line.starts_with("---")).any(|line| text.contains(line));
        assert!(!secret, "{text}");
    }
}

#[test]
fn a_step_is_written_down_before_it_is_begun() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    // The switch stands still before the first thing that it would change.
    site.shadow(
        0,
        "mkdir",
        "case \"$*\" in *run*) touch /tmp/held; until [ -e /tmp/go ]; do sleep 0.05; done ;; esac\nexec /usr/bin/mkdir \"$@\"",
    );
    let deploy = site.spawn(["deploy", path(&conf), "--package", path(&site.package)]);
    site.wait_on(0, "[ -e /tmp/held ]");
    site.sh(0, "test ! -e /opt/arcus/run && test ! -e /opt/arcus/current");
    let written = records(&journals(&site)[0]);
    let kinds: Vec<&str> = written.iter().map(|entry| entry["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["run", "about", "plan", "begin", "result", "begin"]);
    assert_eq!(written[2]["steps"][1]["stage"], "Switch");
    assert_eq!(written[5]["step"], 1);
    assert_eq!(of(&runs(&site), "outcome"), ["running"]);
    site.release(0);
    site.end(deploy).success();
    let last = records(&journals(&site)[0]).pop().unwrap();
    assert_eq!((&last["record"], &last["exitCode"]), (&json!("end"), &json!(0)));
}

#[test]
fn a_run_that_was_killed_is_known_and_gone_on_with() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let mut deploy = site.deploy_halfway("cloud.json");
    let running = site.run(["resume"]).exits(5);
    running.says("no unfinished run");
    let id = of(&runs(&site), "id")[0].clone();
    site.run(["resume", &id]).exits(5).says("goes on (pid ");
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    site.release(0);
    site.wait_on(0, "! pgrep -x cat >/dev/null");

    assert_eq!(of(&runs(&site), "outcome"), ["died"]);
    let shown = site.run(["history", "show", "last"]).success().stdout;
    assert!(shown.contains("begun, and what became of it is not known"), "{shown}");
    assert!(shown.contains("skip  Switch: "), "{shown}");

    // From another directory, with what the command said then.
    let mut resume = site.command();
    let run = Run::of(resume.current_dir("/").args(["resume", "--output", "json"])).success();
    let run = run.says(&format!("going on with run {id}: arcusctl deploy cloud.json"));
    let document = run.json();
    assert_eq!(document["command"], "deploy");
    assert!(
        document["plan"]["stages"][0]["steps"][0]["action"]["partial"].as_u64().unwrap() > 0,
        "{document:#}"
    );
    site.sh(0, "test -x /opt/arcus/bin/memcached");

    let known = runs(&site);
    assert_eq!(of(&known, "outcome"), ["done", "died"]);
    assert_eq!((&known[0]["resumes"], &known[1]["resumedBy"]), (&json!(id), &known[0]["id"]));
    let listed = site.run(["history"]).success().stdout;
    assert!(listed.contains("died, resumed"), "{listed}");
    site.run(["resume"]).exits(5).says("no unfinished run");
    site.run(["resume", "last"]).exits(5).says("was complete");

    // What was meant is another thing now.
    fs::write(&conf, fs::read_to_string(&conf).unwrap() + "\n").unwrap();
    let changed = site.run(["resume", &id]).exits(5);
    changed.says("cloud.json is another now").says("run the command itself: arcusctl deploy cloud.json");
}

#[test]
fn what_failed_is_on_record_with_the_words_of_the_process_and_can_be_gone_on_with() {
    let (site, _) = Site::with_cloud(1);
    site.run(["memcached", "stop", "cloud"]).success();
    site.sh(0, "cp /usr/bin/memcached /usr/local/bin/squatter && squatter -d -u memcached -p 11212");
    site.wait_on(0, "pgrep -x squatter >/dev/null");
    site.run(["memcached", "start", "cloud"]).exits(3);
    let show = site.run(["history", "show", "last", "--output", "json"]).success().json();
    assert_eq!(
        (&show["data"]["run"]["outcome"], &show["data"]["run"]["exitCode"]),
        (&json!("partly"), &json!(3))
    );
    let failure = &show["data"]["run"]["failures"][0];
    assert!(!failure["log"].as_array().unwrap().is_empty(), "{show:#}");
    let shown = site.run(["history", "show", "last"]).success().stdout;
    assert!(shown.contains("exit status 71") && shown.contains("log |"), "{shown}");

    // Another ensemble is another thing.
    let mut elsewhere = site.command();
    let other = format!("{}:2182", site.ip(0));
    Run::of(elsewhere.env("ARCUSCTL_ZOOKEEPER", other).arg("resume")).exits(5).says("another ensemble");
    site.sh(0, "pkill -x squatter");
    site.wait_on(0, "! pgrep -x squatter >/dev/null");
    site.run(["resume"]).success().says(&format!("{}  joined", site.node(0, 11212)));
    assert_eq!(site.members("cloud").len(), 2);
}

#[test]
fn every_operators_machine_knows_what_was_last_done_to_a_cloud() {
    let (site, conf) = Site::with_cloud(1);
    site.run(["memcached", "stop", "cloud"]).success();
    let another_home = site.directory().join("another-home");
    fs::create_dir(&another_home).unwrap();
    let ask = |args: &[&str]| {
        let mut command = site.command();
        Run::of(command.env("HOME", &another_home).args(args)).success()
    };
    assert_eq!(ask(&["history"]).stdout, "no run is on record\n");
    let known = ask(&["history", "--cloud", "cloud", "--output", "json"]).json();
    let known = known["data"]["cloudRuns"].as_array().unwrap();
    assert!(known[0]["command"].as_str().unwrap().ends_with("memcached stop cloud"), "{known:#?}");
    assert!(known[1]["command"].as_str().unwrap().contains("quicksetup"), "{known:#?}");
    assert_eq!(of(known, "outcome"), ["done", "done"]);
    assert_eq!(known[0]["id"], runs(&site)[0]["id"]);
    let ensemble = ask(&["history", "--ensemble"]).stdout;
    assert!(ensemble.contains("quicksetup"), "{ensemble}");

    // The record stays short.
    for round in 0..21 {
        let ports: &[u16] = if round % 2 == 0 { &[11211] } else { &[11211, 11212] };
        site.run(["memcached", "register", path(&site.cloud_on_ports("cloud", ports))]).success();
    }
    let known = ask(&["history", "--cloud", "cloud", "-n", "100", "--output", "json"]).json();
    assert_eq!(known["data"]["cloudRuns"].as_array().unwrap().len(), 20);
    drop(conf);
    // Arcus's own tree is Arcus's own.
    assert!(site.znodes("/arcus").keys().all(|name| !name.contains("history")));
}

#[test]
fn where_no_journal_can_be_kept_the_run_goes_on_and_says_so() {
    let site = Site::new(1);
    let conf = site.cloud("cloud", 11211, 1);
    let state = site.file("state", "a file");
    let mut command = site.command();
    command.env("XDG_STATE_HOME", &state).args(["deploy", path(&conf), "--package", path(&site.package)]);
    let run = Run::of(&mut command).success();
    run.says("warning: cannot keep a journal in").says("set XDG_STATE_HOME");
    site.sh(0, "test -x /opt/arcus/bin/memcached");
}

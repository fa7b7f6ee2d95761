//! How loud the program is, in which colours, and what it writes into a log.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Site, path};

const ESCAPE: char = '\u{1b}';
/// A value of the settings that the nodes are started with and that nobody else needs to know.
const VALUE: &str = "4194303";

fn site() -> Site {
    let site = Site::with_ensemble(1);
    site.settings(&format!("[memcached]\nextra_args = [\"-I\", \"{VALUE}\"]\n"));
    site.run(["memcached", "register", path(&site.cloud("cloud", 11211, 1))]).success();
    site
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn twice_verbose_tells_of_ssh_and_zookeeper_by_name_and_once_or_never_of_neither() {
    let site = site();
    let start = ["memcached", "start", "cloud"];
    let loud = site.run(start.into_iter().chain(["-vv"])).success();
    let args = site.sh(0, "tr '\\0' ' ' </proc/$(cat /opt/arcus/run/memcached-11211.pid)/cmdline");
    assert!(args.contains(VALUE), "the value was used: {args}");
    for told in [
        "connecting host=",
        "connected host=",
        "script started on an ssh channel host=",
        "script=\"start its cache nodes\"",
        "script ended host=",
        "status=0",
        "ZooKeeper answered request=\"list /arcus/cache_list\"",
        "ZooKeeper answered request=\"watch /arcus/cache_list/cloud\"",
    ] {
        assert!(loud.stderr.contains(told), "{told:?} is not in:\n{}", loud.stderr);
    }
    for secret in [VALUE, "password"] {
        assert!(!loud.stderr.contains(secret), "{secret} is in:\n{}", loud.stderr);
    }
    site.run(["memcached", "stop", "cloud"]).success();
    let medium = site.run(start.into_iter().chain(["-v"])).success();
    assert!(medium.stderr.contains("connected host="), "{}", medium.stderr);
    for traffic in ["script=", "request="] {
        assert!(!medium.stderr.contains(traffic), "{}", medium.stderr);
    }
    site.run(["memcached", "stop", "cloud"]).success();
    let plain = site.run(start).success();
    assert!(!plain.stderr.contains("connected host="), "{}", plain.stderr);
    // What comes out is the same but for what is told beside it.
    assert_eq!(loud.stdout, plain.stdout);
}

#[test]
fn a_log_file_has_everything_of_every_run_whatever_the_terminal_shows() {
    let site = site();
    let log = site.directory().join("arcusctl.log");
    let logged = |args: &[&str]| site.run(["--log-file", path(&log)].into_iter().chain(args.iter().copied()));
    let quiet = logged(&["-q", "memcached", "start", "cloud"]).success();
    assert_eq!(quiet.stderr, "");
    assert_eq!(mode(&log), 0o600);
    let first = std::fs::read_to_string(&log).unwrap();
    logged(&["memcached", "start", "nothing", "--color", "always"]).exits(5);
    let text = std::fs::read_to_string(&log).unwrap();
    let second = text.strip_prefix(&first).unwrap();
    for told in [
        "begins version=",
        "words=[",
        "script ended host=",
        "ZooKeeper answered request=",
        "joined (pid",
        "1 done",
        "ends exit_code=0",
    ] {
        assert!(first.contains(told), "{told:?} is not in:\n{first}");
    }
    for told in ["error: service code nothing is not registered", " hint: register it", "ends exit_code=5"] {
        assert!(second.contains(told), "{told:?} is not in:\n{second}");
    }
    assert!(!text.contains(VALUE) && !text.contains("password") && !text.contains(ESCAPE), "{text}");
    for line in text.lines().filter(|line| line.contains(" INFO ") || line.contains(" TRACE ")) {
        let (time, _) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
    let nowhere = site.run(["--log-file", "/no/such/log", "memcached", "list"]).exits(4);
    nowhere.says("/no/such/log: the log file cannot be written").says("--log-file FILE");
}

#[test]
fn environment_and_option_agree_on_colours_the_option_having_the_last_word() {
    let site = site();
    let list = ["memcached", "list", "cloud"];
    let piped = |variable: (&str, &str), color: &[&str]| {
        let mut command = site.command();
        let run =
            crate::support::Run::of(command.env(variable.0, variable.1).args(list).args(color)).success();
        run.stdout.contains(ESCAPE)
    };
    assert!(piped(("CLICOLOR_FORCE", "1"), &[]));
    assert!(!piped(("CLICOLOR_FORCE", "1"), &["--color", "never"]));
    assert!(!piped(("NO_COLOR", "1"), &[]));
    assert!(piped(("NO_COLOR", "1"), &["--color", "always"]));
    let shown = |environment: &[(&str, &str)], words: &[&str]| {
        site.at_terminal_with(environment, words.iter().copied(), "").stdout.contains(ESCAPE)
    };
    assert!(shown(&[], &list));
    assert!(!shown(&[("NO_COLOR", "1")], &list));
    assert!(!shown(&[("TERM", "dumb")], &list));
    assert!(!shown(&[("TERM", "dumb"), ("CI", "true")], &list));
    // A line that cannot be understood is in the colours that it asks for.
    assert!(shown(&[], &["memcached", "lst"]));
    assert!(!shown(&[], &["memcached", "lst", "--color", "never"]));
    // Logging too: -v goes to the same terminal.
    assert!(shown(&[], &["-v", "memcached", "list", "cloud"]));
    assert!(!shown(&[("NO_COLOR", "1")], &["-v", "memcached", "list", "cloud"]));
}

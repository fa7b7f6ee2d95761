//! `make install`, and what shells and `man` make of what it installs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Run, Site, path};

/// What `make install` puts below a directory; the program is the one under test instead of an optimised one.
fn installed(below: &Path) -> PathBuf {
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR"));
    make.args(["install", "CARGO=true", "PREFIX=/usr"]);
    make.arg(format!("PROGRAM={}", env!("CARGO_BIN_EXE_arcusctl")));
    make.arg(format!("DESTDIR={}", path(below)));
    Run::of(&mut make).success();
    below.join("usr")
}

/// What somebody sees who types this in a shell of the admin's, `arcusctl` being the installed one.
fn type_into(site: &Site, usr: &Path, shell: &str, typed: &str) -> String {
    let mut command = site.lab.admin("script");
    command.args(["--quiet", "--return", "--command", shell, "/dev/null"]);
    command.env("ARCUSCTL_ZOOKEEPER", site.ensemble()).env_remove("ARCUSCTL_SETTINGS").env("TERM", "xterm");
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", path(usr))).current_dir(site.directory());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut terminal = command.spawn().unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    std::io::Write::write_all(&mut keyboard, typed.as_bytes()).unwrap();
    // `script` takes the end of its input for the end of the session: the keyboard stays until the shell has ended.
    let output = terminal.wait_with_output().unwrap();
    drop(keyboard);
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

/// TAB, then the line made an argument of `echo`: what it says is what was completed.
const TAB_AND_ECHO: &str = "\t\u{1}echo \n";

#[test]
fn installed_completions_know_live_service_codes_and_nodes() {
    let (site, _) = Site::with_cloud(1);
    let usr = installed(&site.directory().join("root"));
    let node = site.node(0, 11212);
    let begun = &node[..node.len() - 2];
    let lines = [
        (format!("arcusctl memcached start cl{TAB_AND_ECHO}"), "arcusctl memcached start cloud".to_owned()),
        // The first TAB comes as far as both nodes agree; bash takes what is before the colon for another word.
        (
            format!("arcusctl memcached stop --dry-run cloud {begun}\t2{TAB_AND_ECHO}"),
            format!("arcusctl memcached stop --dry-run cloud {node}"),
        ),
        (
            format!("arcusctl ping -z {} cl{TAB_AND_ECHO}", site.ensemble()),
            format!("ping -z {} cloud", site.ensemble()),
        ),
        (format!("arcusctl mem\tunre{TAB_AND_ECHO}"), "arcusctl memcached unregister".to_owned()),
    ];
    let typed: String = lines.iter().map(|(typed, _)| typed.as_str()).collect();
    let share = usr.join("share");
    let bash = format!("source {}\n{typed}exit\n", path(&share.join("bash-completion/completions/arcusctl")));
    let zsh = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -D -u; bindkey -e\n{typed}exit\n",
        path(&share.join("zsh/site-functions"))
    );
    for (shell, typed) in [("bash --norc --noprofile -i", bash), ("zsh -f -i", zsh)] {
        let seen = type_into(&site, &usr, shell, &typed);
        for (_, completed) in &lines {
            assert!(
                seen.lines().any(|line| line.trim_end().ends_with(completed) && !line.contains("echo")),
                "{shell}, {completed:?}:\n{seen}"
            );
        }
    }
    let fish = |line: &str| {
        let mut fish = site.lab.admin("fish");
        fish.env("ARCUSCTL_ZOOKEEPER", site.ensemble())
            .env("PATH", format!("{}/bin:/usr/bin:/bin", path(&usr)));
        let script = share.join("fish/vendor_completions.d/arcusctl.fish");
        let script = format!("source {}; complete -C '{line}'", path(&script));
        Run::of(fish.args(["--no-config", "-c", &script])).success().stdout
    };
    assert_eq!(fish("arcusctl memcached start cl"), "cloud\n");
    assert_eq!(
        fish(&format!("arcusctl memcached start cloud {begun}")),
        format!("{}\n{node}\n", site.node(0, 11211))
    );
    assert_eq!(
        fish(&format!("arcusctl memcached start cloud {node} {begun}")),
        format!("{}\n", site.node(0, 11211))
    );
}

#[test]
fn a_completion_that_finds_no_zookeeper_is_silent_and_soon_over() {
    let site = Site::new(1);
    site.lab.freeze(site.host(0)).unwrap();
    // Nothing listens; nothing answers; there is no such host; the settings are broken.
    for ensemble in [site.ensemble().as_str(), "10.77.1.200:2181", "no.such.host:2181", "nonsense"] {
        let start = Instant::now();
        let mut command = site.command();
        command
            .env("ARCUSCTL_ZOOKEEPER", ensemble)
            .env("ARCUSCTL_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", "3");
        let run = Run::of(command.args(["--", "arcusctl", "memcached", "start", ""])).success();
        assert!(start.elapsed() < Duration::from_millis(1500), "{ensemble}: {:?}", start.elapsed());
        assert!(!run.stdout.contains("cloud") && run.stderr.is_empty(), "{ensemble}: {run:?}");
    }
}

#[test]
fn installed_manual_pages_are_in_order() {
    let root = tempfile::tempdir().unwrap();
    let pages = installed(root.path()).join("share/man/man1");
    let mut seen = 0;
    for page in std::fs::read_dir(&pages).unwrap().map(|page| page.unwrap().path()) {
        // What groff does not understand it says; the text is thrown away.
        let looked =
            Run::of(Command::new("groff").args(["-man", "-ww", "-z", "-K", "utf8"]).arg(&page)).success();
        assert_eq!(looked.stderr, "", "{}", page.display());
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
    assert!(pages.join("arcusctl-memcached-start.1").exists());
}

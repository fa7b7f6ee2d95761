//! `top` at a real terminal: it draws, follows, and leaves the terminal as it was.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::{Run, Site};

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();

/// The program at a terminal of 80 by 24, as its reader sees it.
struct Watched {
    child: Child,
    keyboard: ChildStdin,
    shown: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
    /// Where the program wrote its number.
    pid_file: std::path::PathBuf,
}

impl Watched {
    fn start(site: &Site, arguments: &str, environment: &[(&str, &str)]) -> Self {
        let pid_file = site.directory().join("top.pid");
        let line = format!(
            "stty rows 24 cols 80; echo $$ >{}; exec {} {arguments}",
            pid_file.display(),
            env!("CARGO_BIN_EXE_arcusctl")
        );
        let mut command: Command = site.lab.admin("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("ARCUSCTL_ZOOKEEPER", site.ensemble()).env_remove("ARCUSCTL_SETTINGS");
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(environment.iter().copied());
        command.current_dir(site.directory());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let keyboard = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keyboard, shown, terminal: vt100::Parser::new(ROWS, COLUMNS, 0), pid_file }
    }

    fn screen(&self) -> String {
        self.terminal.screen().contents()
    }

    /// Reads on until the screen fits.
    #[track_caller]
    fn wait(&mut self, what: &str, fits: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !fits(&self.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.terminal.process(&bytes),
                Err(error) => panic!("{what} is not seen ({error}):\n{}", self.screen()),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; the terminal must be what it was.
    #[track_caller]
    fn ends(mut self, code: i32) {
        let ended = self.child.wait().unwrap();
        while let Ok(bytes) = self.shown.recv() {
            self.terminal.process(&bytes);
        }
        let screen = self.terminal.screen();
        assert_eq!(ended.code(), Some(code), "{}", screen.contents());
        assert!(!screen.alternate_screen(), "the screen of before is shown again");
        assert!(!screen.hide_cursor(), "the cursor is shown again");
        assert!(!screen.contents().contains("online"), "nothing is left over: {}", screen.contents());
    }
}

/// The row of a node.
fn row<'s>(screen: &'s str, node: &str) -> &'s str {
    screen.lines().find(|line| line.starts_with(&format!("{node} "))).unwrap_or_default()
}

#[test]
fn it_follows_who_is_there_by_watch_and_leaves_the_terminal_as_it_was() {
    let site = Site::with_short_sessions(1);
    let conf = site.cloud("cloud", 11211, 2);
    site.start_cloud("cloud", &conf);
    let (first, second) = (site.node(0, 11211), site.node(0, 11212));

    // Nodes are asked once a minute: what changes before that has come by the watch, at which they are asked again.
    let mut top = Watched::start(&site, "top cloud --interval 1m", &[]);
    top.wait("a well cloud", |screen| {
        screen.contains("2 of 2 online")
            && row(screen, &first).contains("well")
            && screen.contains("all is well")
    });
    assert!(top.terminal.screen().alternate_screen() && top.terminal.screen().hide_cursor());
    site.kill(0, &site.pid(0, 11211));
    top.wait("the death of a node", |screen| {
        screen.contains("1 of 2 online")
            && row(screen, &first).contains("not-running")
            && row(screen, &second).contains("well")
    });
    top.press("/11212\r");
    top.wait("what was filtered for", |screen| {
        row(screen, &first).is_empty() && !row(screen, &second).is_empty()
    });
    top.press("\u{3}");
    top.ends(0);

    // Figures come every time; a node that is asked again is found to be gone.
    let mut top = Watched::start(&site, "top --interval 200ms", &[("NO_COLOR", "1")]);
    top.wait("figures", |screen| {
        row(screen, &first).contains("not-running")
            && row(screen, &second).ends_with(|last: char| last.is_ascii_digit())
    });
    let painted = (0..24).flat_map(|line| (0..80).map(move |column| (line, column)));
    let colours: Vec<vt100::Color> = painted
        .filter_map(|(line, column)| Some(top.terminal.screen().cell(line, column)?.fgcolor()))
        .collect();
    assert!(colours.iter().all(|colour| *colour == vt100::Color::Default), "NO_COLOR is heeded");
    site.talk(0, 11212, "set k 0 0 1\r\nx\r\n");
    top.wait("an item", |screen| screen.contains(" 1 items"));

    // A signal ends it as cleanly as a key.
    let pid = std::fs::read_to_string(&top.pid_file).unwrap();
    Run::of(Command::new("kill").arg("-TERM").arg(pid.trim())).success();
    top.ends(130);
}

#[test]
fn a_host_that_comes_back_is_looked_at_again() {
    let site = Site::with_short_sessions(2);
    let conf = site.cloud("cloud", 11211, 1);
    site.start_cloud("cloud", &conf);
    site.settings("[timeouts]\nconnect = \"2s\"\n");
    let (near, far) = (site.node(0, 11211), site.node(1, 11211));
    site.lab.cut(site.host(1)).unwrap();
    let mut top = Watched::start(&site, "top cloud --interval 500ms", &[]);
    top.wait("a host that is cut off", |screen| {
        row(screen, &near).contains("well") && row(screen, &far).contains("host-")
    });
    site.lab.join(site.host(1)).unwrap();
    // Whether the cut was shorter than its node's session, or the node has ended by failstop: its host tells which.
    top.wait("what became of its node", |screen| {
        let state = row(screen, &far).split_whitespace().nth(1).unwrap_or_default();
        state == "well" || state == "not-running"
    });
    top.press("q");
    top.ends(0);
}

#[test]
fn without_a_terminal_it_points_to_status() {
    let site = Site::with_ensemble(1);
    site.run(["top"]).exits(5).says("top needs a terminal").says("arcusctl status");
    let unknown = site.at_terminal(["top", "other"], "").exits(5);
    assert!(unknown.stdout.contains("service code other is not registered"), "{}", unknown.stdout);
    assert!(!unknown.stdout.contains("\u{1b}[?1049h"), "no screen was opened: {}", unknown.stdout);
}

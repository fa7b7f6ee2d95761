//! A run that is killed in the middle: the next one finishes the job and touches nothing else.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{conf, path};
use crate::support::{Run, Site, await_words};

/// Applies this and kills the run with SIGKILL once it says these words.
#[track_caller]
fn kill_at(site: &Site, wish: &Path, words: &str) {
    let mut command = site.command();
    command.args(["--yes", "apply", path(wish), "--settle", "2", "--drain", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(await_words(&mut child, words));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Applies this to the end, past the lock of the run that was killed.
#[track_caller]
fn finish(site: &Site, wish: &Path) {
    let pace = ["--settle", "2", "--drain", "1", "--lock-wait", "1m"];
    site.run(["apply", path(wish)].into_iter().chain(pace)).success();
    site.run(["apply", path(wish)].into_iter().chain(pace)).success().says("unchanged");
}

#[test]
fn a_scale_out_and_a_scale_in_that_were_killed_are_finished_by_the_next_run() {
    let site = Site::with_short_sessions(2);
    let (small, large) = ([(0, 11211), (1, 11211)], [(0, 11211), (1, 11211), (0, 11212), (1, 11212)]);
    site.run(["apply", path(&conf(&site, &small))]).success();
    let kept = [(0, 11211), (1, 11211)].map(|(index, port)| site.pid(index, port));

    let wish = conf(&site, &large);
    kill_at(&site, &wish, &format!("{}  joined", site.node(0, 11212)));
    assert_eq!(site.members("cloud").len(), 3);
    let half_way = site.pid(0, 11212);
    finish(&site, &wish);
    assert_eq!(site.members("cloud").len(), 4);
    assert_eq!(site.pid(0, 11212), half_way, "what had joined was left alone");

    let wish = conf(&site, &small);
    kill_at(&site, &wish, &format!("{}  drained", site.node(0, 11212)));
    // The recorded run can be gone on with as well.
    site.run(["resume", "--lock-wait", "1m"]).success().says("apply");
    finish(&site, &wish);
    assert_eq!(site.members("cloud").len(), 2);
    assert_eq!(site.znodes("/arcus/cache_server_mapping").len(), 1 + 2 * 2);
    assert_eq!([(0, 11211), (1, 11211)].map(|(index, port)| site.pid(index, port)), kept);
}

#[test]
fn an_operator_who_stops_it_is_told_what_is_left_and_goes_on_later() {
    let site = Site::with_short_sessions(1);
    site.run(["apply", path(&conf(&site, &[(0, 11211), (0, 11212)]))]).success();
    let wish = conf(&site, &[(0, 11211), (0, 11213), (0, 11214)]);
    let mut child = site.spawn(["--yes", "apply", path(&wish), "--settle", "5", "--drain", "0"]);
    // Those that have just been started get their time first.
    let rest = await_words(&mut child, &format!("{}  joined", site.node(0, 11213)));
    Run::of(Command::new("kill").args(["-INT", &child.id().to_string()])).success();
    let mut said = String::new();
    { rest }.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    for left in [format!("start {}", site.node(0, 11214)), format!("stop {}", site.node(0, 11212))] {
        assert!(said.contains(&left), "{left}\n{said}");
    }
    assert_eq!(site.members("cloud").len(), 3);

    finish(&site, &wish);
    let members = site.members("cloud");
    let names = [11211, 11213, 11214].map(|port| site.node(0, port));
    assert!(
        members.len() == 3 && names.iter().all(|name| members.iter().any(|member| member.starts_with(name))),
        "{members:?}"
    );
}

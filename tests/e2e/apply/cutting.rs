//! A run that is killed in the middle: the next one finishes the job and touches nothing else.

use std::path::Path;
use std::process::Stdio;

use super::{conf, path};
use crate::support::{Site, await_words};

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
    finish(&site, &wish);
    assert_eq!(site.members("cloud").len(), 2);
    assert_eq!(site.znodes("/arcus/cache_server_mapping").len(), 1 + 2 * 2);
    assert_eq!([(0, 11211), (1, 11211)].map(|(index, port)| site.pid(index, port)), kept);
}

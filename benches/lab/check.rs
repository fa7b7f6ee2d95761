//! Checking a fleet, against the least that asking every host can cost.

use crate::measure::{median, ratio, run, seconds, together};
use crate::site::{Site, text};
use crate::{Bound, Row};

const HOSTS: usize = 32;

/// `check` of 32 hosts, bare ones and such as have a release, against `ssh host true` on all of them at once.
pub(crate) fn check() -> Vec<Row> {
    let site = Site::new(HOSTS);
    let conf = site.cloud("bench", 1);
    let (_, archive) = site.package(10);
    let bare = row(&site, "bare hosts", Bound::AtMost(1.3));
    run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&archive)]));
    vec![bare, row(&site, "hosts with a release in use", Bound::AtMost(1.3))]
}

fn row(site: &Site, which: &str, bound: Bound) -> Row {
    let conf = site.directory.path().join("bench.json");
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..7 {
        ours.push(run(site.arcusctl().args(["-q", "check", text(&conf)])).wall);
        theirs.push(together((0..HOSTS).map(|index| site.ssh(index, "true")).collect()));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Row {
        what: format!("check of {HOSTS} {which}, against parallel `ssh host true`"),
        ours: seconds(ours),
        theirs: seconds(theirs),
        ratio: ratio(ours, theirs),
        bound,
    }
}

//! Looking at a large cloud, against the least that asking every host can cost.

use crate::measure::{median, ratio, run, seconds, together};
use crate::site::{Site, text};
use crate::{Bound, Row};

const HOSTS: usize = 16;

/// `status` of 208 live nodes on 16 hosts, against `ssh host true` on all of them at once.
pub(crate) fn status() -> Vec<Row> {
    const PER_HOST: u16 = 13;
    let site = Site::new(HOSTS);
    let conf = site.cloud("bench", PER_HOST);
    let package = arcus_lab::bundle::shared().unwrap();
    run(site.arcusctl().args(["-q", "deploy", text(&conf), "--package", text(&package)]));
    run(site.arcusctl().args(["-q", "zookeeper", "init"]));
    run(site.arcusctl().args(["-q", "memcached", "register", text(&conf)]));
    run(site.arcusctl().args(["-q", "--timeout", "300", "memcached", "start", "bench"]));
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..9 {
        ours.push(run(site.arcusctl().args(["-q", "status", "bench"])).wall);
        theirs.push(together((0..HOSTS).map(|index| site.ssh(index, "true")).collect()));
    }
    run(site.arcusctl().args(["-q", "--yes", "memcached", "stop", "bench"]));
    let (ours, theirs) = (median(ours), median(theirs));
    vec![Row {
        what: format!(
            "status of {} nodes on {HOSTS} hosts, against parallel `ssh host true`",
            HOSTS * usize::from(PER_HOST)
        ),
        ours: seconds(ours),
        theirs: seconds(theirs),
        ratio: ratio(ours, theirs),
        bound: Bound::AtMost(1.5),
    }]
}

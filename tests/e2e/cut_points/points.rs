//! Where a deploy is cut: at a call of one of the tools that its scripts use on a host.

/// Bytes of a build that cannot be compressed: nearly all of its archive.
pub(super) const BULK: usize = 1_000_000;

/// Where to stand still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) tool: &'static str,
    pub(super) when: When,
    /// A shell pattern that the tool's arguments match; the first such call counts.
    pub(super) call: &'static str,
    /// What the host has in use there.
    pub(super) in_use: InUse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The tool has done nothing yet.
    Before,
    /// The tool got so many bytes of its input.
    Bytes(usize),
    /// The tool has removed a part of what it is to remove.
    PartOfIt,
    /// The tool is through.
    After,
}

/// What a host has in use, seen through the paths that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InUse {
    Nothing,
    Old,
    New,
    /// The old build but for this one directory, which is being replaced by a link: there is no single call for that.
    OldWithout(&'static str),
}

const fn point(tool: &'static str, when: When, call: &'static str, in_use: InUse) -> Point {
    Point { tool, when, call, in_use }
}

use InUse::{New, Nothing, Old, OldWithout};
use When::{After, Before, Bytes, PartOfIt};

/// From the old release to the new one, up to where it lies ready.
pub(super) const STAGING: &[Point] = &[
    point("mkdir", Before, "-p */releases", Old),
    point("cat", Before, "", Old),
    point("cat", Bytes(1), "", Old),
    point("cat", Bytes(BULK / 4), "", Old),
    point("cat", Bytes(BULK / 2), "", Old),
    point("cat", Bytes(BULK / 4 * 3), "", Old),
    point("cat", After, "", Old),
    point("openssl", Before, "dgst *", Old),
    point("openssl", After, "dgst *", Old),
    point("mkdir", After, ".*.tree.*", Old),
    point("zstd", Before, "*", Old),
    point("tar", Bytes(BULK / 2), "-xof - *", Old),
    point("gzip", Bytes(BULK / 2), "-d*", Old),
    point("tar", After, "-x*", Old),
    point("find", After, ". -mindepth *", Old),
    point("mv", Before, "*/zookeeper/conf *", Old),
    point("mv", After, "*/zookeeper/conf *", Old),
    point("ln", After, "-s ../../../zookeeper/conf *", Old),
    point("sync", Before, "*", Old),
    point("sync", After, "*", Old),
    point("mv", Before, "-T .*.tree.* *", Old),
    point("mv", After, "-T .*.tree.* *", Old),
    point("rm", Before, "-f .*.tar.gz *", Old),
    point("rm", After, "-f .*.tar.gz *", Old),
];

/// Amid unpacking, and no more.
pub(super) const UNPACKING: &[Point] = &[point("tar", Bytes(BULK / 2), "-xof - *", Old)];

/// From the old release to the new one, which lies ready.
pub(super) const SWITCHING: &[Point] = &[
    point("mkdir", Before, "-p run *", Old),
    point("ln", Before, "-s current/new-only .", Old),
    point("ln", After, "-s current/new-only .", Old),
    point("cp", Before, "-pR */new.properties *", Old),
    point("cp", After, "-pR */new.properties *", Old),
    point("ln", After, "* previous.arcusctl-new", Old),
    point("mv", After, "-T previous.arcusctl-new *", Old),
    point("ln", After, "* current.arcusctl-new", Old),
    point("mv", Before, "-T current.arcusctl-new *", Old),
    point("mv", After, "-T current.arcusctl-new *", New),
    point("rm", Before, "-f old-only", New),
    point("rm", After, "-f old-only", New),
];

/// The first release goes in use.
pub(super) const FIRST: &[Point] = &[
    point("mkdir", Before, "-p run *", Nothing),
    point("mkdir", After, "-p run *", Nothing),
    point("ln", Before, "-s current/bin * .", Nothing),
    point("ln", After, "-s current/bin * .", Nothing),
    point("ln", Before, "-s ../current/zookeeper/* zookeeper", Nothing),
    point("ln", After, "-s ../current/zookeeper/* zookeeper", Nothing),
    point("mv", Before, "-T current.arcusctl-new *", Nothing),
    point("mv", After, "-T current.arcusctl-new *", New),
];

/// An install that `arcus.sh` made becomes a release, and the new one goes in use.
pub(super) const ADOPTING: &[Point] = &[
    point("cp", Before, "-al bin *", Old),
    point("cp", After, "-al bin *", Old),
    point("mv", Before, "-T releases/.adopted-* *", Old),
    point("mv", After, "-T releases/.adopted-* *", Old),
    point("mv", After, "-T current.arcusctl-new *", Old),
    point("ln", After, "* bin.arcusctl-new", Old),
    point("mv", After, "bin .arcusctl-old-bin", OldWithout("bin")),
    point("mv", After, "-T bin.arcusctl-new bin", Old),
    point("rm", PartOfIt, "-rf .arcusctl-old-bin", Old),
    point("rm", After, "-rf .arcusctl-old-bin", Old),
    point("mv", Before, "zookeeper/lib *", Old),
    point("mv", After, "zookeeper/lib *", OldWithout("zookeeper/lib")),
    point("rm", Before, "-rf zookeeper/.arcusctl-old-lib", Old),
    point("mv", Before, "-T previous.arcusctl-new *", Old),
    // A release's name is shorter than that of the adopted one.
    point("ln", After, "* releases/???????????? current.arcusctl-new", Old),
];

/// The new release is in use, and an old one goes.
pub(super) const PRUNING: &[Point] = &[
    point("mv", Before, "-T spare *", New),
    point("mv", After, "-T spare *", New),
    point("rm", PartOfIt, "-rf .pruned-spare", New),
    point("rm", After, "-rf .pruned-spare", New),
];

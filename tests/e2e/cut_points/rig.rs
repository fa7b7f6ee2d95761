//! A lab in which every host stands still at one point of a deploy, and what is to be seen there.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::points::{BULK, InUse, Point, When};
use crate::support::{Run, Site, path};
use crate::tree::Tree;

/// Stands before a tool in a host's PATH. `/run/cut/<tool>` names the call to stop at; `/run` is empty after a power cut.
const STOP: &str = r#"tool=${0##*/}
real=/usr/bin/$tool
pass() { exec "$real" "$@"; }
# As before coreutils 9.5, on every machine.
[ "$tool $1" != 'mv --exchange' ] || exit 1
stop() {
  echo >/run/cut/reached
  read -r _ </run/cut/go
}
{ read -r when call </run/cut/$tool; } 2>/dev/null || pass "$@"
case "$*" in $call) ;; *) pass "$@" ;; esac
/usr/bin/mkdir /run/cut/claimed 2>/dev/null || pass "$@"
case $when in
  before) stop; pass "$@" ;;
  part)
    for directory; do :; done
    for part in "$directory"/*; do break; done
    /usr/bin/rm -rf "$part"
    stop
    pass "$@"
    ;;
  after)
    "$real" "$@"
    status=$?
    stop
    exit $status
    ;;
esac
# A number of bytes; head takes no more than that from its input.
[ "$tool" != cat ] || { head -c "$when"; stop; pass; }
{ head -c "$when"; stop; exec /usr/bin/cat; } | "$real" "$@"
"#;
const TOOLS: [&str; 13] =
    ["cat", "cp", "find", "gzip", "ln", "mkdir", "mv", "openssl", "rm", "sha256sum", "sync", "tar", "zstd"];
/// Prints what is reached at the paths that people know, the names that only one build has, and each release.
const SEEN: &str = "known() { find -L bin lib zookeeper/bin zookeeper/lib -type f -exec sha256sum {} + 2>/dev/null | LC_ALL=C sort -k 2; }
known; echo --
for name in *-only; do [ ! -e $name ] || echo $name; done; echo --
for release in releases/*; do [ ! -d $release ] || (cd $release && known; echo --); done";
/// What of a build that is about.
const KNOWN: [&str; 4] = ["bin", "lib", "zookeeper/bin", "zookeeper/lib"];

/// What hosts have before the deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The old build, as a release.
    Release,
    /// The same, and an older release that nobody needs.
    ReleaseAndSpare,
    /// The old build, as `arcus.sh` lays it out.
    PlainInstall,
}

/// Hosts that are to be cut, one for each point, and at the end one that is not.
pub(super) struct Rig {
    pub(super) site: Site,
    before: Before,
    points: &'static [Point],
    conf: String,
    old: Build,
    new: Build,
}

struct Build {
    tree: Tree,
    /// The files that are reached at the paths that people know, with their SHA-256.
    sums: String,
}

impl Rig {
    pub(super) fn new(before: Before, points: &'static [Point]) -> Self {
        let site = Site::new(points.len() + 1);
        let [old, new] = ["old", "new"].map(|version| {
            let tree = Tree::new(site.directory(), version, BULK);
            let sums = tree.sums(&KNOWN.join(" "));
            Build { tree, sums }
        });
        let conf = path(&site.cloud("cloud", 11211, 1)).to_owned();
        let rig = Self { site, before, points, conf, old, new };
        rig.set_up();
        for (index, point) in points.iter().enumerate() {
            rig.set(index, point);
        }
        rig
    }

    fn set_up(&self) {
        match self.before {
            Before::Nothing => {}
            Before::Release | Before::ReleaseAndSpare => {
                self.site.run(["deploy", &self.conf, "--package", path(&self.old.tree.path)]).success();
            }
            Before::PlainInstall => {
                let plain = self.site.directory().join("plain.tar");
                let mut tar = Command::new("tar");
                Run::of(tar.arg("-cf").arg(&plain).arg("-C").arg(&self.old.tree.path).arg(".")).success();
                self.everywhere(|index| {
                    self.site.put(index, &plain, "/opt/plain.tar");
                    self.site.sh(
                        index,
                        "mkdir /opt/arcus && tar -xf /opt/plain.tar -C /opt/arcus && rm /opt/plain.tar",
                    );
                });
            }
        }
        if self.before == Before::ReleaseAndSpare {
            let spare = "cd /opt/arcus/releases && cp -a $(basename $(readlink ../current)) spare && touch -d 2020-01-01 spare";
            self.everywhere(|index| drop(self.site.sh(index, spare)));
        }
        // What belongs to the machine, as a server leaves it.
        self.everywhere(|index| {
            self.site.sh(
                index,
                "mkdir -p /opt/arcus/zookeeper && cd /opt/arcus/zookeeper && mkdir -p data/version-2 conf && \
                 echo 3 >data/myid && head -c 100000 /dev/urandom >data/version-2/log.1 && \
                 echo tickTime=2000 >conf/zoo.cfg && echo mine >../notes",
            );
        });
    }

    /// Makes a host stop at this point.
    fn set(&self, index: usize, point: &Point) {
        let stop = self.site.file("stop", &format!("#!/bin/sh\n{STOP}"));
        self.site.put(index, &stop, "/usr/local/bin/stop-at-point");
        let link = format!(
            "cd /usr/local/bin && for tool in {}; do ln -s stop-at-point $tool; done",
            TOOLS.join(" ")
        );
        self.site.sh(index, &link);
        let when = match point.when {
            When::Before => "before".to_owned(),
            When::PartOfIt => "part".to_owned(),
            When::After => "after".to_owned(),
            When::Bytes(count) => count.to_string(),
        };
        let file = self.site.file("point", &format!("{when} {}\n", point.call));
        self.site.sh(index, "mkdir /run/cut && mkfifo /run/cut/reached /run/cut/go");
        self.site.put(index, &file, &format!("/run/cut/{}", point.tool));
        if point.tool == "gzip" {
            self.site.sh(index, "rm /usr/local/bin/zstd /usr/bin/zstd");
        }
    }

    fn package(&self) -> [&str; 4] {
        ["deploy", &self.conf, "--package", path(&self.new.tree.path)]
    }

    fn deploy(&self) -> Command {
        let temporary = self.site.directory().join("t");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = self.site.command();
        command.env("TMPDIR", temporary).args(self.package()).args(["--concurrency", "64"]);
        if self.before == Before::ReleaseAndSpare {
            command.args(["--keep", "1"]);
        }
        command
    }

    /// Starts the deploy that is going to be cut.
    pub(super) fn start(&self) -> Child {
        self.deploy().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until every host stands at its point.
    pub(super) fn await_points(&self, deploy: &mut Child) {
        for (index, point) in self.points.iter().enumerate() {
            let reached = "timeout 60 sh -c 'read -r _ </run/cut/reached'";
            if self.site.on(index, reached).code != 0 {
                deploy.kill().unwrap();
                let mut said = String::new();
                if let Some(mut stderr) = deploy.stderr.take() {
                    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
                }
                panic!("{} never came to {point:?}; the deploy said:\n{said}", self.site.ip(index));
            }
        }
    }

    /// Does something for every host that is to be cut, at once.
    pub(super) fn each(&self, work: impl Fn(usize) + Sync) {
        thread::scope(|scope| {
            for index in 0..self.points.len() {
                scope.spawn({
                    let work = &work;
                    move || work(index)
                });
            }
        });
    }

    fn everywhere(&self, work: impl Fn(usize) + Sync) {
        for index in 0..=self.points.len() {
            work(index);
        }
    }

    /// Waits for the end of a deploy that lost its hosts, and that says so.
    pub(super) fn end_without_hosts(&self, deploy: Child) {
        let run = self.site.end(deploy).exits(3);
        for index in 0..self.points.len() {
            assert!(run.stderr.contains(&format!("FAIL  {}  ", self.site.ip(index))), "{}", run.stderr);
        }
    }

    /// Lets everything go on that stands still.
    pub(super) fn let_go(&self) {
        self.each(|index| {
            self.site.on(index, "timeout 20 sh -c 'echo >/run/cut/go'").success();
        });
    }

    /// Waits until nothing that a run left on a host is at work there any more.
    pub(super) fn await_quiet(&self) {
        self.each(|index| {
            let free = "cd /opt/arcus/releases 2>/dev/null || exit 0; flock -w 90 .lock true";
            assert_eq!(self.site.on(index, free).code, 0, "{}: the lock is held", self.describe(index));
        });
    }

    /// What belongs to the machines, with inodes and times.
    pub(super) fn own(&self) -> Vec<String> {
        let script = "cd /opt/arcus && find zookeeper/data zookeeper/conf/zoo.cfg notes -printf '%p %i %T@ %m %u\\n' -type f -exec sha256sum {} + | sort";
        (0..=self.points.len()).map(|index| self.site.sh(index, script)).collect()
    }

    /// Asserts that every host has in use what its point says; the last one, which was not cut, went as far as it may.
    pub(super) fn is_as_the_points_say(&self) {
        for (index, point) in self.points.iter().enumerate() {
            assert_eq!(self.in_use(index), point.in_use, "{}", self.describe(index));
        }
        // All or none.
        let staging =
            self.points.iter().all(|point| point.in_use == InUse::Old) && self.before == Before::Release;
        let last = if staging { InUse::Old } else { InUse::New };
        assert_eq!(self.in_use(self.points.len()), last, "the host that was not cut");
    }

    /// Asserts that no host has a mixture in use.
    pub(super) fn is_whole(&self) {
        for (index, point) in self.points.iter().enumerate() {
            let found = self.in_use(index);
            // What was cut off there waits for the next run.
            let cut_in_two = matches!(point.in_use, InUse::OldWithout(_)) && found == point.in_use;
            assert!(
                cut_in_two || !matches!(found, InUse::OldWithout(_)),
                "{}: {found:?}",
                self.describe(index)
            );
        }
    }

    /// Runs the deploy again, to its end. It goes on after what has arrived, which is `exactly` so much as a point says, or
    /// more.
    pub(super) fn run_again(&self, exactly: bool) {
        let run = Run::of(self.deploy().args(["--output", "json"])).success().json();
        let of = |list: &Value, index: usize| {
            let mut all = list.as_array().into_iter().flatten();
            all.find(|one| one["target"]["host"] == self.site.ip(index)).cloned()
        };
        for (index, point) in self.points.iter().enumerate() {
            let (Point { tool: "cat", when: When::Bytes(count), .. }, host) = (point, self.describe(index))
            else {
                continue;
            };
            let step = of(&run["plan"]["stages"][0]["steps"], index).unwrap_or_default();
            let Some(kept) = step["action"]["partial"].as_u64() else {
                assert!(!exactly, "{host}: nothing is sent to it");
                continue;
            };
            assert!(if exactly { kept == *count as u64 } else { kept >= *count as u64 }, "{host}: {step}");
            let result = of(&run["results"], index).unwrap();
            assert!(result["detail"].as_str().unwrap().contains("that were there"), "{host}: {result}");
        }
    }

    /// Asserts that every host has the new release and nothing half-made, and that there is nothing more to do.
    pub(super) fn is_done(&self) {
        let mut wrong = String::new();
        for index in 0..=self.points.len() {
            if self.in_use(index) != InUse::New {
                writeln!(wrong, "{}: not the new release", self.describe(index)).unwrap();
            }
            let left = self.site.sh(
                index,
                "cd /opt/arcus && find . \\( -name '.?*' -o -name '*arcusctl-new' \\) ! -path ./releases/.lock ! -path ./.operation.lock ! -name .arcusctl-label; \
                 find . -xtype l; ls -d releases/spare 2>/dev/null; true",
            );
            if !left.is_empty() {
                writeln!(wrong, "{}: left over: {left}", self.describe(index)).unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        let again = Run::of(self.deploy().args(["--output", "json"])).success().json();
        assert_eq!(again["plan"]["stages"], json!([]));
        let holds = again["plan"]["holds"].as_array().map(Vec::len);
        assert_eq!(holds, Some(self.points.len() + 1), "{again:#}");
        assert_eq!(again["failures"], Value::Array(Vec::new()));
    }

    /// Deploys a third build, and asserts that nothing half-unpacked is left of the second.
    pub(super) fn deploy_another(&self) {
        let half = "ls -d /opt/arcus/releases/.*.tree.* 2>/dev/null; true";
        assert_ne!(self.site.sh(0, half), "");
        let third = Tree::new(self.site.directory(), "third", BULK);
        self.site.run(["deploy", &self.conf, "--package", path(&third.path)]).success();
        assert_eq!(self.site.sh(0, half), "");
        self.site.sh(0, "test -f /opt/arcus/third-only/file");
    }

    fn describe(&self, index: usize) -> String {
        match self.points.get(index) {
            Some(Point { tool, when, call, .. }) => {
                format!("{} ({when:?} {tool} {call})", self.site.ip(index))
            }
            None => format!("{} (not cut)", self.site.ip(index)),
        }
    }

    /// What a host has in use. Asserts that it is one build, and that each release which is named there is complete.
    #[track_caller]
    fn in_use(&self, index: usize) -> InUse {
        let host = self.describe(index);
        let seen = self.site.on(index, &format!("cd /opt/arcus && {{ {SEEN} }}")).stdout;
        let (used, rest) = seen.split_once("--\n").unwrap_or_default();
        let (only, releases) = rest.split_once("--\n").unwrap_or_default();
        for release in releases.split_terminator("--\n") {
            let complete = [&self.old, &self.new].iter().any(|build| build.sums == release);
            assert!(complete, "{host}: a release is not complete:\n{release}");
        }
        if used.is_empty() {
            assert_eq!(only, "", "{host}");
            return InUse::Nothing;
        }
        // What no release brings at the same name belongs to the operator, and stays.
        let stays = self.before == Before::PlainInstall;
        if used == self.new.sums {
            assert_eq!(only, if stays { "new-only\nold-only\n" } else { "new-only\n" }, "{host}");
            return InUse::New;
        }
        assert_eq!(only, "old-only\n", "{host}");
        if used == self.old.sums {
            return InUse::Old;
        }
        let without = KNOWN.into_iter().find(|directory| {
            let lines = self.old.sums.split_inclusive('\n');
            let others: String = lines.filter(|line| !line.contains(&format!("  {directory}/"))).collect();
            used == others
        });
        without.map_or_else(|| panic!("{host} has a mixture in use:\n{used}"), InUse::OldWithout)
    }
}

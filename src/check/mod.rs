//! Judging before acting: what was seen of hosts, ensemble and znodes goes in, what is well and what is not comes out.
//!
//! Boundary: pure, like `plan`. Every item stands for itself and says what was seen, what is needed and how to mend it.
//! Item ids are stable: programs and `docs/checks.md` name them.

mod clock;
mod directories;
mod ensemble;
mod hosts;
mod network;
mod package;
mod ports;
mod questions;
mod resources;
mod standing;
mod subject;
mod tree;

#[cfg(test)]
mod scene_tests;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::Settings;
use crate::error::{Failure, FailureKind, Failures};
use crate::inspect::{ArcusTree, HostFacts, Inspected};
use crate::model::{Cloud, Ensemble, EnsembleMember, HostName, PackageNeeds};
use crate::plan::MemberLayout;
use crate::zk::MemberState;

pub use questions::{Asked, planned_layouts};
pub use standing::{EnsembleStanding, MemberLook, MemberStanding, stand};
pub use subject::Subject;

/// Every id that an item can have, in the order in which items are told.
pub const IDS: [&str; 36] = [
    "ssh",
    "sudo",
    "os",
    "architecture",
    "tools",
    "flock",
    "java",
    "user",
    "same-machine",
    "install-path",
    "install-disk",
    "data-directory",
    "data-disk",
    "log-directory",
    "run-directory",
    "package",
    "libraries",
    "glibc",
    "loader",
    "memory",
    "connections",
    "core-limit",
    "node-port",
    "member-port",
    "clock",
    "zookeeper-route",
    "zookeeper-reach",
    "member-reach",
    "ensemble-address",
    "ensemble-size",
    "ensemble-spread",
    "ensemble-layout",
    "member-state",
    "znodes",
    "mapping",
    "registration",
];

/// What `hosts prepare` can mend.
const MENDABLE: [&str; 6] = ["java", "user", "install-path", "run-directory", "connections", "core-limit"];

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// It works, or will in time, or cannot be told; somebody should know.
    Warn,
    /// Something will not work.
    Fail,
}

/// One check of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckItem {
    /// One of [`IDS`].
    pub id: &'static str,
    pub subject: Subject,
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What is needed.
    pub needed: String,
    /// What to do about it; nothing for a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// What sort of failure a fail is, for the exit status.
    #[serde(skip)]
    pub kind: FailureKind,
}

/// Everything that is judged.
#[derive(Debug)]
pub struct Scene<'a> {
    pub cloud: &'a Cloud,
    pub settings: &'a Settings,
    pub ensemble: &'a Ensemble,
    /// Nobody named an ensemble, and the one that is taken by default is on another machine than the cloud.
    pub no_ensemble: bool,
    /// The hosts that are the machine this runs on.
    pub this_machine: &'a BTreeSet<HostName>,
    /// The layout that the ensemble would get, or why there is none.
    pub layouts: &'a Result<Vec<MemberLayout>, Failures>,
    pub hosts: &'a [(HostName, Inspected<HostFacts>)],
    pub states: &'a [(EnsembleMember, MemberState)],
    pub tree: &'a Inspected<ArcusTree>,
    /// What the package wants, when there is one, or what is wrong with it.
    pub package: Option<&'a Result<PackageNeeds, Failures>>,
}

/// Judges everything.
pub fn check(scene: &Scene<'_>) -> Vec<CheckItem> {
    let mut items = Vec::new();
    hosts::check(scene, &mut items);
    directories::check(scene, &mut items);
    package::check(scene, &mut items);
    resources::check(scene, &mut items);
    ports::check(scene, &mut items);
    clock::check(scene, &mut items);
    network::check(scene, &mut items);
    ensemble::check(scene, &mut items);
    tree::check(scene, &mut items);
    items
}

impl CheckItem {
    /// It did not pass, and `hosts prepare` may mend it.
    pub fn is_mendable(&self) -> bool {
        self.verdict != Verdict::Pass && MENDABLE.contains(&self.id)
    }

    /// The failure that a fail is; `None` for the others.
    pub fn failure(&self) -> Option<Failure> {
        if self.verdict != Verdict::Fail {
            return None;
        }
        let failure = Failure::new(self.kind, format!("{}: {}: {}", self.subject, self.id, self.seen))
            .cause(format!("needed: {}", self.needed));
        Some(match &self.mend {
            Some(mend) => failure.hint(mend),
            None => failure,
        })
    }
}

/// One check before its outcome is known.
struct Check {
    id: &'static str,
    subject: Subject,
    needed: String,
}

impl Check {
    fn new(id: &'static str, subject: Subject, needed: impl Into<String>) -> Self {
        Self { id, subject, needed: needed.into() }
    }

    fn of_host(id: &'static str, host: &HostName, needed: impl Into<String>) -> Self {
        Self::new(id, Subject::Host(host.clone()), needed)
    }

    fn pass(self, seen: impl Into<String>) -> CheckItem {
        self.item(Verdict::Pass, seen.into(), None)
    }

    fn warn(self, seen: impl Into<String>, mend: impl Into<String>) -> CheckItem {
        self.item(Verdict::Warn, seen.into(), Some(mend.into()))
    }

    fn fail(self, seen: impl Into<String>, mend: impl Into<String>) -> CheckItem {
        self.item(Verdict::Fail, seen.into(), Some(mend.into()))
    }

    /// A fail whose words and kind are those of a failure.
    fn fail_as(self, failure: &Failure) -> CheckItem {
        let subject = format!("{}: ", self.subject);
        let said = failure.to_string();
        let seen = said.strip_prefix(&subject).unwrap_or(&said).to_owned();
        let mend = (!failure.hints.is_empty()).then(|| failure.hints.join("; "));
        CheckItem { kind: failure.kind, ..self.item(Verdict::Fail, seen, mend) }
    }

    fn item(self, verdict: Verdict, seen: String, mend: Option<String>) -> CheckItem {
        let Self { id, subject, needed } = self;
        CheckItem { id, subject, verdict, seen, needed, mend, kind: FailureKind::Failed }
    }
}

impl Scene<'_> {
    /// The hosts that answered.
    fn answered(&self) -> impl Iterator<Item = (&HostName, &HostFacts)> {
        self.hosts.iter().filter_map(|(host, facts)| Some((host, facts.as_ref().ok()?)))
    }

    fn facts(&self, host: &HostName) -> Option<&HostFacts> {
        self.answered().find(|(other, _)| *other == host).map(|(_, facts)| facts)
    }

    /// The members as they are laid out; none when that cannot be told.
    fn members(&self) -> &[MemberLayout] {
        if self.no_ensemble { &[] } else { self.layouts.as_deref().unwrap_or_default() }
    }

    fn members_of<'s>(&'s self, host: &HostName) -> impl Iterator<Item = &'s MemberLayout> {
        let host = host.clone();
        self.members().iter().filter(move |layout| layout.member.host == host)
    }

    fn is_member_host(&self, host: &HostName) -> bool {
        self.members_of(host).next().is_some()
    }

    fn is_node_host(&self, host: &HostName) -> bool {
        self.cloud.nodes.iter().any(|node| node.host() == *host)
    }

    fn state(&self, member: &EnsembleMember) -> Option<&MemberState> {
        self.states.iter().find(|(other, _)| other == member).map(|(_, state)| state)
    }

    fn serves(&self, member: &EnsembleMember) -> bool {
        self.state(member).is_some_and(|state| state.stats().is_some())
    }

    fn wants(&self) -> Option<&PackageNeeds> {
        self.package?.as_ref().ok()
    }
}

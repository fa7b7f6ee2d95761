//! Deciding: what is wanted and what was seen go in, the exact steps come out.
//!
//! Boundary: pure. No async, clock, environment, file, host or ZooKeeper; the same input gives the same plan, and
//! planning again after a plan was carried out gives no steps. Executing a plan leaves no choice open.

mod action;
mod apply;
mod command;
mod deploy;
mod destroy;
mod drift;
mod ensemble;
mod ensemble_rolling;
mod host_change;
mod layout;
mod nodes;
mod prepare;
mod price;
mod register;
mod rejoin;
mod releases;
mod resize;
mod restart;
mod restore;
mod rolling;
mod select;
mod structure;
mod tell;
mod trust;
mod zoo_cfg;

use std::fmt;

use serde::Serialize;

use crate::error::Failure;
use crate::model::{EnsembleMember, HostName, NodeAddr, ServiceCode};

pub use action::{
    Action, HostKey, KeyPart, MemberLayout, NodeLaunch, NodeRestart, NodeStop, ProcessId, Voters,
};
pub use apply::{ApplyWish, apply};
pub use command::run_command;
pub use deploy::{DeployWish, SPARE_BYTES, deploy};
pub use destroy::{DestroySeen, DestroyWish, destroy, destroy_mark, nodes_of};
pub use drift::{Drift, drifts, outdated_nodes};
pub use ensemble::{init, restart_at_once, start_members, stop_members};
pub use ensemble_rolling::restart_rolling;
pub use host_change::HostChange;
pub use layout::{EnsembleWish, MemberDirs, Members, layouts};
pub use nodes::{NodesSeen, Selection, start_nodes, stop_nodes};
pub use prepare::{JavaConsent, Need, PrepareWish, java_release, prepare};
pub use price::{Change, ChangePrice, NodePrice, Price};
pub use register::{foreign_owners, leaving_online, names_of, register, unregister};
pub use rejoin::rejoin_nodes;
pub use releases::rollback;
pub use resize::{Resize, ResizeSeen, resize};
pub use restart::{Manner, RestartWish, restart_nodes};
pub use restore::{RestoreWish, restore};
pub use rolling::{Pace, Round, Rounds, settling_time};
pub use select::{NodeFacts, Selector};
pub use structure::create_structure;
pub use tell::{by_hand, tell_nodes};
pub use trust::{KeySeen, TrustSeen, trust};
pub use zoo_cfg::{ServerList, server_list};

/// What a step is about, and what a failure is filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Host(HostName),
    Member(EnsembleMember),
    Node(NodeAddr),
    /// One cloud, as a whole.
    Cloud(ServiceCode),
    /// The znodes, as a whole.
    Tree,
    /// The ensemble, as a whole.
    Ensemble,
}

/// One thing to do. A step of a target waits for the earlier stages and is skipped when the target failed there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub target: Target,
    pub action: Action,
}

/// Steps that may run at the same time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    pub title: &'static str,
    /// What must have gone well before any of the steps begins.
    pub gate: Gate,
    /// Of what goes on round by round, which round it belongs to; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<usize>,
    pub steps: Vec<Step>,
}

/// When the steps of a stage may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Each step for itself: its own target went well so far.
    OwnTarget,
    /// Nothing that was begun has failed so far. What was left out of the plan does not count: it was out before.
    Unbroken,
    /// All or none: nothing at all has failed so far, and nothing was left out of the plan.
    Everything,
}

/// Something that is as it should be already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holding {
    pub target: Target,
    pub fact: String,
}

/// Something that keeps a target out of the plan; the others go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub target: Target,
    pub failure: Failure,
}

/// What carrying out a plan costs those who use the clouds; decides what the operator is asked before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "level", rename_all = "kebab-case")]
pub enum Risk {
    /// Nobody notices, or everything can be taken back: nothing is asked.
    Harmless,
    /// Something that serves now is stopped or changed; a yes is asked for. `what` says so in a sentence.
    Interrupts { what: String },
    /// Something is gone afterwards; its name has to be typed.
    Destroys { what: String, name: String },
}

/// Everything a command is going to do, and what it found that needs no doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// `deploy`, `zookeeper init`, …
    pub command: &'static str,
    pub risk: Risk,
    pub stages: Vec<Stage>,
    pub holds: Vec<Holding>,
    pub problems: Vec<Problem>,
    /// What it costs the keys of a cloud, where that was reckoned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What the operator should know, though nothing is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Plan {
    pub fn new(command: &'static str) -> Self {
        Self {
            command,
            risk: Risk::Harmless,
            stages: Vec::new(),
            holds: Vec::new(),
            problems: Vec::new(),
            price: None,
            notes: Vec::new(),
        }
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    fn hold(&mut self, target: Target, fact: impl Into<String>) {
        self.holds.push(Holding { target, fact: fact.into() });
    }

    fn problem(&mut self, target: Target, failure: Failure) {
        self.problems.push(Problem { target, failure });
    }

    /// Appends a stage, unless it has no steps.
    fn stage(&mut self, title: &'static str, steps: Vec<Step>) {
        self.gated_stage(title, Gate::OwnTarget, steps);
    }

    fn gated_stage(&mut self, title: &'static str, gate: Gate, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(Stage { title, gate, round: None, steps });
        }
    }

    /// How many rounds it goes through; 0 when it goes on in none.
    pub fn rounds(&self) -> usize {
        self.stages.iter().filter_map(|stage| stage.round).max().unwrap_or(0)
    }
}

impl Step {
    fn new(target: Target, action: Action) -> Self {
        Self { target, action }
    }
}

impl Target {
    /// The machine it is on; `None` for what is on no single one.
    pub fn host(&self) -> Option<HostName> {
        match self {
            Self::Host(host) => Some(host.clone()),
            Self::Member(member) => Some(member.host.clone()),
            Self::Node(node) => Some(HostName::from(node.ip)),
            Self::Cloud(_) | Self::Tree | Self::Ensemble => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(out, "{host}"),
            Self::Member(member) => write!(out, "{member}"),
            Self::Node(node) => write!(out, "{node}"),
            Self::Cloud(code) => write!(out, "{code}"),
            Self::Tree => out.write_str("znodes"),
            Self::Ensemble => out.write_str("ensemble"),
        }
    }
}

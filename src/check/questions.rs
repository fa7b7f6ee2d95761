//! What each host is asked, so that everything can be judged from one answer of it.

use std::collections::BTreeSet;

use crate::config::Settings;
use crate::error::{Failure, Failures};
use crate::inspect::{MemberQuestion, Questions};
use crate::model::{Cloud, Ensemble, HostName, PackageNeeds};
use crate::plan::{EnsembleWish, MemberLayout, layouts};
use crate::zk::MemberState;

/// A cache node wants so many open files beyond its connections (arcus-memcached `memcached.c`).
pub(super) const OWN_FILES: u32 = 20;

/// The layout of the ensemble before any host was asked; ids are not to be relied on.
///
/// # Errors
/// When ports clash or cannot be derived.
pub fn planned_layouts(ensemble: &Ensemble, settings: &Settings) -> Result<Vec<MemberLayout>, Failures> {
    let wish = EnsembleWish::new(ensemble, settings);
    let unseen = |member: &crate::model::EnsembleMember| {
        (member.clone(), MemberState::NotServing, Err(Failure::unreachable("not asked")))
    };
    layouts(&wish, &ensemble.members().iter().map(unseen).collect())
}

/// What a check of one cloud asks of hosts.
#[derive(Debug)]
pub struct Asked<'a> {
    pub cloud: &'a Cloud,
    pub settings: &'a Settings,
    /// Empty when there is no ensemble to speak of.
    pub members: &'a [MemberLayout],
    pub package: Option<&'a PackageNeeds>,
}

impl Asked<'_> {
    /// What `host` is asked.
    pub fn of(&self, host: &HostName) -> Questions {
        let nodes = || self.cloud.nodes.iter().filter(|node| node.host() == *host);
        let own = |layout: &&MemberLayout| layout.member.host == *host;
        let connections = nodes().map(|node| node.options.connections).max();
        let member = |layout: &MemberLayout| MemberQuestion {
            client_port: layout.member.client_port.get(),
            peer_port: layout.peer_port.get(),
            election_port: layout.election_port.get(),
            conf_dir: layout.conf_dir.clone(),
            data_dir: layout.data_dir.clone(),
            log_dir: layout.log_dir.clone(),
        };
        let mut reach = BTreeSet::new();
        for layout in self.members {
            reach.insert((layout.member.host.to_string(), layout.member.client_port.get()));
        }
        if self.members.iter().any(|layout| own(&layout)) {
            for layout in self.members.iter().filter(|layout| !own(layout)) {
                reach.insert((layout.member.host.to_string(), layout.peer_port.get()));
                reach.insert((layout.member.host.to_string(), layout.election_port.get()));
            }
        }
        let is_node_host = nodes().next().is_some();
        Questions {
            install_path: self.settings.install_path.clone(),
            user: self.settings.memcached.user.clone(),
            files: connections.map_or(0, |connections| connections.saturating_add(OWN_FILES)),
            ports: nodes().map(|node| node.addr.port.get()).collect(),
            members: self.members.iter().filter(own).map(member).collect(),
            towards: self
                .members
                .iter()
                .filter(|_| is_node_host)
                .map(|layout| layout.member.host.to_string())
                .collect(),
            reach,
            libraries: self
                .package
                .into_iter()
                .flat_map(|needs| needs.libraries.keys())
                .filter(|name| is_plain(name))
                .cloned()
                .collect(),
        }
    }
}

/// A name that no shell pattern or blank is in; real libraries have no other.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "._+-".contains(character))
}

//! Laying out the ensemble: who has which id, which ports and which directories.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use super::{MemberLayout, zoo_cfg};
use crate::config::Settings;
use crate::config::settings::ZooKeeperSettings;
use crate::error::{Failure, Failures};
use crate::inspect::{Inspected, MemberPlace, MemberSeen};
use crate::model::{Ensemble, EnsembleMember, HostName};
use crate::zk::MemberState;

/// The ensemble that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleWish {
    pub ensemble: Ensemble,
    pub install_path: String,
    pub settings: ZooKeeperSettings,
}

/// Where one member keeps its files; known before anything of it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDirs {
    pub conf: String,
    pub data: String,
    pub log: String,
}

/// What was seen of each member: at its client port, and on its host.
pub type Members = Vec<(EnsembleMember, MemberState, Inspected<MemberSeen>)>;

impl EnsembleWish {
    /// The ensemble as the site's settings lay it out.
    pub fn new(ensemble: &Ensemble, settings: &Settings) -> Self {
        Self {
            ensemble: ensemble.clone(),
            install_path: settings.install_path.clone(),
            settings: settings.zookeeper.clone(),
        }
    }

    /// A host's only member lives where `arcus.sh` puts it; several on one host get a directory each, by client port.
    pub fn dirs(&self, member: &EnsembleMember) -> MemberDirs {
        let home = format!("{}/zookeeper", self.install_path);
        let neighbours = self.ensemble.members().iter().filter(|other| other.host == member.host).count();
        let own = if neighbours > 1 { format!("/{}", member.client_port) } else { String::new() };
        let special = self.settings.members.get(member).and_then(|settings| settings.data_dir.clone());
        let data = special.unwrap_or_else(|| {
            let base = self.settings.data_dir.clone().unwrap_or_else(|| format!("{home}/data"));
            format!("{base}{own}")
        });
        MemberDirs { conf: format!("{home}/conf{own}"), data, log: format!("{home}/logs{own}") }
    }

    /// Where to look for the files of `member`.
    pub fn place(&self, member: &EnsembleMember) -> MemberPlace {
        let MemberDirs { conf, data, .. } = self.dirs(member);
        MemberPlace { member: member.clone(), conf_dir: conf, data_dir: data }
    }
}

/// Gives every member its id, ports and directories. An id that a member has, it keeps.
///
/// # Errors
/// When ids or ports clash; names each clash.
pub fn layouts(wish: &EnsembleWish, members: &Members) -> Result<Vec<MemberLayout>, Failures> {
    let mut failures = Vec::new();
    let ids = assign_ids(wish, members, &mut failures);
    let mut layouts = Vec::new();
    for member in wish.ensemble.members() {
        let dirs = wish.dirs(member);
        let special = wish.settings.members.get(member);
        let derived = |base: NonZeroU16| derived_port(wish, member, base);
        let peer_port = special.and_then(|own| own.peer_port).or_else(|| derived(wish.settings.peer_port));
        let election_port =
            special.and_then(|own| own.election_port).or_else(|| derived(wish.settings.election_port));
        let (Some(peer_port), Some(election_port)) = (peer_port, election_port) else {
            failures.push(
                Failure::config(format!("{member}: no peer port can be derived from its client port")).hint(
                    format!(
                        "set peer_port and election_port in [zookeeper.members.\"{member}\"] of arcusctl.toml"
                    ),
                ),
            );
            continue;
        };
        layouts.push(MemberLayout {
            member: member.clone(),
            id: ids.get(member).copied().unwrap_or_default(),
            peer_port,
            election_port,
            conf_dir: dirs.conf,
            data_dir: dirs.data,
            log_dir: dirs.log,
        });
    }
    find_port_clashes(&layouts, &mut failures);
    Failures::none_of(failures)?;
    Ok(layouts)
}

/// Members that share a host count their ports up from the base by the distance of their client ports, so that adding
/// or reordering members moves nobody's port.
fn derived_port(wish: &EnsembleWish, member: &EnsembleMember, base: NonZeroU16) -> Option<NonZeroU16> {
    let neighbours = wish.ensemble.members().iter().filter(|other| other.host == member.host).count();
    if neighbours == 1 {
        return Some(base);
    }
    let distance = i32::from(member.client_port.get()) - 2181;
    u16::try_from(i32::from(base.get()) + distance).ok().and_then(NonZeroU16::new)
}

fn assign_ids(
    wish: &EnsembleWish,
    members: &Members,
    failures: &mut Vec<Failure>,
) -> BTreeMap<EnsembleMember, u32> {
    let mut ids = BTreeMap::new();
    let mut owners: BTreeMap<u32, EnsembleMember> = BTreeMap::new();
    let mut claim = |member: &EnsembleMember, id: u32, source: &str, failures: &mut Vec<Failure>| {
        if let Some(other) = owners.insert(id, member.clone())
            && other != *member
        {
            failures.push(
                Failure::refused(format!("{member} and {other} both have the server id {id}"))
                    .cause(source.to_owned())
                    .hint("one host was copied from the other; decide which keeps its data, and remove data/myid on the other"),
            );
        }
        ids.insert(member.clone(), id);
    };
    for (member, _, seen) in members {
        let settled = wish.settings.members.get(member).and_then(|own| own.id);
        let observed = seen.as_ref().ok().and_then(|seen| seen.myid);
        match (observed, settled) {
            (Some(observed), Some(settled)) if observed != settled => failures.push(
                Failure::refused(format!("{member}: its myid is {observed}, but the settings say {settled}"))
                    .cause("changing the id of a member that has data makes the ensemble count it twice")
                    .hint(format!(
                        "set id = {observed} in [zookeeper.members.\"{member}\"] of arcusctl.toml"
                    )),
            ),
            (Some(id), _) => claim(member, id, "both have it in data/myid", failures),
            (None, Some(id)) => claim(member, id, "by the settings", failures),
            (None, None) => {
                // A host that cannot be asked is known to those that can: their zoo.cfg names its id.
                if let Some(id) = id_by_neighbours(wish, member, members) {
                    claim(member, id, "by the zoo.cfg of another member", failures);
                }
            }
        }
    }
    for member in wish.ensemble.members() {
        if !ids.contains_key(member) {
            let free = (1..).find(|id| !owners.contains_key(id)).unwrap_or_default();
            owners.insert(free, member.clone());
            ids.insert(member.clone(), free);
        }
    }
    ids
}

fn id_by_neighbours(wish: &EnsembleWish, member: &EnsembleMember, members: &Members) -> Option<u32> {
    let alone = wish.ensemble.members().iter().filter(|other| other.host == member.host).count() == 1;
    let peer_port = derived_port(wish, member, wish.settings.peer_port)?.get();
    members.iter().filter_map(|(_, _, seen)| seen.as_ref().ok()?.config.as_deref()).find_map(|config| {
        let named = zoo_cfg::server_list(config);
        let found = named.iter().find(|(_, server)| {
            server.host == member.host.as_str() && (alone || server.peer_port == peer_port)
        });
        found.map(|(id, _)| *id)
    })
}

fn find_port_clashes(layouts: &[MemberLayout], failures: &mut Vec<Failure>) {
    let mut used: BTreeMap<(&HostName, NonZeroU16), String> = BTreeMap::new();
    for layout in layouts {
        let ports = [
            ("client", layout.member.client_port),
            ("peer", layout.peer_port),
            ("election", layout.election_port),
        ];
        for (role, port) in ports {
            let user = format!("the {role} port of {}", layout.member);
            if let Some(other) = used.insert((&layout.member.host, port), user.clone()) {
                failures.push(
                    Failure::config(format!(
                        "{}: port {port} is both {other} and {user}",
                        layout.member.host
                    ))
                    .hint(format!(
                        "set other ports in [zookeeper.members.\"{}\"] of arcusctl.toml",
                        layout.member
                    )),
                );
            }
        }
    }
}

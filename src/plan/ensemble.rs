//! Laying out the ensemble, bringing it up and taking it down.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use super::{Action, MemberLayout, Plan, Step, Target, create_structure, zoo_cfg};
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
        let named = zoo_cfg::servers(config);
        let found = named
            .iter()
            .find(|(_, host, port)| host == member.host.as_str() && (alone || *port == peer_port));
        found.map(|(id, _, _)| *id)
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

/// Plans `zookeeper init`: configuration, start, quorum, base znodes. `structure` is what exists below `/arcus`, when
/// the ensemble could be asked.
///
/// # Errors
/// When ids or ports clash, or too few members can be reached to ever make a quorum.
pub fn init(
    wish: &EnsembleWish,
    members: &Members,
    structure: Option<&BTreeSet<String>>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper init");
    let usable = usable_members(&mut plan, members);
    require_quorum(wish, &plan, usable.len())?;
    let mut configure = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        let Some(seen) = seen.as_ref().ok().filter(|_| usable.contains(member)) else { continue };
        let target = Target::Member(member.clone());
        let wanted = zoo_cfg::render(layout, &layouts, &wish.settings.properties);
        let reconfigured = seen.config.as_deref().is_some_and(zoo_cfg::is_reconfigured);
        let same =
            seen.config.as_deref().is_some_and(|config| zoo_cfg::parse(config) == zoo_cfg::parse(&wanted));
        if reconfigured {
            plan.notes.push(format!(
                "{member}: ZooKeeper manages its zoo.cfg itself (it was reconfigured at run time); it is left alone"
            ));
        }
        let config = (!same && !reconfigured).then_some(wanted);
        let myid = seen.myid.is_none().then_some(layout.id);
        if config.is_some() && matches!(state, MemberState::Serving(_) | MemberState::NotServing) {
            plan.notes.push(format!(
                "{member}: runs with another zoo.cfg; the new one takes effect with: arcusctl zookeeper restart --member {member}"
            ));
        }
        if config.is_none() && myid.is_none() {
            plan.hold(target, format!("is configured as server {}", layout.id));
        } else {
            configure
                .push(Step::new(target, Action::ConfigureMember { layout: layout.clone(), myid, config }));
        }
    }
    plan.stage("Configure", configure);
    add_starts(wish, &mut plan, &layouts, members, &usable);
    match structure {
        Some(present) if create_structure(present).is_empty() => {
            plan.hold(Target::Tree, "the base znodes below /arcus exist");
        }
        _ => plan.stage("Znodes", vec![Step::new(Target::Ensemble, Action::CreateStructure)]),
    }
    Ok(plan)
}

/// Plans `zookeeper start` for the `selected` members.
///
/// # Errors
/// When ids or ports clash.
pub fn start_members(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper start");
    let mut usable = usable_members(&mut plan, members);
    plan.problems.retain(|problem| is_selected(&problem.target, selected));
    usable.retain(|member| selected.contains(member));
    refuse_unconfigured(&mut plan, members, &mut usable);
    add_starts(wish, &mut plan, &layouts, members, &usable);
    Ok(plan)
}

/// Plans `zookeeper stop` for the `selected` members.
///
/// # Errors
/// When ids or ports clash.
pub fn stop_members(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper stop");
    add_stops(&mut plan, &layouts, members, selected);
    Ok(plan)
}

/// Plans `zookeeper restart`: stop, then start, the `selected` members.
///
/// # Errors
/// When ids or ports clash.
pub fn restart(
    wish: &EnsembleWish,
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) -> Result<Plan, Failures> {
    let layouts = layouts(wish, members)?;
    let mut plan = Plan::new("zookeeper restart");
    let mut usable: BTreeSet<EnsembleMember> = members
        .iter()
        .filter(|(member, _, seen)| selected.contains(member) && seen.is_ok())
        .map(|(member, ..)| member.clone())
        .collect();
    add_stops(&mut plan, &layouts, members, selected);
    plan.holds.clear();
    refuse_unconfigured(&mut plan, members, &mut usable);
    let start = layouts
        .iter()
        .filter(|layout| usable.contains(&layout.member))
        .map(|layout| {
            Step::new(Target::Member(layout.member.clone()), Action::StartMember { layout: layout.clone() })
        })
        .collect();
    plan.stage("Start", start);
    add_quorum(wish, &mut plan, &usable);
    Ok(plan)
}

fn is_selected(target: &Target, selected: &BTreeSet<EnsembleMember>) -> bool {
    !matches!(target, Target::Member(member) if !selected.contains(member))
}

/// Members whose host can be used; the others become problems.
fn usable_members(plan: &mut Plan, members: &Members) -> BTreeSet<EnsembleMember> {
    let mut usable = BTreeSet::new();
    for (member, state, seen) in members {
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure) => plan.problem(target, failure),
                None => {
                    usable.insert(member.clone());
                }
            },
        }
    }
    usable
}

fn unfit(member: &EnsembleMember, state: &MemberState, seen: &MemberSeen) -> Option<Failure> {
    let occupied = match state {
        MemberState::Serving(_) | MemberState::NotServing | MemberState::Silent => seen.pid.is_none(),
        MemberState::Strange { .. } => true,
        MemberState::Down { .. } | MemberState::Unreachable { .. } => false,
    };
    if occupied {
        return Some(
            Failure::refused(format!(
                "{member}: its port is taken by a process that this install does not own"
            ))
            .cause(format!(
                "it {}",
                match state {
                    MemberState::Strange { .. } | MemberState::Silent => state.describe(),
                    _ => "is a ZooKeeper server of another installation".to_owned(),
                }
            ))
            .hint("stop that process, or choose another client port in the ensemble list"),
        );
    }
    if seen.pid.is_some() {
        return None;
    }
    if !seen.installed {
        return Some(
            Failure::refused(format!("{member}: ZooKeeper is not installed there"))
                .cause("zookeeper/bin/zkServer.sh is missing below the install path")
                .hint("deploy first: arcusctl deploy CONF --package FILE"),
        );
    }
    if !seen.java {
        return Some(
            Failure::refused(format!("{member}: there is no java on the host"))
                .cause("neither JAVA_HOME nor PATH, also as /etc/profile sets them, leads to one")
                .hint("install a Java runtime, 1.8 or newer (Debian: default-jre-headless)"),
        );
    }
    None
}

fn require_quorum(wish: &EnsembleWish, plan: &Plan, usable: usize) -> Result<(), Failures> {
    let quorum = wish.ensemble.quorum();
    if usable >= quorum {
        return Ok(());
    }
    let mut failures: Vec<Failure> = plan.problems.iter().map(|problem| problem.failure.clone()).collect();
    let all = wish.ensemble.members().len();
    let kind = failures.first().map_or(crate::error::FailureKind::Unreachable, |first| first.kind);
    failures.push(
        Failure::new(kind, format!("only {usable} of {all} members can be used; a quorum needs {quorum}"))
            .hint("mend what is named above and run the command again; nothing was changed"),
    );
    Failures::none_of(failures)
}

fn refuse_unconfigured(plan: &mut Plan, members: &Members, usable: &mut BTreeSet<EnsembleMember>) {
    for (member, _, seen) in members {
        let configured = seen.as_ref().is_ok_and(|seen| seen.config.is_some());
        if !configured && usable.remove(member) {
            let failure = Failure::refused(format!("{member}: has no zoo.cfg yet"))
                .hint("set the ensemble up first: arcusctl zookeeper init");
            plan.problem(Target::Member(member.clone()), failure);
        }
    }
}

fn add_starts(
    wish: &EnsembleWish,
    plan: &mut Plan,
    layouts: &[MemberLayout],
    members: &Members,
    usable: &BTreeSet<EnsembleMember>,
) {
    let mut start = Vec::new();
    let mut waiting = BTreeSet::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !usable.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        let running = seen.as_ref().is_ok_and(|seen| seen.pid.is_some());
        match state {
            MemberState::Serving(stats) => plan.hold(target, format!("serves as {}", stats.mode.as_str())),
            _ if running => {
                waiting.insert(member.clone());
            }
            _ => {
                waiting.insert(member.clone());
                start.push(Step::new(target, Action::StartMember { layout: layout.clone() }));
            }
        }
    }
    plan.stage("Start", start);
    add_quorum(wish, plan, &waiting);
}

fn add_quorum(wish: &EnsembleWish, plan: &mut Plan, waiting: &BTreeSet<EnsembleMember>) {
    if waiting.is_empty() {
        return;
    }
    let members =
        wish.ensemble.members().iter().filter(|member| waiting.contains(*member)).cloned().collect();
    let action = Action::AwaitQuorum { members, quorum: wish.ensemble.quorum() };
    plan.stage("Quorum", vec![Step::new(Target::Ensemble, action)]);
}

fn add_stops(
    plan: &mut Plan,
    layouts: &[MemberLayout],
    members: &Members,
    selected: &BTreeSet<EnsembleMember>,
) {
    let mut stop = Vec::new();
    for (layout, (member, state, seen)) in layouts.iter().zip(members) {
        if !selected.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) if seen.pid.is_some() => {
                stop.push(Step::new(target, Action::StopMember { layout: layout.clone() }));
            }
            Ok(seen) => match unfit(member, state, seen) {
                Some(failure)
                    if !matches!(state, MemberState::Down { .. } | MemberState::Unreachable { .. }) =>
                {
                    plan.problem(target, failure);
                }
                _ => plan.hold(target, "is not running"),
            },
        }
    }
    plan.stage("Stop", stop);
}

#[cfg(test)]
#[path = "ensemble_tests.rs"]
mod tests;

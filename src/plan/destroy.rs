//! Taking a cloud away: its nodes, its registration, what was installed for it, and on demand the ensemble's data.
//!
//! Whatever somebody else still needs stays and is named. ZooKeeper goes last, and only when all else has gone.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use super::deploy::machines;
use super::nodes::stop_nodes;
use super::register::{clients_connected, unregister_changes};
use super::{Action, EnsembleWish, Gate, Members, NodesSeen, Plan, Risk, Selection, Step, Target, layouts};
use crate::error::{Failure, Failures};
use crate::inspect::{
    ArcusTree, Inspected, InstallSeen, MachineId, RemainsSeen, Surroundings, members_of, others_of,
    registered_cloud,
};
use crate::model::{Ensemble, EnsembleMember, HostName, NodeAddr, ServiceCode};
use crate::zk::MemberState;

/// So many znodes are named in a message.
const NAMED: usize = 10;

/// What is to be taken away.
#[derive(Clone, Debug)]
pub struct DestroyWish {
    pub code: ServiceCode,
    /// Nodes of the cloud JSON.
    pub nodes: BTreeSet<NodeAddr>,
    /// The ensemble, and where its members keep what.
    pub ensemble: EnsembleWish,
    /// The data of the members on the cloud's hosts as well.
    pub with_data: bool,
}

/// What was seen of it.
#[derive(Clone, Debug)]
pub struct DestroySeen {
    /// `None` when the ensemble does not serve; then nobody can say who else needs it.
    pub tree: Option<ArcusTree>,
    /// What else the ensemble holds; only where its data is to go.
    pub surroundings: Surroundings,
    pub nodes: NodesSeen,
    /// The cloud's hosts.
    pub hosts: Vec<(HostName, Inspected<RemainsSeen>)>,
    /// The hosts of the members, which may be the same machines by other names.
    pub member_hosts: BTreeMap<HostName, Inspected<InstallSeen>>,
    /// The members; only where their data is to go.
    pub members: Members,
    /// Members of which an earlier run noted that their data goes, and that kept nothing since.
    pub marked: BTreeSet<EnsembleMember>,
}

/// By what a later run knows that the data may go.
pub fn destroy_mark(code: &ServiceCode, ensemble: &Ensemble) -> String {
    format!("{ensemble} {code}")
}

/// The addresses that belong to the cloud: of the cloud JSON, as registered, as joined.
pub fn nodes_of(
    code: &ServiceCode,
    nodes: &BTreeSet<NodeAddr>,
    tree: Option<&ArcusTree>,
) -> BTreeSet<NodeAddr> {
    let mut all: BTreeSet<NodeAddr> = nodes.clone();
    if let Some(tree) = tree {
        let others = others_of(code, tree);
        all.retain(|addr| !others.contains_key(addr));
        all.extend(registered_cloud(code, tree).into_iter().flatten().map(|node| node.addr));
        all.extend(tree.codes.get(code.as_str()).map(members_of).unwrap_or_default().into_keys());
    }
    all
}

/// Plans to take the cloud away.
///
/// # Errors
/// While clients are connected; with data, while other clouds are registered, or when nobody can say whether any is.
pub fn destroy(wish: &DestroyWish, seen: &DestroySeen) -> Result<Plan, Failures> {
    let empty = ArcusTree::default();
    let tree = seen.tree.as_ref().unwrap_or(&empty);
    let code = &wish.code;
    let mut failures: Vec<Failure> = clients_connected(code, tree).into_iter().collect();
    if wish.with_data {
        failures.extend(others_need_data(code, tree, &seen.surroundings));
        failures.extend(data_not_known(wish, seen));
        failures.extend(members_elsewhere(wish, seen));
    }
    Failures::none_of(failures)?;

    let mut plan = Plan::new("destroy");
    let addrs = nodes_of(code, &wish.nodes, seen.tree.as_ref());
    let stop = stop_nodes(code, &wish.ensemble.ensemble, &addrs, &Selection::All, &seen.nodes)?;
    let stopped = stopped_of(&stop);
    let Plan { stages, holds, problems, .. } = stop;
    plan.stages = stages;
    plan.holds = holds;
    plan.problems = problems;
    match &seen.tree {
        Some(tree) => unregister(&mut plan, code, tree),
        None => plan
            .hold(Target::Tree, format!("whether {code} is registered is not known: ZooKeeper has stopped")),
    }

    let machines = machines(&mut plan, &seen.hosts, |remains| remains.install.machine.as_ref());
    let places = Places::new(seen, &machines);
    let going: BTreeSet<EnsembleMember> = if wish.with_data { places.members(wish) } else { BTreeSet::new() };
    let mut forget = Vec::new();
    let (mut remove, mut remove_last) = (Vec::new(), Vec::new());
    for (host, remains) in &machines {
        let target = Target::Host((*host).clone());
        let needs = needs(wish, tree, &places, host, &going);
        let doubt = if needs.is_empty() { doubt(seen, &places, host, remains) } else { None };
        if !needs.is_empty() || doubt.is_some() {
            match doubt {
                Some(failure) => plan.problem(target.clone(), failure),
                None => plan.hold(target.clone(), format!("keeps its releases: {}", needs.join(", "))),
            }
            let ports = ports_to_forget(&addrs, &places, host, remains);
            if !ports.is_empty() {
                forget.push(Step::new(target, Action::ForgetNodes { ports }));
            }
            continue;
        }
        note_what_stays(&mut plan, (host, &places.names[host]), remains, &stopped, &going, wish);
        if remains.ours.is_empty() {
            plan.hold(target, "has nothing of arcusctl");
        } else {
            let step = Step::new(target, Action::RemoveInstall { ours: remains.ours.clone() });
            // As long as a member is there, so is what it runs from, and what is noted of it.
            let has_member = going.iter().any(|member| places.is_at(member, host));
            if has_member { remove_last.push(step) } else { remove.push(step) }
        }
    }
    let installs = remove.len() + remove_last.len();
    plan.stage("Logs", forget);
    plan.stage("Remove", remove);
    let members = if wish.with_data { add_members(&mut plan, wish, seen, &going)? } else { 0 };
    plan.gated_stage("Remove", Gate::Everything, remove_last);
    if !plan.is_empty() {
        let mut what = format!(
            "cloud {code} will be gone: {} running cache node(s) with all they hold, its registration, and the releases on {installs} host(s)",
            stopped.values().map(BTreeSet::len).sum::<usize>()
        );
        if members > 0 {
            what.push_str(&format!("; and all znodes that {members} ZooKeeper member(s) keep"));
        }
        plan.risk = Risk::Destroys { what, name: code.to_string() };
    }
    Ok(plan)
}

/// The processes that will be stopped: host → ports.
fn stopped_of(stop: &Plan) -> BTreeMap<HostName, BTreeSet<NonZeroU16>> {
    let mut stopped: BTreeMap<HostName, BTreeSet<NonZeroU16>> = BTreeMap::new();
    for step in stop.steps() {
        if let (Target::Host(host), Action::StopNodes { nodes, .. }) = (&step.target, &step.action) {
            let ports = nodes.iter().filter(|node| node.process.is_some()).map(|node| node.addr.port);
            stopped.entry(host.clone()).or_default().extend(ports);
        }
    }
    stopped
}

fn unregister(plan: &mut Plan, code: &ServiceCode, tree: &ArcusTree) {
    let members = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
    let will_leave: BTreeSet<NodeAddr> = plan
        .steps()
        .filter_map(|step| match &step.action {
            Action::StopNodes { nodes, .. } => Some(nodes),
            _ => None,
        })
        .flatten()
        .map(|node| node.addr)
        .collect();
    let staying: Vec<String> =
        members.keys().filter(|addr| !will_leave.contains(addr)).map(ToString::to_string).collect();
    let (changes, summary) = unregister_changes(code, tree);
    if changes.is_empty() {
        plan.hold(Target::Tree, format!("{code} is not registered"));
    } else if staying.is_empty() {
        plan.stage("Unregister", vec![Step::new(Target::Tree, Action::CommitZnodes { changes, summary })]);
    } else {
        let failure = Failure::refused(format!("service code {code} stays registered"))
            .cause(format!("still online, and not to be stopped from here: {}", staying.join(", ")))
            .hint("see to their hosts, then run the command again: it goes on with what is left");
        plan.problem(Target::Tree, failure);
    }
}

/// Other clouds live in the same data, or somebody who has nothing to do with Arcus.
fn others_need_data(code: &ServiceCode, tree: &ArcusTree, surroundings: &Surroundings) -> Vec<Failure> {
    let mut failures = Vec::new();
    let strangers = surroundings.of_others(code.as_str());
    if !strangers.is_empty() {
        failures.push(
            Failure::refused("this ensemble holds what is not of this cloud")
                .cause(format!("there are: {}", some_of(&strangers)))
                .hint(
                    "see whose that is, and remove it with the tool that made it, or leave out --with-data",
                ),
        );
    }
    failures.extend(other_clouds(code, tree));
    failures
}

fn some_of(paths: &[String]) -> String {
    let named = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn other_clouds(code: &ServiceCode, tree: &ArcusTree) -> Option<Failure> {
    let mapped = tree.mappings.values().flat_map(|mapping| &mapping.codes);
    let mapped = mapped.filter_map(|child| child.split('^').next().map(str::to_owned));
    let mut others: BTreeSet<String> =
        tree.codes.keys().chain(&tree.replication_codes).cloned().chain(mapped).collect();
    let in_use = tree.clients.iter().filter(|(_, clients)| !clients.is_empty());
    others.extend(in_use.map(|(name, _)| name.clone()));
    others.remove(code.as_str());
    // A code below the replication root is another cloud even by the same name.
    if tree.replication_codes.contains(code.as_str()) {
        others.insert(format!("{code} (below /arcus_repl)"));
    }
    if others.is_empty() {
        return None;
    }
    let names = others.into_iter().collect::<Vec<_>>().join(", ");
    Some(
        Failure::refused("the data of this ensemble is that of other clouds as well")
            .cause(format!("registered are: {names}"))
            .hint("destroy them first, or leave out --with-data"),
    )
}

/// An ensemble of which some members stay would be left without its quorum.
fn members_elsewhere(wish: &DestroyWish, seen: &DestroySeen) -> Option<Failure> {
    let is_here = |member: &EnsembleMember| {
        let machine = seen.member_hosts.get(&member.host).and_then(machine_of);
        let mut hosts = seen.hosts.iter();
        hosts.any(|(host, remains)| {
            let theirs = remains.as_ref().ok().and_then(|remains| remains.install.machine.as_ref());
            *host == member.host || machine.is_some() && machine == theirs
        })
    };
    let members = wish.ensemble.ensemble.members();
    let elsewhere: Vec<String> =
        members.iter().filter(|member| !is_here(member)).map(ToString::to_string).collect();
    if elsewhere.is_empty() {
        return None;
    }
    let unseen = members.iter().filter_map(|member| seen.member_hosts.get(&member.host)?.as_ref().err());
    let unseen: BTreeSet<&str> = unseen.map(|failure| failure.message.as_str()).collect();
    let failure = Failure::refused("not all members of the ensemble are on hosts of this cloud")
        .cause(format!("elsewhere, or not seen to be here, are: {}", elsewhere.join(", ")));
    let failure = unseen.into_iter().fold(failure, Failure::cause);
    Some(failure.hint("leave out --with-data; single members leave an ensemble by arcusctl zookeeper remove"))
}

fn machine_of(install: &Inspected<InstallSeen>) -> Option<&MachineId> {
    install.as_ref().ok().and_then(|install| install.machine.as_ref())
}

/// An ensemble that does not serve tells nobody what it is needed for.
fn data_not_known(wish: &DestroyWish, seen: &DestroySeen) -> Option<Failure> {
    if seen.tree.is_some() {
        return None;
    }
    let doubtful =
        |(member, _, found): &(EnsembleMember, MemberState, Inspected<crate::inspect::MemberSeen>)| {
            let is_clear = found
                .as_ref()
                .is_ok_and(|found| found.pid.is_none() && (!found.has_data || seen.marked.contains(member)));
            (!is_clear).then(|| member.to_string())
        };
    let doubtful: Vec<String> = seen.members.iter().filter_map(doubtful).collect();
    if doubtful.is_empty() {
        return None;
    }
    Some(
        Failure::unreachable(format!("ZooKeeper at {} does not serve", wish.ensemble.ensemble))
            .cause(format!(
                "so nobody can say whether other clouds need its data; it may be with {}",
                doubtful.join(", ")
            ))
            .hint("start it (arcusctl zookeeper start) and run the command again"),
    )
}

/// Which addresses are of one machine.
struct Places<'a> {
    names: BTreeMap<&'a HostName, BTreeSet<&'a HostName>>,
    member_hosts: BTreeMap<&'a HostName, Option<&'a MachineId>>,
    machines: BTreeMap<&'a HostName, Option<&'a MachineId>>,
}

impl<'a> Places<'a> {
    fn new(seen: &'a DestroySeen, machines: &[(&'a HostName, &'a RemainsSeen)]) -> Self {
        let machine = |remains: &'a RemainsSeen| remains.install.machine.as_ref();
        let mut names: BTreeMap<&HostName, BTreeSet<&HostName>> = BTreeMap::new();
        for (host, remains) in machines {
            let same = seen.hosts.iter().filter(|(other, seen)| {
                let theirs = seen.as_ref().ok().and_then(machine);
                other == *host || theirs.is_some() && theirs == machine(remains)
            });
            names.insert(host, same.map(|(other, _)| other).collect());
        }
        let member_hosts = seen.member_hosts.iter().map(|(host, install)| (host, machine_of(install)));
        Self {
            names,
            member_hosts: member_hosts.collect(),
            machines: machines.iter().map(|(host, remains)| (*host, machine(remains))).collect(),
        }
    }

    /// The member lives on that machine.
    fn is_at(&self, member: &EnsembleMember, host: &HostName) -> bool {
        let names = self.names.get(host);
        let theirs = self.member_hosts.get(&member.host).copied().flatten();
        names.is_some_and(|names| names.contains(&member.host))
            || theirs.is_some() && theirs == self.machines.get(host).copied().flatten()
    }

    /// The members that live on any of the cloud's machines.
    fn members(&self, wish: &DestroyWish) -> BTreeSet<EnsembleMember> {
        let members = wish.ensemble.ensemble.members().iter();
        members.filter(|member| self.names.keys().any(|host| self.is_at(member, host))).cloned().collect()
    }

    fn has(&self, host: &HostName, addr: NodeAddr) -> bool {
        let addr = HostName::from(addr.ip);
        self.names.get(host).is_some_and(|names| names.contains(&addr))
    }
}

/// Who else needs what is installed on a host.
fn needs(
    wish: &DestroyWish,
    tree: &ArcusTree,
    places: &Places<'_>,
    host: &HostName,
    going: &BTreeSet<EnsembleMember>,
) -> Vec<String> {
    let mut clouds: BTreeSet<String> = BTreeSet::new();
    let foreign = others_of(&wish.code, tree);
    clouds.extend(foreign.into_iter().filter(|(addr, _)| places.has(host, *addr)).map(|(_, owner)| owner));
    for name in tree.codes.keys().filter(|name| name.as_str() != wish.code.as_str()) {
        let nodes = ServiceCode::new(name.as_str()).ok().and_then(|code| registered_cloud(&code, tree));
        if nodes.into_iter().flatten().any(|node| places.has(host, node.addr)) {
            clouds.insert(name.clone());
        }
    }
    let members = wish.ensemble.ensemble.members().iter();
    let members = members.filter(|member| !going.contains(member) && places.is_at(member, host));
    let clouds = clouds.iter().map(|name| format!("cloud {name} has nodes there"));
    clouds.chain(members.map(|member| format!("ZooKeeper member {member} is there"))).collect()
}

/// A member may live there by another name: files of one do, and its own host cannot be asked.
fn doubt(seen: &DestroySeen, places: &Places<'_>, host: &HostName, remains: &RemainsSeen) -> Option<Failure> {
    let files = remains.theirs.iter().find(|name| name.starts_with("zookeeper/"))?;
    let (member, failure) = seen.member_hosts.iter().find_map(|(member, install)| {
        let is_known = places.names.values().any(|names| names.contains(member));
        Some((member, install.as_ref().err().filter(|_| !is_known)?))
    })?;
    Some(
        Failure::refused(format!("{host}: keeps its releases, since a ZooKeeper member may live there"))
            .cause(format!("there is {files}, and whether {member} is the same machine cannot be told"))
            .cause(&failure.message)
            .hint(format!("see to {member}, then run the command again: it goes on with what is left")),
    )
}

/// Ports of the cloud of which the host still has a log or a pid file.
fn ports_to_forget(
    addrs: &BTreeSet<NodeAddr>,
    places: &Places<'_>,
    host: &HostName,
    remains: &RemainsSeen,
) -> Vec<NonZeroU16> {
    let has_files = |port: NonZeroU16| {
        let names = [
            format!("run/memcached-{port}.pid"),
            format!("logs/memcached-{port}.log"),
            format!("logs/memcached-{port}.log.1"),
        ];
        remains.ours.iter().any(|name| names.contains(name))
    };
    let ports: BTreeSet<NonZeroU16> = addrs
        .iter()
        .filter(|addr| places.has(host, **addr))
        .map(|addr| addr.port)
        .filter(|port| has_files(*port))
        .collect();
    ports.into_iter().collect()
}

fn note_what_stays(
    plan: &mut Plan,
    (host, names): (&HostName, &BTreeSet<&HostName>),
    remains: &RemainsSeen,
    stopped: &BTreeMap<HostName, BTreeSet<NonZeroU16>>,
    going: &BTreeSet<EnsembleMember>,
    wish: &DestroyWish,
) {
    let has_members = !going.is_empty();
    for (release, seen) in &remains.install.releases {
        let ends = |what: &str| match what.parse::<NonZeroU16>() {
            Ok(port) => names.iter().filter_map(|name| stopped.get(*name)).any(|ports| ports.contains(&port)),
            Err(_) => has_members,
        };
        for user in seen.users.iter().filter(|user| !ends(&user.what)) {
            plan.notes.push(format!(
                "{host}: release {release} stays, since process {} ({} {}) executes it",
                user.pid, user.name, user.what
            ));
        }
    }
    // Without the members' own files, of which their step tells.
    let of_member = |name: &str| wish.with_data && has_members && name.starts_with("zookeeper/");
    let theirs: Vec<&str> =
        remains.theirs.iter().map(String::as_str).filter(|name| !of_member(name)).collect();
    if !theirs.is_empty() {
        plan.notes.push(format!("{host}: left, since arcusctl did not put it there: {}", theirs.join(", ")));
    }
}

/// Stops the members, notes that their data may go, and removes it: all of that only when everything before went well.
fn add_members(
    plan: &mut Plan,
    wish: &DestroyWish,
    seen: &DestroySeen,
    going: &BTreeSet<EnsembleMember>,
) -> Result<usize, Failures> {
    let layouts = layouts(&wish.ensemble, &seen.members)?;
    let (mut stop, mut mark, mut remove) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (layout, (member, state, found)) in layouts.into_iter().zip(&seen.members) {
        if !going.contains(member) {
            continue;
        }
        let target = Target::Member(member.clone());
        let found = match found {
            Ok(found) => found,
            Err(failure) => {
                plan.problem(target, failure.clone());
                continue;
            }
        };
        if found.pid.is_none() && state.stats().is_some() {
            let failure = Failure::refused(format!(
                "{member}: a ZooKeeper server of another installation serves there"
            ))
            .hint("arcusctl never stops a process that is not of this install, and leaves its data");
            plan.problem(target, failure);
            continue;
        }
        if found.pid.is_some() {
            stop.push(Step::new(target.clone(), Action::StopMember { layout: layout.clone() }));
        }
        if found.pid.is_some() || found.config.is_some() || found.has_data || found.myid.is_some() {
            let host = member.host.clone();
            let action = Action::MarkDestroyed { code: wish.code.clone() };
            mark.entry(host.clone()).or_insert_with(|| Step::new(Target::Host(host), action));
            remove.push(Step::new(target, Action::RemoveMember { layout }));
        } else {
            plan.hold(target, "keeps nothing");
        }
    }
    let count = remove.len();
    let stages = [("Stop ZooKeeper", stop), ("Note", mark.into_values().collect()), ("Remove data", remove)];
    for (title, steps) in stages {
        plan.gated_stage(title, Gate::Everything, steps);
    }
    Ok(count)
}

#[cfg(test)]
#[path = "destroy_tests.rs"]
mod tests;

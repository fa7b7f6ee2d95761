//! Bringing one release to every host and switching to it.

use std::collections::BTreeMap;

use super::releases::prunable;
use super::{Action, Gate, Plan, Step, Target};
use crate::error::Failure;
use crate::inspect::{Inspected, InstallSeen, MachineId};
use crate::model::{HostName, PackageFacts, human_bytes};

/// How a deploy is to go about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployWish {
    /// A name for the release.
    pub label: Option<String>,
    /// Switch the hosts that are ready even when others are not.
    pub partial: bool,
    /// How many releases a host keeps, at least.
    pub keep: usize,
}

/// Room to leave on a file system besides what is written.
pub const SPARE_BYTES: u64 = 16 * 1024 * 1024;

/// Plans a deploy; `hosts` is what was seen of each, in the order to report them.
pub fn deploy(
    package: &PackageFacts,
    wish: &DeployWish,
    hosts: &[(HostName, Inspected<InstallSeen>)],
) -> Plan {
    let mut plan = Plan::new("deploy");
    let mut make_room = Vec::new();
    let mut stage = Vec::new();
    let mut label = Vec::new();
    let mut switch = Vec::new();
    let mut prune = Vec::new();
    for (host, install) in machines(&mut plan, hosts, |install| install.machine.as_ref()) {
        let target = Target::Host(host.clone());
        let releases = prunable(install, &package.release, wish.keep);
        let freed = releases.iter().filter_map(|id| install.releases.get(id)).map(|seen| seen.bytes).sum();
        if let Some(failure) = unfit(package, host, install, freed) {
            plan.problem(target, failure);
            continue;
        }
        if !releases.is_empty() {
            let step = Step::new(target.clone(), Action::PruneReleases { releases });
            if unfit(package, host, install, 0).is_some() { make_room.push(step) } else { prune.push(step) }
        }
        if !install.leftovers.is_empty() {
            let leftovers = install.leftovers.clone();
            prune.push(Step::new(target.clone(), Action::TidyUp { leftovers }));
        }
        let there = install.releases.get(&package.release);
        if let (Some(seen), Some(name)) = (there, &wish.label)
            && seen.label.as_ref() != Some(name)
        {
            let action = Action::LabelRelease { release: package.release.clone(), label: name.clone() };
            label.push(Step::new(target.clone(), action));
        }
        // Only names that the release brings are taken over; whatever else lies there is the operator's own.
        let adopts: Vec<String> =
            install.plain_entries.iter().filter(|entry| package.entries.contains(entry)).cloned().collect();
        let current = install.current.as_ref().filter(|current| install.releases.contains_key(current));
        if current == Some(&package.release) && adopts.is_empty() {
            plan.hold(target, format!("has release {} in use", package.release));
            continue;
        }
        if there.is_some() {
            plan.hold(target.clone(), format!("has release {} already", package.release));
        } else {
            let (release, compression) = (package.release.clone(), install.compression);
            let partial = partial(package, install);
            let action = Action::StageRelease { release, bytes: package.bytes, compression, partial };
            stage.push(Step::new(target.clone(), action));
        }
        let action =
            Action::SwitchRelease { release: package.release.clone(), from: install.current.clone(), adopts };
        switch.push(Step::new(target, action));
    }
    plan.stage("Make room", make_room);
    plan.stage("Stage", stage);
    plan.stage("Label", label);
    plan.gated_stage("Switch", if wish.partial { Gate::OwnTarget } else { Gate::Everything }, switch);
    plan.stage("Prune", prune);
    plan
}

/// The hosts that answered, each machine once; what is left out becomes a problem or holds.
pub(super) fn machines<'a, Seen>(
    plan: &mut Plan,
    hosts: &'a [(HostName, Inspected<Seen>)],
    machine: impl Fn(&'a Seen) -> Option<&'a MachineId>,
) -> Vec<(&'a HostName, &'a Seen)> {
    let mut served: BTreeMap<&MachineId, &HostName> = BTreeMap::new();
    let mut machines = Vec::new();
    for (host, seen) in hosts {
        let target = Target::Host(host.clone());
        match seen {
            Err(failure) => plan.problem(target, failure.clone()),
            Ok(seen) => match machine(seen).map(|machine| (machine, served.get(machine))) {
                Some((_, Some(first))) => plan.hold(target, format!("is the same machine as {first}")),
                Some((machine, None)) => {
                    served.insert(machine, host);
                    machines.push((host, seen));
                }
                None => machines.push((host, seen)),
            },
        }
    }
    machines
}

/// What an upload that was cut short left of the archive that this one would send.
fn partial(package: &PackageFacts, install: &InstallSeen) -> u64 {
    install.partial.get(&(package.release.clone(), install.compression)).copied().unwrap_or_default()
}

/// Why nothing can be deployed there; `freed` bytes are going to be freed before.
fn unfit(package: &PackageFacts, host: &HostName, install: &InstallSeen, freed: u64) -> Option<Failure> {
    if let Some(obstacle) = &install.obstacle {
        return Some(
            Failure::refused(format!("{host}: the install path cannot take releases"))
                .cause(obstacle)
                .hint("put a directory in its place; [zookeeper] data_dir can lie on another file system"),
        );
    }
    let wrong = package.architecture.as_ref().filter(|wanted| **wanted != install.architecture);
    if let Some(wanted) = wrong {
        return Some(
            Failure::refused(format!("{host}: the package does not fit its processor"))
                .cause(format!("bin/memcached is built for {wanted}, the host is {}", install.architecture))
                .hint("build Arcus for this host's architecture, or leave the host out of the cloud JSON"),
        );
    }
    if !install.writable {
        return Some(
            Failure::refused(format!("{host}: cannot write to {}", install.install_path))
                .cause(format!("the login user {} may not create or change it", install.user))
                .hint("log in as another user ([ssh] user), or give that user the directory"),
        );
    }
    if install.releases.contains_key(&package.release) {
        return None;
    }
    let needed =
        package.bytes.saturating_sub(partial(package, install)) + package.unpacked_bytes + SPARE_BYTES;
    let free = install.free.filter(|free| free.saturating_add(freed) < needed)?;
    Some(
        Failure::refused(format!("{host}: not enough room below {}", install.install_path))
            .cause(format!(
                "{} are free; the archive, what it unpacks to and some spare room need {}",
                human_bytes(free),
                human_bytes(needed)
            ))
            .hint(
                "free space there, keep fewer releases (--keep), or set install_path to a larger file system",
            ),
    )
}

#[cfg(test)]
#[path = "deploy_tests.rs"]
mod tests;

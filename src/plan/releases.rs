//! Going back to a release that hosts still have, and removing those nobody needs.

use std::collections::BTreeSet;

use super::deploy::machines;
use super::{Action, Gate, Plan, Step, Target};
use crate::error::{Failure, Failures};
use crate::inspect::{Inspected, InstallSeen};
use crate::model::{HostName, ReleaseId};

/// Plans `rollback`: every host switches to `to`, or to the release that was current before.
///
/// # Errors
/// When some host cannot be asked or lacks the release, or hosts would go back to different ones; nothing switches then.
pub fn rollback(to: Option<&str>, hosts: &[(HostName, Inspected<InstallSeen>)]) -> Result<Plan, Failures> {
    let mut plan = Plan::new("rollback");
    let machines = machines(&mut plan, hosts, |install| install.machine.as_ref());
    let mut failures: Vec<Failure> =
        std::mem::take(&mut plan.problems).into_iter().map(|problem| problem.failure).collect();
    let release = match to {
        Some(name) => find(name, &machines, &mut failures),
        None => common_previous(&machines, &mut failures),
    };
    let Some(release) = release else {
        Failures::none_of(failures)?;
        return Ok(plan);
    };
    let lacking: Vec<&str> = machines
        .iter()
        .filter(|(_, install)| !install.releases.contains_key(&release))
        .map(|(host, _)| host.as_str())
        .collect();
    if !lacking.is_empty() {
        failures.push(
            Failure::refused(format!("release {release} is not on every host"))
                .cause(format!("missing on {}", lacking.join(", ")))
                .hint("bring it there with: arcusctl deploy CONF --package FILE; nothing was switched"),
        );
    }
    Failures::none_of(failures)?;
    let mut switch = Vec::new();
    for (host, install) in machines {
        let target = Target::Host(host.clone());
        if install.current.as_ref() == Some(&release) {
            plan.hold(target, format!("has release {release} in use"));
            continue;
        }
        let action = Action::SwitchRelease {
            release: release.clone(),
            from: install.current.clone(),
            adopts: install.plain_entries.clone(),
        };
        switch.push(Step::new(target, action));
    }
    plan.gated_stage("Switch", Gate::Everything, switch);
    Ok(plan)
}

/// The release of that id, of an id that begins so, or of that label.
fn find(
    name: &str,
    machines: &[(&HostName, &InstallSeen)],
    failures: &mut Vec<Failure>,
) -> Option<ReleaseId> {
    let known = machines.iter().flat_map(|(_, install)| &install.releases);
    let fits: BTreeSet<&ReleaseId> = known
        .filter(|(id, seen)| id.as_str().starts_with(name) || seen.label.as_deref() == Some(name))
        .map(|(id, _)| id)
        .collect();
    let ids: Vec<&str> = fits.iter().map(|id| id.as_str()).collect();
    match fits.first() {
        Some(id) if fits.len() == 1 => return Some((*id).clone()),
        Some(_) => failures.push(
            Failure::refused(format!("{name} is more than one release"))
                .cause(ids.join(", "))
                .hint("give more of the id; see arcusctl releases CONF"),
        ),
        None => failures.push(
            Failure::refused(format!("no host has a release {name}"))
                .hint("see what there is: arcusctl releases CONF"),
        ),
    }
    None
}

fn common_previous(machines: &[(&HostName, &InstallSeen)], failures: &mut Vec<Failure>) -> Option<ReleaseId> {
    let previous: BTreeSet<Option<&ReleaseId>> =
        machines.iter().map(|(_, install)| install.previous.as_ref()).collect();
    if previous.len() == 1
        && let Some(Some(release)) = previous.first()
    {
        return Some((*release).clone());
    }
    if failures.is_empty() {
        let each: Vec<String> = machines
            .iter()
            .map(|(host, install)| {
                format!("{host}: {}", install.previous.as_ref().map_or("none", ReleaseId::as_str))
            })
            .collect();
        failures.push(
            Failure::refused("the hosts have no one release that was current before")
                .cause(each.join(", "))
                .hint("name the release to go to: arcusctl rollback CONF --to RELEASE; see arcusctl releases CONF"),
        );
    }
    None
}

/// What may go once `wanted` is current: all but the newest `keep`, and never the current one, the one before, or one
/// that a process executes.
pub(super) fn prunable(install: &InstallSeen, wanted: &ReleaseId, keep: usize) -> Vec<ReleaseId> {
    let mut by_age: Vec<(&ReleaseId, u64)> = install
        .releases
        .iter()
        .map(|(id, seen)| (id, if id == wanted { u64::MAX } else { seen.staged }))
        .collect();
    if !install.releases.contains_key(wanted) {
        by_age.push((wanted, u64::MAX));
    }
    by_age.sort_by(|(one, one_age), (other, other_age)| other_age.cmp(one_age).then_with(|| one.cmp(other)));
    // Once the switch is made, what is current now is the one before.
    let before = if install.current.as_ref() == Some(wanted) { &install.previous } else { &install.current };
    let needed = |id: &ReleaseId| {
        id == wanted
            || install.current.as_ref() == Some(id)
            || before.as_ref() == Some(id)
            || install.releases.get(id).is_some_and(|seen| !seen.users.is_empty())
    };
    by_age.into_iter().skip(keep.max(1)).map(|(id, _)| id).filter(|id| !needed(id)).cloned().collect()
}

//! Bringing one release to every host and switching to it.

use std::collections::BTreeMap;

use super::{Action, Plan, Step, Target};
use crate::error::Failure;
use crate::inspect::{Inspected, InstallSeen, MachineId};
use crate::model::{HostName, ReleaseId};

/// What a plan needs to know of the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFacts {
    pub release: ReleaseId,
    /// Size of the archive.
    pub bytes: u64,
    /// Names at the top of its tree.
    pub entries: Vec<String>,
    /// Processor architecture of its `bin/memcached` as `uname -m` names it, when it says.
    pub architecture: Option<String>,
}

/// Plans a deploy; `hosts` is what was seen of each, in the order to report them.
pub fn deploy(package: &PackageFacts, hosts: &[(HostName, Inspected<InstallSeen>)]) -> Plan {
    let mut plan = Plan::new("deploy");
    let mut stage = Vec::new();
    let mut switch = Vec::new();
    let mut served: BTreeMap<&MachineId, &HostName> = BTreeMap::new();
    for (host, seen) in hosts {
        let target = Target::Host(host.clone());
        let install = match seen {
            Ok(install) => install,
            Err(failure) => {
                plan.problem(target, failure.clone());
                continue;
            }
        };
        if let Some(machine) = &install.machine
            && let Some(first) = served.get(machine)
        {
            plan.hold(target, format!("is the same machine as {first}"));
            continue;
        }
        if let Some(failure) = unfit(package, host, install) {
            plan.problem(target, failure);
            continue;
        }
        if let Some(machine) = &install.machine {
            served.insert(machine, host);
        }
        if install.current.as_ref() == Some(&package.release) {
            plan.hold(target, format!("has release {} in use", package.release));
            continue;
        }
        if install.releases.contains(&package.release) {
            plan.hold(target.clone(), format!("has release {} already", package.release));
        } else {
            let action = Action::StageRelease { release: package.release.clone(), bytes: package.bytes };
            stage.push(Step::new(target.clone(), action));
        }
        // Only names that the release brings are taken over; whatever else lies there is the operator's own.
        let adopts =
            install.plain_entries.iter().filter(|entry| package.entries.contains(entry)).cloned().collect();
        let action =
            Action::SwitchRelease { release: package.release.clone(), from: install.current.clone(), adopts };
        switch.push(Step::new(target, action));
    }
    plan.stage("Stage", stage);
    plan.stage("Switch", switch);
    plan
}

fn unfit(package: &PackageFacts, host: &HostName, install: &InstallSeen) -> Option<Failure> {
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
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn package() -> PackageFacts {
        PackageFacts {
            release: "new1".parse().unwrap(),
            bytes: 1000,
            entries: vec!["bin".into(), "lib".into(), "zookeeper".into()],
            architecture: Some("x86_64".into()),
        }
    }

    fn bare(name: &str) -> InstallSeen {
        InstallSeen {
            install_path: "/opt/arcus".into(),
            user: "root".into(),
            writable: true,
            architecture: "x86_64".into(),
            machine: Some(MachineId(format!("machine of {name}"))),
            current: None,
            releases: BTreeSet::new(),
            plain_entries: Vec::new(),
        }
    }

    fn hosts(seen: Vec<(&str, Inspected<InstallSeen>)>) -> Vec<(HostName, Inspected<InstallSeen>)> {
        seen.into_iter().map(|(name, install)| (HostName::new(name), install)).collect()
    }

    fn described(plan: &Plan) -> Vec<String> {
        plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
    }

    /// What a host looks like once its steps were carried out.
    fn after(
        plan: &Plan,
        before: &[(HostName, Inspected<InstallSeen>)],
    ) -> Vec<(HostName, Inspected<InstallSeen>)> {
        let mut hosts = before.to_vec();
        for step in plan.steps() {
            let (_, seen) =
                hosts.iter_mut().find(|(host, _)| Target::Host(host.clone()) == step.target).unwrap();
            let install = seen.as_mut().unwrap();
            match &step.action {
                Action::StageRelease { release, .. } => {
                    install.releases.insert(release.clone());
                }
                Action::SwitchRelease { release, .. } => install.current = Some(release.clone()),
                other => panic!("no deploy step: {other:?}"),
            }
        }
        hosts
    }

    #[test]
    fn bare_hosts_are_staged_then_switched_and_then_left_alone() {
        let before = hosts(vec![("a", Ok(bare("a"))), ("b", Ok(bare("b")))]);
        let plan = deploy(&package(), &before);
        assert_eq!(
            described(&plan),
            [
                "a: send and unpack release new1 (1.0 kB)",
                "b: send and unpack release new1 (1.0 kB)",
                "a: switch to release new1",
                "b: switch to release new1",
            ]
        );
        let again = deploy(&package(), &after(&plan, &before));
        assert!(again.is_empty());
        assert_eq!(again.holds.len(), 2);
    }

    #[test]
    fn a_staged_release_is_not_sent_again() {
        let mut seen = bare("a");
        seen.releases.insert(package().release);
        seen.current = Some("old1".parse().unwrap());
        let plan = deploy(&package(), &hosts(vec![("a", Ok(seen))]));
        assert_eq!(described(&plan), ["a: switch from release old1 to new1"]);
    }

    #[test]
    fn an_install_of_arcus_sh_is_adopted_and_the_operators_files_are_not() {
        let mut seen = bare("a");
        seen.plain_entries = vec!["bin".into(), "lib".into(), "my-notes".into(), "zookeeper/bin".into()];
        let plan = deploy(&package(), &hosts(vec![("a", Ok(seen))]));
        assert_eq!(
            described(&plan)[1],
            "a: adopt the present install (bin, lib), then switch to release new1"
        );
    }

    #[test]
    fn two_addresses_of_one_machine_are_served_once() {
        let plan = deploy(&package(), &hosts(vec![("a", Ok(bare("a"))), ("a-too", Ok(bare("a")))]));
        assert_eq!(plan.steps().count(), 2);
        assert_eq!(plan.holds[0].fact, "is the same machine as a");
    }

    #[test]
    fn a_dead_host_and_a_wrong_processor_keep_nobody_else_out() {
        let mut arm = bare("b");
        arm.architecture = "aarch64".into();
        let dead = Err(Failure::unreachable("a: cannot connect with ssh"));
        let plan = deploy(&package(), &hosts(vec![("a", dead), ("b", Ok(arm)), ("c", Ok(bare("c")))]));
        assert_eq!(plan.problems.len(), 2);
        assert_eq!(plan.steps().count(), 2);
    }
}

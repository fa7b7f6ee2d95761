//! Running a command of the operator's on hosts, each machine once.

use super::deploy::machines;
use super::{Action, Plan, Step, Target};
use crate::inspect::{Inspected, MachineId};
use crate::model::HostName;

/// Plans to run `argv` on every host that answers. What it does is known to the operator alone.
pub fn run_command(argv: &[String], hosts: &[(HostName, Inspected<Option<MachineId>>)]) -> Plan {
    let mut plan = Plan::new("exec");
    let steps = machines(&mut plan, hosts, Option::as_ref)
        .into_iter()
        .map(|(host, _)| Step::new(Target::Host(host.clone()), Action::RunCommand { argv: argv.to_vec() }))
        .collect();
    plan.stage("Run", steps);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn a_machine_of_two_names_runs_it_once_and_a_dead_one_keeps_nobody() {
        let machine = |name: &str| Ok(Some(MachineId(name.to_owned())));
        let hosts = [
            (HostName::new("10.0.0.1"), machine("a")),
            (HostName::new("10.0.0.2"), Err(Failure::unreachable("10.0.0.2: is dead"))),
            (HostName::new("zk1"), machine("a")),
            (HostName::new("old"), Ok(None)),
        ];
        let plan = run_command(&["uptime".to_owned()], &hosts);
        let told: Vec<String> =
            plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect();
        assert_eq!(told, ["10.0.0.1: run uptime", "old: run uptime"]);
        assert_eq!((plan.problems.len(), plan.holds.len()), (1, 1));
    }
}

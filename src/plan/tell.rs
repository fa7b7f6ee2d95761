//! Telling live cache nodes of another ensemble: what they were started with is a list of long ago.

use std::collections::BTreeSet;

use super::{Action, Plan, Step, Target};
use crate::inspect::Inspected;
use crate::model::{Ensemble, NodeAddr};

/// Plans `zkensemble set` for every live node that follows other members than `ensemble`; `nodes` are those, each with
/// the members that it says it follows.
pub fn tell_nodes(
    command: &'static str,
    ensemble: &Ensemble,
    nodes: &[(NodeAddr, Inspected<BTreeSet<String>>)],
) -> Plan {
    let mut plan = Plan::new(command);
    let wanted = ensemble.to_string();
    let members: BTreeSet<String> = ensemble.members().iter().map(ToString::to_string).collect();
    let mut told = 0;
    let mut due = Vec::new();
    for (node, follows) in nodes {
        match follows {
            Ok(follows) if *follows == members => told += 1,
            Ok(_) => due.push(*node),
            Err(failure) => {
                let failure = failure.clone().hint(by_hand(*node, &wanted));
                plan.problem(Target::Node(*node), failure);
            }
        }
    }
    if told > 0 {
        plan.hold(Target::Ensemble, format!("{told} live cache node(s) follow {wanted}"));
    }
    if !due.is_empty() {
        let action = Action::TellNodes { nodes: due, zookeeper: wanted };
        plan.stage("Tell", vec![Step::new(Target::Ensemble, action)]);
    }
    plan
}

/// What an operator types to a node that could not be told.
pub fn by_hand(node: NodeAddr, ensemble: &str) -> String {
    format!("tell it by hand: telnet {} {}, then: zkensemble set {ensemble}", node.ip, node.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn nodes_that_follow_the_members_in_another_order_need_not_be_told_and_the_silent_are_named() {
        let ensemble = Ensemble::parse("a:2181,b:2181").unwrap();
        let node = |port: u16| -> NodeAddr { format!("10.0.0.1:{port}").parse().unwrap() };
        let follows = |members: &[&str]| Ok(members.iter().map(ToString::to_string).collect());
        let silent = Err(Failure::unreachable("10.0.0.1:3: the cache node does not answer"));
        let nodes =
            [(node(1), follows(&["b:2181", "a:2181"])), (node(2), follows(&["a:2181"])), (node(3), silent)];
        let plan = tell_nodes("zookeeper add", &ensemble, &nodes);
        let actions: Vec<&Action> = plan.steps().map(|step| &step.action).collect();
        assert_eq!(actions, [&Action::TellNodes { nodes: vec![node(2)], zookeeper: "a:2181,b:2181".into() }]);
        let hint = &plan.problems[0].failure.hints[0];
        assert_eq!(hint, "tell it by hand: telnet 10.0.0.1 3, then: zkensemble set a:2181,b:2181");
        let after = [(node(2), follows(&["a:2181", "b:2181"]))];
        assert!(tell_nodes("zookeeper add", &ensemble, &after).is_empty());
    }
}

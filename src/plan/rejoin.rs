//! Which nodes to ask to go back to a cloud that they lost their place in.

use std::collections::BTreeSet;

use super::nodes::foreign;
use super::{Action, NodesSeen, Plan, Selection, Step, Target};
use crate::error::{Failure, Failures};
use crate::inspect::RegisteredNode;
use crate::model::{Ensemble, HostName, NodeAddr, ServiceCode};

/// Plans to bring those of the selected nodes of `code` back that run and are no members. Who is one is judged by
/// `cache_list` alone: a node may say READY long after it lost its place.
///
/// # Errors
/// When a selected node is neither registered nor a member.
pub fn rejoin_nodes(
    code: &ServiceCode,
    ensemble: &Ensemble,
    registered: &[RegisteredNode],
    selection: &Selection,
    seen: &NodesSeen,
) -> Result<Plan, Failures> {
    let known: BTreeSet<NodeAddr> =
        registered.iter().map(|node| node.addr).chain(seen.members.keys().copied()).collect();
    selection.check(code, &known)?;
    let mut plan = Plan::new("rejoin");
    let mut steps = Vec::new();
    for addr in known.into_iter().filter(|addr| selection.contains(*addr)) {
        let node = registered.iter().find(|node| node.addr == addr);
        match rejoins(code, ensemble, addr, node, seen) {
            Ok(None) => plan.hold(Target::Node(addr), format!("is a member of {code}")),
            Ok(Some(pid)) => {
                steps.push(Step::new(Target::Node(addr), Action::RejoinNode { code: code.clone(), pid }));
            }
            Err(failure) => plan.problem(Target::Node(addr), failure),
        }
    }
    if !steps.is_empty() {
        plan.notes.push(
            "a node that comes back serves what it kept, also where clients have written newer values elsewhere \
             meanwhile; where that matters, restart it instead"
                .to_owned(),
        );
    }
    plan.stage("Rejoin", steps);
    Ok(plan)
}

/// The process to ask; `None` for a member.
fn rejoins(
    code: &ServiceCode,
    ensemble: &Ensemble,
    addr: NodeAddr,
    node: Option<&RegisteredNode>,
    seen: &NodesSeen,
) -> Result<Option<u32>, Failure> {
    if seen.members.contains_key(&addr) {
        return Ok(None);
    }
    if let Some(RegisteredNode { mapped: false, options: Err(failure), .. }) = node {
        return Err(failure.clone());
    }
    if let Some(owner) = seen.others.get(&addr) {
        return Err(Failure::refused(format!("{addr}: belongs to service code {owner} as well"))
            .cause("it would go back to the cloud that it was started for, whichever that is")
            .hint("register the clouds from their JSON so that each node is in one of them"));
    }
    match seen.on_port(&HostName::from(addr.ip), addr)? {
        Some(process) if seen.owns(process, addr, ensemble) => Ok(Some(process.pid)),
        Some(process) => Err(foreign(addr, process)),
        None => Err(Failure::failed(format!("{addr}: its process is gone, so it cannot rejoin"))
            .hint(format!("start it: arcusctl memcached start {code} {addr}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU16;

    use super::*;
    use crate::inspect::{NodeProcess, ProcessesSeen};
    use crate::model::NodeOptions;

    const NODE: &str = "10.0.0.1:11211";

    fn addr() -> NodeAddr {
        NODE.parse().unwrap()
    }

    fn registered(mapped: bool) -> RegisteredNode {
        let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
        let options =
            if mapped { Ok(options) } else { Err(Failure::refused(format!("{NODE}: has no mapping"))) };
        RegisteredNode { addr: addr(), mapped, options }
    }

    fn process(ours: bool) -> NodeProcess {
        NodeProcess {
            pid: 7,
            started: 1,
            port: NonZeroU16::new(11211),
            ours,
            zookeeper: Some("zk:2181".into()),
            exe: String::new(),
            release: None,
            argv: vec!["memcached".into()],
        }
    }

    fn seen(processes: Vec<NodeProcess>, member: bool) -> NodesSeen {
        let host = ProcessesSeen { processes, ..ProcessesSeen::default() };
        NodesSeen {
            members: member.then(|| (addr(), format!("{NODE}-host"))).into_iter().collect(),
            processes: BTreeMap::from([(HostName::new("10.0.0.1"), Ok(host))]),
            ..NodesSeen::default()
        }
    }

    fn plan(node: RegisteredNode, seen: &NodesSeen) -> Plan {
        let code = ServiceCode::new("c").unwrap();
        let ensemble = Ensemble::parse("zk:2181").unwrap();
        rejoin_nodes(&code, &ensemble, &[node], &Selection::All, seen).unwrap()
    }

    #[test]
    fn a_node_that_runs_and_is_no_member_is_asked_and_then_there_is_nothing_to_do() {
        let out = plan(registered(true), &seen(vec![process(true)], false));
        let steps: Vec<String> =
            out.steps().map(|step| format!("{}: {}", step.target, step.action)).collect();
        assert_eq!(steps, ["10.0.0.1:11211: have it rejoin c (pid 7)"]);
        assert!(out.notes[0].contains("newer values"));
        let back = plan(registered(true), &seen(vec![process(true)], true));
        assert!(back.is_empty() && back.notes.is_empty());
        assert_eq!(back.holds[0].fact, "is a member of c");
    }

    #[test]
    fn who_cannot_rejoin_is_told_why() {
        let problem = |node: RegisteredNode, seen: NodesSeen| {
            let plan = plan(node, &seen);
            assert!(plan.is_empty());
            plan.problems[0].failure.clone()
        };
        let gone = problem(registered(true), seen(vec![], false));
        assert!(gone.hints[0].contains("arcusctl memcached start c 10.0.0.1:11211"), "{gone}");
        let unmapped = problem(registered(false), seen(vec![process(true)], false));
        assert!(unmapped.message.contains("no mapping"), "{unmapped}");
        let foreign = problem(registered(true), seen(vec![process(false)], false));
        assert!(foreign.message.contains("not of this install"), "{foreign}");
        let mut disputed = seen(vec![process(true)], false);
        disputed.others.insert(addr(), "theirs".into());
        assert!(problem(registered(true), disputed).message.contains("theirs"));
        let mut cut = seen(vec![], false);
        cut.processes.insert(HostName::new("10.0.0.1"), Err(Failure::unreachable("10.0.0.1: no route")));
        assert!(problem(registered(true), cut).message.contains("no route"));
    }
}

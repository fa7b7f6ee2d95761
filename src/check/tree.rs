//! The znodes: can the cloud be registered, what would change, and does anybody else have its addresses.

use super::{Check, CheckItem, Scene, Subject};
use crate::inspect::ArcusTree;
use crate::model::{NodeSpec, znode};
use crate::plan::{Action, foreign_owners, leaving_online, names_of, register};

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    if scene.no_ensemble {
        return;
    }
    let structure =
        Check::new("znodes", Subject::Ensemble, "ZooKeeper answers and has the base znodes of Arcus");
    let tree = match scene.tree {
        Ok(tree) => tree,
        Err(failure) => {
            let served = scene.states.iter().any(|(_, state)| state.stats().is_some());
            items.push(if served {
                structure.fail_as(failure)
            } else {
                structure.warn(
                    "ZooKeeper does not serve, so the znodes cannot be seen",
                    "set the ensemble up: arcusctl zookeeper init; then check again",
                )
            });
            return;
        }
    };
    let missing: Vec<&str> =
        znode::STRUCTURE.iter().filter(|path| !tree.structure.contains(**path)).copied().collect();
    items.push(if missing.is_empty() {
        structure.pass("the base znodes are there")
    } else {
        structure.warn(format!("missing: {}", missing.join(", ")), "make them: arcusctl zookeeper init")
    });
    items.extend(scene.cloud.nodes.iter().map(|node| mapping(scene, node, tree)));
    items.push(registration(scene, tree, missing.is_empty()));
}

/// A cache node finds its service code by its address, and must find exactly one.
fn mapping(scene: &Scene<'_>, node: &NodeSpec, tree: &ArcusTree) -> CheckItem {
    let code = &scene.cloud.code;
    let check = Check::new(
        "mapping",
        Subject::Node(node.addr),
        format!("no other service code than {code} has the address"),
    );
    let owners: Vec<&str> = foreign_owners(code, node, tree).into_iter().collect();
    if !owners.is_empty() {
        return check.fail(
            format!("belongs to {}", owners.join(", ")),
            "take it out of the other cloud first, or give the node another port",
        );
    }
    // Names that win over one another: what the first of them says is what counts.
    let names: Vec<String> =
        names_of(node).into_iter().filter(|name| tree.mappings.contains_key(name)).collect();
    match names.as_slice() {
        [] => check.pass("is free"),
        [_] => check.pass(format!("belongs to {code}")),
        several => check.warn(
            format!("has several mappings: {}", several.join(", ")),
            "remove all but the one with ip and port; a cache node takes the first that it finds",
        ),
    }
}

fn registration(scene: &Scene<'_>, tree: &ArcusTree, has_structure: bool) -> CheckItem {
    let cloud = scene.cloud;
    let code = &cloud.code;
    let check = Check::new(
        "registration",
        Subject::Cloud(code.clone()),
        format!("{code} is registered as its cloud JSON says, or can be"),
    );
    if tree.replication_codes.contains(code.as_str()) {
        return check.fail(
            format!("{code} exists under {}, where clients look first", znode::REPLICATION_CACHE_LIST),
            "choose another service code, or remove the replicated cloud with the tool that made it",
        );
    }
    let leaving = leaving_online(cloud, tree);
    if !leaving.is_empty() {
        return check.fail(
            format!("nodes that the cloud JSON no longer has are online: {}", leaving.join(", ")),
            format!(
                "arcusctl apply CONF, or stop them first: arcusctl memcached stop {code} {}",
                leaving.join(" ")
            ),
        );
    }
    let mend = "arcusctl memcached register CONF";
    if !has_structure {
        return check
            .warn(format!("{code} is not registered"), format!("arcusctl zookeeper init, then {mend}"));
    }
    // The time is written with a change only; here nothing is.
    match register(cloud, tree, "") {
        Ok(plan) if plan.is_empty() => {
            check.pass(format!("{code} is registered with these {} node(s)", cloud.nodes.len()))
        }
        Ok(_) if !tree.codes.contains_key(code.as_str()) => {
            check.warn(format!("{code} is not registered yet"), mend)
        }
        Ok(plan) => {
            let changes: Vec<String> = plan
                .steps()
                .flat_map(|step| match &step.action {
                    Action::CommitZnodes { summary, .. } => summary.clone(),
                    _ => Vec::new(),
                })
                .collect();
            check.warn(format!("differs from the cloud JSON; registering would {}", changes.join(", ")), mend)
        }
        Err(_) => check
            .warn(format!("{code} cannot be registered"), "mend what is told of its nodes; then check again"),
    }
}

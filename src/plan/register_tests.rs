use serde_json::json;

use super::*;
use crate::inspect::{Mapping, RegisteredCode};
use crate::model::{NodeOptions, ServiceCode};

fn node(addr: &str) -> NodeSpec {
    let addr: NodeAddr = addr.parse().unwrap();
    let config = json!({"memlimit": "100", "port": addr.port.to_string()});
    NodeSpec {
        addr,
        hostname: "cache-1".into(),
        options: NodeOptions { memlimit: 100, connections: 1000, threads: 6 },
        config: config.as_object().unwrap().clone(),
    }
}

fn cloud(code: &str, nodes: &[&str]) -> Cloud {
    let document = json!({"serviceCode": code, "servers": nodes, "note": "kept"});
    Cloud {
        code: ServiceCode::new(code).unwrap(),
        nodes: nodes.iter().map(|addr| node(addr)).collect(),
        document: document.as_object().unwrap().clone(),
    }
}

fn base() -> ArcusTree {
    ArcusTree {
        structure: znode::STRUCTURE.iter().map(ToString::to_string).collect(),
        ..ArcusTree::default()
    }
}

/// The tree after a plan's transaction, as ZooKeeper would have it.
fn after(plan: &Plan, before: &ArcusTree) -> ArcusTree {
    plan.steps().fold(before.clone(), |tree, step| {
        let Action::CommitZnodes { changes, .. } = &step.action else { panic!("{step:?}") };
        tree.after(changes).unwrap()
    })
}

fn summary(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| step.action.to_string()).collect()
}

fn changes(plan: &Plan) -> Vec<String> {
    plan.steps()
        .flat_map(|step| match &step.action {
            Action::CommitZnodes { changes, .. } => {
                changes.iter().map(ToString::to_string).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_new_cloud_gets_the_znodes_that_arcus_sh_makes_and_registering_again_changes_nothing() {
    let cloud = cloud("c", &["10.0.0.1:11211"]);
    let plan = register(&cloud, &base(), "T1").unwrap();
    assert_eq!(
        changes(&plan),
        [
            "create /arcus/cache_list/c",
            "create /arcus/client_list/c",
            "create /arcus/cache_server_mapping/10.0.0.1:11211",
            "create /arcus/cache_server_mapping/10.0.0.1:11211/c",
        ]
    );
    let tree = after(&plan, &base());
    let stored: Value = serde_json::from_slice(&tree.codes["c"].data).unwrap();
    assert_eq!(
        (&stored["created"], &stored["modified"], &stored["note"]),
        (&json!("T1"), &Value::Null, &json!("kept"))
    );
    assert!(register(&cloud, &tree, "T2").unwrap().is_empty());
}

#[test]
fn what_is_missing_of_a_registered_cloud_is_made_again_and_told() {
    let cloud = cloud("c", &["10.0.0.1:11211", "10.0.0.2:11211"]);
    let whole = after(&register(&cloud, &base(), "T1").unwrap(), &base());
    let mut tree = whole.clone();
    tree.clients.clear();
    tree.mappings.get_mut("10.0.0.1:11211").unwrap().codes.clear();
    tree.mappings.remove("10.0.0.2:11211");
    let plan = register(&cloud, &tree, "T2").unwrap();
    assert_eq!(
        summary(&plan),
        ["add the client list of c; add node 10.0.0.1:11211; add node 10.0.0.2:11211"]
    );
    assert_eq!(after(&plan, &tree), whole);
}

#[test]
fn a_changed_document_is_updated_in_place_and_keeps_when_it_was_created() {
    let first = after(&register(&cloud("c", &["10.0.0.1:11211"]), &base(), "T1").unwrap(), &base());
    let plan = register(&cloud("c", &["10.0.0.1:11211", "10.0.0.2:11211"]), &first, "T2").unwrap();
    assert_eq!(summary(&plan), ["change service code c; add node 10.0.0.2:11211"]);
    assert!(changes(&plan).iter().all(|change| !change.starts_with("delete")));
    let stored: Value = serde_json::from_slice(&after(&plan, &first).codes["c"].data).unwrap();
    assert_eq!((&stored["created"], &stored["modified"]), (&json!("T1"), &json!("T2")));
}

#[test]
fn a_node_that_left_the_document_is_removed_unless_it_is_online() {
    let mut tree =
        after(&register(&cloud("c", &["10.0.0.1:11211", "10.0.0.2:11211"]), &base(), "T1").unwrap(), &base());
    let smaller = cloud("c", &["10.0.0.1:11211"]);
    let plan = register(&smaller, &tree, "T2").unwrap();
    assert_eq!(summary(&plan), ["change service code c; remove node 10.0.0.2:11211"]);
    assert!(register(&smaller, &after(&plan, &tree), "T3").unwrap().is_empty());

    tree.codes.get_mut("c").unwrap().members = vec!["10.0.0.2:11211-cache-2".into()];
    let failures = register(&smaller, &tree, "T2").unwrap_err();
    assert!(failures.to_string().contains("are online: 10.0.0.2:11211"), "{failures}");
}

#[test]
fn an_address_of_another_code_is_refused_by_name_and_all_refusals_are_told() {
    let mut tree = base();
    tree.mappings
        .insert("10.0.0.1:11211".into(), Mapping { codes: vec!["theirs".into()], ..Mapping::default() });
    tree.codes.insert(
        "live".into(),
        RegisteredCode { members: vec!["10.0.0.2:11211-x".into()], ..RegisteredCode::default() },
    );
    tree.replication_codes.insert("c".into());
    let failures = register(&cloud("c", &["10.0.0.1:11211", "10.0.0.2:11211"]), &tree, "T").unwrap_err();
    let messages: Vec<&str> = failures.as_slice().iter().map(|failure| failure.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "service code c exists under /arcus_repl/cache_list",
            "10.0.0.1:11211 belongs to service code theirs",
            "10.0.0.2:11211 belongs to service code live",
        ]
    );
}

#[test]
fn a_bare_tree_is_told_to_be_initialised() {
    let failures = register(&cloud("c", &["10.0.0.1:11211"]), &ArcusTree::default(), "T").unwrap_err();
    assert!(failures.as_slice()[0].hints[0].contains("zookeeper init"));
}

#[test]
fn mappings_by_hostname_or_bare_ip_stay() {
    let mut tree = after(&register(&cloud("c", &["10.0.0.1:11211"]), &base(), "T1").unwrap(), &base());
    for name in ["cache-1:11211", "10.0.0.1"] {
        tree.mappings.insert(name.into(), Mapping { codes: vec!["c".into()], ..Mapping::default() });
    }
    assert!(register(&cloud("c", &["10.0.0.1:11211"]), &tree, "T2").unwrap().is_empty());
}

#[test]
fn data_of_other_tools_is_replaced_by_ours() {
    for data in ["", "0", "arcus1.8"] {
        let mut tree = base();
        tree.codes.insert("c".into(), RegisteredCode { data: data.into(), version: 3, members: vec![] });
        let plan = register(&cloud("c", &["10.0.0.1:11211"]), &tree, "T").unwrap();
        assert_eq!(changes(&plan)[0], "update /arcus/cache_list/c (version 3)");
    }
}

#[test]
fn a_change_of_a_mapping_alone_still_guards_the_code() {
    let mut tree = after(&register(&cloud("c", &["10.0.0.1:11211"]), &base(), "T1").unwrap(), &base());
    tree.mappings.get_mut("10.0.0.1:11211").unwrap().data = b"{}".to_vec();
    let plan = register(&cloud("c", &["10.0.0.1:11211"]), &tree, "T2").unwrap();
    assert_eq!(changes(&plan)[0], "check /arcus/cache_list/c (version 0)");
}

#[test]
fn unregistering_removes_all_and_only_what_is_the_codes() {
    let code = ServiceCode::new("c").unwrap();
    let mut tree = after(&register(&cloud("c", &["10.0.0.1:11211"]), &base(), "T1").unwrap(), &base());
    tree = after(&register(&cloud("other", &["10.0.0.2:11211"]), &tree, "T1").unwrap(), &tree);
    let left = after(&unregister(&code, &tree).unwrap(), &tree);
    assert_eq!(left.codes.keys().collect::<Vec<_>>(), ["other"]);
    assert_eq!(left.mappings.keys().collect::<Vec<_>>(), ["10.0.0.2:11211"]);
    assert!(unregister(&code, &left).unwrap().is_empty());
}

#[test]
fn unregistering_is_refused_while_nodes_are_online_or_clients_connected() {
    let mut tree = after(&register(&cloud("c", &["10.0.0.1:11211"]), &base(), "T1").unwrap(), &base());
    tree.codes.get_mut("c").unwrap().members = vec!["10.0.0.1:11211-cache-1".into()];
    tree.clients.insert("c".into(), (0..5).map(|number| format!("app-{number}")).collect());
    let failures = unregister(&ServiceCode::new("c").unwrap(), &tree).unwrap_err();
    assert!(failures.to_string().contains("10.0.0.1:11211-cache-1"));
    assert!(failures.to_string().contains("app-0, app-1, app-2 and 2 more"));
}

#[test]
fn an_address_that_another_code_has_by_hostname_or_bare_ip_is_refused_too() {
    for name in ["cache-1:11211", "10.0.0.1"] {
        let mut tree = base();
        tree.mappings.insert(name.into(), Mapping { codes: vec!["theirs".into()], ..Mapping::default() });
        let failures = register(&cloud("c", &["10.0.0.1:11211"]), &tree, "T").unwrap_err();
        assert!(
            failures.to_string().contains("10.0.0.1:11211 belongs to service code theirs"),
            "{name}: {failures}"
        );
    }
}

#[test]
fn what_live_nodes_would_notice_has_to_be_agreed_to_and_nodes_that_are_added_have_not() {
    let two = cloud("c", &["10.0.0.1:11211", "10.0.0.2:11211"]);
    let mut tree = after(&register(&two, &base(), "T1").unwrap(), &base());
    let risk = |nodes: &[&str], tree: &ArcusTree| register(&cloud("c", nodes), tree, "T2").unwrap().risk;
    assert_eq!(risk(&["10.0.0.1:11211"], &tree), Risk::Harmless);
    tree.codes.get_mut("c").unwrap().members = vec!["10.0.0.1:11211-cache-1".into()];
    assert!(matches!(risk(&["10.0.0.1:11211"], &tree), Risk::Interrupts { .. }));
    assert_eq!(risk(&["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"], &tree), Risk::Harmless);
    tree.mappings.get_mut("10.0.0.1:11211").unwrap().data = b"{}".to_vec();
    assert!(matches!(risk(&["10.0.0.1:11211", "10.0.0.2:11211"], &tree), Risk::Interrupts { .. }));
    tree.codes.get_mut("c").unwrap().members.clear();
    let gone = unregister(&ServiceCode::new("c").unwrap(), &tree).unwrap().risk;
    assert!(matches!(gone, Risk::Destroys { name, .. } if name == "c"));
}

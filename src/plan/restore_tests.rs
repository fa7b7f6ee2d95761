//! Restoring, planned: what is missing comes back, what is there stays, and nobody loses an address.

use super::*;
use crate::error::FailureKind;
use crate::zk::ZnodeSeen;

const BASE: [&str; 4] = ["/arcus", "/arcus/cache_list", "/arcus/cache_server_mapping", "/arcus/client_list"];
const CLOUD: [&str; 4] = [
    "/arcus/cache_list/c",
    "/arcus/cache_server_mapping/10.0.0.1:11211",
    "/arcus/cache_server_mapping/10.0.0.1:11211/c",
    "/arcus/client_list/c",
];

fn backup(paths: &[&str]) -> Backup {
    let saved =
        |path: &&str| ((*path).to_owned(), SavedZnode { data: path.as_bytes().to_vec(), acl: Vec::new() });
    Backup { znodes: BASE.iter().chain(paths).map(saved).collect(), ..Backup::default() }
}

/// As `backup` makes them.
fn seen(paths: &[&str]) -> ZnodesSeen {
    let mut seen = ZnodesSeen::default();
    for path in BASE.iter().chain(paths) {
        let children = paths
            .iter()
            .filter_map(|other| other.strip_prefix(&format!("{path}/")))
            .filter(|name| !name.contains('/'));
        let znode = ZnodeSeen {
            data: path.as_bytes().to_vec(),
            is_ephemeral: crate::model::is_presence(path),
            children: children.map(str::to_owned).collect(),
            ..ZnodeSeen::default()
        };
        seen.znodes.insert((*path).to_owned(), znode);
    }
    seen
}

fn code(text: &str) -> ServiceCode {
    ServiceCode::new(text).unwrap()
}

fn planned(backup: &Backup, overwrite: bool, seen: &ZnodesSeen) -> Plan {
    restore(backup, &RestoreWish { clouds: BTreeSet::new(), overwrite }, seen).unwrap()
}

fn told(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
}

fn problems(plan: &Plan) -> Vec<String> {
    plan.problems.iter().map(|problem| format!("{}: {}", problem.target, problem.failure.message)).collect()
}

/// What the plan makes of what was seen.
fn applied(plan: &Plan, mut seen: ZnodesSeen) -> ZnodesSeen {
    for step in plan.steps() {
        let Action::CommitZnodes { changes, .. } = &step.action else { panic!("{:?}", step.action) };
        for change in changes {
            match change {
                ZnodeChange::Create { path, data } => {
                    let parent = path.rsplit_once('/').unwrap().0;
                    assert!(
                        parent.is_empty() || seen.znodes.contains_key(parent),
                        "{path} before its parent"
                    );
                    let znode = ZnodeSeen { data: data.clone().into_bytes(), ..ZnodeSeen::default() };
                    assert!(seen.znodes.insert(path.clone(), znode).is_none(), "{path} twice");
                }
                ZnodeChange::SetData { path, data, version } => {
                    let znode = seen.znodes.get_mut(path).unwrap();
                    assert_eq!(znode.version, *version);
                    znode.data = data.clone().into_bytes();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    seen
}

#[test]
fn an_empty_tree_gets_all_of_it_and_then_nothing_is_left_to_do() {
    let backup = backup(&CLOUD);
    let plan = planned(&backup, false, &ZnodesSeen::default());
    assert_eq!(plan.stages.len(), 2, "what all clouds share comes first: {:?}", told(&plan));
    assert_eq!(plan.risk, Risk::Harmless);
    let after = applied(&plan, ZnodesSeen::default());
    assert_eq!(after.znodes.len(), backup.znodes.len());
    let again = planned(&backup, true, &after);
    assert!(again.is_empty() && again.problems.is_empty(), "{:?}", told(&again));
    assert_eq!(again.holds.len(), 2);
}

#[test]
fn a_live_cloud_as_in_the_backup_is_left_alone() {
    let mut live = CLOUD.to_vec();
    live.push("/arcus/cache_list/c/10.0.0.1:11211-h");
    let plan = planned(&backup(&CLOUD), true, &seen(&live));
    assert!(plan.is_empty() && plan.problems.is_empty() && plan.notes.is_empty(), "{plan:?}");
}

#[test]
fn what_changed_since_is_left_out_with_its_cloud_unless_it_is_to_be_overwritten() {
    let mut live = vec!["/arcus/cache_list/c", "/arcus/client_list/c"];
    live.push("/arcus/cache_list/c/10.0.0.1:11211-h");
    let mut now = seen(&live);
    let znode = now.znodes.get_mut("/arcus/cache_list/c").unwrap();
    (znode.data, znode.version) = (b"newer".to_vec(), 7);
    let left = planned(&backup(&CLOUD), false, &now);
    assert!(left.is_empty());
    assert_eq!(problems(&left), ["c: service code c: 1 znode(s) are not as in the backup"]);

    let over = planned(&backup(&CLOUD), true, &now);
    assert!(
        matches!(&over.risk, Risk::Interrupts { what } if what.contains("1 cache node(s) are live")),
        "{:?}",
        over.risk
    );
    let after = applied(&over, now);
    assert_eq!(after.znodes["/arcus/cache_list/c"].data, b"/arcus/cache_list/c");
    assert!(after.znodes.contains_key("/arcus/cache_list/c/10.0.0.1:11211-h"));
    assert!(planned(&backup(&CLOUD), true, &after).is_empty());
}

#[test]
fn data_of_others_at_the_base_is_told_and_kept() {
    let mut now = seen(&CLOUD);
    now.znodes.get_mut("/arcus").unwrap().data = b"0".to_vec();
    let plan = planned(&backup(&CLOUD), false, &now);
    assert!(plan.is_empty() && plan.problems.is_empty());
    assert_eq!(plan.notes, ["holds other data than in the backup and is left so: /arcus"]);
}

#[test]
fn an_address_that_is_anothers_by_now_is_not_taken() {
    let cases: [&[&str]; 4] = [
        &["/arcus/cache_server_mapping/10.0.0.1:11211", "/arcus/cache_server_mapping/10.0.0.1:11211/other"],
        &["/arcus/cache_server_mapping/10.0.0.1", "/arcus/cache_server_mapping/10.0.0.1/other"],
        &["/arcus/cache_list/other", "/arcus/cache_list/other/10.0.0.1:11211-h"],
        &["/arcus_repl/cache_list/other", "/arcus_repl/cache_list/other/g1^M^10.0.0.1:11211-h"],
    ];
    for there in cases {
        let plan = planned(&backup(&CLOUD), true, &seen(there));
        assert!(plan.is_empty(), "{there:?}: {:?}", told(&plan));
        assert_eq!(problems(&plan), ["c: 10.0.0.1:11211 belongs to service code other by now"], "{there:?}");
    }
    // A hostname is known from the document alone.
    let mut named = backup(&CLOUD);
    let document = r#"{"serviceCode": "c", "servers": [{"hostname": "h", "ip": "10.0.0.1", "config": {"port": "11211"}}],
        "config": {"threads": "1", "memlimit": "1", "connections": "10"}}"#;
    named.znodes.get_mut("/arcus/cache_list/c").unwrap().data = document.into();
    let there = ["/arcus/cache_server_mapping/h:11211", "/arcus/cache_server_mapping/h:11211/other"];
    assert_eq!(planned(&named, false, &seen(&there)).problems.len(), 1);
}

#[test]
fn two_clouds_of_one_address_do_not_come_back_both() {
    let both = [
        "/arcus/cache_list/a",
        "/arcus/cache_list/b",
        "/arcus/cache_server_mapping/10.0.0.1:11211",
        "/arcus/cache_server_mapping/10.0.0.1:11211/a",
        "/arcus/cache_server_mapping/10.0.0.1:11211/b",
    ];
    let plan = planned(&backup(&both), false, &seen(&[]));
    assert_eq!(problems(&plan), ["b: 10.0.0.1:11211 belongs to service code a by now"]);
    applied(&plan, seen(&[]));
}

#[test]
fn a_code_of_the_other_root_is_refused() {
    let plan = planned(
        &backup(&CLOUD),
        false,
        &seen(&["/arcus_repl", "/arcus_repl/cache_list", "/arcus_repl/cache_list/c"]),
    );
    assert_eq!(problems(&plan), ["c: service code c exists under /arcus_repl/cache_list"]);
    assert_eq!(plan.problems[0].failure.kind, FailureKind::Refused);
}

#[test]
fn one_cloud_of_several_comes_with_what_is_above_it_only() {
    let backup = backup(&["/arcus/cache_list/c", "/arcus/cache_list/d", "/arcus/meta"]);
    let wish = RestoreWish { clouds: BTreeSet::from([code("d")]), overwrite: false };
    let plan = restore(&backup, &wish, &ZnodesSeen::default()).unwrap();
    assert_eq!(
        told(&plan),
        ["znodes: create /arcus; create /arcus/cache_list", "d: create /arcus/cache_list/d"]
    );
    let unknown = RestoreWish { clouds: BTreeSet::from([code("x")]), overwrite: false };
    let failures = restore(&backup, &unknown, &ZnodesSeen::default()).unwrap_err();
    assert_eq!(failures.as_slice()[0].causes, ["in it are: c, d"]);
}

#[test]
fn a_cloud_larger_than_a_request_comes_in_several_parents_first() {
    let names: Vec<String> = (0..30).map(|n| format!("/arcus/cloud_stat/c/{n:02}")).collect();
    let mut large = backup(&["/arcus/cloud_stat", "/arcus/cloud_stat/c"]);
    for name in names {
        large.znodes.insert(name, SavedZnode { data: vec![b'x'; 100_000], acl: Vec::new() });
    }
    let plan = planned(&large, false, &ZnodesSeen::default());
    assert_eq!(plan.stages.len(), 5);
    assert!(plan.notes[0].contains("larger than one transaction"), "{:?}", plan.notes);
    let after = applied(&plan, ZnodesSeen::default());
    assert_eq!(after.znodes.len(), large.znodes.len());
}

#[test]
fn what_is_no_text_and_what_was_restricted_are_told_apart() {
    let mut odd = backup(&["/arcus/meta"]);
    odd.znodes
        .insert("/arcus/meta".into(), SavedZnode { data: vec![0xff, 0], acl: vec!["digest:admin:r".into()] });
    let plan = planned(&odd, false, &seen(&[]));
    let Action::CommitZnodes { changes, .. } = &plan.steps().next().unwrap().action else { panic!() };
    let put = ZnodeChange::PutBytes { path: "/arcus/meta".into(), data: vec![0xff, 0], version: None };
    assert_eq!(changes, &[put]);
    assert_eq!(plan.notes, ["/arcus/meta: was restricted to digest:admin:r; it is created open to everyone"]);
}

#[test]
fn what_came_since_stays_and_is_named() {
    let mut there = CLOUD.to_vec();
    there.extend(["/arcus/cache_server_mapping/10.0.0.2:1", "/arcus/cache_server_mapping/10.0.0.2:1/c"]);
    let plan = planned(&backup(&CLOUD), true, &seen(&there));
    assert!(plan.is_empty());
    assert!(
        plan.notes[0]
            .contains("not in the backup, and left as it is: /arcus/cache_server_mapping/10.0.0.2:1")
    );
}

#[test]
fn what_goes_with_a_session_is_never_written_over() {
    let saved = backup(&["/arcus/cache_list/c", "/arcus/cloud_stat/c", "/arcus/meta"]);
    let mut seen = seen(&["/arcus/cache_list/c", "/arcus/cloud_stat/c", "/arcus/meta"]);
    for path in ["/arcus/cloud_stat/c", "/arcus/meta"] {
        let znode = seen.znodes.get_mut(path).unwrap();
        (znode.is_ephemeral, znode.data) = (true, b"live".to_vec());
    }
    let plan = planned(&saved, true, &seen);
    assert_eq!(told(&plan), [""; 0]);
    assert_eq!(problems(&plan), ["c: service code c: a live process has what is to be put back"]);
}

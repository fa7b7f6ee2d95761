use super::*;
use crate::inspect::{ReleaseSeen, ReleaseUser};
use crate::model::{Compression, ReleaseId};
use crate::plan::rollback;

const ALL: &DeployWish = &DeployWish { label: None, partial: false, keep: 3 };

fn id(name: &str) -> ReleaseId {
    name.parse().unwrap()
}

fn package() -> PackageFacts {
    PackageFacts {
        release: "new1".parse().unwrap(),
        bytes: 1000,
        unpacked_bytes: 3000,
        entries: vec!["bin".into(), "lib".into(), "zookeeper".into(), "zookeeper/bin".into()],
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
        previous: None,
        releases: BTreeMap::new(),
        partial: BTreeMap::new(),
        compression: Compression::Gzip,
        free: Some(1 << 30),
        leftovers: Vec::new(),
        obstacle: None,
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
        let (_, seen) = hosts.iter_mut().find(|(host, _)| Target::Host(host.clone()) == step.target).unwrap();
        let install = seen.as_mut().unwrap();
        match &step.action {
            Action::StageRelease { release, .. } => {
                install.releases.insert(release.clone(), ReleaseSeen { staged: 9, ..ReleaseSeen::default() });
            }
            Action::SwitchRelease { release, .. } => {
                install.previous = install.current.replace(release.clone());
                install.plain_entries.clear();
                install.leftovers.clear();
            }
            Action::TidyUp { .. } => install.leftovers.clear(),
            Action::PruneReleases { releases } => install.releases.retain(|id, _| !releases.contains(id)),
            other => panic!("no deploy step: {other:?}"),
        }
    }
    hosts
}

#[test]
fn bare_hosts_are_staged_then_switched_and_then_left_alone() {
    let before = hosts(vec![("a", Ok(bare("a"))), ("b", Ok(bare("b")))]);
    let plan = deploy(&package(), ALL, &before);
    assert_eq!(
        described(&plan),
        [
            "a: send and unpack release new1 (1.0 kB)",
            "b: send and unpack release new1 (1.0 kB)",
            "a: switch to release new1",
            "b: switch to release new1",
        ]
    );
    let again = deploy(&package(), ALL, &after(&plan, &before));
    assert!(again.is_empty());
    assert_eq!(again.holds.len(), 2);
}

#[test]
fn a_staged_release_is_not_sent_again() {
    let mut seen = bare("a");
    seen.releases.insert(package().release, ReleaseSeen::default());
    seen.releases.insert(id("old1"), ReleaseSeen::default());
    seen.current = Some("old1".parse().unwrap());
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(described(&plan), ["a: switch from release old1 to new1"]);
}

#[test]
fn an_install_of_arcus_sh_is_adopted_and_the_operators_files_are_not() {
    let mut seen = bare("a");
    seen.plain_entries = vec!["bin".into(), "lib".into(), "my-notes".into(), "zookeeper/bin".into()];
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(
        described(&plan)[1],
        "a: keep bin, lib, zookeeper/bin as a release of its own, then switch to release new1"
    );
}

#[test]
fn two_addresses_of_one_machine_are_served_once() {
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(bare("a"))), ("a-too", Ok(bare("a")))]));
    assert_eq!(plan.steps().count(), 2);
    assert_eq!(plan.holds[0].fact, "is the same machine as a");
}

#[test]
fn a_dead_host_and_a_wrong_processor_keep_nobody_else_out() {
    let mut arm = bare("b");
    arm.architecture = "aarch64".into();
    let dead = Err(Failure::unreachable("a: cannot connect with ssh"));
    let plan = deploy(&package(), ALL, &hosts(vec![("a", dead), ("b", Ok(arm)), ("c", Ok(bare("c")))]));
    assert_eq!(plan.problems.len(), 2);
    assert_eq!(plan.steps().count(), 2);
}

/// A host that has these releases, oldest first; the last is current, the one before it the previous.
fn with_releases(name: &str, releases: &[&str]) -> InstallSeen {
    let mut seen = bare(name);
    for (age, release) in releases.iter().enumerate() {
        let staged = age as u64;
        seen.releases.insert(id(release), ReleaseSeen { staged, ..ReleaseSeen::default() });
    }
    seen.current = releases.last().map(|name| id(name));
    seen.previous = releases.iter().rev().nth(1).map(|name| id(name));
    seen
}

#[test]
fn an_upload_that_was_cut_short_goes_on() {
    let mut seen = bare("a");
    seen.partial.insert((package().release, Compression::Gzip), 400);
    seen.partial.insert((package().release, Compression::Zstd), 700);
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(described(&plan)[0], "a: send and unpack release new1 (going on after 400 B of 1.0 kB)");
}

#[test]
fn a_host_without_room_is_refused_before_anything_is_sent() {
    let mut full = bare("a");
    full.free = Some(1_000_000);
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(full))]));
    assert!(plan.is_empty());
    assert!(plan.problems[0].failure.to_string().contains("1.0 MB are free"));
}

#[test]
fn switching_waits_for_every_host_unless_partial() {
    let before = hosts(vec![("a", Ok(bare("a")))]);
    let gates = |plan: &Plan| plan.stages.iter().map(|stage| stage.gate).collect::<Vec<_>>();
    assert_eq!(gates(&deploy(&package(), ALL, &before)), [Gate::OwnTarget, Gate::Everything]);
    let partial = DeployWish { partial: true, ..ALL.clone() };
    assert_eq!(gates(&deploy(&package(), &partial, &before)), [Gate::OwnTarget, Gate::OwnTarget]);
}

#[test]
fn pruning_spares_the_current_the_previous_and_those_in_use() {
    let mut seen = with_releases("a", &["r1", "r2", "r3", "r4", "r5"]);
    let user = ReleaseUser { pid: 7, name: "memcached".into(), what: "11211".into() };
    seen.releases.get_mut(&id("r2")).unwrap().users.push(user);
    let before = hosts(vec![("a", Ok(seen))]);
    let plan = deploy(&package(), &DeployWish { keep: 1, ..ALL.clone() }, &before);
    assert_eq!(described(&plan).last().unwrap(), "a: remove release r4, r3, r1");
    let again = deploy(&package(), &DeployWish { keep: 1, ..ALL.clone() }, &after(&plan, &before));
    assert!(again.is_empty(), "{again:#?}");
}

#[test]
fn rollback_and_forth_switches_every_host() {
    let before = hosts(vec![
        ("a", Ok(with_releases("a", &["r1", "r2"]))),
        ("b", Ok(with_releases("b", &["r1", "r2"]))),
    ]);
    let back = rollback(None, &before).unwrap();
    assert_eq!(described(&back), ["a: switch from release r2 to r1", "b: switch from release r2 to r1"]);
    let forth = rollback(Some("r2"), &after(&back, &before)).unwrap();
    assert_eq!(described(&forth)[0], "a: switch from release r1 to r2");
    assert!(rollback(Some("r2"), &before).unwrap().is_empty());
}

#[test]
fn rollback_is_refused_when_a_host_lacks_the_release_or_is_dead() {
    let uneven =
        hosts(vec![("a", Ok(with_releases("a", &["r1", "r2"]))), ("b", Ok(with_releases("b", &["r2"])))]);
    assert!(rollback(Some("r1"), &uneven).unwrap_err().to_string().contains("missing on b"));
    assert!(rollback(None, &uneven).unwrap_err().to_string().contains("a: r1, b: none"));
    let dead = hosts(vec![
        ("a", Ok(with_releases("a", &["r1", "r2"]))),
        ("b", Err(Failure::unreachable("b: cannot connect with ssh"))),
    ]);
    assert!(rollback(None, &dead).unwrap_err().to_string().contains("b: cannot connect"));
}

#[test]
fn a_release_is_found_by_label_or_by_the_beginning_of_its_id() {
    let mut seen = with_releases("a", &["ab1", "ab2", "cd3"]);
    seen.releases.get_mut(&id("ab1")).unwrap().label = Some("1.15.0".into());
    let hosts = hosts(vec![("a", Ok(seen))]);
    assert_eq!(described(&rollback(Some("1.15.0"), &hosts).unwrap()), ["a: switch from release cd3 to ab1"]);
    assert_eq!(described(&rollback(Some("ab2"), &hosts).unwrap()), ["a: switch from release cd3 to ab2"]);
    assert!(rollback(Some("ab"), &hosts).unwrap_err().to_string().contains("more than one release"));
    assert!(rollback(Some("zz"), &hosts).unwrap_err().to_string().contains("no host has a release zz"));
}

#[test]
fn what_somebody_put_in_place_of_a_link_is_kept_and_said() {
    let mut seen = with_releases("a", &["r1", "new1"]);
    seen.plain_entries = vec!["lib".into()];
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(
        described(&plan),
        ["a: keep lib as a release of its own, then switch from release new1 to new1"]
    );
}

#[test]
fn a_current_release_that_was_removed_by_hand_is_brought_again() {
    let mut seen = with_releases("a", &["r1", "new1"]);
    seen.releases.remove(&id("new1"));
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(plan.steps().count(), 2);
}

#[test]
fn old_releases_make_room_before_anything_is_sent() {
    let mut seen = with_releases("a", &["r1", "r2", "r3", "r4"]);
    seen.releases.get_mut(&id("r1")).unwrap().bytes = 1 << 30;
    seen.free = Some(1000);
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert_eq!(described(&plan)[0], "a: remove release r2, r1");
    assert_eq!(plan.stages[0].title, "Make room");
}

#[test]
fn a_release_that_is_there_gets_its_new_label() {
    let before = hosts(vec![("a", Ok(with_releases("a", &["r1", "new1"])))]);
    let wish = DeployWish { label: Some("1.16.1".into()), ..ALL.clone() };
    assert_eq!(described(&deploy(&package(), &wish, &before)), ["a: label release new1 1.16.1"]);
}

#[test]
fn an_install_path_that_cannot_take_releases_is_refused() {
    let mut seen = bare("a");
    seen.obstacle = Some("/opt/arcus/zookeeper is a symbolic link".into());
    let plan = deploy(&package(), ALL, &hosts(vec![("a", Ok(seen))]));
    assert!(plan.problems[0].failure.to_string().contains("is a symbolic link"));
}

#[test]
fn what_a_run_that_was_cut_short_left_is_tidied_up_though_nothing_else_is_to_do() {
    let mut seen = with_releases("a", &["r1", "new1"]);
    seen.leftovers = vec!["releases/.pruned-r0".into()];
    let before = hosts(vec![("a", Ok(seen))]);
    let plan = deploy(&package(), ALL, &before);
    assert_eq!(described(&plan), ["a: tidy up releases/.pruned-r0"]);
    assert!(deploy(&package(), ALL, &after(&plan, &before)).is_empty());
}

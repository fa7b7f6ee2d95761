//! One thing about a single host is not as it should be.

use super::*;

#[test]
fn a_host_that_cannot_be_logged_in_to_fails_with_its_own_reason_and_the_others_go_on() {
    let dead = |fleet: &mut Fleet| {
        let failure =
            Failure::unreachable("10.0.0.1: cannot connect with ssh").cause("timed out").hint("look");
        fleet.hosts[0].1 = Err(failure);
    };
    found(dead, &[("ssh", ONE, Verdict::Fail, "cannot connect with ssh: timed out")]);
    let mut fleet = well();
    dead(&mut fleet);
    let items = fleet.items();
    assert!(items.iter().any(|item| item.id == "java" && item.subject.to_string() == "10.0.0.2"));
    let failure = items.iter().find_map(CheckItem::failure).unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable);
}

#[test]
fn without_root_sudo_is_needed_only_where_something_cannot_be_written_to() {
    let login = |fleet: &mut Fleet, sudo, writable| {
        let facts = fleet.first();
        (facts.uid, facts.login, facts.sudo) = (Some(1000), "deploy".into(), Some(sudo));
        facts.account = Account::Unknown;
        facts.places[0].writable = writable;
    };
    found(|fleet| login(fleet, false, true), &[("sudo", ONE, Verdict::Warn, "not root")]);
    found(
        |fleet| login(fleet, false, false),
        &[("sudo", ONE, Verdict::Fail, "may not"), ("install-path", ONE, Verdict::Fail, "by deploy")],
    );
    found(|fleet| login(fleet, true, false), &[("install-path", ONE, Verdict::Fail, "by deploy")]);
}

#[test]
fn system_processor_and_tools_are_judged() {
    found(|fleet| fleet.first().kernel = Some("FreeBSD".into()), &[("os", ONE, Verdict::Fail, "FreeBSD")]);
    found(|fleet| fleet.first().os = None, &[("os", ONE, Verdict::Warn, "os-release")]);
    let arm = |fleet: &mut Fleet| fleet.first().architecture = Some("aarch64".into());
    found(arm, &[("architecture", ONE, Verdict::Fail, "aarch64")]);
    let mixed = |fleet: &mut Fleet| {
        fleet.package = None;
        arm(fleet);
    };
    found(mixed, &[("architecture", ONE, Verdict::Warn, "unlike other hosts")]);
    let lacks = |tools: &'static [&str]| {
        move |fleet: &mut Fleet| fleet.first().lacks = tools.iter().map(ToString::to_string).collect()
    };
    found(lacks(&["tar", "ps"]), &[("tools", ONE, Verdict::Fail, "no tar, no ps")]);
    found(lacks(&["flock"]), &[("flock", ONE, Verdict::Warn, "no flock")]);
}

#[test]
fn java_must_be_there_and_new_enough() {
    let java = |version: Option<&'static str>| {
        move |fleet: &mut Fleet| fleet.first().java.as_mut().unwrap().version = version.map(str::to_owned)
    };
    found(|fleet| fleet.first().java = None, &[("java", ONE, Verdict::Fail, "no Java")]);
    found(java(Some("1.7.0_80")), &[("java", ONE, Verdict::Fail, "1.7.0_80")]);
    found(java(None), &[("java", ONE, Verdict::Warn, "cannot be told")]);
    for new_enough in ["1.8.0_402", "9", "11.0.2", "21-ea"] {
        found(java(Some(new_enough)), &[]);
    }
}

#[test]
fn the_cache_nodes_user_must_be_there_and_should_not_log_in() {
    found(
        |fleet| fleet.first().account = Account::Missing,
        &[("user", ONE, Verdict::Fail, "no user memcached")],
    );
    let shell =
        |fleet: &mut Fleet| fleet.first().account = Account::Present { uid: 5, shell: "/bin/bash".into() };
    found(shell, &[("user", ONE, Verdict::Warn, "can log in")]);
    let root =
        |fleet: &mut Fleet| fleet.first().account = Account::Present { uid: 0, shell: "/bin/false".into() };
    found(root, &[("user", ONE, Verdict::Warn, "root by another name")]);
}

#[test]
fn two_addresses_of_one_machine_are_told_from_two_machines() {
    let same = |fleet: &mut Fleet| {
        let machine = fleet.first().machine.clone();
        fleet.hosts[1].1.as_mut().unwrap().machine = machine;
    };
    found(same, &[("same-machine", "10.0.0.2", Verdict::Fail, "11211")]);
    let other_port = |fleet: &mut Fleet| {
        same(fleet);
        fleet.cloud.nodes[1].addr.port = 11212.try_into().unwrap();
        fleet.tree = Err(Failure::unreachable("x"));
        fleet.states.clear();
    };
    let mut fleet = well();
    other_port(&mut fleet);
    let item =
        fleet.items().into_iter().find(|item| item.id == "same-machine" && item.verdict != Verdict::Pass);
    assert_eq!(item.unwrap().verdict, Verdict::Warn);
}

#[test]
fn places_must_be_directories_that_can_be_written_to_and_have_room() {
    let free = |bytes| move |fleet: &mut Fleet| fleet.first().places[0].free = bytes;
    found(free(Some(20_000_000)), &[("install-disk", ONE, Verdict::Fail, "MB free")]);
    found(free(Some(500_000_000)), &[("install-disk", ONE, Verdict::Warn, "MB free")]);
    found(free(None), &[("install-disk", ONE, Verdict::Warn, "cannot be told")]);
    let data = |bytes| move |fleet: &mut Fleet| fleet.first().places[1].free = Some(bytes);
    found(data(1_000_000), &[("data-disk", ONE, Verdict::Fail, "MB free")]);
    found(data(100_000_000), &[("data-disk", ONE, Verdict::Warn, "MB free")]);
    found(
        |fleet| fleet.first().places[1].writable = false,
        &[("data-directory", ONE, Verdict::Fail, "not even root")],
    );
    found(
        |fleet| fleet.first().places[2].is_directory = false,
        &[("log-directory", ONE, Verdict::Fail, "no directory")],
    );
    let run = |seen| move |fleet: &mut Fleet| fleet.first().run_directory = Some(seen);
    found(run(RunDirectory::Missing), &[("run-directory", ONE, Verdict::Warn, "there is no")]);
    found(run(RunDirectory::NoDirectory), &[("run-directory", ONE, Verdict::Fail, "no directory")]);
    let root = RunDirectory::Present { writable: true, owner: "root".into() };
    found(run(root), &[("run-directory", ONE, Verdict::Warn, "belongs to root")]);
}

#[test]
fn the_package_must_fit_the_host() {
    let absent =
        |fleet: &mut Fleet| fleet.first().absent = Some(BTreeSet::from(["libevent-2.so".to_owned()]));
    found(absent, &[("libraries", ONE, Verdict::Fail, "libevent-2.so (bin/memcached wants it)")]);
    found(|fleet| fleet.first().absent = None, &[("libraries", ONE, Verdict::Warn, "cannot be told")]);
    found(|fleet| fleet.first().glibc = "2.17".parse().ok(), &[("glibc", ONE, Verdict::Fail, "2.17")]);
    found(|fleet| fleet.first().glibc = None, &[("glibc", ONE, Verdict::Warn, "cannot be told")]);
    let lacking =
        |words: &'static str| move |fleet: &mut Fleet| fleet.first().unloadable = Some(vec![words.into()]);
    found(lacking("bin/memcached lacks libx.so"), &[("loader", ONE, Verdict::Fail, "libx.so")]);
    let empty = "lib/default_engine.so is no dynamic program or library";
    found(lacking(empty), &[("loader", ONE, Verdict::Warn, "default_engine")]);
    let broken = |fleet: &mut Fleet| {
        fleet.package = Some(Err(Failure::config("x.tar.gz is damaged").hint("again").into()));
    };
    found(broken, &[("package", "package", Verdict::Fail, "damaged")]);
    let unreadable = |fleet: &mut Fleet| {
        fleet.package =
            Some(Ok(PackageNeeds { unreadable: BTreeSet::from(["lib/x.so".into()]), ..package() }));
    };
    found(unreadable, &[("package", "package", Verdict::Warn, "lib/x.so")]);
}

#[test]
fn memory_is_shared_with_the_nodes_of_other_clouds() {
    let memory = |bytes| move |fleet: &mut Fleet| fleet.first().memory = bytes;
    found(memory(Some(GIGABYTE)), &[("memory", ONE, Verdict::Warn, "97 %")]);
    found(memory(Some(GIGABYTE / 2)), &[("memory", ONE, Verdict::Fail, "195 %")]);
    found(memory(None), &[("memory", ONE, Verdict::Warn, "cannot be told")]);
    let other = |fleet: &mut Fleet| {
        let mut other = cloud("other", &[ONE], 7000, 10);
        other.nodes[0].addr = format!("{ONE}:11300").parse().unwrap();
        other.document["servers"][0]["config"]["port"] = 11300.into();
        register_in(fleet.tree(), &other);
    };
    found(other, &[("memory", ONE, Verdict::Warn, "memlimit of 2 node(s)")]);
}

#[test]
fn limits_must_let_cache_nodes_start() {
    found(|fleet| fleet.first().files_granted = false, &[("connections", ONE, Verdict::Fail, "4096")]);
    let unknown = |fleet: &mut Fleet| {
        (fleet.first().files_granted, fleet.first().files) = (false, Limit::Unknown);
    };
    found(unknown, &[("connections", ONE, Verdict::Warn, "cannot be told")]);
    found(
        |fleet| fleet.first().core = Limit::At(0),
        &[("core-limit", ONE, Verdict::Fail, "hard limit is 0")],
    );
    found(|fleet| fleet.first().core = Limit::At(100), &[("core-limit", ONE, Verdict::Warn, "100 blocks")]);
}

#[test]
fn a_port_is_free_or_ours_or_somebody_elses_by_name() {
    let node = format!("{ONE}:11211");
    let listener = |port, executable: &str, config: Option<&str>| Listener {
        port,
        pid: Some(7),
        name: Some("thing".into()),
        executable: Some(executable.into()),
        program: None,
        config: config.map(str::to_owned),
    };
    let holds = |listener: Listener| {
        move |fleet: &mut Fleet| {
            fleet.first().configs.insert(2181, "/opt/arcus/zookeeper/conf/zoo.cfg".into());
            fleet.first().listeners = Some(vec![listener]);
        }
    };
    let ours = listener(11211, "/opt/arcus/releases/1/bin/memcached", None);
    found(holds(ours), &[]);
    let theirs = listener(11211, "/usr/bin/nc", None);
    found(holds(theirs), &[("node-port", &node, Verdict::Fail, "thing (pid 7, /usr/bin/nc) has port 11211")]);
    let member = format!("{ONE}:2181");
    found(holds(listener(3888, "/usr/bin/java", Some("/opt/arcus/zookeeper/conf/zoo.cfg"))), &[]);
    let other = listener(2181, "/usr/bin/java", Some("/etc/zookeeper/zoo.cfg"));
    found(holds(other), &[("member-port", &member, Verdict::Fail, "/etc/zookeeper/zoo.cfg")]);
    found(
        |fleet| fleet.first().listeners = None,
        &[
            ("node-port", &node, Verdict::Warn, "cannot be told"),
            ("member-port", &member, Verdict::Warn, "cannot"),
        ],
    );
}

//! Scenes: a fleet where all is well, one thing in it changed, and what is said of that.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::parse_cloud;
use crate::inspect::{
    Account, ClockOffset, JavaSeen, Limit, Listener, MachineId, Mapping, PlaceSeen, Reach, RegisteredCode,
    Route, RunDirectory,
};
use crate::model::{NodeAddr, znode};
use crate::zk::{Mode, ServerStats};

/// What a scene is made of.
struct Fleet {
    cloud: Cloud,
    settings: Settings,
    ensemble: Ensemble,
    no_ensemble: bool,
    this_machine: BTreeSet<HostName>,
    hosts: Vec<(HostName, Inspected<HostFacts>)>,
    states: Vec<(EnsembleMember, MemberState)>,
    tree: Inspected<ArcusTree>,
    package: Option<Result<PackageNeeds, Failures>>,
}

const GIGABYTE: u64 = 1 << 30;

/// Three hosts with a node and a member each; the ensemble serves, the cloud is registered, nothing is wrong.
fn well() -> Fleet {
    let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let ensemble = Ensemble::parse(&ips.map(|ip| format!("{ip}:2181")).join(",")).unwrap();
    let cloud = cloud("c", &ips, 1000, 1000);
    let mut tree = ArcusTree {
        structure: znode::STRUCTURE.iter().map(ToString::to_string).collect(),
        clients: BTreeMap::from([("c".to_owned(), Vec::new())]),
        ..ArcusTree::default()
    };
    register_in(&mut tree, &cloud);
    Fleet {
        hosts: ips.iter().map(|ip| (HostName::new(*ip), Ok(host(ip, &ips)))).collect(),
        states: ensemble.members().iter().map(|member| (member.clone(), serving(Mode::Follower))).collect(),
        settings: Settings::default(),
        no_ensemble: false,
        this_machine: BTreeSet::new(),
        package: Some(Ok(package())),
        tree: Ok(tree),
        cloud,
        ensemble,
    }
}

fn cloud(code: &str, ips: &[&str], memlimit: u32, connections: u32) -> Cloud {
    let servers: Vec<String> = ips
        .iter()
        .map(|ip| format!(r#"{{"hostname": "h", "ip": "{ip}", "config": {{"port": 11211}}}}"#))
        .collect();
    let servers = servers.join(",");
    let config = format!(r#"{{"memlimit": {memlimit}, "connections": {connections}, "threads": 4}}"#);
    parse_cloud(&format!(r#"{{"serviceCode": "{code}", "servers": [{servers}], "config": {config}}}"#))
        .unwrap()
}

fn register_in(tree: &mut ArcusTree, cloud: &Cloud) {
    let data = serde_json::to_vec(&cloud.document).unwrap();
    tree.codes.insert(cloud.code.to_string(), RegisteredCode { data, ..RegisteredCode::default() });
    for node in &cloud.nodes {
        let mapping = Mapping {
            data: serde_json::to_vec(&node.config).unwrap(),
            version: 0,
            codes: vec![cloud.code.to_string()],
        };
        tree.mappings.insert(node.addr.to_string(), mapping);
    }
}

fn serving(mode: Mode) -> MemberState {
    MemberState::Serving(ServerStats {
        version: "3.5.9".into(),
        mode,
        zxid: "0x1".into(),
        connections: 1,
        outstanding: 0,
        latency_min: 0.0,
        latency_avg: 0.0,
        latency_max: 0.0,
        znodes: 5,
    })
}

fn package() -> PackageNeeds {
    PackageNeeds {
        bytes: 10_000_000,
        architecture: Some("x86_64".into()),
        libraries: BTreeMap::from([("libevent-2.so".into(), "bin/memcached".into())]),
        glibc: Some(("2.28".parse().unwrap(), "bin/memcached".into())),
        unreadable: BTreeSet::new(),
    }
}

fn host(ip: &str, all: &[&str]) -> HostFacts {
    let place = |path: &str| PlaceSeen {
        path: path.into(),
        existing: "/opt".into(),
        is_directory: true,
        writable: true,
        free: Some(50 * GIGABYTE),
    };
    let own = ip.parse().unwrap();
    let route =
        |other: &str| (other.to_owned(), Route::From { address: other.parse().unwrap(), source: own });
    let reach = |port: u16| all.iter().map(move |other| (((*other).to_owned(), port), Reach::Open));
    HostFacts {
        clock: Some(ClockOffset { least: -0.2, most: 0.3 }),
        uid: Some(0),
        login: "root".into(),
        machine: Some(MachineId(format!("machine of {ip}"))),
        os: Some("Debian".into()),
        kernel: Some("Linux".into()),
        architecture: Some("x86_64".into()),
        memory: Some(8 * GIGABYTE),
        places: ["/opt/arcus", "/opt/arcus/zookeeper/data", "/opt/arcus/zookeeper/logs"].map(place).into(),
        run_directory: Some(RunDirectory::Present { writable: true, owner: "memcached".into() }),
        account: Account::Present { uid: 112, shell: "/usr/sbin/nologin".into() },
        files: Limit::At(4096),
        files_granted: true,
        core: Limit::Unlimited,
        java: Some(JavaSeen { path: "/usr/bin/java".into(), version: Some("17.0.15".into()) }),
        listeners: Some(Vec::new()),
        routes: Some(all.iter().map(|other| route(other)).collect()),
        reach: Some(reach(2181).chain(reach(2888)).chain(reach(3888)).collect()),
        glibc: Some("2.36".parse().unwrap()),
        absent: Some(BTreeSet::new()),
        unloadable: Some(Vec::new()),
        ..HostFacts::default()
    }
}

impl Fleet {
    fn items(&self) -> Vec<CheckItem> {
        let layouts = planned_layouts(&self.ensemble, &self.settings);
        check(&Scene {
            cloud: &self.cloud,
            settings: &self.settings,
            ensemble: &self.ensemble,
            no_ensemble: self.no_ensemble,
            this_machine: &self.this_machine,
            layouts: &layouts,
            hosts: &self.hosts,
            states: &self.states,
            tree: &self.tree,
            package: self.package.as_ref(),
        })
    }

    /// The first host.
    fn first(&mut self) -> &mut HostFacts {
        self.hosts[0].1.as_mut().unwrap()
    }

    fn tree(&mut self) -> &mut ArcusTree {
        self.tree.as_mut().unwrap()
    }
}

/// What is not a pass after `change`, as `id subject verdict`, with words that must be told of each.
#[track_caller]
fn found(change: impl FnOnce(&mut Fleet), expected: &[(&str, &str, Verdict, &str)]) {
    let mut fleet = well();
    change(&mut fleet);
    let items = fleet.items();
    let wrong: Vec<&CheckItem> = items.iter().filter(|item| item.verdict != Verdict::Pass).collect();
    let told: Vec<String> = wrong.iter().map(|item| format!("{item:?}")).collect();
    assert_eq!(wrong.len(), expected.len(), "{told:#?}");
    for (item, (id, subject, verdict, words)) in wrong.iter().zip(expected) {
        assert_eq!((item.id, item.subject.to_string().as_str(), item.verdict), (*id, *subject, *verdict));
        assert!(item.seen.contains(words), "{words:?} is not in {:?}", item.seen);
        assert!(item.mend.as_ref().is_some_and(|mend| !mend.is_empty()), "{item:?} says no way to mend it");
        assert!(!item.needed.is_empty(), "{item:?}");
    }
}

const ONE: &str = "10.0.0.1";

#[test]
fn where_all_is_well_everything_passes_and_every_check_was_made() {
    let mut fleet = well();
    fleet.first().uid = Some(0);
    let items = fleet.items();
    let other: Vec<&CheckItem> = items.iter().filter(|item| item.verdict != Verdict::Pass).collect();
    assert!(other.is_empty(), "{other:#?}");
    let ids: BTreeSet<&str> = items.iter().map(|item| item.id).collect();
    assert_eq!(ids, IDS.into_iter().collect());
    assert!(items.iter().all(|item| item.mend.is_none() && item.failure().is_none()));
}

#[test]
fn every_check_is_documented() {
    let page = include_str!("../../docs/checks.md");
    for id in IDS {
        assert!(page.contains(&format!("| `{id}` |")), "docs/checks.md does not tell of {id}");
    }
}

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

#[test]
fn a_clock_is_off_only_beyond_what_is_uncertain() {
    let clock =
        |least, most| move |fleet: &mut Fleet| fleet.first().clock = Some(ClockOffset { least, most });
    found(clock(-20.0, 20.0), &[]);
    found(clock(3.0, 3.5), &[("clock", ONE, Verdict::Warn, "ahead")]);
    found(clock(-100.0, -99.0), &[("clock", ONE, Verdict::Fail, "behind")]);
    found(|fleet| fleet.first().clock = None, &[("clock", ONE, Verdict::Warn, "cannot be told")]);
}

#[test]
fn the_address_toward_zookeeper_must_be_that_of_the_document() {
    let other: Route =
        Route::From { address: "10.0.0.2".parse().unwrap(), source: "192.168.0.9".parse().unwrap() };
    let route = |member: &'static str, route: Route| {
        move |fleet: &mut Fleet| {
            fleet.first().routes.as_mut().unwrap().insert(member.into(), route);
        }
    };
    // The first member decides.
    found(
        route(ONE, other.clone()),
        &[("zookeeper-route", ONE, Verdict::Fail, "192.168.0.9 toward 10.0.0.1")],
    );
    found(route("10.0.0.3", other.clone()), &[("zookeeper-route", ONE, Verdict::Warn, "192.168.0.9")]);
    found(route("10.0.0.2", Route::Unresolved), &[("zookeeper-route", ONE, Verdict::Warn, "no address")]);
    let unresolved_first = |fleet: &mut Fleet| {
        route(ONE, Route::Unresolved)(fleet);
        route("10.0.0.2", other)(fleet);
    };
    found(unresolved_first, &[("zookeeper-route", ONE, Verdict::Fail, "192.168.0.9")]);
    found(|fleet| fleet.first().routes = None, &[("zookeeper-route", ONE, Verdict::Warn, "no ip command")]);
}

#[test]
fn members_must_be_reached_and_refused_is_as_good_as_reached_until_they_serve() {
    let reach = |port: u16, reach: Option<Reach>| {
        move |fleet: &mut Fleet| {
            let ports = fleet.first().reach.as_mut().unwrap();
            match reach {
                Some(reach) => ports.insert(("10.0.0.2".into(), port), reach),
                None => ports.remove(&("10.0.0.2".to_owned(), port)),
            };
        }
    };
    let member = format!("{ONE}:2181");
    found(reach(2181, None), &[("zookeeper-reach", ONE, Verdict::Fail, "10.0.0.2:2181 no answer")]);
    found(
        reach(2181, Some(Reach::Refused)),
        &[("zookeeper-reach", ONE, Verdict::Fail, "though the member serves")],
    );
    found(
        reach(3888, Some(Reach::Failed("No route to host".into()))),
        &[("member-reach", &member, Verdict::Fail, "10.0.0.2:3888 no route to host")],
    );
    found(reach(2888, Some(Reach::Refused)), &[]);
    let down = |fleet: &mut Fleet| {
        fleet.states[1].1 = MemberState::Down { reason: "refused".into() };
        reach(2181, Some(Reach::Refused))(fleet);
    };
    found(down, &[("member-state", "10.0.0.2:2181", Verdict::Warn, "does not run")]);
    found(
        |fleet| fleet.first().reach = None,
        &[
            ("zookeeper-reach", ONE, Verdict::Warn, "no bash"),
            ("member-reach", &member, Verdict::Warn, "no bash"),
        ],
    );
}

/// Judges an ensemble of its own, of which nothing runs.
fn of_ensemble(list: &str, id: &str) -> Option<(Verdict, String)> {
    let mut fleet = well();
    fleet.ensemble = Ensemble::parse(list).unwrap();
    fleet.states.clear();
    let item = fleet.items().into_iter().find(|item| item.id == id)?;
    Some((item.verdict, item.seen))
}

#[test]
fn an_ensemble_is_odd_spread_and_known_to_all() {
    let size = |list: &str| of_ensemble(list, "ensemble-size").unwrap().0;
    assert_eq!(size("a:2181"), Verdict::Warn);
    assert_eq!(size("a:2181,b:2181"), Verdict::Fail);
    assert_eq!(size("a:2181,b:2181,c:2181"), Verdict::Pass);
    assert_eq!(size("a:2181,b:2181,c:2181,d:2181"), Verdict::Warn);
    let spread = |list: &str| of_ensemble(list, "ensemble-spread").unwrap().0;
    assert_eq!(spread("a:2181,a:2182,b:2181"), Verdict::Warn);
    assert_eq!(spread("a:2181,b:2181,c:2181,d:2181,d:2182"), Verdict::Pass);
    let address = of_ensemble("127.0.0.1:2181", "ensemble-address").unwrap();
    assert!(address.0 == Verdict::Fail && address.1.contains("another machine"), "{address:?}");
    let mut unnamed = well();
    unnamed.no_ensemble = true;
    let items = unnamed.items();
    let fails: Vec<&str> =
        items.iter().filter(|item| item.verdict == Verdict::Fail).map(|item| item.id).collect();
    assert_eq!(fails, ["ensemble-address"]);
}

#[test]
fn ids_and_ports_of_members_must_not_clash() {
    let same_id = |fleet: &mut Fleet| {
        for (_, facts) in &mut fleet.hosts[..2] {
            facts.as_mut().unwrap().ids.insert(2181, 7);
        }
    };
    found(same_id, &[("ensemble-layout", "ensemble", Verdict::Fail, "both have the server id 7")]);
    let clash = of_ensemble("a:2888,b:2181,c:2181", "ensemble-layout").unwrap();
    assert!(clash.0 == Verdict::Fail && clash.1.contains("2888"), "{clash:?}");
}

#[test]
fn a_member_serves_or_can_be_started_or_is_something_else() {
    let state = |state: MemberState| move |fleet: &mut Fleet| fleet.states[0].1 = state;
    let member = format!("{ONE}:2181");
    let expect = |state_: MemberState, verdict, words| {
        found(state(state_), &[("member-state", member.as_str(), verdict, words)]);
    };
    expect(serving(Mode::Standalone), Verdict::Fail, "serves alone");
    expect(MemberState::Down { reason: "refused".into() }, Verdict::Warn, "does not run");
    expect(MemberState::NotServing, Verdict::Warn, "without a quorum");
    expect(MemberState::Unreachable { reason: "no answer".into() }, Verdict::Fail, "cannot be reached");
    expect(MemberState::Strange { answer: "HTTP".into() }, Verdict::Fail, "HTTP");
    expect(MemberState::Silent, Verdict::Fail, "does not answer");
}

#[test]
fn before_the_first_start_the_ensemble_and_the_znodes_are_only_warned_of() {
    let fresh = |fleet: &mut Fleet| {
        for (_, state) in &mut fleet.states {
            *state = MemberState::Down { reason: "refused".into() };
        }
        fleet.tree = Err(Failure::unreachable("no member"));
    };
    let mut expected: Vec<(&str, &str, Verdict, &str)> = ["10.0.0.1:2181", "10.0.0.2:2181", "10.0.0.3:2181"]
        .iter()
        .map(|member| ("member-state", *member, Verdict::Warn, "not started yet"))
        .collect();
    expected.push(("znodes", "ensemble", Verdict::Warn, "does not serve"));
    found(fresh, &expected);
    let lost = |fleet: &mut Fleet| fleet.tree = Err(Failure::unreachable("no session").hint("stat"));
    found(lost, &[("znodes", "ensemble", Verdict::Fail, "no session")]);
}

#[test]
fn an_address_of_another_cloud_and_a_mapping_too_many_are_named() {
    let node = format!("{ONE}:11211");
    let foreign =
        |fleet: &mut Fleet| fleet.tree().mappings.get_mut("10.0.0.1:11211").unwrap().codes = vec!["x".into()];
    found(
        foreign,
        &[
            ("mapping", &node, Verdict::Fail, "belongs to x"),
            ("registration", "c", Verdict::Warn, "cannot be"),
        ],
    );
    let both =
        |fleet: &mut Fleet| fleet.tree().mappings.get_mut("10.0.0.1:11211").unwrap().codes.push("x".into());
    found(
        both,
        &[
            ("mapping", &node, Verdict::Fail, "belongs to x"),
            ("registration", "c", Verdict::Warn, "cannot be"),
        ],
    );
    let twice = |fleet: &mut Fleet| {
        let mapping = Mapping { codes: vec!["c".into()], ..Mapping::default() };
        fleet.tree().mappings.insert("10.0.0.1".into(), mapping);
    };
    found(twice, &[("mapping", &node, Verdict::Warn, "10.0.0.1:11211, 10.0.0.1")]);
}

#[test]
fn a_registration_that_would_change_is_told_with_the_changes() {
    let gone = |fleet: &mut Fleet| {
        *fleet.tree() = ArcusTree { structure: fleet.tree().structure.clone(), ..ArcusTree::default() };
    };
    found(gone, &[("registration", "c", Verdict::Warn, "not registered yet")]);
    let changed =
        |fleet: &mut Fleet| fleet.cloud = cloud("c", &["10.0.0.1", "10.0.0.2", "10.0.0.3"], 1001, 1000);
    found(changed, &[("registration", "c", Verdict::Warn, "change service code c")]);
    let replicated = |fleet: &mut Fleet| {
        fleet.tree().replication_codes.insert("c".into());
    };
    found(replicated, &[("registration", "c", Verdict::Fail, "clients look first")]);
    let leaving = |fleet: &mut Fleet| {
        let addr: NodeAddr = "10.0.0.9:11211".parse().unwrap();
        let mapping = Mapping { codes: vec!["c".into()], ..Mapping::default() };
        fleet.tree().mappings.insert(addr.to_string(), mapping);
        fleet.tree().codes.get_mut("c").unwrap().members.push(format!("{addr}-h"));
    };
    found(leaving, &[("registration", "c", Verdict::Fail, "10.0.0.9:11211")]);
    let bare = |fleet: &mut Fleet| *fleet.tree() = ArcusTree::default();
    found(
        bare,
        &[
            ("znodes", "ensemble", Verdict::Warn, "missing"),
            ("registration", "c", Verdict::Warn, "not registered"),
        ],
    );
}

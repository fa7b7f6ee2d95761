//! Scenes: a fleet where all is well, one thing in it changed, and what is said of that.

mod of_hosts;
mod of_the_whole;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::parse_cloud;
use crate::inspect::{
    Account, ClockOffset, JavaSeen, Limit, Listener, MachineId, Mapping, PlaceSeen, Reach, RegisteredCode,
    Route, RunDirectory,
};
use crate::model::{NodeAddr, znode};
use crate::zk::Mode;

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
        states: ensemble
            .members()
            .iter()
            .map(|member| (member.clone(), MemberState::serving(Mode::Follower)))
            .collect(),
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

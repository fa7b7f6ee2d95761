use super::*;
use crate::inspect::{InstallPlace, PackageManager, RunPlace};

/// A freshly installed machine whose root we are.
fn bare(name: &str) -> PreparedSeen {
    PreparedSeen {
        login: "root".into(),
        rights: Rights::Root,
        machine: Some(MachineId(format!("machine of {name}"))),
        account: None,
        run: RunPlace {
            path: "/run/memcached".into(),
            entry: Entry::Missing,
            volatile: true,
            tmpfiles: true,
            lines: Vec::new(),
        },
        install: InstallPlace { entry: Entry::Missing, writable: true, empty: false },
        limits: LimitsSeen {
            nofile: Some(524_288),
            core: None,
            raises: true,
            most: Some(1_048_576),
            lines: Vec::new(),
        },
        java: None,
        manager: Some(PackageManager::AptGet),
    }
}

/// The same machine, logged in to as somebody else.
fn of_deploy(name: &str, rights: Rights) -> PreparedSeen {
    let mut seen = bare(name);
    seen.login = "deploy".into();
    seen.rights = rights;
    seen.install.writable = false;
    seen.limits = LimitsSeen {
        nofile: Some(1024),
        core: Some(0),
        raises: false,
        most: Some(1_048_576),
        lines: Vec::new(),
    };
    seen
}

fn no_sudo() -> Rights {
    Rights::None("sudo: a password is required".into())
}

/// Cache nodes of 10000 connections on `a` and `b`, a member on `a`.
fn wish() -> PrepareWish {
    let need = |members: &[&str]| Need {
        connections: Some(10_000),
        members: members.iter().map(|member| member.parse().unwrap()).collect(),
    };
    PrepareWish {
        install_path: "/opt/arcus".into(),
        user: "memcached".into(),
        needs: BTreeMap::from([(HostName::new("a"), need(&["a:2181"])), (HostName::new("b"), need(&[]))]),
        java: JavaConsent::Given,
    }
}

type Hosts = Vec<(HostName, Inspected<PreparedSeen>)>;

fn hosts(seen: Vec<(&str, PreparedSeen)>) -> Hosts {
    seen.into_iter().map(|(name, seen)| (HostName::new(name), Ok(seen))).collect()
}

fn described(plan: &Plan) -> Vec<String> {
    plan.steps().map(|step| format!("{}: {}", step.target, step.action)).collect()
}

fn only_problem(plan: &Plan) -> (&Target, &Failure) {
    let [problem] = &plan.problems[..] else { panic!("{:?}", plan.problems) };
    (&problem.target, &problem.failure)
}

/// What hosts look like once the steps were carried out and somebody logged in anew.
fn after(plan: &Plan, before: &Hosts) -> Hosts {
    let mut hosts = before.clone();
    for step in plan.steps() {
        let (_, seen) = hosts.iter_mut().find(|(host, _)| Target::Host(host.clone()) == step.target).unwrap();
        let seen = seen.as_mut().unwrap();
        let Action::PrepareHost { change, .. } = &step.action else { panic!("{step:?}") };
        match change.clone() {
            HostChange::User { .. } => seen.account = Some("/usr/sbin/nologin".into()),
            HostChange::RunDirectory { owner, tmpfiles, .. } => {
                seen.run.entry = Entry::Directory { owner };
                seen.run.lines.extend(tmpfiles);
            }
            HostChange::InstallPath { owner, .. } => {
                seen.install.entry = Entry::Directory { owner: owner.unwrap_or(seen.login.clone()) };
                seen.install.writable = true;
            }
            HostChange::Limits { lines } => {
                seen.limits.lines = lines;
                seen.limits.nofile = Some(10_020);
                seen.limits.core = None;
            }
            HostChange::Java { .. } => seen.java = Some("17.0.15".into()),
        }
    }
    hosts
}

#[test]
fn bare_hosts_get_what_they_lack_and_are_then_left_alone() {
    let before = hosts(vec![("a", bare("a")), ("b", bare("b"))]);
    let plan = prepare(&wish(), &before);
    assert_eq!(
        described(&plan),
        [
            "a: create the user memcached, who cannot log in",
            "b: create the user memcached, who cannot log in",
            "a: make /run/memcached, owned by memcached, now and at each boot",
            "a: make /opt/arcus",
            "b: make /run/memcached, owned by memcached, now and at each boot",
            "b: make /opt/arcus",
            "a: install a Java runtime: default-jre-headless by apt-get",
        ]
    );
    let again = prepare(&wish(), &after(&plan, &before));
    assert_eq!((described(&again), again.problems), (vec![], vec![]));
}

#[test]
fn a_login_that_is_not_root_does_by_sudo_what_only_root_may() {
    let before = hosts(vec![("b", of_deploy("b", Rights::Sudo))]);
    let plan = prepare(&wish(), &before);
    assert_eq!(
        described(&plan),
        [
            "b: create the user memcached, who cannot log in (with sudo)",
            "b: make /opt/arcus and give it to deploy, with all in it that is root's (with sudo)",
            "b: make /run/memcached, owned by deploy, now and at each boot (with sudo)",
            "b: write to /etc/security/limits.d/arcus.conf: memcached hard nofile 10020; memcached hard core unlimited; \
             deploy hard nofile 10020; deploy hard core unlimited (with sudo)",
        ]
    );
    let again = prepare(&wish(), &after(&plan, &before));
    assert_eq!((described(&again), again.problems), (vec![], vec![]));
}

#[test]
fn what_the_login_can_make_itself_is_made_without_sudo() {
    let mut seen = of_deploy("b", Rights::Sudo);
    seen.install.writable = true;
    let plan = prepare(&wish(), &hosts(vec![("b", seen)]));
    assert!(described(&plan).contains(&"b: make /opt/arcus".to_owned()));
}

#[test]
fn a_login_without_rights_is_told_all_that_it_cannot_do() {
    let plan = prepare(&wish(), &hosts(vec![("b", of_deploy("b", no_sudo())), ("a", bare("a"))]));
    let (target, failure) = only_problem(&plan);
    assert_eq!(*target, Target::Host(HostName::new("b")));
    assert!(failure.message.contains("give it to deploy"), "{failure}");
    assert!(failure.message.contains("deploy hard nofile 10020"), "{failure}");
    assert_eq!(failure.causes, ["sudo: a password is required"]);
    assert!(failure.hints[0].contains("NOPASSWD"));
    assert!(described(&plan).iter().all(|step| step.starts_with("a: ")));
}

#[test]
fn a_login_without_rights_that_needs_none_has_nothing_to_do_but_its_own_directory() {
    let mut seen = of_deploy("b", no_sudo());
    seen.install.writable = true;
    seen.limits.nofile = Some(65_536);
    seen.limits.core = None;
    let before = hosts(vec![("b", seen)]);
    let plan = prepare(&wish(), &before);
    assert_eq!(described(&plan), ["b: make /opt/arcus"]);
    assert!(plan.holds.iter().any(|holding| holding.fact == "cache nodes run as deploy, who logs in"));
    assert!(prepare(&wish(), &after(&plan, &before)).is_empty());
}

#[test]
fn without_consent_the_member_is_left_out_and_its_host_is_not() {
    let wish = PrepareWish { java: JavaConsent::Withheld, ..wish() };
    let plan = prepare(&wish, &hosts(vec![("a", bare("a"))]));
    let (target, failure) = only_problem(&plan);
    assert_eq!(*target, Target::Member("a:2181".parse().unwrap()));
    assert!(failure.hints[0].contains("--install-java"));
    assert_eq!(plan.steps().count(), 3);
}

#[test]
fn java_is_needed_where_members_run_and_an_old_one_is_none() {
    let with = |version: &str| {
        let mut seen = bare("a");
        seen.java = Some(version.into());
        let plan = prepare(&wish(), &hosts(vec![("a", seen)]));
        described(&plan).iter().any(|step| step.contains("Java"))
    };
    assert!(with("1.7.0_80") && with("1.6"));
    assert!(!with("1.8.0_372") && !with("8") && !with("17.0.15") && !with("21-ea") && !with("unknown"));
}

#[test]
fn without_a_package_manager_that_is_known_java_is_left_to_the_operator() {
    let seen = PreparedSeen { manager: None, ..bare("a") };
    let plan = prepare(&wish(), &hosts(vec![("a", seen)]));
    assert!(only_problem(&plan).1.hints[0].contains("apt-get, dnf and yum"));
}

#[test]
fn one_machine_under_two_names_is_prepared_once_for_all_that_it_is_needed_for() {
    let mut wish = wish();
    wish.needs.insert(HostName::new("alias"), wish.needs[&HostName::new("a")].clone());
    wish.needs.get_mut(&HostName::new("a")).unwrap().members.clear();
    let plan = prepare(&wish, &hosts(vec![("a", bare("a")), ("alias", bare("a"))]));
    assert!(described(&plan).iter().all(|step| step.starts_with("a: ")));
    assert!(described(&plan).iter().any(|step| step.contains("Java")));
    assert!(plan.holds.iter().any(|holding| holding.fact == "is the same machine as a"));
}

#[test]
fn a_host_of_members_alone_needs_no_user_for_cache_nodes() {
    let mut wish = wish();
    wish.needs.get_mut(&HostName::new("a")).unwrap().connections = None;
    let plan = prepare(&wish, &hosts(vec![("a", bare("a"))]));
    assert_eq!(
        described(&plan),
        ["a: make /opt/arcus", "a: install a Java runtime: default-jre-headless by apt-get"]
    );
}

#[test]
fn limits_grow_and_lines_of_others_stay() {
    let mut seen = of_deploy("b", Rights::Sudo);
    seen.limits.core = None;
    seen.limits.lines = [
        "# Written by hand, # twice",
        "deploy hard nofile 2000 # too few",
        "",
        "memcached hard nofile 90000 # enough",
        r"CORP\nick soft nproc 100",
    ]
    .map(str::to_owned)
    .to_vec();
    let plan = prepare(&wish(), &hosts(vec![("b", seen)]));
    let written = plan.steps().find_map(|step| match &step.action {
        Action::PrepareHost { change: HostChange::Limits { lines }, .. } => Some(lines.clone()),
        _ => None,
    });
    assert_eq!(
        written.unwrap(),
        [
            "# Written by hand, # twice",
            "deploy hard nofile 10020 # too few",
            "",
            "memcached hard nofile 90000 # enough",
            r"CORP\nick soft nproc 100",
        ]
    );
    // Only what is in force is told.
    let told =
        "deploy hard nofile 10020 # too few; memcached hard nofile 90000 # enough; CORP\\nick soft nproc 100";
    assert!(described(&plan).iter().any(|step| step.contains(told)), "{:?}", described(&plan));
}

#[test]
fn limits_that_logins_do_not_get_are_a_failure_and_not_written_again() {
    let mut seen = of_deploy("b", Rights::Sudo);
    seen.limits.core = None;
    seen.limits.lines =
        ["deploy hard nofile 10020", "memcached hard nofile unlimited"].map(str::to_owned).to_vec();
    let plan = prepare(&wish(), &hosts(vec![("b", seen)]));
    let (_, failure) = only_problem(&plan);
    assert!(failure.message.contains("do not get the limits"), "{failure}");
    assert!(failure.causes[0].contains("1024 open files (needed: 10020)"), "{failure}");
}

#[test]
fn more_connections_than_the_kernel_has_files_are_refused() {
    let mut seen = bare("b");
    seen.limits.most = Some(5000);
    let plan = prepare(&wish(), &hosts(vec![("b", seen)]));
    assert!(only_problem(&plan).1.causes[0].contains("fs.nr_open is 5000"));
}

#[test]
fn an_install_of_somebody_else_is_not_taken_from_them() {
    let entry = |owner: &str, empty: bool| {
        let mut seen = of_deploy("b", Rights::Sudo);
        seen.install =
            InstallPlace { entry: Entry::Directory { owner: owner.into() }, writable: false, empty };
        prepare(&wish(), &hosts(vec![("b", seen)]))
    };
    let refused = entry("alice", false);
    let (_, failure) = only_problem(&refused);
    assert!(failure.causes[0].contains("belongs to alice"), "{failure}");
    assert!(entry("alice", true).problems.is_empty());
    assert!(entry("root", false).problems.is_empty());
}

#[test]
fn an_install_that_may_be_running_changes_hands_only_when_somebody_agrees() {
    let risk = |entry: Entry, empty: bool| {
        let mut seen = of_deploy("b", Rights::Sudo);
        seen.install = InstallPlace { entry, writable: false, empty };
        prepare(&wish(), &hosts(vec![("b", seen)])).risk
    };
    let root = || Entry::Directory { owner: "root".into() };
    let asked = risk(root(), false);
    let says = |what: &str| what.starts_with("/opt/arcus, with what root has in it, is given away on b");
    assert!(matches!(&asked, Risk::Interrupts { what } if says(what)), "{asked:?}");
    assert_eq!((risk(root(), true), risk(Entry::Missing, false)), (Risk::Harmless, Risk::Harmless));
}

#[test]
fn a_link_in_place_of_the_run_directory_is_refused() {
    let mut seen = bare("b");
    seen.run.entry = Entry::Other;
    let plan = prepare(&wish(), &hosts(vec![("b", seen)]));
    assert!(only_problem(&plan).1.message.contains("is no directory"));
}

#[test]
fn where_nothing_makes_the_run_directory_anew_the_operator_is_told() {
    let mut seen = bare("b");
    seen.run.tmpfiles = false;
    let before = hosts(vec![("b", seen)]);
    let plan = prepare(&wish(), &before);
    assert!(plan.notes[0].contains("gone after a reboot"), "{:?}", plan.notes);
    assert!(prepare(&wish(), &after(&plan, &before)).is_empty());
}

#[test]
fn a_dead_host_keeps_no_other_from_being_prepared() {
    let before: Hosts = vec![
        (HostName::new("b"), Err(Failure::unreachable("b: cannot connect with ssh"))),
        (HostName::new("a"), Ok(bare("a"))),
    ];
    let plan = prepare(&wish(), &before);
    assert_eq!((plan.problems.len(), plan.steps().count()), (1, 4));
}

//! The host itself: can it be logged in to, and is there what arcusctl and Arcus call.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, CheckItem, Scene};
use crate::inspect::{Account, HostFacts, MachineId};
use crate::model::HostName;
use crate::plan::java_release;

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    for (host, facts) in scene.hosts {
        let ssh = Check::of_host("ssh", host, "a login by ssh without a password");
        match facts {
            Ok(facts) if scene.this_machine.contains(host) => {
                items.push(ssh.pass(format!("this machine, as {}", login(facts))));
            }
            Ok(facts) => items.push(ssh.pass(format!("logged in as {}", login(facts)))),
            Err(failure) => items.push(ssh.fail_as(failure)),
        }
    }
    for (host, facts) in scene.answered() {
        items.push(sudo(host, facts));
        items.push(os(host, facts));
        items.push(architecture(scene, host, facts));
        items.push(tools(scene, host, facts));
        items.push(flock(host, facts));
        if scene.is_member_host(host) {
            items.push(java(host, facts));
        }
        if scene.is_node_host(host) {
            items.push(user(scene, host, facts));
        }
    }
    same_machine(scene, items);
}

fn login(facts: &HostFacts) -> String {
    match facts.uid {
        _ if !facts.login.is_empty() => facts.login.clone(),
        Some(0) => "root".to_owned(),
        Some(uid) => format!("user {uid}"),
        None => "a user whose name it does not tell".to_owned(),
    }
}

fn sudo(host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host("sudo", host, "root, or sudo without a password, to prepare the host");
    let blocked = facts.places.iter().any(|place| !place.writable);
    let mend = format!(
        "log in as root ([ssh] user), or permit it on the host: echo '{} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/arcusctl",
        login(facts)
    );
    match (facts.uid, facts.sudo) {
        (Some(0), _) => check.pass("not needed, the login user is root"),
        (_, Some(true)) => check.pass("sudo works without a password"),
        (_, Some(false)) if blocked => {
            check.fail("the login user is not root, may not use sudo, and may not write where it must", mend)
        }
        (_, Some(false)) => check.warn("the login user is not root and may not use sudo", mend),
        (_, None) => check.warn("cannot be told", mend),
    }
}

fn os(host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host("os", host, "Linux");
    match (&facts.kernel, &facts.os) {
        (Some(kernel), _) if kernel != "Linux" => {
            check.fail(kernel, "use a Linux host; Arcus runs on nothing else")
        }
        (_, Some(os)) => check.pass(os),
        (_, None) => check.warn(
            "which distribution cannot be told, there is no /etc/os-release",
            "install its packages by hand; arcusctl cannot know its package manager",
        ),
    }
}

fn architecture(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> CheckItem {
    let wanted = scene.wants().and_then(|needs| needs.architecture.as_deref());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, facts) in scene.answered() {
        *counts.entry(facts.architecture.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count).map(|(name, _)| *name).unwrap_or_default();
    let needed = match wanted {
        Some(wanted) => format!("{wanted}, which the package is built for"),
        None => "the same for all hosts, since one package is sent to all".to_owned(),
    };
    let check = Check::of_host("architecture", host, needed);
    match (facts.architecture.as_deref(), wanted) {
        (None, _) => check.warn("cannot be told, it has no uname", "install coreutils on the host"),
        (Some(own), Some(wanted)) if own != wanted => {
            check.fail(own, format!("build Arcus for {own}, and deploy to such hosts from a cloud JSON of their own"))
        }
        (Some(own), None) if own != most => check.warn(
            format!("{own}, unlike other hosts"),
            format!("give a package built for it (--package), and deploy to hosts of {own} from a cloud JSON of their own"),
        ),
        (Some(own), _) => check.pass(own),
    }
}

fn tools(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> CheckItem {
    let mut wanted = vec!["tar", "gzip", "sha256sum"];
    if scene.is_node_host(host) {
        wanted.push("setsid");
    }
    if scene.is_member_host(host) {
        // zkServer.sh is a bash script, and calls ps.
        wanted.extend(["bash", "ps", "sed"]);
    }
    let check = Check::of_host("tools", host, wanted.join(", "));
    let missing: Vec<&str> = wanted.into_iter().filter(|tool| facts.lacks.contains(*tool)).collect();
    if missing.is_empty() {
        return check.pass("all are there");
    }
    let packages: Vec<&str> = missing.iter().map(|tool| package_of(tool)).collect();
    check.fail(
        format!("no {}", missing.join(", no ")),
        format!("install on the host: {}", packages.join(", ")),
    )
}

/// The package that brings a tool, by the same name in Debian and Red Hat but for one.
fn package_of(tool: &str) -> &str {
    match tool {
        "sha256sum" => "coreutils",
        "setsid" | "flock" => "util-linux",
        "ps" => "procps (Debian, Ubuntu) or procps-ng",
        other => other,
    }
}

fn flock(host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host("flock", host, "flock, which keeps two operators apart");
    if facts.lacks.contains("flock") {
        return check.warn("no flock", "install on the host: util-linux");
    }
    check.pass("is there")
}

fn java(host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host("java", host, "Java 1.8 or later, for ZooKeeper");
    let mend = "arcusctl hosts prepare CONF, or by hand: apt-get install default-jre-headless (Debian, Ubuntu), \
                dnf install java-17-openjdk-headless (Red Hat and its kin)";
    let Some(java) = &facts.java else {
        return check.fail("no Java, in PATH, JAVA_HOME or /etc/profile", mend);
    };
    match java.version.as_deref().map(|version| (version, java_release(version))) {
        None | Some((_, None)) => check.warn(
            format!("{}, whose version cannot be told", java.path),
            format!("see what it is: ssh {host} {} -version", java.path),
        ),
        Some((version, Some(release))) if release < 8 => {
            check.fail(format!("{} is Java {version}", java.path), mend)
        }
        Some((version, Some(_))) => check.pass(format!("Java {version}")),
    }
}

fn user(scene: &Scene<'_>, host: &HostName, facts: &HostFacts) -> CheckItem {
    let user = &scene.settings.memcached.user;
    let check = Check::of_host(
        "user",
        host,
        format!("the user {user}, who cannot log in; cache nodes refuse to run as root"),
    );
    let make = format!("arcusctl hosts prepare CONF, or by hand: useradd -M -s /sbin/nologin {user}");
    match (facts.uid, &facts.account) {
        (Some(0), Account::Missing) => check.fail(format!("there is no user {user}"), make),
        (Some(0), Account::Present { uid: 0, .. }) => check.warn(
            format!("{user} is root by another name"),
            "set [memcached] user in arcusctl.toml to a user of its own",
        ),
        (Some(0), Account::Present { shell, .. }) if can_log_in(shell) => {
            check.warn(format!("{user} can log in, with {shell}"), format!("usermod -s /sbin/nologin {user}"))
        }
        (Some(0), Account::Present { .. }) => check.pass(format!("{user}, without login")),
        (Some(0), Account::Unknown) | (None, _) => check.warn(
            "cannot be told, the host has no getent",
            format!("see for yourself: ssh {host} id {user}"),
        ),
        (Some(_), _) => check.pass(format!("cache nodes run as the login user, {}", login(facts))),
    }
}

fn can_log_in(shell: &str) -> bool {
    !["/nologin", "/false", "/sync"].iter().any(|end| shell.ends_with(end)) && !shell.is_empty()
}

/// Two addresses of one machine share its ports and its memory.
fn same_machine(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    let mut machines: BTreeMap<&MachineId, &HostName> = BTreeMap::new();
    for (host, facts) in scene.answered().filter(|(host, _)| scene.is_node_host(host)) {
        let check =
            Check::of_host("same-machine", host, "a machine of its own for each address of the cloud JSON");
        let Some(machine) = &facts.machine else {
            let mend = "make one: systemd-machine-id-setup";
            items.push(check.warn("cannot be told, it has no /etc/machine-id", mend));
            continue;
        };
        let Some(first) = machines.get(machine) else {
            machines.insert(machine, host);
            items.push(check.pass("a machine of its own"));
            continue;
        };
        let (own, theirs) = (ports(scene, host), ports(scene, first));
        let both: Vec<String> = own.intersection(&theirs).map(ToString::to_string).collect();
        let mend = format!("name the machine by one address in the cloud JSON, {host} or {first}");
        items.push(if both.is_empty() {
            check.warn(format!("is the same machine as {first}"), mend)
        } else {
            let both = both.join(", ");
            check.fail(
                format!("is the same machine as {first}, and both addresses want the port {both}"),
                mend,
            )
        });
    }
}

fn ports(scene: &Scene<'_>, host: &HostName) -> BTreeSet<u16> {
    let nodes = scene.cloud.nodes.iter().filter(|node| node.host() == *host);
    nodes.map(|node| node.addr.port.get()).collect()
}

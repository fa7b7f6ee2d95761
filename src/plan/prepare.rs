//! Making hosts ready for a first deploy: user, directories, limits, a Java runtime.

use std::collections::BTreeMap;

use super::deploy::machines;
use super::{Action, HostChange, Plan, Risk, Step, Target};
use crate::config::Settings;
use crate::error::Failure;
use crate::inspect::{Entry, Inspected, LimitsSeen, MachineId, PreparedSeen, Rights};
use crate::model::{Cloud, Ensemble, EnsembleMember, HostName};

/// Descriptors that a cache node opens besides its connections.
const SPARE_FILES: u64 = 20;
/// The oldest Java that ZooKeeper runs on.
const OLDEST_JAVA: u32 = 8;

/// What hosts are to be made ready for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareWish {
    pub install_path: String,
    /// The user that root runs cache nodes as.
    pub user: String,
    pub needs: BTreeMap<HostName, Need>,
    pub java: JavaConsent,
}

/// What one host is needed for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Need {
    /// The most connections of a cache node there; `None` when it has no cache nodes.
    pub connections: Option<u32>,
    /// The ensemble members there.
    pub members: Vec<EnsembleMember>,
}

/// Whether somebody agreed to software being installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JavaConsent {
    Given,
    Withheld,
}

impl PrepareWish {
    pub fn new(cloud: &Cloud, ensemble: &Ensemble, settings: &Settings) -> Self {
        let mut needs: BTreeMap<HostName, Need> = BTreeMap::new();
        for node in &cloud.nodes {
            let need = needs.entry(node.host()).or_default();
            need.connections = need.connections.max(Some(node.options.connections));
        }
        for member in ensemble.members() {
            needs.entry(member.host.clone()).or_default().members.push(member.clone());
        }
        Self {
            install_path: settings.install_path.clone(),
            user: settings.memcached.user.clone(),
            needs,
            java: JavaConsent::Given,
        }
    }

    /// A member of the ensemble is to run there.
    pub fn wants_java(&self, host: &HostName) -> bool {
        self.needs.get(host).is_some_and(|need| !need.members.is_empty())
    }

    /// What a host is needed for under any of its names.
    fn need(
        &self,
        machine: Option<&MachineId>,
        hosts: &[(HostName, Inspected<PreparedSeen>)],
        host: &HostName,
    ) -> Need {
        let same = |seen: &Inspected<PreparedSeen>| {
            machine.is_some() && seen.as_ref().is_ok_and(|seen| seen.machine.as_ref() == machine)
        };
        let names = hosts.iter().filter(|(name, seen)| name == host || same(seen));
        let mut all = Need::default();
        for need in names.filter_map(|(name, _)| self.needs.get(name)) {
            all.connections = all.connections.max(need.connections);
            all.members.extend(need.members.iter().cloned());
        }
        all
    }
}

/// What one host lacks.
#[derive(Default)]
struct Lack {
    users: Option<HostChange>,
    directories: Vec<HostChange>,
    /// The install path can be made by the login user itself.
    own_directory: Option<HostChange>,
    limits: Option<HostChange>,
    java: Option<HostChange>,
}

/// Plans what every host lacks; `hosts` is what was seen of each, in the order to report them.
pub fn prepare(wish: &PrepareWish, hosts: &[(HostName, Inspected<PreparedSeen>)]) -> Plan {
    let mut plan = Plan::new("hosts prepare");
    let mut stages: [(&'static str, Vec<Step>); 4] =
        [("Users", vec![]), ("Directories", vec![]), ("Limits", vec![]), ("Java", vec![])];
    let mut given = Vec::new();
    for (host, seen) in machines(&mut plan, hosts, |seen| seen.machine.as_ref()) {
        let need = wish.need(seen.machine.as_ref(), hosts, host);
        let lack = match lack(&mut plan, wish, host, &need, seen) {
            Ok(lack) => lack,
            Err(failure) => {
                plan.problem(Target::Host(host.clone()), failure);
                continue;
            }
        };
        if seen.install.is_in_use() && lack.directories.iter().any(changes_hands) {
            given.push(host.to_string());
        }
        let elevate = seen.rights == Rights::Sudo;
        let step = |change: HostChange, elevate: bool| {
            Step::new(Target::Host(host.clone()), Action::PrepareHost { change, elevate })
        };
        stages[0].1.extend(lack.users.map(|change| step(change, elevate)));
        stages[1].1.extend(lack.directories.into_iter().map(|change| step(change, elevate)));
        stages[1].1.extend(lack.own_directory.map(|change| step(change, false)));
        stages[2].1.extend(lack.limits.map(|change| step(change, elevate)));
        stages[3].1.extend(lack.java.map(|change| step(change, elevate)));
    }
    for (title, steps) in stages {
        plan.stage(title, steps);
    }
    if !given.is_empty() {
        let path = &wish.install_path;
        let what = format!(
            "{path}, with what root has in it, is given away on {}; it is not empty",
            given.join(", ")
        );
        plan.risk = Risk::Interrupts { what };
    }
    plan
}

/// Something that was somebody's is another's then.
fn changes_hands(change: &HostChange) -> bool {
    matches!(change, HostChange::InstallPath { owner: Some(_), .. })
}

/// What the host lacks, or why it cannot be prepared. What it has already is noted in the plan.
fn lack(
    plan: &mut Plan,
    wish: &PrepareWish,
    host: &HostName,
    need: &Need,
    seen: &PreparedSeen,
) -> Result<Lack, Failure> {
    let mut facts = Vec::new();
    let mut lack = Lack::default();
    install_path(wish, host, seen, &mut lack, &mut facts)?;
    if let Some(connections) = need.connections {
        cache_user(wish, host, seen, &mut lack, &mut facts)?;
        limits(wish, host, u64::from(connections), seen, &mut lack, &mut facts)?;
    }
    if !need.members.is_empty() {
        java(plan, wish, host, &need.members[0], seen, &mut lack, &mut facts);
    }
    if let Some(failure) = unable(host, seen, &lack) {
        return Err(failure);
    }
    for fact in facts {
        plan.hold(Target::Host(host.clone()), fact);
    }
    let persists = seen.run.tmpfiles || !seen.run.volatile;
    if need.connections.is_some() && !persists && needs_cache_user(seen) {
        plan.notes.push(format!(
            "{host}: {} is gone after a reboot, for there is no systemd to make it anew; run hosts prepare again then",
            seen.run.path
        ));
    }
    Ok(lack)
}

/// Why a login without root's rights cannot do what only root may.
fn unable(host: &HostName, seen: &PreparedSeen, lack: &Lack) -> Option<Failure> {
    let Rights::None(reason) = &seen.rights else { return None };
    let changes = lack.users.iter().chain(&lack.directories).chain(&lack.limits).chain(&lack.java);
    let undone: Vec<String> = changes.map(ToString::to_string).collect();
    (!undone.is_empty()).then(|| {
        let login = &seen.login;
        Failure::refused(format!("{host}: {login} cannot do this without sudo: {}", undone.join("; ")))
            .cause(reason)
            .hint(format!(
                "log in as root ([ssh] user), or let {login} use sudo without a password: a file in /etc/sudoers.d with '{login} ALL=(ALL) NOPASSWD: ALL'"
            ))
    })
}

/// Somebody who cannot become root runs cache nodes as nobody but themselves, and other tools' pid files are not theirs.
fn needs_cache_user(seen: &PreparedSeen) -> bool {
    !matches!(seen.rights, Rights::None(_))
}

fn cache_user(
    wish: &PrepareWish,
    host: &HostName,
    seen: &PreparedSeen,
    lack: &mut Lack,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let (user, run) = (&wish.user, &seen.run);
    if !needs_cache_user(seen) {
        facts.push(format!("cache nodes run as {}, who logs in", seen.login));
        return Ok(());
    }
    match &seen.account {
        Some(_) => facts.push(format!("has the user {user}")),
        None => lack.users = Some(HostChange::User { user: user.clone() }),
    }
    if run.entry == Entry::Other {
        return Err(Failure::refused(format!("{host}: {} is no directory", run.path))
            .hint(format!("see what lies there, and remove it: rm {}", run.path)));
    }
    // Root runs cache nodes as that user, anybody else as themselves.
    let owner = if seen.rights == Rights::Root { user } else { &seen.login };
    let line = format!("d {} 0755 {owner} - -", run.path);
    let lasts = !run.tmpfiles || run.lines.contains(&line);
    if run.entry == (Entry::Directory { owner: owner.clone() }) && lasts {
        facts.push(format!("has {} of {owner}", run.path));
        return Ok(());
    }
    lack.directories.push(HostChange::RunDirectory {
        path: run.path.clone(),
        owner: owner.clone(),
        tmpfiles: run.tmpfiles.then_some(line),
    });
    Ok(())
}

fn install_path(
    wish: &PrepareWish,
    host: &HostName,
    seen: &PreparedSeen,
    lack: &mut Lack,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let (path, place, login) = (wish.install_path.clone(), &seen.install, &seen.login);
    let refused = |cause: String, hint: &str| {
        Err(Failure::refused(format!("{host}: {path} cannot be given to {login}")).cause(cause).hint(hint))
    };
    match &place.entry {
        Entry::Other => {
            refused("something that is no directory lies there".into(), "remove it, or set install_path")
        }
        Entry::Directory { .. } if place.writable => {
            facts.push(format!("can write to {path}"));
            Ok(())
        }
        _ if !place.writable && seen.rights == Rights::Root => refused(
            "not even root can write there".into(),
            "see whether its file system is mounted read-only, or set install_path elsewhere",
        ),
        Entry::Missing if place.writable => {
            lack.own_directory = Some(HostChange::InstallPath { path, owner: None });
            Ok(())
        }
        Entry::Directory { owner } if !place.empty && owner != "root" && owner != login => refused(
            format!("it belongs to {owner}, and is not empty"),
            &format!(
                "log in as {owner} ([ssh] user); or, if it is to change hands: sudo chown -R {login}: {path}"
            ),
        ),
        Entry::Missing | Entry::Directory { .. } => {
            lack.directories.push(HostChange::InstallPath { path, owner: Some(login.clone()) });
            Ok(())
        }
    }
}

fn limits(
    wish: &PrepareWish,
    host: &HostName,
    connections: u64,
    seen: &PreparedSeen,
    lack: &mut Lack,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let limits = &seen.limits;
    let files = connections + SPARE_FILES;
    if limits.most.is_some_and(|most| most < files) {
        return Err(Failure::refused(format!(
            "{host}: its kernel does not let a process open {files} files"
        ))
        .cause(format!(
            "{connections} connections need so many, and fs.nr_open is {}",
            limits.most.unwrap_or_default()
        ))
        .hint(format!("lower connections in the cloud JSON, or: sysctl -w fs.nr_open={files}")));
    }
    let enough_files = limits.raises || limits.nofile.is_none_or(|limit| limit >= files);
    let enough_core = limits.raises || limits.core.is_none_or(|limit| limit > 0);
    if enough_files && enough_core {
        facts.push(format!("its limits are enough for {connections} connections"));
        return Ok(());
    }
    let mut wanted = Vec::new();
    for user in [&wish.user, &seen.login] {
        if !enough_files {
            wanted.push((format!("{user} hard nofile"), Some(files)));
        }
        if !enough_core {
            wanted.push((format!("{user} hard core"), None));
        }
    }
    let Some(lines) = merge(&limits.lines, &wanted) else {
        return Err(ineffective(host, files, limits));
    };
    lack.limits = Some(HostChange::Limits { lines });
    Ok(())
}

/// The lines that there are with those laid over them that ask for more; `None` when they ask for all of it already.
fn merge(there: &[String], wanted: &[(String, Option<u64>)]) -> Option<Vec<String>> {
    let mut lines: Vec<String> = there.to_vec();
    let mut changed = false;
    for (what, number) in wanted {
        let value = number.map_or_else(|| "unlimited".to_owned(), |number| number.to_string());
        let asks = |line: &str| -> Option<String> {
            let said = line.split('#').next()?;
            let words: Vec<&str> = said.split_whitespace().collect();
            let [user, kind, item, value] = words[..] else { return None };
            (format!("{user} {kind} {item}") == *what).then(|| value.to_owned())
        };
        let place = lines.iter().position(|line| asks(line).is_some());
        let enough = place.and_then(|place| asks(&lines[place])).is_some_and(|asked| {
            asked == "unlimited"
                || number.is_some_and(|number| asked.parse().is_ok_and(|asked: u64| asked >= number))
        });
        if enough {
            continue;
        }
        changed = true;
        let line = format!("{what} {value}");
        match place {
            Some(place) => {
                let remark = lines[place].find('#').map(|at| format!(" {}", &lines[place][at..]));
                lines[place] = line + &remark.unwrap_or_default();
            }
            None if lines.contains(&line) => {}
            None => lines.push(line),
        }
    }
    changed.then_some(lines)
}

/// The file says what it should, and logins do not get it.
fn ineffective(host: &HostName, files: u64, limits: &LimitsSeen) -> Failure {
    let told = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    Failure::failed(format!("{host}: logins do not get the limits of /etc/security/limits.d/arcus.conf"))
        .cause(format!(
            "they have {} open files (needed: {files}) and a core limit of {}",
            told(limits.nofile),
            told(limits.core)
        ))
        .hint("see that sshd has UsePAM yes and PAM uses pam_limits; in a container, raise the container's own limits")
}

fn java(
    plan: &mut Plan,
    wish: &PrepareWish,
    host: &HostName,
    member: &EnsembleMember,
    seen: &PreparedSeen,
    lack: &mut Lack,
    facts: &mut Vec<String>,
) {
    let cause = match seen.java.as_deref() {
        Some(version) if java_release(version).is_none_or(|release| release >= OLDEST_JAVA) => {
            facts.push(format!("has Java {version}"));
            return;
        }
        Some(version) => format!("its Java is {version}, and ZooKeeper needs 1.8 or later"),
        None => "ZooKeeper needs Java 1.8 or later, and there is none".to_owned(),
    };
    // A host without Java is no worse a host for cache nodes: what is left out is the member.
    let failure = Failure::refused(format!("{member}: has no Java runtime")).cause(cause);
    let target = Target::Member(member.clone());
    match (seen.manager, wish.java) {
        (None, _) => plan.problem(
            target,
            failure.hint(format!("{host} has none of apt-get, dnf and yum: install a JRE there by hand")),
        ),
        (Some(manager), JavaConsent::Withheld) => plan.problem(
            target,
            failure.hint(format!(
                "agree to {} by {}: --install-java; or install a JRE there by hand",
                manager.java_package(),
                manager.as_str()
            )),
        ),
        (Some(manager), JavaConsent::Given) => {
            lack.java = Some(HostChange::Java { manager, package: manager.java_package() });
        }
    }
}

/// `8` of `1.8.0_372`, `17` of `17.0.15`; `None` when the version says nothing.
pub fn java_release(version: &str) -> Option<u32> {
    let mut numbers = version.split(['.', '-', '+', '_']);
    let first = numbers.next()?.parse().ok()?;
    if first == 1 { numbers.next()?.parse().ok() } else { Some(first) }
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;

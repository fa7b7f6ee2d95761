//! Putting back what a backup has and ZooKeeper lacks. What is there stays, and so does who is there.

use std::collections::{BTreeMap, BTreeSet};

use super::register::names_of;
use super::{Action, Plan, Risk, Step, Target};
use crate::config::parse_registered;
use crate::error::{Failure, Failures};
use crate::inspect::ZnodesSeen;
use crate::model::{BACKUP_ROOTS, Backup, NodeAddr, SavedZnode, ServiceCode, ZnodeChange, owners_of};

/// A ZooKeeper server takes requests of 1 MB (`jute.maxbuffer`); what a transaction says besides stays below the rest.
const LARGEST_TRANSACTION: usize = 900_000;
/// What one change says besides its path and data, at most.
const OVERHEAD: usize = 100;
/// So many znodes are named in a message.
const NAMED: usize = 3;

/// What is to be restored, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreWish {
    /// Only these; empty for everything.
    pub clouds: BTreeSet<ServiceCode>,
    /// Write over what is another now.
    pub overwrite: bool,
}

/// Plans to create what `backup` has and `seen` lacks: one transaction for each cloud, or several where one would be too
/// large. Nothing is ever removed.
///
/// # Errors
/// When a cloud that is wanted is not in the backup.
pub fn restore(backup: &Backup, wish: &RestoreWish, seen: &ZnodesSeen) -> Result<Plan, Failures> {
    let known = backup.clouds();
    let unknown = wish.clouds.difference(&known).map(|code| {
        let names: Vec<&str> = known.iter().map(ServiceCode::as_str).collect();
        Failure::refused(format!("service code {code} is not in the backup")).cause(format!(
            "in it are: {}",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    });
    Failures::none_of(unknown.collect())?;
    let wanted = |code: &ServiceCode| wish.clouds.is_empty() || wish.clouds.contains(code);
    let mut groups: BTreeMap<Option<ServiceCode>, Vec<&str>> = BTreeMap::new();
    for path in backup.znodes.keys() {
        let owners = owners_of(path, |path| backup.children(path));
        if owners.is_empty() {
            groups.entry(None).or_default().push(path);
        }
        for code in owners.into_iter().filter(&wanted) {
            groups.entry(Some(code)).or_default().push(path);
        }
    }
    let mut restore = Restore {
        backup,
        wish,
        seen,
        owners: owners_by_name(seen),
        created: BTreeSet::new(),
        overwritten: 0,
        stages: Vec::new(),
        plan: Plan::new("restore"),
    };
    let shared = groups.remove(&None).unwrap_or_default();
    restore.shared(&shared, &groups.values().flatten().copied().collect::<Vec<_>>());
    for (code, paths) in &groups {
        if let Some(code) = code {
            restore.cloud(code, paths);
        }
    }
    Ok(restore.finish())
}

struct Restore<'a> {
    backup: &'a Backup,
    wish: &'a RestoreWish,
    seen: &'a ZnodesSeen,
    /// Who has which name of a mapping, and the address of which live member; what is planned counts.
    owners: BTreeMap<String, BTreeSet<String>>,
    created: BTreeSet<&'a str>,
    overwritten: usize,
    stages: Vec<Vec<Step>>,
    plan: Plan,
}

impl<'a> Restore<'a> {
    /// What all clouds share; of a choice of clouds only what is above them. Data that others put there stays.
    fn shared(&mut self, paths: &[&'a str], below: &[&str]) {
        let is_above = |path: &str| {
            below.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
        };
        let paths: Vec<&str> =
            paths.iter().copied().filter(|path| self.wish.clouds.is_empty() || is_above(path)).collect();
        let differing: Vec<&str> = self.differing(&paths);
        if !differing.is_empty() && !self.wish.overwrite {
            self.plan
                .notes
                .push(format!("holds other data than in the backup and is left so: {}", some_of(&differing)));
        }
        self.write(&Target::Tree, &paths);
        if self.stages.is_empty() {
            self.plan.hold(Target::Tree, "what all clouds share is there");
        }
    }

    fn cloud(&mut self, code: &ServiceCode, paths: &[&'a str]) {
        let target = Target::Cloud(code.clone());
        let mut failures = self.conflicts(code, paths);
        let differing = self.differing(paths);
        if !differing.is_empty() && !self.wish.overwrite {
            failures.push(
                Failure::refused(format!(
                    "service code {code}: {} znode(s) are not as in the backup",
                    differing.len()
                ))
                .cause(format!("changed since: {}", some_of(&differing)))
                .hint(
                    "to have them as they were then: --overwrite; nothing of this service code was changed",
                ),
            );
        }
        let taken: Vec<&str> = self.differing(paths).into_iter().filter(|path| self.is_live(path)).collect();
        if !taken.is_empty() {
            failures.push(
                Failure::refused(format!("service code {code}: a live process has what is to be put back"))
                    .cause(format!("there now, and going with a session: {}", some_of(&taken)))
                    .hint(
                        "a restore never touches these; stop whoever made them, or wait until it has ended",
                    ),
            );
        }
        let denied: Vec<&str> = paths.iter().copied().filter(|path| self.is_denied(path)).collect();
        if !denied.is_empty() {
            failures.push(
                Failure::refused(format!("service code {code}: cannot see what is there now"))
                    .cause(format!("an access list keeps it from arcusctl: {}", some_of(&denied)))
                    .hint("whoever restricted these znodes must open them, or restore them"),
            );
        }
        if !failures.is_empty() {
            for failure in failures {
                self.plan.problem(target.clone(), failure);
            }
            return;
        }
        self.note_strangers(code, paths);
        let before = self.created.len() + self.overwritten;
        self.write(&target, paths);
        if self.created.len() + self.overwritten == before {
            self.plan.hold(target, format!("is as in the backup ({} znodes)", paths.len()));
            return;
        }
        for path in paths {
            for (name, owner) in claims_of(path) {
                self.owners.entry(name).or_default().insert(owner);
            }
        }
    }

    fn saved(&self, path: &str) -> Option<&'a SavedZnode> {
        self.backup.znodes.get(path)
    }

    /// It goes with somebody's session.
    fn is_live(&self, path: &str) -> bool {
        self.seen.znodes.get(path).is_some_and(|znode| znode.is_ephemeral)
    }

    fn is_denied(&self, path: &str) -> bool {
        let mut parts: Vec<usize> = path.match_indices('/').map(|(place, _)| place).skip(1).collect();
        parts.push(path.len());
        parts.iter().any(|end| self.seen.denied.contains(&path[..*end]))
    }

    fn differing(&self, paths: &[&'a str]) -> Vec<&'a str> {
        let differs = |path: &&&str| match (self.saved(path), self.seen.znodes.get(**path)) {
            (Some(saved), Some(seen)) => saved.data != seen.data,
            _ => false,
        };
        paths.iter().filter(differs).copied().collect()
    }

    /// Why the cloud must not be put back as it was.
    fn conflicts(&self, code: &ServiceCode, paths: &[&str]) -> Vec<Failure> {
        let mut failures = Vec::new();
        for (root, other) in [(BACKUP_ROOTS[0], BACKUP_ROOTS[1]), (BACKUP_ROOTS[1], BACKUP_ROOTS[0])] {
            let (own, elsewhere) =
                (format!("{root}/cache_list/{code}"), format!("{other}/cache_list/{code}"));
            let is_new = self.backup.znodes.contains_key(&own) && !self.seen.znodes.contains_key(&own);
            let in_both = self.backup.znodes.contains_key(&elsewhere) && root == BACKUP_ROOTS[0];
            if is_new && (self.seen.znodes.contains_key(&elsewhere) || in_both) {
                failures.push(
                    Failure::refused(format!("service code {code} exists under {other}/cache_list"))
                        .cause("clients look below /arcus_repl first and would never see the one below /arcus")
                        .hint("remove the one that is not wanted with the tool that made it, then restore again"),
                );
            }
        }
        for name in paths
            .iter()
            .filter(|path| !self.seen.znodes.contains_key(**path))
            .filter_map(|path| mapped_name(path))
        {
            let others: BTreeSet<&str> = self
                .names_like(code, name)
                .iter()
                .filter_map(|name| self.owners.get(name))
                .flatten()
                .map(String::as_str)
                .filter(|owner| *owner != code.as_str())
                .collect();
            failures.extend(others.into_iter().map(|owner| {
                Failure::refused(format!("{name} belongs to service code {owner} by now"))
                    .cause("a cache node that finds two service codes for its address refuses to start")
                    .hint(format!("take it out of {owner} first, or restore the others: --cloud CODE"))
            }));
        }
        failures
    }

    /// All names by which a cache node of that mapping would look for it.
    fn names_like(&self, code: &ServiceCode, name: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([name.to_owned()]);
        let Ok(addr) = name.parse::<NodeAddr>() else {
            // A bare ip stands for every port of it.
            let below = format!("{name}:");
            names.extend(self.owners.keys().filter(|other| other.starts_with(&below)).cloned());
            return names;
        };
        names.insert(addr.ip.to_string());
        let documents =
            BACKUP_ROOTS.iter().filter_map(|root| self.saved(&format!("{root}/cache_list/{code}")));
        for document in documents {
            let cloud = parse_registered(&String::from_utf8_lossy(&document.data)).ok();
            let nodes = cloud.iter().flat_map(|cloud| &cloud.nodes);
            names.extend(nodes.filter(|node| node.addr == addr).flat_map(names_of));
        }
        names
    }

    /// What is registered by now and was not then stays; the operator may not expect it.
    fn note_strangers(&mut self, code: &ServiceCode, paths: &[&str]) {
        let ours: BTreeSet<&str> = paths.iter().copied().collect();
        let children =
            |path: &str| self.seen.znodes.get(path).map(|znode| znode.children.clone()).unwrap_or_default();
        let is_strange = |path: &&str| !ours.contains(path) && owners_of(path, children).contains(code);
        let persistent = self.seen.znodes.iter().filter(|(_, znode)| !znode.is_ephemeral);
        let strangers: Vec<&str> = persistent.map(|(path, _)| path.as_str()).filter(is_strange).collect();
        if !strangers.is_empty() {
            let names = some_of(&strangers);
            self.plan
                .notes
                .push(format!("service code {code}: not in the backup, and left as it is: {names}"));
        }
    }

    /// Puts what is missing, and what is to be overwritten, into transactions of `target`.
    fn write(&mut self, target: &Target, paths: &[&'a str]) {
        let mut transactions: Vec<(Vec<ZnodeChange>, Vec<String>, usize)> = Vec::new();
        for path in paths.iter().copied() {
            let Some(saved) = self.saved(path) else { continue };
            let version = match self.seen.znodes.get(path) {
                None if !self.created.insert(path) => continue,
                None => None,
                Some(seen) if seen.data == saved.data || seen.is_ephemeral || !self.wish.overwrite => {
                    continue;
                }
                Some(seen) => Some(seen.version),
            };
            if !saved.acl.is_empty() && version.is_none() {
                let acl = saved.acl.join(", ");
                self.plan
                    .notes
                    .push(format!("{path}: was restricted to {acl}; it is created open to everyone"));
            }
            self.overwritten += usize::from(version.is_some());
            let size = path.len() + saved.data.len() + OVERHEAD;
            let fits = transactions.last().is_some_and(|(.., bytes)| bytes + size <= LARGEST_TRANSACTION);
            if !fits {
                transactions.push((Vec::new(), Vec::new(), 0));
            }
            if let Some((changes, summary, bytes)) = transactions.last_mut() {
                changes.push(change_of(path, saved, version));
                summary.push(words_for(path, version));
                *bytes += size;
            }
        }
        if transactions.len() > 1 {
            self.plan.notes.push(format!(
                "{target}: is larger than one transaction; it is written in {}, parents first",
                transactions.len()
            ));
        }
        // Steps of one stage run side by side: a later transaction waits for the one before it, and all of a cloud's for
        // what all clouds share.
        let is_shared = |steps: &&Vec<Step>| steps.iter().any(|step| step.target == Target::Tree);
        let first = if *target == Target::Tree { 0 } else { self.stages.iter().filter(is_shared).count() };
        for (index, (changes, summary, _)) in transactions.into_iter().enumerate() {
            let stage = first + index;
            if self.stages.len() <= stage {
                self.stages.resize_with(stage + 1, Vec::new);
            }
            self.stages[stage].push(Step::new(target.clone(), Action::CommitZnodes { changes, summary }));
        }
    }

    fn finish(self) -> Plan {
        let Self { mut plan, stages, overwritten, seen, wish, .. } = self;
        if overwritten > 0 {
            let live = seen.znodes.iter().filter(|(path, znode)| {
                znode.is_ephemeral
                    && path.contains("/cache_list/")
                    && owners_of(path, |_| Vec::new())
                        .iter()
                        .any(|code| wish.clouds.is_empty() || wish.clouds.contains(code))
            });
            let what = format!(
                "{overwritten} znode(s) will be overwritten with what they held when the backup was taken; {} cache node(s) are live",
                live.count()
            );
            plan.risk = Risk::Interrupts { what };
        }
        for steps in stages {
            plan.stage("Restore", steps);
        }
        plan
    }
}

fn change_of(path: &str, saved: &SavedZnode, version: Option<i32>) -> ZnodeChange {
    let path = path.to_owned();
    match (String::from_utf8(saved.data.clone()), version) {
        (Ok(data), None) => ZnodeChange::Create { path, data },
        (Ok(data), Some(version)) => ZnodeChange::SetData { path, data, version },
        (Err(error), version) => ZnodeChange::PutBytes { path, data: error.into_bytes(), version },
    }
}

fn words_for(path: &str, version: Option<i32>) -> String {
    if version.is_some() { format!("overwrite {path}") } else { format!("create {path}") }
}

/// `NAME` of `…/cache_server_mapping/NAME/<code>`: creating that takes the name for the code.
fn mapped_name(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [_, "cache_server_mapping", name, _] => Some(name),
        _ => None,
    }
}

/// The names that a znode gives to a service code: by mapping or by a live member.
fn claims_of(path: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [_, "cache_server_mapping", name, child] => {
            let owner = child.split('^').next().unwrap_or(child);
            vec![((*name).to_owned(), owner.to_owned())]
        }
        // The replicating edition writes `<group>^<M|S>^<ip>:<port>-<hostname>`.
        [_, "cache_list", code, member] => {
            let member = member.rsplit('^').next().unwrap_or(member);
            let addr = NodeAddr::from_ephemeral_name(member).ok();
            addr.into_iter().map(|addr| (addr.to_string(), (*code).to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

fn owners_by_name(seen: &ZnodesSeen) -> BTreeMap<String, BTreeSet<String>> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, owner) in seen.znodes.keys().flat_map(|path| claims_of(path)) {
        owners.entry(name).or_default().insert(owner);
    }
    owners
}

fn some_of(paths: &[&str]) -> String {
    let named = paths.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;

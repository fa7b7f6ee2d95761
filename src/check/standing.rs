//! How the ensemble stands: how far each member is behind the leader, what it has on its disk, and what is wrong.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Failure;
use crate::inspect::{Inspected, MemberSeen, StorageSeen};
use crate::model::{Ensemble, EnsembleMember, human_bytes};
use crate::plan::{ServerList, server_list};
use crate::zk::{MemberState, Mode, ServerStats};

/// So many transactions behind is not in sync; members are not all asked in the same moment.
const FAR_BEHIND: u64 = 1000;
/// A snapshot is taken at a start and every 100,000 transactions or so; of one so old, in seconds, a start has much to
/// take in again.
const OLD_SNAPSHOT: u64 = 30 * 24 * 3600;
/// ZooKeeper stops when it cannot write its log, which it makes larger by 64 MB at a time; a snapshot needs its place too.
const LEAST_FREE: u64 = 1 << 30;

/// What was seen of one member.
#[derive(Clone, Debug)]
pub struct MemberLook {
    pub member: EnsembleMember,
    pub state: MemberState,
    pub seen: Inspected<MemberSeen>,
    pub storage: Inspected<StorageSeen>,
    /// The servers it runs with.
    pub running: Option<ServerList>,
    /// What it answers to `mntr`, where that is allowed.
    pub figures: Option<String>,
}

/// The ensemble as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnsembleStanding {
    pub members: Vec<MemberStanding>,
    /// How many must serve.
    pub quorum: usize,
    pub serving: usize,
    /// Followers that are in sync, as the leader says; none where `mntr` is not allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_followers: Option<u64>,
    /// What is wrong with the ensemble as a whole.
    pub troubles: Vec<String>,
    /// What should be known, though nothing is wrong.
    pub notes: Vec<String>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStanding {
    pub member: EnsembleMember,
    #[serde(flatten)]
    pub state: MemberState,
    /// Transactions behind the leader; none when it does not serve, or is of an earlier epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSeen>,
    /// The servers it runs with, `ID=HOST:PEER:ELECTION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<String>>,
    pub troubles: Vec<String>,
}

impl EnsembleStanding {
    /// All that is wrong, one by one.
    pub fn failures(&self) -> Vec<Failure> {
        let of_members = self.members.iter().flat_map(|standing| {
            standing.troubles.iter().map(|trouble| {
                let message = format!("{}: {trouble}", standing.member);
                match standing.state {
                    MemberState::Serving(_) => Failure::failed(message),
                    _ => Failure::unreachable(message),
                }
            })
        });
        of_members.chain(self.troubles.iter().map(Failure::failed)).collect()
    }
}

/// Judges what was seen of an ensemble that is listed as `listed`.
pub fn stand(listed: &Ensemble, looks: Vec<MemberLook>) -> EnsembleStanding {
    let leader = looks.iter().find(|look| has_mode(&look.state, Mode::Leader));
    let leading = leader.and_then(|look| look.state.stats()).and_then(zxid);
    let synced = leader.and_then(|look| figure(look.figures.as_deref()?, &["zk_synced_followers"]));
    let following = looks.iter().filter(|look| has_mode(&look.state, Mode::Follower)).count();
    let serving = looks.iter().filter(|look| look.state.stats().is_some()).count();
    let quorum = listed.quorum();
    let mut troubles = Vec::new();
    let mut notes = Vec::new();
    if serving < quorum {
        troubles.push(format!(
            "no quorum: {serving} of {} members serve, and {quorum} must",
            listed.members().len()
        ));
    }
    if let Some(synced) = synced.filter(|synced| *synced < following as u64) {
        troubles.push(format!("the leader counts {synced} follower(s) in sync, and {following} follow"));
    }
    troubles.extend(disagreement(&looks));
    troubles.extend(unlisted(listed, &looks));
    if listed.members().len().is_multiple_of(2) {
        notes.push(format!(
            "{} members: an even number bears no more failures than one member less",
            listed.members().len()
        ));
    }
    if leader.is_some_and(|look| look.figures.is_none()) {
        notes.push("the leader does not answer mntr (4lw.commands.whitelist), so how many followers are in sync is not known".to_owned());
    }
    let members = looks.into_iter().map(|look| member(look, leading, listed, &mut notes)).collect();
    EnsembleStanding { members, quorum, serving, synced_followers: synced, troubles, notes }
}

fn has_mode(state: &MemberState, mode: Mode) -> bool {
    state.stats().is_some_and(|stats| stats.mode == mode)
}

/// Epoch and counter of the last transaction.
fn zxid(stats: &ServerStats) -> Option<(u64, u64)> {
    let number = u64::from_str_radix(stats.zxid.strip_prefix("0x")?, 16).ok()?;
    Some((number >> 32, number & u64::from(u32::MAX)))
}

/// A figure of `mntr`, by the first of its names that is there.
fn figure(text: &str, names: &[&str]) -> Option<u64> {
    let of = |name: &&str| {
        let found = text.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(['\t', ' ']));
        // Some versions write 2.0.
        found?.split('.').next()?.trim().parse().ok()
    };
    names.iter().find_map(of)
}

fn member(
    look: MemberLook,
    leading: Option<(u64, u64)>,
    listed: &Ensemble,
    notes: &mut Vec<String>,
) -> MemberStanding {
    let MemberLook { member, state, seen, storage, running, figures: _ } = look;
    let mut troubles = Vec::new();
    let mut lag = None;
    match (state.stats(), leading) {
        (None, _) => troubles.push(format!("does not serve: it is {}", state.describe())),
        (Some(stats), _) if stats.mode == Mode::Standalone && listed.members().len() > 1 => {
            troubles.push("serves alone, it is no member of an ensemble".to_owned());
        }
        (Some(stats), Some(leading)) => match zxid(stats) {
            Some(own) if own.0 == leading.0 => {
                let behind = leading.1.saturating_sub(own.1);
                lag = Some(behind);
                if behind >= FAR_BEHIND {
                    troubles.push(format!("not in sync: {behind} transactions behind the leader"));
                }
            }
            Some(own) if own < leading => {
                troubles.push(format!(
                    "not in sync: its last transaction is of epoch {}, the leader's of {}",
                    own.0, leading.0
                ));
            }
            _ => {}
        },
        (Some(_), None) => {}
    }
    match &seen {
        Ok(seen) => troubles.extend(config_drift(seen, running.as_ref())),
        Err(failure) => troubles.push(format!("its host does not tell: {}", failure.message)),
    }
    if let Ok(storage) = &storage {
        judge_storage(&member, storage, seen.as_ref().is_ok_and(|seen| seen.has_data), &mut troubles, notes);
    }
    MemberStanding {
        member,
        state,
        lag,
        storage: storage.ok(),
        servers: running.map(|list| lines(&list)),
        troubles,
    }
}

fn judge_storage(
    member: &EnsembleMember,
    storage: &StorageSeen,
    has_data: bool,
    troubles: &mut Vec<String>,
    notes: &mut Vec<String>,
) {
    let snapshot = storage.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes);
    if storage.disk_free < LEAST_FREE.max(4 * snapshot) {
        troubles.push(format!(
            "its disk is nearly full: {} of {} free",
            human_bytes(storage.disk_free),
            human_bytes(storage.disk_bytes)
        ));
    }
    match &storage.snapshot {
        Some(snapshot) if snapshot.age > OLD_SNAPSHOT => notes.push(format!(
            "{member}: its last snapshot is {} days old; a restart takes in again what was written since ({} of logs)",
            snapshot.age / (24 * 3600),
            human_bytes(storage.log_bytes)
        )),
        None if has_data => troubles.push("it has transaction logs and no snapshot".to_owned()),
        _ => {}
    }
}

/// A `zoo.cfg` that was changed and not taken over yet, or that was changed by nobody who should.
fn config_drift(seen: &MemberSeen, running: Option<&ServerList>) -> Option<String> {
    let config = seen.config.as_deref()?;
    let (written, running) = (server_list(config), running?);
    // A server that was reconfigured keeps its list elsewhere, and one alone may have none.
    if written.is_empty() || written == *running {
        return None;
    }
    Some(format!(
        "its zoo.cfg has other servers than it runs with: {} instead of {}",
        lines(&written).join(" "),
        lines(running).join(" ")
    ))
}

/// Members that run with different lists.
fn disagreement(looks: &[MemberLook]) -> Option<String> {
    let mut lists: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for look in looks {
        if let Some(list) = &look.running {
            lists.entry(lines(list)).or_default().push(look.member.to_string());
        }
    }
    if lists.len() < 2 {
        return None;
    }
    let told: Vec<String> = lists
        .iter()
        .map(|(list, members)| format!("{} with {}", members.join(", "), list.join(" ")))
        .collect();
    Some(format!("the members do not run with one list of servers: {}", told.join("; ")))
}

/// Servers that members run with and nobody lists, and the other way round. Ports of clients are not in those lists, so
/// hosts are compared, by how often each is there.
fn unlisted(listed: &Ensemble, looks: &[MemberLook]) -> Option<String> {
    let running = looks.iter().find_map(|look| look.running.as_ref()).filter(|list| !list.is_empty())?;
    let mut here: Vec<&str> = listed.members().iter().map(|member| member.host.as_str()).collect();
    let mut there: Vec<&str> = running.values().map(|server| server.host.as_str()).collect();
    here.sort_unstable();
    there.sort_unstable();
    (here != there)
        .then(|| format!("listed are {}, and the members run with {}", here.join(", "), there.join(", ")))
}

fn lines(list: &ServerList) -> Vec<String> {
    list.iter().map(|(id, server)| format!("{id}={server}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::SnapshotSeen;

    const CONFIG: &str = "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n";

    fn look(name: &str, mode: Mode, zxid: &str) -> MemberLook {
        let MemberState::Serving(mut stats) = MemberState::serving(mode) else { unreachable!() };
        stats.zxid = zxid.to_owned();
        let seen = MemberSeen {
            myid: Some(1),
            config: Some(CONFIG.to_owned()),
            has_data: true,
            pid: Some(1),
            installed: true,
            java: true,
        };
        let snapshot = SnapshotSeen { file: "snapshot.0".into(), bytes: 10, age: 60 };
        let storage = StorageSeen {
            snapshot: Some(snapshot),
            log_files: 1,
            log_bytes: 1 << 20,
            disk_bytes: 10 << 30,
            disk_free: 5 << 30,
        };
        MemberLook {
            member: format!("{name}:2181").parse().unwrap(),
            state: MemberState::Serving(stats),
            seen: Ok(seen),
            storage: Ok(storage),
            running: Some(server_list(CONFIG)),
            figures: (mode == Mode::Leader).then(|| "zk_synced_followers\t2\n".to_owned()),
        }
    }

    fn three() -> Vec<MemberLook> {
        vec![
            look("a", Mode::Leader, "0x200000400"),
            look("b", Mode::Follower, "0x2000003fe"),
            look("c", Mode::Follower, "0x200000400"),
        ]
    }

    fn judged(looks: Vec<MemberLook>) -> EnsembleStanding {
        stand(&Ensemble::parse("a:2181,b:2181,c:2181").unwrap(), looks)
    }

    fn said(standing: &EnsembleStanding) -> Vec<String> {
        standing.failures().into_iter().map(|failure| failure.message).collect()
    }

    #[test]
    fn members_that_are_well_have_their_lag_and_nothing_wrong() {
        let standing = judged(three());
        assert_eq!(said(&standing), [""; 0]);
        let lags: Vec<Option<u64>> = standing.members.iter().map(|member| member.lag).collect();
        assert_eq!(lags, [Some(0), Some(2), Some(0)]);
        assert_eq!((standing.synced_followers, standing.notes.len()), (Some(2), 0));
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let mut looks = three();
        looks[1] = look("b", Mode::Follower, "0x200000000");
        looks[2] = look("c", Mode::Follower, "0x1000fffff");
        looks[0].figures = Some("zk_synced_followers\t1.0\n".into());
        if let Ok(storage) = &mut looks[0].storage {
            (storage.disk_free, storage.snapshot) = (100 << 20, None);
        }
        if let Ok(seen) = &mut looks[2].seen {
            seen.config = Some("server.1=a:2888:3888\n".into());
        }
        looks[1].running = Some(server_list("server.1=a:2888:3888\nserver.2=b:2888:3888\n"));
        insta::assert_snapshot!(said(&judged(looks)).join("\n"));
    }

    #[test]
    fn without_a_quorum_and_with_a_host_that_is_lost_the_rest_is_told_all_the_same() {
        let mut looks = three();
        for look in &mut looks[1..] {
            look.state = MemberState::Down { reason: "connection refused".into() };
            look.running = None;
        }
        looks[2].seen = Err(Failure::unreachable("c: cannot connect with ssh"));
        looks[2].storage = Err(Failure::unreachable("c: cannot connect with ssh"));
        insta::assert_snapshot!(said(&judged(looks)).join("\n"));
    }

    #[test]
    fn what_should_be_known_is_no_failure() {
        let mut looks = three();
        looks.pop();
        looks[0].figures = None;
        if let Ok(StorageSeen { snapshot: Some(snapshot), .. }) = &mut looks[1].storage {
            snapshot.age = 40 * 24 * 3600;
        }
        for look in &mut looks {
            look.running = None;
        }
        let standing = stand(&Ensemble::parse("a:2181,b:2181").unwrap(), looks);
        assert_eq!(said(&standing), [""; 0]);
        insta::assert_snapshot!(standing.notes.join("\n"));
    }
}

//! Taking all locks of a plan at once; waiting, where one is taken, without keeping the others from anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::cloud::{self, CloudAnswer, CloudLook};
use super::host::{self, Answer, Idle, Patience};
use super::{Holder, HostHold, Locks, Place, Session, Wanted, guard};
use crate::error::{Failure, Failures};
use crate::model::{HostName, ServiceCode};
use crate::remote::Fleet;
use crate::zk::ZooKeeper;

/// One wait for a host's lock takes so long at most, so that a run that was given up is not waited for on the host.
const WAIT_SLICE: Duration = Duration::from_secs(60);
/// Between attempts, where a wait ends early.
const PAUSE: Duration = Duration::from_secs(1);
/// A run that was cut off may have been at work so long after it was last heard of.
const AFTERMATH: Duration = Duration::from_secs(120);

/// What a run is waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub place: Place,
    pub holder: Option<Holder>,
    /// It died; only its ZooKeeper session has yet to expire.
    pub died: bool,
}

/// The locks are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Somebody else may have been at work since the look began: what was seen may be so no longer.
    pub stale: bool,
    /// Places that cannot be locked, and why.
    pub without: Vec<(HostName, String)>,
}

/// What is locked by whom.
type Busy = (Place, Option<Holder>);

/// With what locks are taken.
#[derive(Debug)]
pub struct Taking<'a> {
    pub fleet: &'a Fleet,
    pub zookeeper: Session,
    /// For a host to answer.
    pub limit: Duration,
    /// When the look began that the plan comes from.
    pub look_began: Instant,
    /// How the locks of the clouds were then.
    pub cloud_looks: BTreeMap<ServiceCode, CloudLook>,
    /// How long to wait for what is taken.
    pub wait: Duration,
}

impl Locks {
    /// Takes what is wanted and not held yet, all at once. What is taken is waited for as long as allowed, with nothing
    /// held meanwhile; `tell` hears of it. A host that cannot be asked keeps nobody from the rest; its steps fail.
    ///
    /// # Errors
    /// When something is taken and stays so; names who has it. Nothing is held then.
    pub async fn take(
        &self,
        wanted: &Wanted,
        taking: &Taking<'_>,
        mut tell: impl FnMut(&Waiting),
    ) -> Result<Taken, Failures> {
        let mut taken = Taken::default();
        if self.has(wanted) {
            return Ok(taken);
        }
        let wanted = self.with_held(wanted);
        let began = Instant::now();
        loop {
            let busy = self.attempt(&wanted, taking, &mut taken).await?;
            let Some((place, holder)) = busy.first().cloned() else { return Ok(taken) };
            let died = matches!(place, Place::Cloud(_))
                && holder.as_ref().is_some_and(|holder| holder.is_dead(&self.holder));
            // A session expires by itself, and soon.
            let patience = if died { session_patience(taking) } else { Duration::ZERO };
            let left = taking.wait.max(patience).saturating_sub(began.elapsed());
            self.release().await;
            if left.is_zero() {
                let failures = busy.into_iter().map(|(place, holder)| refusal(&place, holder.as_ref()));
                Failures::none_of(failures.collect())?;
            }
            tell(&Waiting { place: place.clone(), holder, died });
            self.wait_for(&place, left, taking, &mut taken).await?;
            // What has been waited for is no longer as it was seen.
            taken.stale = true;
        }
    }

    /// What is wanted, and what is held already: freed on the way, it has to be taken again.
    fn with_held(&self, wanted: &Wanted) -> Wanted {
        let hosts = guard(&self.hosts).keys().cloned().chain(wanted.hosts.iter().cloned()).collect();
        let clouds = guard(&self.cloud).keys().cloned().chain(wanted.clouds.iter().cloned()).collect();
        Wanted { hosts, clouds }
    }

    /// Tries everything that is not held, all at once; gives what others have.
    async fn attempt(
        &self,
        wanted: &Wanted,
        taking: &Taking<'_>,
        taken: &mut Taken,
    ) -> Result<Vec<Busy>, Failures> {
        let missing: BTreeSet<HostName> =
            wanted.hosts.iter().filter(|host| !guard(&self.hosts).contains_key(*host)).cloned().collect();
        let hosts = join_all(missing.into_iter().map(|host| async move {
            let answer = self.ask(&host, Duration::ZERO, taking).await;
            (host, answer)
        }));
        let missing: Vec<&ServiceCode> =
            wanted.clouds.iter().filter(|code| !guard(&self.cloud).contains_key(*code)).collect();
        let clouds = join_all(taking.zookeeper.iter().flat_map(|zookeeper| {
            missing.iter().map(move |code| async move {
                let look = taking.cloud_looks.get(*code).copied();
                (*code, cloud::take(zookeeper, code, &self.holder, look).await)
            })
        }));
        let (hosts, clouds) = tokio::join!(hosts, clouds);
        let mut busy = Vec::new();
        let mut lost = None;
        for (code, answer) in clouds {
            match answer {
                Ok(CloudAnswer::Locked { lock, same }) => {
                    taken.stale |= !same;
                    guard(&self.cloud).insert(code.clone(), lock);
                }
                Ok(CloudAnswer::Busy(holder)) => busy.push((Place::Cloud(code.clone()), holder)),
                Err(failure) => lost = Some(failure),
            }
        }
        if let Some(failure) = lost {
            self.settle_hosts(hosts, taking, taken);
            self.release().await;
            return Err(failure.into());
        }
        busy.extend(self.settle_hosts(hosts, taking, taken));
        Ok(busy)
    }

    /// Asks a host. What a run has there that is known to be dead, it has no longer.
    async fn ask(&self, host: &HostName, wait: Duration, taking: &Taking<'_>) -> Result<Answer, Failure> {
        let remote = taking.fleet.host(host).await?;
        let take = |patience| host::take(&*remote, &self.install_path, &self.holder, patience, taking.limit);
        match take(Patience { wait, dead: None }).await? {
            Answer::Busy(Some(theirs)) if theirs.is_dead(&self.holder) => {
                take(Patience { wait: Duration::ZERO, dead: Some(&theirs.run) }).await
            }
            answer => Ok(answer),
        }
    }

    /// Keeps what was got; gives what others have.
    fn settle_hosts(
        &self,
        answers: Vec<(HostName, Result<Answer, Failure>)>,
        taking: &Taking<'_>,
        taken: &mut Taken,
    ) -> Vec<Busy> {
        let mut busy = Vec::new();
        let mut own = Vec::new();
        for (host, answer) in answers {
            let hold = match answer {
                Ok(Answer::Locked { lock, idle }) => {
                    taken.stale |= idle.is_some_and(|idle| was_used_since(idle, taking.look_began));
                    HostHold::Held(lock)
                }
                Ok(Answer::Own(name, ours)) => {
                    own.push((host, name, ours));
                    continue;
                }
                Ok(Answer::Busy(holder)) => {
                    busy.push((Place::Host(host), holder));
                    continue;
                }
                Ok(Answer::Unlocked(why)) => {
                    taken.without.push((host.clone(), why));
                    HostHold::Without
                }
                Err(failure) => HostHold::Lost(failure),
            };
            guard(&self.hosts).insert(host, hold);
        }
        busy.extend(own.into_iter().filter_map(|(host, name, ours)| self.settle_own(host, name, ours)));
        busy
    }

    /// A machine that this run has by another name is ours; but not by a lock of an earlier attempt that is just ending.
    fn settle_own(&self, host: HostName, name: HostName, ours: Holder) -> Option<Busy> {
        let mut hosts = guard(&self.hosts);
        if !hosts.get(&name).is_some_and(HostHold::is_held) {
            return Some((Place::Host(host), Some(ours)));
        }
        hosts.insert(host, HostHold::Ours(name));
        None
    }

    /// Waits until a place is free, at most so long; a host's lock is then held.
    async fn wait_for(
        &self,
        place: &Place,
        left: Duration,
        taking: &Taking<'_>,
        taken: &mut Taken,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        match (place, &taking.zookeeper) {
            (Place::Host(host), _) => {
                let answer = self.ask(host, left.min(WAIT_SLICE), taking).await;
                let busy = self.settle_hosts(vec![(host.clone(), answer)], taking, taken);
                // Not every flock can wait.
                if !busy.is_empty() && began.elapsed() < PAUSE {
                    tokio::time::sleep(PAUSE.min(left)).await;
                }
                Ok(())
            }
            (Place::Cloud(code), Some(zookeeper)) => freed_within(zookeeper, code, left).await,
            (Place::Cloud(_), None) => Ok(()),
        }
    }
}

/// For the session of a client that was killed to expire.
fn session_patience(taking: &Taking<'_>) -> Duration {
    taking.zookeeper.as_ref().map_or(Duration::ZERO, |zookeeper| zookeeper.session_timeout() * 2)
}

async fn freed_within(zookeeper: &Arc<ZooKeeper>, code: &ServiceCode, left: Duration) -> Result<(), Failure> {
    match tokio::time::timeout(left, cloud::freed(zookeeper, code)).await {
        Ok(freed) => freed,
        // Who still has it is said by the next attempt.
        Err(_) => Ok(()),
    }
}

/// By clocks that are not compared with each other: the host's tells how long ago, ours how long the look is past.
fn was_used_since(idle: Idle, look_began: Instant) -> bool {
    let since_look = idle.heard.saturating_duration_since(look_began);
    let aftermath = if idle.released { Duration::ZERO } else { AFTERMATH };
    idle.age <= since_look + idle.slack + aftermath
}

fn refusal(place: &Place, holder: Option<&Holder>) -> Failure {
    let holder = holder.map_or_else(|| "it does not say which".to_owned(), Holder::describe);
    Failure::refused(format!("{place}: another run is at work there")).cause(holder).hint(
        "wait for it with --lock-wait 5m, or see who has what: arcusctl lock status; nothing was changed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_of_two_names_is_ours_only_while_one_of_them_is_held() {
        let process = super::super::this_process();
        let text = || "a".to_owned();
        let ours = Holder {
            run: text(),
            user: text(),
            host: text(),
            pid: 1,
            process,
            since: text(),
            command: text(),
        };
        let locks = Locks::new(ours.clone(), "/opt/arcus".to_owned());
        let name = |last| HostName::from(std::net::Ipv4Addr::new(10, 0, 0, last));
        let busy = locks.settle_own(name(2), name(1), ours.clone());
        assert_eq!(busy, Some((Place::Host(name(2)), Some(ours.clone()))));
        let (lock, held) = host::HostLock::kept_by_nobody(name(1));
        guard(&locks.hosts).insert(name(1), HostHold::Held(lock));
        assert_eq!(locks.settle_own(name(2), name(1), ours.clone()), None);
        locks.check(Some(&name(2))).unwrap();
        // What is lost under one name is lost under the other, and nothing to go by any more.
        held.send(false).unwrap();
        locks.check(Some(&name(2))).unwrap_err();
        assert!(locks.settle_own(name(3), name(1), ours).is_some());
    }

    #[test]
    fn what_somebody_left_before_the_look_is_as_it_was_seen() {
        let look_began = Instant::now();
        let heard = look_began + Duration::from_secs(3);
        let used = |seconds: f64, released: bool| {
            let (age, slack) = (Duration::from_secs_f64(seconds), Duration::from_millis(20));
            was_used_since(Idle { age, slack, released, heard }, look_began)
        };
        assert!(used(0.0, true) && used(2.9, true));
        assert!(!used(3.1, true));
        // One that was cut off may have gone on for a while.
        assert!(used(60.0, false));
        assert!(!used(600.0, false));
    }
}

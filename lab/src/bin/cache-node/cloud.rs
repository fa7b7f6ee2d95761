//! Membership in the Arcus cloud: joining, watching, being pushed out, rejoining, leaving.
//!
//! One task owns the ZooKeeper client; everybody else has a [`Handle`].

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode, Error, SessionState, StateWatcher, WatchedEvent};

use crate::exit::{Code, Fatal};
use crate::identity::Identity;
use crate::log;

const CACHE_LIST: &str = "/arcus/cache_list";
const MAPPING: &str = "/arcus/cache_server_mapping";
const SERVER_LOG: &str = "/arcus/cache_server_log";
const LONGEST_CODE: usize = 128;
/// How long ZooKeeper may take to confirm that a session is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What `ready` and `stats zookeeper` tell.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// Whether there is a ZooKeeper handle at all; says nothing about its connection, as in the real one.
    pub(crate) connected: bool,
    pub(crate) ready: bool,
    pub(crate) timeout: Duration,
    pub(crate) ensemble: String,
}

/// The way to the task that owns the membership.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    failstop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Command {
    Rejoin(oneshot::Sender<Result<(), String>>),
    Ensemble(String, oneshot::Sender<Result<(), String>>),
    Leave(oneshot::Sender<()>),
}

impl Handle {
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(crate) fn failstop(&self) -> bool {
        self.failstop.load(Ordering::Relaxed)
    }

    pub(crate) fn set_failstop(&self, on: bool) {
        self.failstop.store(on, Ordering::Relaxed);
    }

    pub(crate) async fn rejoin(&self) -> Result<(), String> {
        self.ask(Command::Rejoin).await
    }

    pub(crate) async fn set_ensemble(&self, ensemble: String) -> Result<(), String> {
        self.ask(|reply| Command::Ensemble(ensemble, reply)).await
    }

    /// Closes the session, upon which the node's znode vanishes.
    pub(crate) async fn leave(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Leave(reply)).await.is_ok() {
            // Bounded: without ZooKeeper nobody confirms anything.
            let _ = timeout(CLOSE_LIMIT, answer).await;
        }
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Command,
    ) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let gone = || "the node is leaving".to_owned();
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// How to join.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) ensemble: String,
    pub(crate) session_timeout: Duration,
    pub(crate) identity: Identity,
    pub(crate) memory_mb: u64,
}

/// A session that holds the node's znode.
struct Joined {
    client: Client,
    /// Done when the list of members has changed, once; boxed so that waiting for it can be interrupted.
    members: Pin<Box<dyn Future<Output = WatchedEvent> + Send>>,
    state: StateWatcher,
}

/// The task's own state.
pub(crate) struct Membership {
    terms: Terms,
    code: String,
    joined: Option<Joined>,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    failstop: Arc<AtomicBool>,
    /// Done when a ZooKeeper server can tell that the session is over. The client below gives a session up by itself after
    /// its timeout; the real one knows of an expiry only from a server, and is READY until then.
    verdict: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Joins the cloud for the first time. What comes back is to be [run](Membership::run).
pub(crate) async fn join(terms: Terms) -> Result<(Membership, Handle), Fatal> {
    let client = connect(&terms).await?;
    let code = service_code(&client, &terms.identity).await?;
    let joined = enter(client, &terms, &code, "join").await?;
    let (sender, commands) = mpsc::channel(8);
    let (status, receiver) = watch::channel(status_of(&terms, Some(&joined)));
    let failstop = Arc::new(AtomicBool::new(true));
    let handle = Handle { commands: sender, status: receiver, failstop: Arc::clone(&failstop) };
    Ok((Membership { terms, code, joined: Some(joined), commands, status, failstop, verdict: None }, handle))
}

fn status_of(terms: &Terms, joined: Option<&Joined>) -> Status {
    Status {
        connected: joined.is_some(),
        ready: joined.is_some(),
        timeout: joined.map_or(terms.session_timeout, |joined| joined.client.session_timeout()),
        ensemble: terms.ensemble.clone(),
    }
}

fn refused(message: impl Into<String>) -> Fatal {
    Fatal::new(Code::NotJoined, message)
}

async fn connect(terms: &Terms) -> Result<Client, Fatal> {
    log::debug(&format!("connecting to ZooKeeper at {}", terms.ensemble));
    let connecting = Client::connector()
        .with_server_version(3, 5, 9)
        .with_session_timeout(terms.session_timeout)
        .connect(&terms.ensemble);
    let reason = match timeout(terms.session_timeout, connecting).await {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", terms.session_timeout.as_secs()),
    };
    Err(refused(format!("cannot connect to ZooKeeper at {}: {reason}", terms.ensemble)))
}

/// Looks up which cloud this node belongs to.
async fn service_code(client: &Client, identity: &Identity) -> Result<String, Fatal> {
    let failed = |error: Error| refused(format!("cannot read {MAPPING}: {error}"));
    client.sync(MAPPING).await.map_err(failed)?;
    for key in identity.mapping_keys() {
        let path = format!("{MAPPING}/{key}");
        let children = match client.list_children(&path).await {
            Ok(children) => children,
            Err(Error::NoNode) => continue,
            Err(error) => return Err(failed(error)),
        };
        let [child] = children.as_slice() else {
            return Err(refused(format!(
                "{path} has {} children; exactly one service code must be there",
                children.len()
            )));
        };
        // Replication writes code^group^address; the first field is all that matters.
        let code = child.split('^').next().unwrap_or(child);
        if code.is_empty() || code.len() > LONGEST_CODE {
            return Err(refused(format!("{path}: bad service code {code:?}")));
        }
        return Ok(code.to_owned());
    }
    Err(refused(format!(
        "no mapping for this node in {MAPPING}: looked for {}",
        identity.mapping_keys().join(", ")
    )))
}

/// Puts the node into the cache list of its cloud.
async fn enter(client: Client, terms: &Terms, code: &str, event: &str) -> Result<Joined, Fatal> {
    let list = format!("{CACHE_LIST}/{code}");
    let znode = terms.identity.znode();
    let path = format!("{list}/{znode}");
    let data = format!("{}MB", terms.memory_mb);
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    client.create(&path, data.as_bytes(), &ephemeral).await.map_err(|error| match error {
        Error::NodeExists => refused(format!("{path} exists: an old session of this node still lives")),
        Error::NoNode => refused(format!("cannot create {path}: {list} does not exist")),
        error => refused(format!("cannot create {path}: {error}")),
    })?;
    record(&client, &znode, event).await;
    let watching = client.list_and_watch_children(&list).await;
    let (members, watcher) = watching.map_err(|error| refused(format!("cannot watch {list}: {error}")))?;
    log::info(&format!("joined Arcus cloud {code} as {znode}, {} nodes now", members.len()));
    let state = client.state_watcher();
    Ok(Joined { client, members: Box::pin(watcher.changed()), state })
}

/// Leaves a note in the cloud's log, if it keeps one.
async fn record(client: &Client, znode: &str, event: &str) {
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
    let day = format!("{SERVER_LOG}/{}", today());
    let noted = match client.create(&day, b"", &persistent).await {
        Ok(_) | Err(Error::NodeExists) => {
            client.create(&format!("{day}/{znode}-"), event.as_bytes(), &sequential).await
        }
        failed => failed,
    };
    if let Err(error) = noted {
        log::debug(&format!("not noted in {SERVER_LOG}: {error}"));
    }
}

/// Closes a session and waits until ZooKeeper has confirmed it.
async fn close(joined: Joined) {
    let Joined { client, members, mut state } = joined;
    drop(members);
    drop(client);
    let closed = async { while !state.changed().await.is_terminated() {} };
    if timeout(CLOSE_LIMIT, closed).await.is_err() {
        log::info("ZooKeeper has not confirmed that the session is closed");
    }
}

impl Membership {
    /// Lives as a member. Ends when told to leave (`Ok`), or when the session has expired and failstop is on.
    pub(crate) async fn run(mut self) -> Result<(), Fatal> {
        loop {
            let happened = tokio::select! {
                command = self.commands.recv() => Happened::Asked(command),
                happened = next_event(self.joined.as_mut(), self.verdict.as_mut()) => happened,
            };
            match happened {
                Happened::Asked(Some(Command::Leave(reply))) => {
                    self.withdraw().await;
                    let _ = reply.send(());
                    return Ok(());
                }
                Happened::Asked(None) => return Ok(()),
                Happened::Asked(Some(Command::Rejoin(reply))) => {
                    let _ = reply.send(self.rejoin().await);
                }
                Happened::Asked(Some(Command::Ensemble(ensemble, reply))) => {
                    let _ = reply.send(self.change_ensemble(ensemble).await);
                }
                Happened::State(SessionState::Expired) => {
                    log::info("ZooKeeper session given up; waiting to hear so from a server");
                    self.verdict = Some(Box::pin(reach(self.terms.clone())));
                }
                Happened::State(state) => self.state_changed(state).await?,
                Happened::Verdict => {
                    self.verdict = None;
                    self.state_changed(SessionState::Expired).await?;
                }
                Happened::Members => self.members_changed().await,
            }
        }
    }

    async fn state_changed(&mut self, state: SessionState) -> Result<(), Fatal> {
        log::info(&format!("ZooKeeper session: {state:?}"));
        // A lost connection alone changes nothing: the session may well survive it.
        if !state.is_terminated() {
            if state == SessionState::SyncConnected {
                self.members_changed().await;
            }
            return Ok(());
        }
        if state == SessionState::Expired && self.failstop.load(Ordering::Relaxed) {
            return Err(Fatal::new(
                Code::SessionExpired,
                "ZooKeeper session expired: shutting down (failstop)",
            ));
        }
        self.withdraw().await;
        Ok(())
    }

    /// Looks whether the node is still listed, and keeps watching.
    async fn members_changed(&mut self) {
        let Some(joined) = &mut self.joined else { return };
        let list = format!("{CACHE_LIST}/{}", self.code);
        match joined.client.list_and_watch_children(&list).await {
            Ok((members, watcher)) => {
                joined.members = Box::pin(watcher.changed());
                log::info(&format!("cache list changed: {} nodes", members.len()));
                if !members.contains(&self.terms.identity.znode()) {
                    log::error(
                        "own znode is gone: closing ZooKeeper, still serving; \"zkensemble rejoin\" joins again",
                    );
                    self.withdraw().await;
                }
            }
            Err(Error::NoNode) => {
                log::error(&format!("{list} is gone: closing ZooKeeper, still serving"));
                self.withdraw().await;
            }
            // The connection is lost, or the session is over: its state is about to tell which.
            Err(error) => {
                joined.members = Box::pin(pending());
                log::debug(&format!("cannot watch {list}: {error}"));
            }
        }
    }

    async fn withdraw(&mut self) {
        self.verdict = None;
        if let Some(joined) = self.joined.take() {
            self.publish();
            close(joined).await;
        }
    }

    async fn rejoin(&mut self) -> Result<(), String> {
        if self.joined.is_some() {
            return Err("already a member".to_owned());
        }
        let attempt = async {
            let client = connect(&self.terms).await?;
            enter(client, &self.terms, &self.code, "rejoin").await
        };
        self.joined = Some(attempt.await.map_err(|fatal| fatal.message)?);
        self.publish();
        Ok(())
    }

    /// Moves to another ensemble. The real one takes its session along; here it is a new one.
    async fn change_ensemble(&mut self, ensemble: String) -> Result<(), String> {
        let was_member = self.joined.is_some();
        self.withdraw().await;
        self.terms.ensemble = ensemble;
        self.publish();
        if was_member { self.rejoin().await } else { Ok(()) }
    }

    fn publish(&self) {
        self.status.send_replace(status_of(&self.terms, self.joined.as_ref()));
    }
}

#[derive(Debug)]
enum Happened {
    Asked(Option<Command>),
    State(SessionState),
    Members,
    Verdict,
}

/// Waits until some ZooKeeper server can be reached.
async fn reach(terms: Terms) {
    while connect(&terms).await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn next_event(
    joined: Option<&mut Joined>,
    verdict: Option<&mut Pin<Box<dyn Future<Output = ()> + Send>>>,
) -> Happened {
    if let Some(verdict) = verdict {
        verdict.await;
        return Happened::Verdict;
    }
    let Some(joined) = joined else { return pending().await };
    tokio::select! {
        state = joined.state.changed() => Happened::State(state),
        _ = &mut joined.members => Happened::Members,
    }
}

/// Today's date (UTC) as in `cache_server_log`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    date(seconds / 86_400)
}

/// The Gregorian date of a day counted from 1970-01-01, by counting in years that begin in March.
fn date(day: u64) -> String {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_819), "2027-01-01");
    }
}

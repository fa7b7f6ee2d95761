//! The lock of one host: a script there that holds it for as long as it hears of us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Holder, to_line};
use crate::error::Failure;
use crate::model::HostName;
use crate::remote::{Process, Remote, Script, scripts};

/// The script hears of us so often; it ends after 75 s of silence.
const BEAT: Duration = Duration::from_secs(15);
/// Nobody may go on who has not been heard for so long; less than the script's patience.
const LONGEST_SILENCE: Duration = Duration::from_secs(50);
/// The kernel tells how long it has been up in hundredths of a second.
const SLACK: Duration = Duration::from_millis(20);
/// For the script to end once it is told that the run is through.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// A lock that is held.
#[derive(Debug)]
pub(super) struct HostLock {
    host: HostName,
    through: oneshot::Sender<()>,
    /// False once it is held no longer.
    held: watch::Receiver<bool>,
    heard: Heard,
    keeper: JoinHandle<()>,
}

/// What a host answered.
#[derive(Debug)]
pub(super) enum Answer {
    Locked {
        lock: HostLock,
        /// How long ago a run last had it, by the host's own clock; `None` when nobody ever had.
        idle: Option<Idle>,
    },
    Busy(Option<Holder>),
    /// This run has it, or is just giving it up, by this name of the same machine.
    Own(HostName, Holder),
    /// It cannot be locked.
    Unlocked(String),
}

/// How a run before this one left a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Idle {
    /// How long it is past, by the host's own clock.
    pub(super) age: Duration,
    /// How far that can be wrong.
    pub(super) slack: Duration,
    /// It said that it was through; otherwise it was cut off, and what it had begun there may have gone on.
    pub(super) released: bool,
    /// When we heard of it, by our clock.
    pub(super) heard: Instant,
}

/// What a host keeps of the run that has its lock.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    holder: Holder,
    /// The host, as that run calls it.
    at: HostName,
}

/// When the script last heard of us, in milliseconds of [`awake`].
#[derive(Clone, Debug)]
struct Heard(Arc<AtomicU64>);

/// How to ask for a lock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience<'a> {
    /// How long to wait for it.
    pub(super) wait: Duration,
    /// A run that is known to be dead; where it still has the lock, it is taken from it.
    pub(super) dead: Option<&'a str>,
}

/// Asks a host for its lock; `limit` is for all but the waiting.
///
/// # Errors
/// When the host cannot be reached or does not answer.
pub(super) async fn take(
    remote: &dyn Remote,
    install_path: &str,
    holder: &Holder,
    patience: Patience<'_>,
    limit: Duration,
) -> Result<Answer, Failure> {
    let host = remote.host();
    let entry = Entry { holder: holder.clone(), at: host.clone() };
    let script = Script::new("take the operation lock", scripts::HOLD_LOCK)
        .arg(install_path)
        .arg(to_line(&entry))
        .arg(patience.wait.as_secs().to_string())
        .arg(patience.dead.unwrap_or_default());
    let asked = async {
        let mut process = remote.spawn(&script).await?;
        let lost = || Failure::failed(format!("{host}: could not take the operation lock"));
        let stdout = process.stdout.take().ok_or_else(lost)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line).await.map_err(|error| lost().cause(error))?;
        Ok::<_, Failure>((process, stdout, line))
    };
    let (process, stdout, line) = timeout(limit + patience.wait, asked).await.map_err(|_| {
        Failure::unreachable(format!("{host}: did not say within {} s who has its lock", limit.as_secs()))
            .hint("see whether the host hangs; raise [timeouts] command in arcusctl.toml if it is only slow")
    })??;
    match line.trim_end_matches('\n').split_once(' ') {
        Some(("locked", state)) => Ok(Answer::Locked {
            lock: HostLock::keep(host.clone(), process, stdout),
            idle: Idle::parse(state),
        }),
        Some(("busy", text)) => Ok(match serde_json::from_str::<Entry>(text) {
            Ok(theirs) if theirs.holder.run == holder.run => Answer::Own(theirs.at, theirs.holder),
            _ => Answer::Busy(Holder::parse(text.as_bytes())),
        }),
        Some(("unlocked", why)) => Ok(Answer::Unlocked(why.to_owned())),
        _ => {
            let output = process.finish().await?;
            output.success(host, &script)?;
            Err(Failure::failed(format!("{host}: cannot make out who has its lock"))
                .cause(format!("it answered {:?}", line.trim_end())))
        }
    }
}

impl Idle {
    /// `FREED NOW released|left|.`, in seconds; `None` for `new`. What cannot be made out may have been just now.
    fn parse(state: &str) -> Option<Self> {
        if state == "new" {
            return None;
        }
        let mut words = state.split(' ');
        let mut seconds = || words.next().and_then(|word| word.parse::<f64>().ok());
        let age =
            seconds().zip(seconds()).and_then(|(freed, now)| Duration::try_from_secs_f64(now - freed).ok());
        let released = age.is_some() && words.next() == Some("released");
        Some(Self { age: age.unwrap_or_default(), slack: SLACK, released, heard: Instant::now() })
    }
}

impl HostLock {
    fn keep(
        host: HostName,
        mut process: Process,
        stdout: BufReader<impl tokio::io::AsyncRead + Send + Unpin + 'static>,
    ) -> Self {
        let (through, told) = oneshot::channel();
        let (state, held) = watch::channel(true);
        let name = host.clone();
        let heard = Heard::now();
        let hearing = heard.clone();
        let keeper = tokio::spawn(async move {
            let stdin = process.stdin.take();
            let word = beat(stdin, stdout, told, &hearing).await;
            tracing::debug!(host = %name, word, "the operation lock ends");
            let _nobody_asks = state.send(false);
            if timeout(RELEASE_LIMIT, process.finish()).await.is_err() {
                tracing::debug!(host = %name, "the lock was left to end by itself");
            }
        });
        Self { host, through, held, heard, keeper }
    }

    /// One that is lost when the test says so.
    #[cfg(test)]
    pub(super) fn kept_by_nobody(host: HostName) -> (Self, watch::Sender<bool>) {
        let (through, _told) = oneshot::channel();
        let (state, held) = watch::channel(true);
        let keeper = tokio::spawn(std::future::ready(()));
        (Self { host, through, held, heard: Heard::now(), keeper }, state)
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        // A machine that has just woken up asks before its keeper has seen how late it is.
        if *self.held.borrow() && !self.heard.is_too_long_ago(awake()) {
            return Ok(());
        }
        Err(Failure::refused(format!("{}: the operation lock was lost", self.host))
            .cause("its holder there has ended, or was not heard for too long; somebody else may be at work by now")
            .hint("run the command again: it looks first and does what is missing"))
    }

    pub(super) async fn release(self) {
        let _gone_already = self.through.send(());
        if let Err(error) = self.keeper.await {
            tracing::debug!(%error, "the keeper of a lock ended early");
        }
    }
}

impl Heard {
    fn now() -> Self {
        Self(Arc::new(AtomicU64::new(milliseconds(awake()))))
    }

    fn set(&self, when: Duration) {
        self.0.store(milliseconds(when), Ordering::Relaxed);
    }

    fn is_too_long_ago(&self, now: Duration) -> bool {
        milliseconds(now).saturating_sub(self.0.load(Ordering::Relaxed)) > milliseconds(LONGEST_SILENCE)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Lets the script hear of us until the run is through or the script is gone; says which.
async fn beat(
    stdin: Option<std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>>,
    mut stdout: BufReader<impl tokio::io::AsyncRead + Send + Unpin>,
    mut through: oneshot::Receiver<()>,
    heard: &Heard,
) -> &'static str {
    let Some(mut stdin) = stdin else { return "lost" };
    let mut clock = interval(BEAT);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    clock.tick().await;
    let mut rest = String::new();
    loop {
        tokio::select! {
            // Nothing more comes from there but the end.
            _ = stdout.read_line(&mut rest) => return "lost",
            _ = &mut through => {
                let _gone_already = stdin.write_all(b"done\n").await;
                let _gone_already = stdin.flush().await;
                return "released";
            }
            _ = clock.tick() => {
                // A machine that slept must not go on as if it had not.
                if heard.is_too_long_ago(awake()) {
                    return "lost";
                }
                let beat = async {
                    stdin.write_all(b".\n").await?;
                    stdin.flush().await
                };
                if !matches!(timeout(LONGEST_SILENCE, beat).await, Ok(Ok(()))) {
                    return "lost";
                }
                heard.set(awake());
            }
        }
    }
}

/// Time since boot, also while the machine slept.
fn awake() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_lock_was_free_is_read_as_exactly_as_the_host_tells() {
        let read = |state: &str| Idle::parse(state).map(|idle| (idle.age, idle.released));
        assert_eq!(read("4000.25 4001.50 released"), Some((Duration::from_millis(1250), true)));
        assert_eq!(read("4000.00 4003.00 left"), Some((Duration::from_secs(3), false)));
        assert_eq!(read("4000.00 4003.00 ."), Some((Duration::from_secs(3), false)));
        assert_eq!(read("new"), None);
        // What is damaged may have been just now.
        assert_eq!(read(" 4003.00 "), Some((Duration::ZERO, false)));
        assert_eq!(read("4003.00 12.00 released"), Some((Duration::ZERO, false)));
    }

    #[tokio::test]
    async fn a_machine_that_slept_begins_nothing_before_its_keeper_wakes() {
        let (lock, _held) = HostLock::kept_by_nobody(HostName::from(std::net::Ipv4Addr::LOCALHOST));
        let heard = lock.heard.clone();
        lock.check().unwrap();
        let now = awake();
        assert!(!heard.is_too_long_ago(now + BEAT));
        assert!(heard.is_too_long_ago(now + LONGEST_SILENCE + BEAT));
        heard.0.store(0, Ordering::Relaxed);
        assert_eq!(lock.check().is_err(), now > LONGEST_SILENCE);
    }
}

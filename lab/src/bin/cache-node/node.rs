//! The life of a node, from binding the port to the last word.

use std::fs;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::args::Options;
use crate::cloud::{self, Terms};
use crate::exit::{Code, Fatal};
use crate::identity::Identity;
use crate::store::Store;
use crate::{log, server};

/// What the real one takes for its threads, engine and memory after it has left the cloud; 2.5 to 4 s there.
const LAST_WORK: Duration = Duration::from_millis(1_500);

/// What all connections know.
#[derive(Debug)]
pub(crate) struct Shared {
    /// memcached's socket.
    pub(crate) socket: PathBuf,
    pub(crate) settings: Settings,
    /// Absent without `-z`.
    pub(crate) cloud: Option<cloud::Handle>,
    /// Clients now connected.
    pub(crate) open: AtomicU64,
    /// Takes the delay, in seconds, with which to stop.
    pub(crate) stop: mpsc::Sender<u64>,
}

/// What `config` changes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) connections: AtomicU64,
    pub(crate) memory_mb: AtomicU64,
}

impl Shared {
    /// Changes the memory limit of the memcached below.
    pub(crate) async fn set_memory(&self, megabytes: u64) -> bool {
        let ask = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            stream.write_all(format!("cache_memlimit {megabytes}\r\n").as_bytes()).await?;
            let mut answer = [0_u8; 4];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(&answer == b"OK\r\n")
        };
        ask.await.unwrap_or(false)
    }
}

/// The signals that end a node.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install(daemon: bool) -> std::io::Result<Self> {
        if daemon {
            // Taken and never looked at: ignored.
            drop(signal(SignalKind::hangup())?);
        }
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Runs a node to its end.
pub(crate) async fn run(options: Options) -> Result<Code, Fatal> {
    let mut signals = Signals::install(options.daemon)
        .map_err(|error| Fatal::new(Code::System, format!("cannot handle signals: {error}")))?;
    let mut store = Store::start(&options)?;
    let listeners = server::bind(&options)?;
    store.listening().await?;

    let (mut membership, mut handle) = (None, None);
    if let Some(ensemble) = &options.ensemble {
        let terms = Terms {
            ensemble: ensemble.clone(),
            session_timeout: Duration::from_secs(options.session_seconds),
            identity: Identity::detect(ensemble, options.port)?,
            memory_mb: options.memory_mb,
        };
        // A signal that comes meanwhile is acted on afterwards, as in the real one.
        let (task, to_it) = cloud::join(terms).await?;
        membership = Some(tokio::spawn(task.run()));
        handle = Some(to_it);
    }

    let pid_file = options.pid_file.as_ref().filter(|_| options.daemon);
    if let Some(path) = pid_file
        && let Err(error) = fs::write(path, format!("{}\n", std::process::id()))
    {
        log::error(&format!("could not write the pid file {path}: {error}"));
    }

    let (stop, mut stops) = mpsc::channel(1);
    let shared = Arc::new(Shared {
        socket: store.socket().to_path_buf(),
        settings: Settings {
            connections: AtomicU64::new(options.connections),
            memory_mb: AtomicU64::new(options.memory_mb),
        },
        cloud: handle.clone(),
        open: AtomicU64::new(0),
        stop,
    });
    let accepting = tokio::spawn(server::accept(listeners, shared));
    log::info(&format!("serving port {}", options.port));

    let delay = tokio::select! {
        name = signals.next() => { log::info(&format!("{name}: stopping")); 0 }
        Some(delay) = stops.recv() => { log::info(&format!("shutdown in {delay} s")); delay }
        expired = membership_end(membership.as_mut()) => return Err(expired),
        ended = store.ended() => return Err(ended),
    };

    // In this order: who sees the pid file go must not conclude that the process is gone.
    if let Some(path) = pid_file {
        let _ = fs::remove_file(path);
    }
    if let Some(cloud) = &handle {
        cloud.leave().await;
        log::info("left Arcus cloud");
    }
    accepting.abort();
    // The listeners are closed once the task is.
    let _ = accepting.await;
    tokio::select! {
        () = sleep(Duration::from_secs(delay)) => {}
        _ = signals.next() => {}
    }
    sleep(LAST_WORK).await;
    log::info("stopped");
    Ok(Code::Done)
}

/// Waits for the end of a membership that nobody asked to end.
async fn membership_end(task: Option<&mut JoinHandle<Result<(), Fatal>>>) -> Fatal {
    match task {
        None => pending().await,
        Some(task) => match task.await {
            Ok(Err(fatal)) => fatal,
            Ok(Ok(())) => pending().await,
            Err(error) => Fatal::new(Code::Software, format!("the membership's task failed: {error}")),
        },
    }
}

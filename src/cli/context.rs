//! What every command needs: settings, ensemble, connections, the operator's interrupt, a voice.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

use super::args::Global;
use super::changing::Trail;
use super::invocation::{Invocation, input};
use crate::config::{DEFAULT_ENSEMBLE, EnsembleSource, Settings, SettingsLookup, resolve_ensemble};
use crate::error::{Failure, Failures};
use crate::exec::{Operator, Stop};
use crate::lock::Locks;
use crate::model::Ensemble;
use crate::remote::{Fleet, HostKeys, SshConnector};
use crate::report::Printer;

/// How many ssh connections are set up at once; each costs the operator's machine a key exchange.
const CONNECTION_STARTS: usize = 16;

#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    pub(super) ensemble: Ensemble,
    /// Nobody named an ensemble; it is the one on this machine by default.
    pub(super) ensemble_is_default: bool,
    /// Where it was named.
    pub(super) ensemble_source: EnsembleSource,
    /// What to do about hosts that known_hosts does not have.
    pub(super) host_keys: HostKeys,
    pub(super) fleet: Arc<Fleet>,
    pub(super) operator: Operator,
    pub(super) stop: Stop,
    pub(super) printer: Printer,
    /// What would be asked is taken for granted.
    pub(super) yes: bool,
    /// True once something may have been changed; until then an interrupt ends the command at once.
    pub(super) acting: Arc<AtomicBool>,
    pub(super) invocation: Arc<Invocation>,
    pub(super) trail: Mutex<Trail>,
    pub(super) locks: Arc<Locks>,
    /// How long to wait for what others have locked.
    pub(super) lock_wait: Duration,
}

impl Context {
    pub(super) fn new(
        global: &Global,
        mut invocation: Invocation,
        printer: Printer,
    ) -> Result<Self, Failures> {
        let mut settings = load_settings(global.settings.clone())?;
        invocation.settings = settings.source.as_deref().map(input);
        if let Some(concurrency) = global.concurrency {
            settings.concurrency = usize::from(concurrency);
        }
        if let Some(seconds) = global.timeout {
            let limit = Duration::from_secs(u64::from(seconds));
            settings.timeouts.ensemble = limit;
            settings.timeouts.join = limit;
            settings.timeouts.stop = limit;
        }
        let named = std::env::var("ARCUSCTL_ZOOKEEPER").ok().filter(|list| !list.is_empty());
        let ensemble = resolve_ensemble(global.zookeeper.as_deref(), named.as_deref(), &settings)?;
        let ensemble_source = EnsembleSource::of(global.zookeeper.as_deref(), named.as_deref(), &settings);
        let ensemble_is_default = ensemble_source == EnsembleSource::Default;
        let host_keys = if global.accept_new_host_keys { HostKeys::AcceptNew } else { HostKeys::MustBeKnown };
        let connector = SshConnector::new(settings.ssh.clone(), host_keys, settings.timeouts.connect)?;
        let fleet = Arc::new(Fleet::new(connector, CONNECTION_STARTS.min(settings.concurrency)));
        let settings = Arc::new(settings);
        let stop = Stop::default();
        let mut operator = Operator::new(Arc::clone(&fleet), Arc::clone(&settings), ensemble.clone());
        operator.stop = stop.gently.clone();
        let locks = Arc::new(Locks::new(invocation.holder(), settings.install_path.clone()));
        Ok(Self {
            locks,
            lock_wait: global.lock_wait.unwrap_or_default(),
            settings,
            ensemble,
            ensemble_is_default,
            ensemble_source,
            host_keys,
            fleet,
            operator,
            stop,
            printer,
            yes: global.yes,
            acting: Arc::default(),
            invocation: Arc::new(invocation),
            trail: Mutex::default(),
        })
    }

    /// Turns signals into requests to stop, for as long as it is awaited.
    pub(super) fn watch_signals(&self) -> impl Future<Output = ()> + use<> {
        watch_signals(self.stop.clone(), Arc::clone(&self.acting), self.printer)
    }

    /// An operator beside the run's own, for a command that sets something of it.
    pub(super) fn another_operator(&self) -> Operator {
        let mut operator =
            Operator::new(Arc::clone(&self.fleet), Arc::clone(&self.settings), self.ensemble.clone());
        operator.stop = self.stop.gently.clone();
        operator
    }

    /// Looks at something. An interrupt ends that at once.
    pub(super) async fn look<T>(&self, looking: impl Future<Output = T>) -> Result<T, Failures> {
        tokio::select! {
            seen = looking => Ok(seen),
            () = self.stop.gently.cancelled() => {
                let failure = Failure::interrupted("interrupted while looking");
                // A command made of others may have changed something before it looks again.
                let unchanged = !self.acting.load(Ordering::Relaxed);
                Err(if unchanged { failure.hint("nothing was changed") } else { failure }.into())
            }
        }
    }

    pub(super) fn default_ensemble_note(&self) -> String {
        format!("no ensemble was named, so ZooKeeper is taken to be {DEFAULT_ENSEMBLE} on this machine")
    }

    pub(super) async fn close(&self) {
        self.locks.release().await;
        self.operator.close().await;
        self.fleet.close().await;
    }
}

/// The settings that hold here; `explicit` is the file named on the command line.
pub(super) fn load_settings(explicit: Option<PathBuf>) -> Result<Settings, Failures> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Settings::load(&SettingsLookup {
        explicit,
        env: path("ARCUSCTL_SETTINGS"),
        home: path("HOME"),
        xdg_config_home: path("XDG_CONFIG_HOME"),
        ..SettingsLookup::default()
    })
}

/// Turns Ctrl-C and its like into requests: the first stops gently, the second at once.
async fn watch_signals(stop: Stop, acting: Arc<AtomicBool>, printer: Printer) {
    let signals =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else { return };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if stop.gently.is_cancelled() {
            printer.notice("aborting what is under way");
            stop.at_once.cancel();
        } else {
            let told = if acting.load(Ordering::Relaxed) {
                "stopping: what is under way is finished, nothing new is begun; once more aborts"
            } else {
                // On a line of its own, behind what the terminal shows of Ctrl-C.
                "\nstopping"
            };
            printer.notice(told);
            stop.gently.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    #[tokio::test]
    async fn that_nothing_was_changed_is_said_only_where_it_is_so() {
        let settings = tempfile::NamedTempFile::new().unwrap();
        let path = settings.path().to_str().unwrap();
        let cli =
            Cli::try_parse_from(["arcusctl", "-z", "localhost:2181", "--settings", path, "history"]).unwrap();
        let invocation = Invocation::new("history", Vec::new(), None);
        let context = Context::new(&cli.global, invocation, Printer::new(true, true)).unwrap();
        context.stop.gently.cancel();
        let hints = async || {
            let failures = context.look(std::future::pending::<()>()).await.unwrap_err();
            failures.as_slice()[0].hints.clone()
        };
        assert_eq!(hints().await, ["nothing was changed"]);
        context.acting.store(true, Ordering::Relaxed);
        assert!(hints().await.is_empty());
    }
}

//! What every command needs: settings, ensemble, connections, the operator's interrupt, a voice.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::args::{Change, Global};
use crate::config::{DEFAULT_ENSEMBLE, Settings, SettingsLookup, resolve_ensemble};
use crate::error::{Failure, Failures};
use crate::exec::{Events, Operator, Stop, run};
use crate::model::Ensemble;
use crate::plan::{Plan, Risk};
use crate::remote::{Fleet, HostKeys, SshConnector};
use crate::report::{Document, Printer};

/// How many ssh connections are set up at once; each costs the operator's machine a key exchange.
const CONNECTION_STARTS: usize = 16;

#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Arc<Settings>,
    pub(super) ensemble: Ensemble,
    /// Nobody named an ensemble; it is the one on this machine by default.
    pub(super) ensemble_is_default: bool,
    pub(super) fleet: Arc<Fleet>,
    pub(super) operator: Operator,
    pub(super) stop: Stop,
    pub(super) printer: Printer,
    /// What would be asked is taken for granted.
    yes: bool,
    /// True once something may have been changed; until then an interrupt ends the command at once.
    acting: Arc<AtomicBool>,
}

/// What looking came to: what to do, and by whom where the run's own operator would not do.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) operator: Option<Operator>,
}

impl From<Plan> for Work {
    fn from(plan: Plan) -> Self {
        Self { plan, operator: None }
    }
}

impl Context {
    pub(super) fn new(global: &Global, printer: Printer) -> Result<Self, Failures> {
        let mut settings = load_settings(global.settings.clone())?;
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
        let ensemble_is_default =
            global.zookeeper.is_none() && named.is_none() && settings.zookeeper.servers.is_none();
        let host_keys = if global.accept_new_host_keys { HostKeys::AcceptNew } else { HostKeys::MustBeKnown };
        let connector = SshConnector::new(settings.ssh.clone(), host_keys, settings.timeouts.connect)?;
        let fleet = Arc::new(Fleet::new(connector, CONNECTION_STARTS.min(settings.concurrency)));
        let settings = Arc::new(settings);
        let operator = Operator::new(Arc::clone(&fleet), Arc::clone(&settings), ensemble.clone());
        let stop = Stop::default();
        let acting = Arc::default();
        let yes = global.yes;
        Ok(Self { settings, ensemble, ensemble_is_default, fleet, operator, stop, printer, yes, acting })
    }

    /// Turns signals into requests to stop, for as long as it is awaited.
    pub(super) fn watch_signals(&self) -> impl Future<Output = ()> + use<> {
        watch_signals(self.stop.clone(), Arc::clone(&self.acting), self.printer)
    }

    /// An operator beside the run's own, for a command that sets something of it.
    pub(super) fn another_operator(&self) -> Operator {
        Operator::new(Arc::clone(&self.fleet), Arc::clone(&self.settings), self.ensemble.clone())
    }

    /// Looks at something. An interrupt ends that at once: nothing has been changed yet.
    pub(super) async fn look<T>(&self, looking: impl Future<Output = T>) -> Result<T, Failures> {
        tokio::select! {
            seen = looking => Ok(seen),
            () = self.stop.gently.cancelled() => {
                Err(Failure::interrupted("interrupted while looking").hint("nothing was changed").into())
            }
        }
    }

    /// Looks and plans by `prepare`, shows the plan, asks where that is due, runs it and says how it went. A dry run ends
    /// with the plan.
    pub(super) async fn change(
        &self,
        change: Change,
        mut prepare: impl AsyncFnMut() -> Result<Work, Failures>,
    ) -> Result<Document, Failures> {
        let work = prepare().await?;
        if change.dry_run {
            return Ok(Document::of_plan(work.plan));
        }
        if work.plan.is_empty() {
            self.printer.holdings(&work.plan);
        } else {
            self.agree(&work.plan).await?;
        }
        let operator = work.operator.as_ref().unwrap_or(&self.operator);
        let document = self.carry_out(work.plan, operator).await;
        if let Some(operator) = &work.operator {
            operator.close().await;
        }
        Ok(document)
    }

    /// Shows the plan and sees that the operator wants it.
    async fn agree(&self, plan: &Plan) -> Result<(), Failures> {
        let asked = plan.risk != Risk::Harmless && !self.yes;
        self.printer.plan(plan, asked);
        if !asked {
            return Ok(());
        }
        tokio::select! {
            answer = self.printer.confirm(&plan.risk) => answer,
            () = self.stop.gently.cancelled() => {
                Err(Failure::interrupted("interrupted at the question").hint("nothing was changed").into())
            }
        }
    }

    async fn carry_out(&self, plan: Plan, operator: &Operator) -> Document {
        self.acting.store(true, Ordering::Relaxed);
        let start = Instant::now();
        let (events, receiver) = Events::channel();
        let follower = tokio::spawn(self.printer.follow(receiver));
        let report = run(&plan, operator, &events, self.settings.concurrency, &self.stop).await;
        drop(events);
        if let Err(error) = follower.await {
            tracing::warn!(%error, "the progress display ended early");
        }
        Document::of_run(plan, report, start.elapsed())
    }

    pub(super) fn default_ensemble_note(&self) -> String {
        format!("no ensemble was named, so ZooKeeper is taken to be {DEFAULT_ENSEMBLE} on this machine")
    }

    pub(super) async fn close(&self) {
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

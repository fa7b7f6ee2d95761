//! `top`: the status of clouds, live at a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use crossterm::event::{Event as TerminalEvent, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::complete;
use super::context::Context;
use super::memcached::{read_tree, unknown};
use super::screen::Screen;
use super::selecting::aliases;
use super::zookeeper::PROBE_LIMIT;
use crate::config::EnsembleSource;
use crate::error::{Failure, FailureKind, Failures};
use crate::inspect::{ArcusTree, inspect_answer, inspect_processes, others_of, registered_cloud};
use crate::model::{HostName, NodeAddr, ServiceCode};
use crate::node::NodeLink;
use crate::report::Document;
use crate::top::{Event, Key, Top, draw};
use crate::zk::{Membership, ZooKeeper, names_by_address};

/// For one answer of a node; what takes longer hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Hosts and what is registered change seldom.
const SLOW: Duration = Duration::from_secs(10);
/// After ZooKeeper was lost.
const AGAIN: Duration = Duration::from_secs(2);
/// So many times a host is looked at soon again after a node of it came or went.
const LOOKS_AFTER_CHANGE: u32 = 3;
/// More often nobody can read.
const DRAWN: Duration = Duration::from_millis(100);

#[derive(Args, Debug)]
pub struct TopArgs {
    /// The service code [default: all clouds]
    #[arg(value_name = "CODE", add = ArgValueCandidates::new(complete::codes))]
    pub code: Option<ServiceCode>,
    /// How often each node is asked, such as 500ms, 2s or 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::args::length_of_time)]
    pub interval: Duration,
}

/// What goes on besides the screen; none of it ends by itself.
type Collectors<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;

/// Where collectors find what they need.
struct Source<'a> {
    context: &'a Context,
    begun: Instant,
    interval: Duration,
    asking: Semaphore,
    events: UnboundedSender<Event>,
}

pub(super) async fn top(context: &Context, args: &TopArgs, json: bool) -> Result<Document, Failures> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if json || !is_terminal {
        return Err(Failure::refused("top needs a terminal to draw at")
            .hint("the same at one moment, also for programs: arcusctl status [CODE] --output json")
            .into());
    }
    if args.interval < DRAWN {
        return Err(Failure::new(FailureKind::Usage, "--interval is too short")
            .hint("name 100ms or more")
            .into());
    }
    let tree = read_tree(context).await?;
    if let Some(code) = args.code.as_ref().filter(|code| !tree.codes.contains_key(code.as_str())) {
        return Err(unknown(code, &tree).into());
    }
    let mut top = Top::new(context.ensemble.clone(), context.settings.memcached.clone(), args.interval);
    top.names = context.look(names_by_address(&context.ensemble, PROBE_LIMIT)).await?;
    top.by_hand = matches!(context.ensemble_source, EnsembleSource::Flag);
    for event in registrations(&tree, args.code.as_ref(), &[]) {
        top.update(event, now());
    }
    let color = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let mut screen = Screen::open().map_err(|error| cannot_draw(&error))?;
    let shown = run(context, args, &mut top, &mut screen, color).await;
    drop(screen);
    shown?;
    Ok(Document::of_text("top", String::new()))
}

fn cannot_draw(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed("cannot draw at this terminal").cause(error).hint("see TERM; or use arcusctl status")
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

async fn run(
    context: &Context,
    args: &TopArgs,
    top: &mut Top,
    screen: &mut Screen,
    color: bool,
) -> Result<(), Failures> {
    let (events, mut happened) = unbounded_channel();
    let source = Source {
        context,
        begun: Instant::now(),
        interval: args.interval,
        asking: Semaphore::new(context.settings.concurrency),
        events,
    };
    let mut started = Started::default();
    let mut collectors = Collectors::new();
    collectors.push(Box::pin(source.follow_registrations(args.code.as_ref(), top.codes())));
    let mut keys = EventStream::new();
    let mut ticks = interval(args.interval);
    let mut drawing = interval(DRAWN);
    drawing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut signals = Signals::new().map_err(|error| cannot_draw(&error))?;
    let (mut stale, mut suspended) = (true, false);
    while !top.over {
        started.catch_up(top, &source, &mut collectors);
        tokio::select! {
            Some(event) = happened.recv() => {
                top.update(event, now());
                started.look_again(&top.stale_hosts(), &top.stale_nodes());
                stale = true;
            }
            event = keys.next() => match event {
                Some(Ok(event)) => {
                    if let Some(key) = key(&event) {
                        top.update(Event::Key(key), now());
                    }
                    stale = true;
                }
                Some(Err(error)) => return Err(cannot_draw(&error).into()),
                None => return Err(cannot_draw(&"the terminal is gone").into()),
            },
            _ = ticks.tick() => {
                top.tick(source.begun.elapsed().as_secs_f64());
                stale = true;
            }
            _ = drawing.tick(), if stale && !suspended => {
                let drawn = screen.draw(|frame| draw(top, frame, now(), color));
                drawn.map_err(|error| cannot_draw(&error))?;
                stale = false;
            }
            Some(()) = collectors.next() => {}
            Some(()) = signals.suspend.recv() => {
                screen.leave();
                suspended = true;
                let stopped = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
                stopped.map_err(|error| cannot_draw(&error))?;
            }
            Some(()) = signals.resume.recv() => {
                screen.resume().map_err(|error| cannot_draw(&error))?;
                (stale, suspended) = (true, false);
            }
            Some(()) = signals.quit.recv() => {
                return Err(Failure::interrupted("top was ended by a signal").into());
            }
            () = context.stop.gently.cancelled() => {
                return Err(Failure::interrupted("top was ended by a signal").into());
            }
        }
    }
    Ok(())
}

/// What else would leave the terminal a screen: `kill -TSTP`, SIGQUIT; and going on after the first.
struct Signals {
    suspend: Signal,
    resume: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let raw = |kind: rustix::process::Signal| signal(SignalKind::from_raw(kind.as_raw()));
        Ok(Self {
            suspend: raw(rustix::process::Signal::TSTP)?,
            resume: raw(rustix::process::Signal::CONT)?,
            quit: signal(SignalKind::quit())?,
        })
    }
}

/// What is registered, of `code` or of all; and of those `known` what is registered no more.
fn registrations(tree: &ArcusTree, code: Option<&ServiceCode>, known: &[ServiceCode]) -> Vec<Event> {
    let names = tree.codes.keys().filter_map(|name| ServiceCode::new(name).ok());
    let codes: BTreeSet<ServiceCode> = names.filter(|name| code.is_none_or(|code| code == name)).collect();
    let gone = known.iter().filter(|known| !codes.contains(known));
    let gone: Vec<Event> = gone.map(|code| Event::Unregistered { code: code.clone() }).collect();
    let registered = codes.into_iter().map(|code| Event::Registered {
        nodes: registered_cloud(&code, tree).unwrap_or_default(),
        others: others_of(&code, tree),
        code,
    });
    registered.chain(gone).collect()
}

/// Who is looked at already.
#[derive(Default)]
struct Started {
    codes: BTreeMap<ServiceCode, DropGuard>,
    nodes: BTreeMap<NodeAddr, (DropGuard, Arc<Notify>)>,
    hosts: BTreeMap<HostName, (DropGuard, Arc<Notify>)>,
}

/// `collecting` ends when the guard is dropped.
fn guarded<'a>(
    collectors: &mut Collectors<'a>,
    collecting: impl Future<Output = ()> + Send + 'a,
) -> DropGuard {
    let token = CancellationToken::new();
    let over = token.clone();
    collectors.push(Box::pin(async move {
        let _over = over.run_until_cancelled(collecting).await;
    }));
    token.drop_guard()
}

impl Started {
    /// Begins to look at those that have come, and leaves those alone that are gone.
    fn catch_up<'a>(&mut self, top: &Top, source: &'a Source<'a>, collectors: &mut Collectors<'a>) {
        let (codes, nodes) = (top.codes(), top.nodes());
        let hosts: BTreeSet<HostName> = nodes.iter().map(|node| HostName::from(node.ip)).collect();
        self.codes.retain(|code, _| codes.contains(code));
        self.nodes.retain(|node, _| nodes.contains(node));
        self.hosts.retain(|host, _| hosts.contains(host));
        for code in codes {
            let follow = || guarded(collectors, source.follow_members(code.clone()));
            self.codes.entry(code.clone()).or_insert_with(follow);
        }
        for node in nodes {
            self.nodes.entry(node).or_insert_with(|| {
                let again = Arc::new(Notify::new());
                (guarded(collectors, source.follow_node(node, Arc::clone(&again))), again)
            });
        }
        for host in hosts {
            self.hosts.entry(host.clone()).or_insert_with(|| {
                let again = Arc::new(Notify::new());
                (guarded(collectors, source.follow_host(host, Arc::clone(&again))), again)
            });
        }
    }

    /// Has these hosts looked at and these nodes asked now rather than at their next turn.
    fn look_again(&self, hosts: &BTreeSet<HostName>, nodes: &BTreeSet<NodeAddr>) {
        let hosts = hosts.iter().filter_map(|host| self.hosts.get(host));
        let nodes = nodes.iter().filter_map(|node| self.nodes.get(node));
        for (_, again) in hosts.chain(nodes) {
            again.notify_one();
        }
    }
}

impl Source<'_> {
    /// Since the beginning.
    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn tell(&self, event: Event) {
        // Nobody listens once the screen is closed.
        let _closed = self.events.send(event);
    }

    /// Asks a node again and again, over one connection for as long as that holds.
    async fn follow_node(&self, node: NodeAddr, again: Arc<Notify>) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut link = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = again.notified() => {}
            }
            let begun = self.seconds();
            let answer = self.ask(node, &mut link).await;
            self.tell(Event::Answer { node, begun, at: self.seconds(), answer });
        }
    }

    async fn ask(
        &self,
        node: NodeAddr,
        kept: &mut Option<NodeLink>,
    ) -> Result<crate::inspect::NodeAnswer, Failure> {
        let mut link = match kept.take() {
            Some(link) => link,
            None => NodeLink::open(&self.context.fleet, node, ANSWER_LIMIT).await?,
        };
        // Not while connecting: that takes long to a host that is dead, and would keep those waiting that answer.
        let _permit = self.asking.acquire().await;
        // One that failed in the middle of an answer is not asked again.
        let answer = inspect_answer(&mut link).await?;
        *kept = Some(link);
        Ok(answer)
    }

    async fn follow_host(&self, host: HostName, again: Arc<Notify>) {
        let settings = &self.context.settings;
        let hosts = [host];
        let mut soon = 0;
        loop {
            let begun = self.seconds();
            let limit = settings.timeouts.command;
            let seen = inspect_processes(&self.context.fleet, &hosts, &settings.install_path, limit).await;
            for (host, seen) in seen {
                if seen.as_ref().is_err_and(|failure| failure.kind == FailureKind::Unreachable) {
                    self.context.fleet.forget(&host).await;
                }
                let aliases = aliases(&self.context.ensemble, [&seen]).await;
                self.tell(Event::Processes { host, begun, aliases, seen });
            }
            // A process that goes is there for a moment longer than its znode.
            let pause = if soon > 0 { AGAIN } else { SLOW.max(self.interval) };
            soon = match timeout(pause, again.notified()).await {
                Ok(()) => LOOKS_AFTER_CHANGE,
                Err(_) => soon.saturating_sub(1),
            };
        }
    }

    async fn follow_registrations(&self, code: Option<&ServiceCode>, mut known: Vec<ServiceCode>) {
        loop {
            sleep(SLOW.max(self.interval)).await;
            let Ok(zookeeper) = self.context.operator.zookeeper().await else { continue };
            // That ZooKeeper is lost is told by who follows the members.
            let Ok(tree) = ArcusTree::read(&zookeeper).await else { continue };
            for event in registrations(&tree, code, &known) {
                if let Event::Registered { code, .. } = &event
                    && !known.contains(code)
                {
                    known.push(code.clone());
                }
                self.tell(event);
            }
        }
    }

    /// Follows the members of a cloud by watch; a session that was lost is opened anew.
    async fn follow_members(&self, code: ServiceCode) {
        loop {
            let lost = match self.context.operator.zookeeper().await {
                Ok(zookeeper) => self.follow_session(&code, zookeeper).await,
                Err(failure) => failure,
            };
            let (code, at) = (code.clone(), self.seconds());
            self.tell(Event::Members { code, at, members: Err(lost), sessions: BTreeMap::new() });
            sleep(AGAIN).await;
        }
    }

    async fn follow_session(&self, code: &ServiceCode, zookeeper: Arc<ZooKeeper>) -> Failure {
        let membership = match Membership::follow(Arc::clone(&zookeeper), code).await {
            Ok(membership) => membership,
            Err(failure) => return failure,
        };
        let mut changes = membership.changes();
        loop {
            let members = match changes.borrow_and_update().clone() {
                Ok(members) => members,
                Err(failure) => return failure,
            };
            // Who is there is told at once; for how long a moment later.
            let at = self.seconds();
            let tell = |sessions| {
                self.tell(Event::Members { code: code.clone(), at, members: Ok(members.clone()), sessions });
            };
            tell(BTreeMap::new());
            if let Ok(sessions) = zookeeper.sessions(code, &members).await {
                tell(sessions);
            }
            if changes.changed().await.is_err() {
                return Failure::unreachable("ZooKeeper was lost while members were followed");
            }
        }
    }
}

fn key(event: &TerminalEvent) -> Option<Key> {
    let TerminalEvent::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(character) => Key::Char(character),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Esc => Key::Escape,
        _ => return None,
    })
}

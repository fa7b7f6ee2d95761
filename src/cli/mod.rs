//! The commands: each looks, plans, and runs the plan.
//!
//! Boundary: wires the rooms together and decides nothing that a plan could decide.

mod apply;
pub mod args;
mod backup;
mod changing;
mod check;
pub mod complete;
mod context;
mod deploy;
mod destroy;
mod exec;
mod history;
mod hosts;
pub mod init;
mod invocation;
mod locate;
mod lock;
mod logging;
mod logs;
mod man;
mod memcached;
pub mod offline;
mod pacing;
mod ping;
mod quicksetup;
mod rejoin;
mod releases;
mod resize;
mod restart;
mod screen;
mod selecting;
mod smoke;
mod standing;
pub mod status;
pub mod top;
mod trust;
mod usage;
mod zookeeper;

#[cfg(test)]
mod help_tests;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::{Failure, Failures};
use crate::journal::Run;
use crate::report::{Document, Printer};

use args::{Cli, Command, Global, History, Memcached, Output};
use context::Context;
use invocation::Invocation;

/// Parses the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    let printer = Printer::new(cli.global.output == Output::Json, cli.global.quiet)
        .with_plain_lines(cli.global.verbose > 0);
    let command = name(&cli.command);
    let started = logging::start(&cli.global).and_then(|()| call(cli, printer));
    let document = match started {
        Ok(call) => run_to_end(call, printer),
        Err(failures) => Document::of_failures(command, &failures),
    };
    printer.document(&document);
    tracing::info!(exit_code = document.exit_code, "ends");
    ExitCode::from(document.exit_code)
}

/// A command with all that its journal is to say of how it was called.
struct Call {
    cli: Cli,
    invocation: Invocation,
    /// The run that it goes on with.
    resumes: Option<Run>,
}

/// The command that is meant: that of the command line, or the one that it resumes.
fn call(cli: Cli, printer: Printer) -> Result<Call, Failures> {
    let (cli, argv, resumes) = match &cli.command {
        Command::Resume(args) => {
            let resumed = history::resume(&cli.global, args)?;
            printer.progress(&resumed.headline());
            (resumed.cli, resumed.argv, Some(resumed.run))
        }
        _ => {
            let argv = std::env::args_os().skip(1);
            (cli, argv.map(|word| word.to_string_lossy().into_owned()).collect(), None)
        }
    };
    let id = resumes.as_ref().map(|run| run.header.id.clone());
    let invocation = Invocation::new(name(&cli.command), argv, id);
    Ok(Call { cli, invocation, resumes })
}

fn run_to_end(call: Call, printer: Printer) -> Document {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let document = runtime.block_on(run(call, printer));
            // A name that is still being resolved must not keep the command from ending.
            runtime.shutdown_background();
            document
        }
        Err(error) => {
            let failure = Failure::failed("cannot start the async runtime").cause(error);
            Document::of_failures(name(&call.cli.command), &failure.into())
        }
    }
}

async fn run(call: Call, printer: Printer) -> Document {
    let Call { cli, invocation, resumes } = call;
    let command = name(&cli.command);
    if let Command::Offline(offline) = &cli.command {
        let outcome = offline::run(offline, &cli.global);
        return outcome.unwrap_or_else(|failures| Document::of_failures(command, &failures));
    }
    let context = match Context::new(&cli.global, invocation, printer) {
        Ok(context) => context,
        Err(failures) => return Document::of_failures(command, &failures),
    };
    let signals = tokio::spawn(context.watch_signals());
    let outcome = match resumes.map(|run| history::refuse_other_meaning(&context, &run)) {
        None | Some(Ok(())) => dispatch(cli.command, &cli.global, &context).await,
        Some(Err(failures)) => Err(failures),
    };
    let document = outcome.unwrap_or_else(|failures| Document::of_failures(command, &failures));
    context.leave_trail(&document).await;
    context.close().await;
    signals.abort();
    document
}

async fn dispatch(command: Command, global: &Global, context: &Context) -> Result<Document, Failures> {
    match command {
        Command::Deploy(args) => deploy::deploy(context, &args).await,
        Command::Check(args) => check::check(context, &args).await,
        Command::Rollback { conf, to, change } => {
            releases::rollback(context, &conf, to.as_deref(), change).await
        }
        Command::Releases { conf } => releases::releases(context, &conf).await,
        Command::Hosts(command) => hosts::run(context, &command).await,
        Command::Zookeeper(command) => zookeeper::run(context, command).await,
        Command::Memcached(command) => memcached::run(context, command).await,
        Command::Exec(args) => exec::exec(context, &args, global.timeout).await,
        Command::Logs(args) => logs::of_nodes(context, &args).await,
        Command::Destroy(args) => destroy::destroy(context, &args).await,
        Command::Backup(args) => backup::backup(context, &args).await,
        Command::Restore(args) => backup::restore(context, &args).await,
        Command::Plan(args) => apply::plan(context, &args).await,
        Command::Apply(args) => apply::apply(context, &args).await,
        Command::Locate(args) => locate::locate(context, &args).await,
        Command::Status(args) => status::status(context, &args).await,
        Command::Top(args) => top::top(context, &args, global.output == Output::Json).await,
        Command::Smoke { code } => smoke::smoke(context, &code).await,
        Command::Rejoin(args) => rejoin::rejoin(context, &args).await,
        Command::Ping { code } => ping::ping(context, &code).await,
        Command::Quicksetup(args) => quicksetup::quicksetup(context, &args).await,
        Command::Lock(command) => lock::run(context, command).await,
        Command::History(args) => history::history(context, &args).await,
        // What is resumed takes its place before anything is dispatched.
        Command::Resume(_) => Err(Failure::refused("a resumed command is no command to resume").into()),
        Command::Offline(command) => offline::run(&command, global),
    }
}

/// The command's words, as documents and histories name it.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Deploy(_) => "deploy",
        Command::Check(_) => "check",
        Command::Rollback { .. } => "rollback",
        Command::Releases { .. } => "releases",
        Command::Hosts(hosts::Hosts::Trust(_)) => "hosts trust",
        Command::Hosts(hosts::Hosts::Prepare(_)) => "hosts prepare",
        Command::Zookeeper(args::ZooKeeper::Init(_)) => "zookeeper init",
        Command::Zookeeper(args::ZooKeeper::Start(_)) => "zookeeper start",
        Command::Zookeeper(args::ZooKeeper::Stop(_)) => "zookeeper stop",
        Command::Zookeeper(args::ZooKeeper::Restart(_)) => "zookeeper restart",
        Command::Zookeeper(args::ZooKeeper::Add(_)) => "zookeeper add",
        Command::Zookeeper(args::ZooKeeper::Remove(_)) => "zookeeper remove",
        Command::Zookeeper(args::ZooKeeper::Status) => "zookeeper status",
        Command::Zookeeper(args::ZooKeeper::Logs(_)) => "zookeeper logs",
        Command::Zookeeper(args::ZooKeeper::Stat(_)) => "zookeeper stat",
        Command::Memcached(Memcached::Register { .. }) => "memcached register",
        Command::Memcached(Memcached::Unregister { .. }) => "memcached unregister",
        Command::Memcached(Memcached::Start(_)) => "memcached start",
        Command::Memcached(Memcached::Stop { .. }) => "memcached stop",
        Command::Memcached(Memcached::Restart(_)) => "memcached restart",
        Command::Memcached(Memcached::List { .. } | Memcached::Listall) => "memcached list",
        Command::Exec(_) => "exec",
        Command::Logs(_) => "logs",
        Command::Destroy(_) => "destroy",
        Command::Backup(_) => "backup",
        Command::Restore(_) => "restore",
        // The same plan, whether it is carried out or not.
        Command::Plan(_) | Command::Apply(_) => "apply",
        Command::Locate(_) => "locate",
        Command::Status(_) => "status",
        Command::Top(_) => "top",
        Command::Smoke { .. } => "smoke",
        Command::Rejoin(_) => "rejoin",
        Command::Ping { .. } => "ping",
        Command::Quicksetup(_) => "quicksetup",
        Command::Offline(command) => command.name(),
        Command::Lock(_) => "lock status",
        Command::History(History { show: Some(_), .. }) => "history show",
        Command::History(_) => "history",
        Command::Resume(_) => "resume",
    }
}

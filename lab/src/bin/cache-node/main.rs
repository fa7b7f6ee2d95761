//! A stand-in for arcus-memcached, for tests and demonstrations.
//!
//! To those who deploy and watch it, it behaves as arcus-memcached 1.15 does: the same command line, the same way to
//! become a daemon, the same exit codes, the same znodes in ZooKeeper and the same administration commands. The caching
//! itself is done by the distribution's memcached, which it runs as a child and passes all other traffic to. There are
//! no collections, no SASL and no persistence.
//!
//! Modules follow a start's order: [`args`] → [`host`] (limits, user, daemon) → [`store`] (the child) → [`cloud`]
//! (ZooKeeper) → [`server`] and [`connection`] (clients), with [`node`] conducting and [`admin`], [`protocol`] for what
//! clients say.

mod admin;
mod args;
mod cloud;
mod connection;
mod exit;
mod host;
mod identity;
mod log;
mod node;
mod protocol;
mod server;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Options, Request};
use exit::{Code, Fatal};

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    match start(&argv) {
        Ok(code) => code.into(),
        Err(fatal) => {
            log::error(&fatal.message);
            fatal.code.into()
        }
    }
}

fn start(argv: &[OsString]) -> Result<Code, Fatal> {
    let options = match args::parse(argv.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()))? {
        Request::Run(options) => options,
        Request::Explain(text) => {
            log::plain(text);
            return Ok(Code::Done);
        }
    };
    log::set_level(options.verbose);
    if host::is_detached() {
        host::detach();
    } else {
        host::check_extensions(&options)?;
        host::raise_limits(&options)?;
        host::become_user(&options)?;
        if options.daemon {
            host::start_detached(argv, &options)?;
            return Ok(Code::Done);
        }
    }
    host::check_engine(&options)?;
    run(options)
}

fn run(options: Options) -> Result<Code, Fatal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::new(Code::System, format!("cannot start: {error}")))?;
    runtime.block_on(node::run(options))
}

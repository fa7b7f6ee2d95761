//! What a start asks of the operating system: limits, user, and becoming a daemon.

use std::ffi::{CString, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::{User, geteuid, initgroups, setgid, setsid, setuid};

use crate::args::Options;
use crate::exit::{Code, Fatal};
use crate::log;

/// Tells the daemon that it is one. It is started anew rather than forked: a fork in Rust is unsafe.
pub(crate) const DETACHED: &str = "ARCUS_CACHE_NODE_DETACHED";

/// What a node needs beyond its clients' connections.
const EXTRA_FILES: u64 = 20;

/// Extensions are loaded while the command line is read; one that isn't there ends the program right away.
pub(crate) fn check_extensions(options: &Options) -> Result<(), Fatal> {
    let files = options.extensions.iter().map(|value| value.split(',').next().unwrap_or(value));
    files.into_iter().try_for_each(|file| check_library("extension", file))
}

/// The engine is loaded later, by the daemon, whose exit code nobody sees.
pub(crate) fn check_engine(options: &Options) -> Result<(), Fatal> {
    check_library("engine", &options.engine)
}

fn check_library(what: &str, file: &str) -> Result<(), Fatal> {
    if Path::new(file).is_file() {
        return Ok(());
    }
    Err(Fatal::new(Code::Failure, format!("failed to open {what} \"{file}\": no such file")))
}

/// Raises the limits that `-r` and `-c` ask for.
pub(crate) fn raise_limits(options: &Options) -> Result<(), Fatal> {
    if options.core_dumps && setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY).is_err() {
        let hard = getrlimit(Resource::RLIMIT_CORE).map_or(0, |(_, hard)| hard);
        if hard == 0 || setrlimit(Resource::RLIMIT_CORE, hard, hard).is_err() {
            return Err(Fatal::new(Code::System, "failed to ensure core file creation"));
        }
    }
    let wanted = options.connections + EXTRA_FILES;
    if !raise_files(wanted) {
        return Err(Fatal::new(
            Code::System,
            format!("failed to set rlimit for open files to {wanted}: start as root, or lower -c"),
        ));
    }
    // A connection here costs two files (its client, and memcached below). More is better, but not to be insisted on.
    raise_files(wanted * 2 + 200);
    Ok(())
}

fn raise_files(wanted: u64) -> bool {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft >= wanted => true,
        Ok((_, hard)) => setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok(),
        Err(_) => false,
    }
}

/// Changes to the user of `-u`, without which root is refused.
pub(crate) fn become_user(options: &Options) -> Result<(), Fatal> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Some(name) = &options.user else {
        return Err(Fatal::new(Code::Usage, "can't run as root without the -u switch"));
    };
    let unknown = || Fatal::new(Code::NoUser, format!("can't find the user {name} to switch to"));
    let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
    let c_name = CString::new(name.as_str()).map_err(|_| unknown())?;
    initgroups(&c_name, user.gid).and_then(|()| setgid(user.gid)).and_then(|()| setuid(user.uid)).map_err(
        |errno| Fatal::new(Code::System, format!("failed to assume identity of user {name}: {errno}")),
    )
}

/// Whether this process is the daemon that [`start_detached`] started.
pub(crate) fn is_detached() -> bool {
    std::env::var_os(DETACHED).is_some()
}

/// Leaves the session (and so the terminal) of whoever started this.
pub(crate) fn detach() {
    if let Err(errno) = setsid() {
        log::debug(&format!("still in the old session: {errno}"));
    }
}

/// Starts the same command line again as a daemon.
pub(crate) fn start_detached(argv: &[OsString], options: &Options) -> Result<(), Fatal> {
    let failed = |error| Fatal::new(Code::System, format!("failed to daemonize: {error}"));
    // Not /proc/self/exe: the process would be listed under the name "exe".
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    if let [name, arguments @ ..] = argv {
        command.arg0(name).args(arguments);
    }
    command.env(DETACHED, "1");
    if !options.core_dumps {
        command.current_dir("/");
    }
    // With -v the real one keeps the standard streams open, and with them the ssh session that started it.
    if options.verbose == 0 {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    command.spawn().map(drop).map_err(failed)
}

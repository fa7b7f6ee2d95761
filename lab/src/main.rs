//! The command line of the lab: makes hosts, runs commands on them, breaks them, removes them.
#![expect(clippy::print_stderr, reason = "a command line program talks to its user")]

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, bail};
use arcus_lab::{Lab, Summary, Unavailable};
use clap::{Parser, Subcommand};

/// The exit code that says: this machine can't have a lab (no root, no namespaces, missing packages).
const EXIT_UNAVAILABLE: u8 = 77;

/// Real SSH hosts on one Linux machine, made of namespaces.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage; 77 this machine can't have a lab (not root, namespaces denied, packages
/// missing). `run` and `on` pass on the exit code of the command they ran.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Which lab.
    #[arg(long, default_value = "default")]
    name: String,
}

#[derive(Debug, clap::Args)]
struct OneHost {
    #[command(flatten)]
    which: Which,
    /// A host, by name, address or number.
    host: String,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make a lab and wait until every host's sshd answers.
    Up {
        /// How many hosts.
        hosts: usize,
        #[command(flatten)]
        which: Which,
        /// Hosts are called this plus their number.
        #[arg(long, default_value = "memcached-")]
        prefix: String,
    },
    /// Remove a lab with all its processes, also one that is only half there.
    Down {
        #[command(flatten)]
        which: Which,
        /// Remove every lab on this machine.
        #[arg(long)]
        all: bool,
    },
    /// List the labs on this machine.
    List,
    /// List the hosts of a lab: name, address, power.
    Hosts(Which),
    /// Run a command as the admin, in the lab's network.
    Run {
        #[command(flatten)]
        which: Which,
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run a command on a host, not by SSH but from outside.
    On {
        #[command(flatten)]
        which: Which,
        /// A host, by name, address or number.
        host: String,
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Pull a host's cable.
    Cut(OneHost),
    /// Plug a host's cable in again.
    Join(OneHost),
    /// Stop a host's sshd and sessions (SIGSTOP): it accepts connections but never answers.
    Freeze(OneHost),
    /// Let a frozen sshd go on.
    Thaw(OneHost),
    /// Cut a host's power; its disk stays.
    Kill(OneHost),
    /// Give a host power again, on the same disk.
    Boot(OneHost),
    /// Say whether this machine can have a lab; exit code 77 if not.
    Probe,
    /// Name the Debian packages that a lab needs, one a line.
    Packages,
    /// Assemble the sample Arcus tree out of the distribution's packages.
    Bundle {
        /// The archive to write (.tar.gz).
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            let unavailable = error.downcast_ref::<Unavailable>().is_some();
            if unavailable { ExitCode::from(EXIT_UNAVAILABLE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Sub) -> Result<()> {
    match command {
        Sub::Up { hosts, which, prefix } => {
            let begin = Instant::now();
            let lab = Lab::builder().name(which.name).prefix(prefix).hosts(hosts).keep().up()?;
            eprintln!("lab {:?}: {hosts} hosts up in {:.2} s", lab.name(), begin.elapsed().as_secs_f64());
            print_hosts(&lab);
            Ok(())
        }
        Sub::Down { all: true, .. } => Lab::list()?.iter().try_for_each(|lab| Lab::remove(&lab.name)),
        Sub::Down { which, all: false } => Lab::remove(&which.name),
        Sub::List => {
            for lab in Lab::list()? {
                let owned = if lab.owned { "  (a test's)" } else { "" };
                let Summary { name, running, hosts, dir, .. } = &lab;
                say(&format!("{name}  {running}/{hosts} hosts running  {}{owned}", dir.display()));
            }
            Ok(())
        }
        Sub::Hosts(which) => {
            print_hosts(&Lab::open(&which.name)?);
            Ok(())
        }
        Sub::Run { which, command } => become_command(&command, |program| {
            let lab = Lab::open(&which.name)?;
            if !lab.is_up() {
                bail!("lab {:?} is no longer up; `arcus-lab up` makes it anew", lab.name());
            }
            Ok(lab.admin(program))
        }),
        Sub::On { which, host, command } => become_command(&command, |program| {
            let lab = Lab::open(&which.name)?;
            let host = lab.host(&host)?;
            if !lab.is_running(host) {
                bail!("host {} has no power", host.name);
            }
            Ok(lab.on(host, program))
        }),
        Sub::Cut(one) => with_host(&one, Lab::cut),
        Sub::Join(one) => with_host(&one, Lab::join),
        Sub::Freeze(one) => with_host(&one, Lab::freeze),
        Sub::Thaw(one) => with_host(&one, Lab::thaw),
        Sub::Kill(one) => with_host(&one, Lab::kill),
        Sub::Boot(one) => with_host(&one, Lab::boot),
        Sub::Probe => arcus_lab::probe(),
        Sub::Packages => {
            say(&arcus_lab::packages().join("\n"));
            Ok(())
        }
        Sub::Bundle { out } => arcus_lab::bundle::assemble(&out),
    }
}

/// A reader that went away (`| head`) is no reason to fail.
fn say(line: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{line}");
}

fn print_hosts(lab: &Lab) {
    for host in lab.hosts() {
        let power = if lab.is_running(host) { "on" } else { "off" };
        say(&format!("{}\t{}\t{power}", host.name, host.ip));
    }
}

fn with_host(one: &OneHost, act: impl FnOnce(&Lab, &arcus_lab::Host) -> Result<()>) -> Result<()> {
    let lab = Lab::open(&one.which.name)?;
    act(&lab, lab.host(&one.host)?)
}

/// Replaces this process by the command: its streams, signals and exit code are then its own.
fn become_command(words: &[OsString], prepare: impl FnOnce(&OsString) -> Result<Command>) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no command given") };
    Err(prepare(program)?.args(arguments).exec().into())
}

//! Who called the program, where and how: what a journal says of a run, and what `resume` needs to call it again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::config::load_cloud;
use crate::error::Failures;
use crate::journal::{FORMAT, Header, Input, Store, run_id};
use crate::lock::{Holder, this_process};
use crate::model::Cloud;
use crate::report::command_line;

/// One call of the program.
#[derive(Debug)]
pub(super) struct Invocation {
    /// Of the run, should it have something to do.
    pub(super) id: String,
    /// The command's words.
    pub(super) command: &'static str,
    /// Without the program's own name.
    pub(super) argv: Vec<String>,
    pub(super) cwd: PathBuf,
    /// The run that this one goes on with.
    pub(super) resumes: Option<String>,
    /// The settings file, if there is one.
    pub(super) settings: Option<Input>,
    pub(super) user: String,
    pub(super) host: String,
    inputs: Mutex<Vec<Input>>,
}

impl Invocation {
    pub(super) fn new(command: &'static str, argv: Vec<String>, resumes: Option<String>) -> Self {
        Self {
            id: run_id(Timestamp::now()),
            command,
            argv,
            cwd: std::env::current_dir().unwrap_or_default(),
            resumes,
            settings: None,
            user: user(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            inputs: Mutex::default(),
        }
    }

    /// Reads a cloud JSON and remembers what it was.
    pub(super) fn load_cloud(&self, path: &Path) -> Result<Cloud, Failures> {
        let cloud = load_cloud(path)?;
        self.remember(input(path));
        Ok(cloud)
    }

    /// Remembers a file that says what is wanted.
    pub(super) fn remember(&self, input: Input) {
        let mut inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if !inputs.iter().any(|known| known.path == input.path) {
            inputs.push(input);
        }
    }

    fn inputs(&self) -> Vec<Input> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What others are told who find something locked by this run.
    pub(super) fn holder(&self) -> Holder {
        Holder {
            run: self.id.clone(),
            user: self.user.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            process: this_process(),
            since: format!("{:.0}", Timestamp::now()),
            command: command_line(&self.argv),
        }
    }

    /// The first line of this run's journal.
    pub(super) fn header(&self, ensemble: String) -> Header {
        Header {
            format: FORMAT,
            id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command.to_owned(),
            argv: self.argv.clone(),
            cwd: self.cwd.clone(),
            user: self.user.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            at: format!("{:.3}", Timestamp::now()),
            ensemble,
            settings: self.settings.clone(),
            inputs: self.inputs(),
            resumes: self.resumes.clone(),
        }
    }
}

/// Where this operator's journals lie; `None` for somebody without a home.
pub(super) fn store() -> Option<Store> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Store::locate(path("XDG_STATE_HOME"), path("HOME"))
}

/// What a file is now. It has just been read; one that is gone by now is taken for something that no file is.
pub(super) fn input(path: &Path) -> Input {
    let sha256 = sha256_of(path).unwrap_or_default();
    Input { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), sha256 }
}

/// The SHA-256 of a file, in hexadecimal; `None` when it cannot be read.
pub(super) fn sha256_of(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The login name of whoever runs the program, and of whoever became root to do so.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number == uid.to_string()).then(|| name.to_owned())
    });
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = listed.or_else(|| variable("USER")).unwrap_or_else(|| format!("uid {uid}"));
    match variable("SUDO_USER") {
        Some(person) if uid == 0 && person != user => format!("{person} (as {user})"),
        _ => user,
    }
}

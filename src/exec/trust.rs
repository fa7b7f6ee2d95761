//! Installing a key: the person and ssh talk at the terminal, and nothing of it passes through here.

use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::process::Command;

use super::{Events, Outcome, Perform, StepResult};
use crate::config::settings::SshSettings;
use crate::error::Failure;
use crate::model::HostName;
use crate::plan::{Action, HostKey, KeyPart, Step, Target};
use crate::remote::{HostKeys, Login, SshConnector};

/// Carries out `hosts trust`. It must be run one step at a time: there is one terminal.
#[derive(Debug)]
pub struct KeyInstaller {
    pub ssh: SshSettings,
    /// For a connection to stand.
    pub connect: Duration,
    /// There is a terminal to type passwords at.
    pub terminal: bool,
}

#[async_trait]
impl Perform for KeyInstaller {
    async fn perform(&self, step: &Step, events: &Events) -> Vec<StepResult> {
        let start = Instant::now();
        let done = match (&step.action, &step.target) {
            (Action::MakeKey { path, part }, _) => make_key(Path::new(path), *part).await,
            (Action::InstallKey { key, host_key }, Target::Host(host)) => {
                self.install(host, key, *host_key, events).await
            }
            (action, target) => Err(Failure::failed(format!("{target}: {action} is no step of hosts trust"))),
        };
        let outcome = match done {
            Ok(detail) => Outcome::Done { detail },
            Err(failure) => Outcome::Failed { failure },
        };
        vec![StepResult::since(start, step.target.clone(), outcome)]
    }
}

impl KeyInstaller {
    async fn install(
        &self,
        host: &HostName,
        key: &str,
        host_key: HostKey,
        events: &Events,
    ) -> Result<String, Failure> {
        let asks = "ssh asks you now; what you type goes to ssh alone";
        if host_key != HostKey::Known {
            // ssh-copy-id would have it confirmed three times over.
            let policy =
                if host_key == HostKey::Accept { HostKeys::AcceptNew } else { HostKeys::MustBeKnown };
            if host_key == HostKey::Confirm {
                events.note(&Target::Host(host.clone()), asks);
                self.confirm_host_key(host).await?;
            }
            match self.login(host, policy).await? {
                // A host that nobody knew may accept the key all the same.
                Login::Open => return Ok("accepts the key; its host key was recorded".into()),
                Login::KeyRefused { said } if !self.terminal => {
                    return Err(Failure::refused(format!(
                        "{host}: a password must be typed to ssh, and there is no terminal to type it at"
                    ))
                    .cause(said)
                    .hint("run arcusctl hosts trust at a terminal"));
                }
                Login::KeyRefused { .. } => {}
                Login::HostKeyUnknown => {
                    return Err(Failure::refused(format!("{host}: its ssh host key was not confirmed"))
                        .hint("ask whoever owns the host for the key's fingerprint, and run it again"));
                }
                Login::Shut(failure) => return Err(failure),
            }
        }
        let public = PathBuf::from(format!("{key}.pub"));
        if !public.exists() {
            return Err(Failure::failed(format!("{host}: there is no key to install"))
                .cause(format!("{} is missing", public.display())));
        }
        events.note(&Target::Host(host.clone()), asks);
        let status = self.copy_id(host, &public).await?;
        if !status.success() {
            return Err(uninstalled(host, status));
        }
        match self.login(host, HostKeys::MustBeKnown).await? {
            Login::Open => Ok("accepts the key, as a login with it shows".into()),
            Login::Shut(failure) => Err(failure),
            Login::KeyRefused { said } => Err(Failure::failed(format!(
                "{host}: the key is installed, and a login with it is refused all the same"
            ))
            .cause(said)
            .hint("a key with a passphrase needs ssh-agent: ssh-add")
            .hint("see that IdentityFile in ~/.ssh/config names no other key for this host, or set [ssh] identity")
            .hint("see that on the host only its owner may write to the home and ~/.ssh, and what sshd logs")),
            Login::HostKeyUnknown => Err(Failure::refused(format!("{host}: its ssh host key was not recorded"))
                .hint("see whether ~/.ssh/known_hosts can be written, and UserKnownHostsFile in ~/.ssh/config")),
        }
    }

    /// A login by key or not at all, on a connection of its own.
    async fn login(&self, host: &HostName, host_keys: HostKeys) -> Result<Login, Failure> {
        let connector = SshConnector::new(self.ssh.clone(), host_keys, self.connect)?;
        Ok(connector.try_login(host).await)
    }

    async fn copy_id(&self, host: &HostName, public: &Path) -> Result<ExitStatus, Failure> {
        let mut command = Command::new("ssh-copy-id");
        command.arg("-i").arg(public);
        self.at_terminal(self.toward(command, "yes", host), host).await
    }

    /// Has ssh show the host's key and ask whether it is the right one; what it logs in with does not matter.
    async fn confirm_host_key(&self, host: &HostName) -> Result<ExitStatus, Failure> {
        self.at_terminal(self.confirming(host), host).await
    }

    fn confirming(&self, host: &HostName) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-T", "-o", "PreferredAuthentications=none", "-o", "LogLevel=QUIET"]);
        let mut command = self.toward(command, "ask", host);
        // A host that lets everybody in would give them a shell, which waits for them to leave.
        command.arg("true");
        command
    }

    /// One of ssh's programs, with what it is to know of the way to `host`.
    fn toward(&self, mut command: Command, checking: &str, host: &HostName) -> Command {
        command.args(["-o", &format!("StrictHostKeyChecking={checking}")]);
        command.args(["-o", &format!("ConnectTimeout={}", self.connect.as_secs().max(1))]);
        if let Some(port) = self.ssh.port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg(match &self.ssh.user {
            Some(user) => format!("{user}@{host}"),
            None => host.to_string(),
        });
        command
    }

    /// Runs one of ssh's programs at the person's terminal.
    async fn at_terminal(&self, mut command: Command, host: &HostName) -> Result<ExitStatus, Failure> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let cannot = |error: std::io::Error| {
            Failure::failed(format!("{host}: cannot run {program}"))
                .cause(error)
                .hint("install it: it comes with openssh-client, or openssh-clients")
        };
        // Standard output is for the document.
        let terminal = std::io::stderr().as_fd().try_clone_to_owned().map_err(cannot)?;
        command.stdin(Stdio::inherit()).stdout(Stdio::from(terminal)).stderr(Stdio::inherit());
        command.kill_on_drop(true).status().await.map_err(cannot)
    }
}

fn uninstalled(host: &HostName, status: ExitStatus) -> Failure {
    let failure = Failure::failed(format!("{host}: the key was not installed"));
    match status.code() {
        Some(code) => failure
            .cause(format!("ssh-copy-id ended with status {code}; what it said stands above"))
            .hint("run it again: hosts that accept the key are passed over"),
        None => Failure::interrupted(failure.message).cause("ssh-copy-id was interrupted"),
    }
}

/// Makes a key pair, or writes the public part of one whose private part is there.
async fn make_key(path: &Path, part: KeyPart) -> Result<String, Failure> {
    let shown = path.display();
    let failure = || Failure::failed(format!("localhost: cannot make the key {shown}"));
    let public = PathBuf::from(format!("{shown}.pub"));
    if let Some(directory) = path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| failure().cause(format!("{}: {error}", directory.display())))?;
    }
    let mut command = Command::new("ssh-keygen");
    match part {
        KeyPart::Whole => command.args(["-q", "-t", "ed25519", "-N", ""]).stdin(Stdio::null()),
        // A passphrase is asked for by ssh-keygen itself.
        KeyPart::Public => command.arg("-y").stdin(Stdio::inherit()),
    };
    command.arg("-f").arg(path).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let cannot = |error: std::io::Error| {
        failure().cause(format!("ssh-keygen: {error}")).hint("install it: it comes with OpenSSH's client")
    };
    let output = command.output().await.map_err(cannot)?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failure().cause(format!("ssh-keygen ended with {}: {told}", output.status)));
    }
    if part == KeyPart::Public {
        std::fs::write(&public, &output.stdout)
            .map_err(|error| failure().cause(format!("{}: {error}", public.display())))?;
    }
    Ok(format!("made {}", if part == KeyPart::Public { public } else { path.to_owned() }.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_lets_everybody_in_gives_no_shell_to_whoever_confirms_its_key() {
        let ssh = SshSettings { port: Some(2222), ..SshSettings::default() };
        let installer = KeyInstaller { ssh, connect: Duration::from_secs(1), terminal: true };
        let command = installer.confirming(&HostName::new("a"));
        let args: Vec<&str> = command.as_std().get_args().map(|arg| arg.to_str().unwrap()).collect();
        assert!(args.contains(&"-T") && args.ends_with(&["a", "true"]), "{args:?}");
    }
}

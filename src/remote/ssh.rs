//! A host over OpenSSH: one master connection, every script a channel of it.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use openssh::{ControlPersist, ForwardType, KnownHosts, Session, SessionBuilder, Socket, Stdio};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Semaphore};

use super::process::shell_status;
use super::{Process, Remote, Script, Stream};
use crate::config::settings::SshSettings;
use crate::error::Failure;
use crate::model::HostName;

/// sshd gives one connection ten sessions (`MaxSessions`); two are left for whoever shares the master.
const CHANNELS_PER_HOST: usize = 8;
/// A master whose operator died goes away by itself after this many seconds.
const IDLE_SECONDS: NonZeroUsize = NonZeroUsize::new(60).unwrap();
/// Three unanswered probes at this distance end a dead connection.
const ALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// For a channel of a connection that stands to open.
const CHANNEL_LIMIT: Duration = Duration::from_secs(30);
/// `sun_path` takes 108 bytes; ssh and the session's own directory add to what we choose.
const LONGEST_CONTROL_DIRECTORY: usize = 50;

/// Numbers the forwarding sockets of this process.
static FORWARDS: AtomicU32 = AtomicU32::new(0);

const SILENT: &str = "the host accepts connections but its sshd does not answer; see whether it hangs";

/// What to do about a host whose key is not in `known_hosts`. A changed key is always an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKeys {
    MustBeKnown,
    AcceptNew,
}

/// Opens ssh connections; owns the private directory that their control sockets live in.
#[derive(Debug)]
pub struct SshConnector {
    settings: SshSettings,
    host_keys: HostKeys,
    connect_timeout: Duration,
    control_directory: TempDir,
}

impl SshConnector {
    /// # Errors
    /// When no private directory with a path short enough for a socket can be made.
    pub fn new(
        settings: SshSettings,
        host_keys: HostKeys,
        connect_timeout: Duration,
    ) -> Result<Self, Failure> {
        let control_directory = private_directory()?;
        Ok(Self { settings, host_keys, connect_timeout, control_directory })
    }

    /// Logs in to `host`.
    ///
    /// # Errors
    /// When it cannot be reached, its key is not the known one, or the login is refused.
    pub async fn connect(&self, host: &HostName) -> Result<Arc<dyn Remote>, Failure> {
        let session = self.session(host).await.map_err(|unconnected| unconnected.explain(host))?;
        Ok(Arc::new(SshHost {
            host: host.clone(),
            session: Mutex::new(Some(Arc::new(session))),
            channels: Arc::new(Semaphore::new(CHANNELS_PER_HOST)),
            forwards_in: self.control_directory.path().to_owned(),
            forwards: Mutex::default(),
        }))
    }

    /// Tries a login to `host` and ends it at once. Nobody is asked for anything.
    pub async fn try_login(&self, host: &HostName) -> Login {
        let unconnected = match self.session(host).await {
            Ok(session) => {
                if let Err(error) = session.close().await {
                    tracing::debug!(%host, %error, "the ssh master did not end cleanly");
                }
                return Login::Open;
            }
            Err(unconnected) => unconnected,
        };
        match unconnected.reason() {
            Reason::HostKeyUnknown => Login::HostKeyUnknown,
            Reason::LoginRefused => Login::KeyRefused { said: unconnected.last_line() },
            _ => Login::Shut(unconnected.explain(host)),
        }
    }

    async fn session(&self, host: &HostName) -> Result<Session, Unconnected> {
        let mut builder = SessionBuilder::default();
        builder
            .control_directory(self.control_directory.path())
            .control_persist(ControlPersist::IdleFor(IDLE_SECONDS))
            .connect_timeout(self.connect_timeout)
            .server_alive_interval(ALIVE_INTERVAL)
            .known_hosts_check(match self.host_keys {
                HostKeys::MustBeKnown => KnownHosts::Strict,
                HostKeys::AcceptNew => KnownHosts::Add,
            });
        if let Some(user) = &self.settings.user {
            builder.user(user.clone());
        }
        if let Some(port) = self.settings.port {
            builder.port(port);
        }
        if let Some(identity) = &self.settings.identity {
            builder.keyfile(identity);
        }
        // ConnectTimeout does not cover a server that accepts and then says nothing.
        let limit = self.connect_timeout + ALIVE_INTERVAL;
        match tokio::time::timeout(limit, builder.connect_mux(host.as_str())).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(openssh::Error::Connect(error) | openssh::Error::Master(error))) => {
                Err(Unconnected::Said(error.to_string()))
            }
            Ok(Err(error)) => Err(Unconnected::Said(error.to_string())),
            Err(_) => Err(Unconnected::Silent(limit)),
        }
    }
}

/// What came of trying to log in without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The key is accepted.
    Open,
    /// The host is the known one, and does not accept the key. ssh's words name what it would accept.
    KeyRefused { said: String },
    /// Its host key is not in `known_hosts`, so nothing was tried.
    HostKeyUnknown,
    /// No login can be tried.
    Shut(Failure),
}

impl Drop for SshConnector {
    /// An ssh that was still connecting when the run ended belongs to nobody; it is found by the private directory in its
    /// arguments.
    fn drop(&mut self) {
        let ours = self.control_directory.path().as_os_str().as_bytes();
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        for process in processes.flatten() {
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            let (Some(pid), Ok(arguments)) = (pid, std::fs::read(process.path().join("cmdline"))) else {
                continue;
            };
            let is_master = arguments.starts_with(b"ssh\0") && contains(&arguments, ours);
            if is_master && let Err(error) = kill_process(pid, Signal::TERM) {
                tracing::debug!(%error, "an unfinished ssh could not be ended");
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[derive(Debug)]
struct SshHost {
    host: HostName,
    session: Mutex<Option<Arc<Session>>>,
    channels: Arc<Semaphore>,
    /// Where to find the sockets that ssh forwards to ports of the host, each made when first needed.
    forwards_in: PathBuf,
    forwards: Mutex<BTreeMap<NonZeroU16, PathBuf>>,
}

impl SshHost {
    fn lost(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::unreachable(format!("{}: the ssh connection was lost", self.host)).cause(error)
    }

    async fn session(&self) -> Result<Arc<Session>, Failure> {
        self.session.lock().await.clone().ok_or_else(|| self.lost(&"it was closed"))
    }

    /// The local socket behind which `port` of the host lies.
    async fn forward(&self, port: NonZeroU16) -> Result<PathBuf, Failure> {
        let mut forwards = self.forwards.lock().await;
        if let Some(socket) = forwards.get(&port) {
            return Ok(socket.clone());
        }
        let socket = self.forwards_in.join(format!("{}-{port}", FORWARDS.fetch_add(1, Ordering::Relaxed)));
        let local = Socket::UnixSocket { path: (&socket).into() };
        let remote = Socket::TcpSocket { host: "127.0.0.1".into(), port: port.get() };
        let session = self.session().await?;
        session
            .request_port_forward(ForwardType::Local, local, remote)
            .await
            .map_err(|error| self.lost(&error))?;
        forwards.insert(port, socket.clone());
        Ok(socket)
    }
}

#[async_trait]
impl Remote for SshHost {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn spawn(&self, script: &Script) -> Result<Process, Failure> {
        let lost = |error: &dyn std::fmt::Display| self.lost(error);
        let permit = Arc::clone(&self.channels).acquire_owned().await.map_err(|error| lost(&error))?;
        let session = self.session().await?;
        let (program, words) = script.words();
        let mut command = session.arc_command(program);
        command.args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = tokio::time::timeout(CHANNEL_LIMIT, command.spawn()).await;
        let mut child = spawned
            .map_err(|_| lost(&format!("no channel of it opened within {} s", CHANNEL_LIMIT.as_secs())))?
            .map_err(|error| lost(&error))?;
        let missing = || lost(&"a channel came without its pipes");
        let stdin = child.stdin().take().ok_or_else(missing)?;
        let stdout = child.stdout().take().ok_or_else(missing)?;
        let stderr = child.stderr().take().ok_or_else(missing)?;
        let host = self.host.clone();
        let exit = Box::pin(async move {
            let status = child.wait().await;
            drop(permit);
            let lost = || Failure::unreachable(format!("{host}: the ssh connection was lost"));
            let status = match status {
                Ok(status) => status,
                // ssh reports status 127 as an error of its own kind.
                Err(openssh::Error::Remote(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(127);
                }
                Err(error) => return Err(lost().cause(error)),
            };
            shell_status(status).ok_or_else(lost)
        });
        tracing::trace!(host = %self.host, script = script.purpose, "script started on an ssh channel");
        Ok(Process {
            host: self.host.clone(),
            purpose: script.purpose,
            started: Instant::now(),
            stdin: Some(Box::pin(stdin)),
            stdout: Some(Box::pin(stdout)),
            stderr: Box::pin(stderr),
            exit,
        })
    }

    async fn dial(&self, port: NonZeroU16) -> Result<Box<dyn Stream>, Failure> {
        let dialled = async {
            let socket = self.forward(port).await?;
            UnixStream::connect(&socket).await.map_err(|error| self.lost(&error))
        };
        match tokio::time::timeout(CHANNEL_LIMIT, dialled).await {
            Ok(stream) => Ok(Box::new(stream?)),
            Err(_) => {
                Err(self.lost(&format!("no channel of it opened within {} s", CHANNEL_LIMIT.as_secs())))
            }
        }
    }

    async fn close(&self) {
        let session = self.session.lock().await.take();
        // A channel still open keeps the session shared; ControlPersist ends that master instead.
        if let Some(session) = session.and_then(Arc::into_inner)
            && let Err(error) = session.close().await
        {
            tracing::debug!(host = %self.host, %error, "the ssh master did not end cleanly");
        }
    }
}

fn private_directory() -> Result<TempDir, Failure> {
    let short_enough = |parent: &Path| parent.as_os_str().as_bytes().len() <= LONGEST_CONTROL_DIRECTORY;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let candidates = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
    let mut failure = Failure::failed("cannot make a private directory for ssh control sockets")
        .hint("make /tmp writable, or set XDG_RUNTIME_DIR to a short path of your own");
    for parent in candidates.filter(|parent| short_enough(parent)) {
        let private = std::fs::Permissions::from_mode(0o700);
        match tempfile::Builder::new().prefix("arcusctl-").permissions(private).tempdir_in(&parent) {
            Ok(directory) => return Ok(directory),
            Err(error) => failure = failure.cause(format!("{}: {error}", parent.display())),
        }
    }
    Err(failure)
}

/// Why there is no connection.
#[derive(Debug)]
enum Unconnected {
    /// In ssh's own words.
    Said(String),
    /// No answer for so long.
    Silent(Duration),
}

/// What ssh's words come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    HostKeyChanged,
    HostKeyUnknown,
    LoginRefused,
    NameUnknown,
    Dropped,
    NoGreeting,
    Silent,
    Other,
}

impl Unconnected {
    fn reason(&self) -> Reason {
        let Self::Said(words) = self else { return Reason::Silent };
        let says = |part: &str| words.contains(part);
        if says("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            Reason::HostKeyChanged
        } else if says("Host key verification failed") || says("host key is known for") {
            Reason::HostKeyUnknown
        } else if says("Permission denied (") {
            Reason::LoginRefused
        } else if self.last_line().contains("Could not resolve") {
            Reason::NameUnknown
        } else if self.last_line().contains("closed by")
            // What sshd says of the reason can be overtaken by the end of the connection.
            || self.last_line().contains("reset by")
            || self.last_line().contains("kex_exchange_identification")
        {
            Reason::Dropped
        } else if self.last_line().starts_with("Connection to ") && self.last_line().ends_with("timed out") {
            // ssh says so of a connection that stands and on which no greeting comes.
            Reason::NoGreeting
        } else {
            Reason::Other
        }
    }

    /// What was said last, which mostly is why.
    fn last_line(&self) -> String {
        match self {
            Self::Said(words) => {
                super::last_lines(words, 1).pop().unwrap_or_else(|| "ssh gave no reason".into())
            }
            Self::Silent(limit) => format!("no answer within {} s", limit.as_secs()),
        }
    }

    /// Says what it means for the operator.
    fn explain(&self, host: &HostName) -> Failure {
        let last = self.last_line();
        let cannot_connect = || Failure::unreachable(format!("{host}: cannot connect with ssh")).cause(&last);
        match self.reason() {
            Reason::HostKeyChanged => Failure::refused(format!("{host}: its ssh host key is not the known one"))
                .cause("the key changed since it was recorded: the host was reinstalled, or someone is in between")
                .hint(format!("ask whoever owns the host; if the new key is right: ssh-keygen -R {host}, then ssh {host} once")),
            Reason::HostKeyUnknown => Failure::refused(format!("{host}: its ssh host key is unknown")).cause(last).hint(
                format!("compare the key and accept it with: ssh {host}; or run again with --accept-new-host-keys"),
            ),
            Reason::LoginRefused => Failure::unreachable(format!("{host}: ssh login refused")).cause(last).hint(format!(
                "arcusctl logs in with keys only: set them up with arcusctl hosts trust CONF, or ssh-copy-id {host}"
            )),
            Reason::NameUnknown => cannot_connect()
                .hint("check the name in the cloud JSON or the ensemble list, or add it to ~/.ssh/config"),
            Reason::Dropped => cannot_connect().hint(
                "its sshd drops connections: too many at once (MaxStartups), or it is shutting down; lower --concurrency",
            ),
            Reason::Silent => Failure::unreachable(format!("{host}: ssh got {last}"))
                .hint(SILENT),
            Reason::NoGreeting => cannot_connect().hint(SILENT),
            Reason::Other => cannot_connect().hint(
                "see whether the host is up and its sshd listens; the port can be set in ~/.ssh/config or [ssh] port",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FailureKind;

    fn explain_words(host: &HostName, words: &str) -> Failure {
        Unconnected::Said(words.into()).explain(host)
    }

    #[test]
    fn a_changed_key_is_told_from_an_unknown_one() {
        let host = HostName::new("cache-1");
        let changed = explain_words(
            &host,
            "@@@\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
        );
        let unknown = explain_words(
            &host,
            "No ED25519 host key is known for cache-1 and you have requested strict checking.\r\nHost key verification failed.",
        );
        assert!(changed.message.contains("not the known one"));
        assert!(unknown.message.contains("unknown"));
        assert!(unknown.hints[0].contains("--accept-new-host-keys"));
        assert_eq!((changed.kind, unknown.kind), (FailureKind::Refused, FailureKind::Refused));
    }

    #[test]
    fn a_dead_host_is_unreachable_with_sshs_own_reason() {
        let failure = explain_words(&HostName::new("h"), "connect to host h port 22: No route to host");
        assert_eq!(failure.kind, FailureKind::Unreachable);
        assert!(failure.causes[0].contains("No route to host"));
    }

    #[test]
    fn every_word_of_ssh_that_is_known_is_explained() {
        let said = [
            "@@@\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
            "root@h: Permission denied (publickey).",
            "ssh: Could not resolve hostname h: Name or service not known",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22",
            "Connection to h port 22 timed out",
            "connect to host h port 22: Connection refused",
            "",
        ];
        let host = HostName::new("h");
        let explained = said.map(|words| {
            let failure = explain_words(&host, words);
            format!("{failure}\n  {}", failure.hints.join("\n  "))
        });
        insta::assert_snapshot!(explained.join("\n"));
    }

    #[test]
    fn control_sockets_live_in_a_private_directory() {
        let directory = private_directory().unwrap();
        let mode = std::fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

//! The memcached underneath: a child process on a Unix socket that nobody else sees.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::args::Options;
use crate::exit::{Code, Fatal};

/// Where the distribution has it, when there is none in the tree.
const INSTALLED: &str = "/usr/bin/memcached";
/// How long it may take to listen.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The running child. It ends with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Store {
    child: Child,
    socket: PathBuf,
    _dir: TempDir,
}

impl Store {
    /// Starts memcached; it may take a moment until it listens.
    pub(crate) fn start(options: &Options) -> Result<Self, Fatal> {
        let failed =
            |what: &str, error: std::io::Error| Fatal::new(Code::Software, format!("{what}: {error}"));
        let dir = tempfile::Builder::new()
            .prefix("arcus-cache-node-")
            .tempdir()
            .map_err(|error| failed("making a directory for memcached's socket", error))?;
        let socket = dir.path().join("socket");
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let connections = (options.connections + 32).min(files.saturating_sub(64)).max(16);
        // setpriv has the kernel kill the child when this process dies, even by SIGKILL.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program()).arg("-s").arg(&socket);
        command.args([
            "-a",
            "0700",
            "-U",
            "0",
            "-m",
            &options.memory_mb.to_string(),
            "-c",
            &connections.to_string(),
        ]);
        command.args(["-t", &options.threads.to_string()]);
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "root"]);
        }
        command.env_remove(crate::host::DETACHED).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().map_err(|error| failed("starting setpriv and memcached", error))?;
        Ok(Self { child, socket, _dir: dir })
    }

    /// Where to reach it.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until it accepts connections.
    pub(crate) async fn listening(&mut self) -> Result<(), Fatal> {
        let attempts = async {
            while UnixStream::connect(&self.socket).await.is_err() {
                // memcached announces nothing; the socket's first answer is all there is to wait for.
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::select! {
            () = attempts => Ok(()),
            ended = self.child.wait() => Err(ended_early(ended)),
            () = tokio::time::sleep(START_LIMIT) => {
                Err(Fatal::new(Code::Software, format!("memcached does not listen after {START_LIMIT:?}")))
            }
        }
    }

    /// Waits until it ends, which it never should.
    pub(crate) async fn ended(&mut self) -> Fatal {
        ended_early(self.child.wait().await)
    }
}

fn ended_early(how: std::io::Result<ExitStatus>) -> Fatal {
    let how = how.map_or_else(|error| error.to_string(), |status| status.to_string());
    Fatal::new(Code::Software, format!("the memcached underneath has ended: {how}"))
}

/// `libexec/cache-store` of the tree whose `bin/memcached` this is, or the distribution's.
fn program() -> PathBuf {
    let of_tree = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.join("libexec/cache-store")));
    of_tree.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

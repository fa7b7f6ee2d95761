//! A lab as its users hold it.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::builder::Builder;
use crate::disk::{self, HostFiles};
use crate::hold::ProcessRef;
use crate::namespace::{self, HostSpec, PATH};
use crate::state::{HostLayout, Layout, Record, Summary, lab_names};
use crate::{net, power};

/// How long a booting host may take until its sshd answers; much, for a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// A host of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its hostname, known to the admin and to all hosts.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its number, counted from 1.
    pub index: usize,
}

/// A running lab. One made by [`Lab::up`] is removed when dropped, unless `ARCUS_LAB_KEEP=1` is set.
#[derive(Debug)]
pub struct Lab {
    layout: Layout,
    record: Record,
    hosts: Vec<Host>,
    /// Holders started by this process, which therefore has to reap them.
    children: Mutex<Vec<Child>>,
    remove_on_drop: bool,
}

impl Lab {
    /// Makes a lab of this many hosts, under a name of its own, that is removed when dropped.
    ///
    /// # Errors
    ///
    /// See [`Builder::up`].
    pub fn up(hosts: usize) -> Result<Self> {
        Self::builder().hosts(hosts).up()
    }

    /// Starts the description of a lab.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Takes hold of a lab that is already up; dropping it changes nothing.
    ///
    /// # Errors
    ///
    /// When there is no such lab.
    pub fn open(name: &str) -> Result<Self> {
        let layout = Layout::of(name)?;
        let record = Record::load(&layout).with_context(|| format!("lab {name:?} is not up"))?;
        Ok(Self::from(layout, record))
    }

    /// All labs on this machine.
    ///
    /// # Errors
    ///
    /// When the directory of labs can't be read.
    pub fn list() -> Result<Vec<Summary>> {
        let mut found = Vec::new();
        for name in lab_names()? {
            let layout = Layout::of(&name)?;
            let (hosts, running, owned) = match Self::open(&name) {
                Ok(lab) => {
                    let running = lab.hosts.iter().filter(|host| lab.is_running(host)).count();
                    (lab.hosts.len(), running, lab.record.owner.is_some())
                }
                Err(_) => (0, 0, false),
            };
            found.push(Summary { name, dir: layout.dir, hosts, running, owned });
        }
        Ok(found)
    }

    /// Removes the lab `name` with all its processes, however little of it is left. Fine when there is none.
    ///
    /// # Errors
    ///
    /// When a process can't be killed or the lab's directory can't be removed.
    pub fn remove(name: &str) -> Result<()> {
        power::remove(&Layout::of(name)?)
    }

    fn from(layout: Layout, record: Record) -> Self {
        let host = |index| Host { name: format!("{}{index}", record.prefix), ip: net::host_ip(index), index };
        let hosts = (1..=record.hosts).map(host).collect();
        Self { layout, record, hosts, children: Mutex::default(), remove_on_drop: false }
    }

    /// The lab's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The directory that holds everything of this lab; free to put files in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The `~/.ssh` of root in the admin namespace: key, `known_hosts`, and room for a `config`.
    #[must_use]
    pub fn admin_ssh_dir(&self) -> PathBuf {
        self.layout.admin_ssh()
    }

    /// The home of root in the admin namespace.
    #[must_use]
    pub fn admin_home(&self) -> PathBuf {
        self.layout.admin_home()
    }

    /// The admin's own address on the lab's network.
    #[must_use]
    pub fn admin_ip(&self) -> Ipv4Addr {
        net::ADMIN_IP
    }

    /// The hosts, in order of their numbers.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host with this name, address or number.
    ///
    /// # Errors
    ///
    /// When there is no such host.
    pub fn host(&self, key: &str) -> Result<&Host> {
        let is_it =
            |host: &&Host| host.name == key || host.ip.to_string() == key || host.index.to_string() == key;
        self.hosts.iter().find(is_it).with_context(|| {
            let names: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            format!("lab {:?} has no host {key:?}; it has {}", self.record.name, names.join(", "))
        })
    }

    /// A command in the admin namespace. It runs in the caller's (or the command's) current directory, and its
    /// process is the program itself: a signal sent to the child reaches it.
    ///
    /// `HOME` is the lab's own, and no ssh agent or XDG directory of the person's is passed on.
    #[must_use]
    pub fn admin(&self, program: impl AsRef<OsStr>) -> Command {
        // The target's mounts bring their own root, so the directory must be entered anew in there. The shells
        // replace themselves.
        const OUTER: &str = r#"pid=$1; shift
exec nsenter --target "$pid" --net --mount --uts -- sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@""#;
        let pid = ProcessRef::load_alive(&self.layout.admin_pid()).map_or(0, |holder| holder.pid);
        let mut command = Command::new("sh");
        command.args(["-c", OUTER, "sh", &pid.to_string()]).arg(program);
        command.env("HOME", self.layout.admin_home()).env("USER", "root").env("LOGNAME", "root");
        for name in [
            "SSH_AUTH_SOCK",
            "SSH_AGENT_PID",
            "XDG_CONFIG_HOME",
            "XDG_RUNTIME_DIR",
            "XDG_CACHE_HOME",
            "XDG_STATE_HOME",
            "OLDPWD",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// A command on a host, as root in `/`, without the network's help. Its environment is a fresh login's.
    #[must_use]
    pub fn on(&self, host: &Host, program: impl AsRef<OsStr>) -> Command {
        let pid = self.holder(host).map_or(0, |holder| holder.pid);
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid.to_string(), "--mount", "--uts", "--ipc", "--net", "--pid", "--"])
            .arg(program);
        command.env_clear().env("PATH", PATH).env("HOME", "/root").env("USER", "root").env("LANG", "C.UTF-8");
        if let Some(term) = std::env::var_os("TERM") {
            command.env("TERM", term);
        }
        command
    }

    /// Whether the lab's network is there; a restart of the machine ends it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.admin_pid().is_ok()
    }

    /// Whether the host has power.
    #[must_use]
    pub fn is_running(&self, host: &Host) -> bool {
        self.holder(host).is_some()
    }

    /// Runs `f` on a thread inside the lab's network: sockets it opens are the admin's.
    ///
    /// # Errors
    ///
    /// Those of `f`, or when the lab is gone.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        net::inside(self.admin_pid()?, f)
    }

    /// Pulls the host's cable: packets to and from it vanish.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn cut(&self, host: &Host) -> Result<()> {
        self.require_power(host)?;
        fs::write(self.host_layout(host).cut_mark(), "")?;
        self.inside(|| net::set_cable(host.index, false))
    }

    /// Plugs the host's cable in again.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn join(&self, host: &Host) -> Result<()> {
        self.require_power(host)?;
        remove_if_there(&self.host_layout(host).cut_mark())?;
        self.inside(|| net::set_cable(host.index, true))
    }

    /// Cuts the host's power: all its processes die at once. Its disk stays.
    ///
    /// # Errors
    ///
    /// When the processes don't die.
    pub fn kill(&self, host: &Host) -> Result<()> {
        if let Some(holder) = self.holder(host) {
            holder.kill_and_wait()?;
        }
        self.reap();
        remove_if_there(&self.host_layout(host).pid())?;
        self.inside(|| net::remove_cable(host.index))
    }

    /// Gives the host power again: same disk, address and keys; `/run` and `/tmp` are empty. Waits for its sshd.
    ///
    /// # Errors
    ///
    /// When it has power, or doesn't come up.
    pub fn boot(&self, host: &Host) -> Result<()> {
        if self.holder(host).is_some() {
            bail!("host {} is running", host.name);
        }
        let admin = self.admin_pid()?;
        self.inside(|| net::remove_cable(host.index))?;
        self.power_on(host, admin)?;
        let cut = self.host_layout(host).cut_mark().exists();
        self.inside(|| {
            net::plug_in(std::iter::once(host.index))?;
            if cut { net::set_cable(host.index, false) } else { net::await_ssh_banner(host.ip, BOOT_LIMIT) }
        })
    }

    /// Stops the host's sshd and its sessions where they stand: connections are accepted, but nobody answers.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn freeze(&self, host: &Host) -> Result<()> {
        power::signal_sshd(self.require_power(host)?, rustix::process::Signal::STOP)
    }

    /// Lets a frozen sshd go on.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn thaw(&self, host: &Host) -> Result<()> {
        power::signal_sshd(self.require_power(host)?, rustix::process::Signal::CONT)
    }

    /// Removes the lab, saying what failed (dropping it can't).
    ///
    /// # Errors
    ///
    /// See [`Lab::remove`].
    pub fn down(mut self) -> Result<()> {
        self.remove_on_drop = false;
        let result = power::remove(&self.layout);
        self.reap();
        result
    }

    fn host_layout(&self, host: &Host) -> HostLayout {
        self.layout.host(&host.name)
    }

    fn holder(&self, host: &Host) -> Option<ProcessRef> {
        ProcessRef::load_alive(&self.host_layout(host).pid())
    }

    fn require_power(&self, host: &Host) -> Result<u32> {
        let holder = self.holder(host).with_context(|| format!("host {} has no power", host.name))?;
        Ok(holder.pid)
    }

    fn admin_pid(&self) -> Result<u32> {
        let holder = ProcessRef::load_alive(&self.layout.admin_pid()).with_context(|| {
            format!("lab {:?} has lost its admin namespace; take it down", self.record.name)
        })?;
        Ok(holder.pid)
    }

    /// Makes what `record` describes. On failure whatever came to be is removed again.
    pub(crate) fn create(layout: Layout, record: Record) -> Result<Self> {
        let mut lab = Self::from(layout, record);
        // Armed before anything is started.
        lab.remove_on_drop = true;
        lab.record.save(&lab.layout)?;
        lab.make()?;
        lab.remove_on_drop = lab.record.owner.is_some();
        Ok(lab)
    }

    fn make(&self) -> Result<()> {
        let everybody: Vec<_> = self.hosts.iter().map(|host| (host.name.clone(), host.ip)).collect();
        let hosts_file = disk::hosts_file(&everybody);
        let admin_key = disk::prepare_admin(&self.layout, &hosts_file)?;
        let admin = self.adopt(namespace::start_admin(&self.layout)?, &self.layout.admin_pid())?;

        let new_host = |host: &Host| -> Result<String> {
            let files = HostFiles { name: &host.name, hosts: &hosts_file, admin_key: &admin_key };
            let key = disk::prepare_host(&self.host_layout(host), &files)?;
            self.power_on(host, admin)?;
            Ok(format!("{},{} {key}\n", host.name, host.ip))
        };
        let known: Result<Vec<String>> = thread::scope(|scope| {
            let threads: Vec<_> = self.hosts.iter().map(|host| scope.spawn(|| new_host(host))).collect();
            let join = |(host, thread): (&Host, thread::ScopedJoinHandle<'_, Result<String>>)| {
                let made = thread.join().map_err(|_| anyhow!("a thread that makes a host panicked"))?;
                made.with_context(|| format!("making host {}", host.name))
            };
            // All are joined before the first failure is told: what was started has to be known, to be removed.
            let ended: Vec<_> = self.hosts.iter().zip(threads).map(join).collect();
            ended.into_iter().collect()
        });
        fs::write(self.layout.admin_ssh().join("known_hosts"), known?.concat())?;

        self.inside(|| {
            net::plug_in(self.hosts.iter().map(|host| host.index))?;
            self.hosts.iter().try_for_each(|host| {
                net::await_ssh_banner(host.ip, BOOT_LIMIT)
                    .with_context(|| format!("waiting for host {}; {}", host.name, self.console_tail(host)))
            })
        })
    }

    fn power_on(&self, host: &Host, admin_pid: u32) -> Result<()> {
        let layout = self.host_layout(host);
        let spec = HostSpec {
            lab: self.layout.clone(),
            layout: layout.clone(),
            name: host.name.clone(),
            index: host.index,
            admin_pid,
        };
        self.adopt(namespace::start_host(&spec)?, &layout.pid())?;
        Ok(())
    }

    /// Remembers a process that holds namespaces; gives its number.
    fn adopt(&self, child: Child, pid_file: &Path) -> Result<u32> {
        let pid = child.id();
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        ProcessRef::of(pid)?.save(pid_file)?;
        Ok(pid)
    }

    /// Takes note of holders that have ended, so that they don't stay as zombies.
    fn reap(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn console_tail(&self, host: &Host) -> String {
        let text = fs::read_to_string(self.host_layout(host).console()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("its console ends:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.remove_on_drop {
            // Nobody is left to tell; what stays is found by the next lab, or by `arcus-lab down --all`.
            let _ = power::remove(&self.layout);
            self.reap();
        }
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

//! Makes the namespaces: the admin's and each host's.
//!
//! Namespaces, mounts and root directory belong to a *thread* once it has called `unshare`. So each is set up by
//! plain system calls on a thread of its own, which then starts the process that holds them, and ends.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::disk::OWN_DIRS;
use crate::net;
use crate::state::{HostLayout, Layout, base_dir};
use crate::tools::Unavailable;

/// The `PATH` of processes that the lab starts.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Stands in the command line of every process that holds a lab's namespaces, before the lab's directory.
pub(crate) const MARK: &str = "arcus-lab-init";

const HOST_INIT: &str = include_str!("host-init.sh");
const NONE: Option<&str> = None;

/// A host to be given power.
#[derive(Debug)]
pub(crate) struct HostSpec {
    pub(crate) lab: Layout,
    pub(crate) layout: HostLayout,
    pub(crate) name: String,
    pub(crate) index: usize,
    pub(crate) admin_pid: u32,
}

/// Starts the process that holds the admin's network, mounts and hostname.
pub(crate) fn start_admin(layout: &Layout) -> Result<Child> {
    on_own_thread(|| {
        enter_new(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS)?;
        // Slave: what the machine mounts later appears here too; what happens here stays here.
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)
            .context("detaching the admin's mounts")?;
        for file in ["hosts", "hostname", "passwd"] {
            let target = Path::new("/etc").join(file);
            if target.exists() {
                bind(&layout.admin_etc().join(file), &target)?;
            }
        }
        nix::unistd::sethostname("admin").context("naming the admin's machine")?;
        net::make_bridge()?;
        holder(layout, "exec sleep infinity", "admin", Stdio::null())
    })
}

/// Boots a host on its disk; gives its process 1.
pub(crate) fn start_host(spec: &HostSpec) -> Result<Child> {
    on_own_thread(|| {
        let new = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        enter_new(new)?;
        net::lay_cable(spec.index, spec.admin_pid)?;
        let console = File::options().create(true).append(true).open(spec.layout.console())?;
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
            .context("detaching the host's mounts")?;
        let root = spec.layout.mount_point();
        mount_root(&spec.layout, &root)?;
        let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
        // Some containers forbid a sysfs; nothing on a host needs it.
        let _ = mount(Some("sysfs"), &root.join("sys"), Some("sysfs"), plain, NONE);
        // Affects children only. That is why /proc, which shows the processes of who mounts it, is left to the first.
        unshare(CloneFlags::CLONE_NEWPID).context("making a process namespace")?;

        nix::unistd::chdir(&root).context("entering the host's root")?;
        nix::unistd::pivot_root(".", ".").context("changing to the host's root")?;
        umount2(".", MntFlags::MNT_DETACH).context("leaving the machine's root")?;
        nix::unistd::chdir("/")?;
        nix::unistd::sethostname(&spec.name).context("naming the host")?;
        holder(&spec.lab, HOST_INIT, &spec.name, console.into())
    })
}

/// Tries everything that a lab needs of the kernel.
pub(crate) fn try_everything(scratch: &Path) -> Result<()> {
    let layout = HostLayout { dir: scratch.to_path_buf() };
    for dir in [layout.upper(), layout.work(), layout.mount_point()] {
        fs::create_dir_all(dir)?;
    }
    on_own_thread(|| {
        enter_new(
            CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWIPC,
        )?;
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(denied)?;
        mount_overlay(&layout, &layout.mount_point())?;
        net::make_bridge()?;
        net::lay_cable(1, std::process::id()).map_err(|error| Unavailable::Network(format!("{error:#}")))?;
        unshare(CloneFlags::CLONE_NEWPID).map_err(denied)?;
        Ok(())
    })
}

fn on_own_thread<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        scope.spawn(f).join().map_err(|_| anyhow!("a thread that makes namespaces panicked"))?
    })
}

fn enter_new(namespaces: CloneFlags) -> Result<()> {
    Ok(unshare(namespaces).map_err(denied)?)
}

fn denied(errno: Errno) -> Unavailable {
    Unavailable::Namespaces(errno.desc())
}

/// Starts the process that keeps this thread's namespaces alive, away from the caller's terminal.
fn holder(layout: &Layout, script: &str, name: &str, console: Stdio) -> Result<Child> {
    // setsid doesn't fork here, since a fresh child never leads its process group: the child itself becomes sh.
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", script, MARK]).arg(&layout.dir).arg(name);
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LANG", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(console);
    command.spawn().context("starting setsid (Debian package util-linux)")
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, NONE, MsFlags::MS_BIND, NONE)
        .with_context(|| format!("binding {} to {}", from.display(), to.display()))
}

fn tmpfs(at: &Path, options: &str) -> Result<()> {
    fs::create_dir_all(at)?;
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID, Some(options))
        .with_context(|| format!("mounting a tmpfs on {}", at.display()))
}

/// The overlay and everything mounted on it.
fn mount_root(layout: &HostLayout, root: &Path) -> Result<()> {
    mount_overlay(layout, root)?;
    for top in OWN_DIRS {
        fs::create_dir_all(root.join(top))?;
        bind(&layout.own(top), &root.join(top))?;
    }
    tmpfs(&root.join("tmp"), "mode=1777")?;
    tmpfs(&root.join("run"), "mode=755")?;
    mount_dev(&root.join("dev"))?;
    for dir in ["proc", "sys"] {
        fs::create_dir_all(root.join(dir))?;
    }
    // A host must not see its own disk, or its neighbours', through the overlay's lower layer.
    let base: PathBuf = base_dir();
    if let Ok(inside) = base.strip_prefix("/")
        && root.join(inside).is_dir()
    {
        tmpfs(&root.join(inside), "mode=700,size=4k")?;
    }
    Ok(())
}

fn mount_overlay(layout: &HostLayout, root: &Path) -> Result<()> {
    let (upper, work) = (layout.upper(), layout.work());
    // index=off: after a power cut the old mount may linger for a moment, and must not make the new one fail.
    let options = format!("lowerdir=/,upperdir={},workdir={},index=off", upper.display(), work.display());
    mount(Some("overlay"), root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|errno| Unavailable::Overlay { dir: upper, reason: errno.desc() })?;
    Ok(())
}

/// A small `/dev`: the usual devices of the machine, the host's own terminals and shared memory.
fn mount_dev(dev: &Path) -> Result<()> {
    tmpfs(dev, "mode=755,size=64k")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let machine = Path::new("/dev").join(name);
        if fs::metadata(&machine).is_ok_and(|meta| meta.file_type().is_char_device()) {
            File::create(dev.join(name))?;
            bind(&machine, &dev.join(name))?;
        }
    }
    fs::create_dir(dev.join("pts"))?;
    let options = "newinstance,ptmxmode=0666,mode=620,gid=5";
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), MsFlags::MS_NOSUID, Some(options))
        .context("mounting the host's terminals")?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name))?;
    }
    tmpfs(&dev.join("shm"), "mode=1777")?;
    fs::set_permissions(dev.join("shm"), Permissions::from_mode(0o1777))?;
    Ok(())
}

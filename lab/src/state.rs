//! What a lab remembers on disk: its description, and which processes hold its namespaces.
//!
//! Everything a lab has lies in one directory, so that a lab whose maker crashed can be found and removed later.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::hold::ProcessRef;

/// Where labs are kept when `ARCUS_LAB_DIR` doesn't say otherwise.
const DEFAULT_BASE: &str = "/var/tmp/arcus-lab";
/// Used when the default lies on an overlay (as in many containers), which can't be the upper layer of another.
const BASE_IN_MEMORY: &str = "/dev/shm/arcus-lab";

/// The description of a lab, as kept in `lab.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) hosts: usize,
    /// The process that tears this lab down when it ends; a lab made by `arcus-lab up` has none.
    pub(crate) owner: Option<ProcessRef>,
}

/// One line of `arcus-lab list`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The lab's name.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// How many hosts it was made with.
    pub hosts: usize,
    /// How many of them have power.
    pub running: usize,
    /// Whether a process owns it and tears it down (a test's lab).
    pub owned: bool,
}

/// The directory that holds all labs.
pub(crate) fn base_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("ARCUS_LAB_DIR").filter(|dir| !dir.is_empty()) {
        return std::path::absolute(&dir).unwrap_or_else(|_| PathBuf::from(dir));
    }
    let parent = Path::new(DEFAULT_BASE).parent().unwrap_or(Path::new("/"));
    let on_overlay = nix::sys::statfs::statfs(parent)
        .is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC);
    PathBuf::from(if on_overlay { BASE_IN_MEMORY } else { DEFAULT_BASE })
}

/// The paths inside one lab's directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
}

impl Layout {
    /// The layout of the lab `name`, whether or not it exists.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            bail!("lab name {name:?}: use 1 to 40 letters, digits, '-' or '_'");
        }
        let dir = base_dir().join(name);
        // They would separate the options of an overlay mount.
        if dir.to_str().is_none_or(|text| text.contains([',', ':', '\\'])) {
            bail!("{}: the directory of a lab must not contain ',', ':' or '\\'", dir.display());
        }
        Ok(Self { dir })
    }

    /// Whether the lab was up once, but no longer is: the machine was restarted, say.
    pub(crate) fn is_dead(&self) -> bool {
        self.admin_pid().exists() && ProcessRef::load_alive(&self.admin_pid()).is_none()
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.dir.join("lab.json")
    }

    pub(crate) fn admin_home(&self) -> PathBuf {
        self.dir.join("admin/home")
    }

    pub(crate) fn admin_ssh(&self) -> PathBuf {
        self.admin_home().join(".ssh")
    }

    pub(crate) fn admin_etc(&self) -> PathBuf {
        self.dir.join("admin/etc")
    }

    pub(crate) fn admin_pid(&self) -> PathBuf {
        self.dir.join("admin/pid")
    }

    pub(crate) fn host(&self, host: &str) -> HostLayout {
        HostLayout { dir: self.dir.join("hosts").join(host) }
    }
}

/// The paths of one host.
#[derive(Debug, Clone)]
pub(crate) struct HostLayout {
    pub(crate) dir: PathBuf,
}

impl HostLayout {
    /// What the host has written over `/`.
    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.join("disk/upper")
    }

    /// The overlay's scratch directory; must be on the file system of [`Self::upper`].
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.join("disk/work")
    }

    /// The host's own `/opt`, `/home` and `/root`, which start empty.
    pub(crate) fn own(&self, top: &str) -> PathBuf {
        self.dir.join("disk/own").join(top)
    }

    /// Where the host's root is mounted while its namespaces are made.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.dir.join("root")
    }

    pub(crate) fn pid(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// Exists while the host's cable is out.
    pub(crate) fn cut_mark(&self) -> PathBuf {
        self.dir.join("cut")
    }

    /// What sshd and the host's init print.
    pub(crate) fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }
}

impl Record {
    pub(crate) fn save(&self, layout: &Layout) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(layout.record(), text).with_context(|| format!("writing {}", layout.record().display()))
    }

    pub(crate) fn load(layout: &Layout) -> Result<Self> {
        let path = layout.record();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no lab there: cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a lab's description", path.display()))
    }

    /// Whether the process that should tear this lab down is gone.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| !owner.is_alive())
    }
}

/// The names of all labs that left a directory, half-made ones included.
pub(crate) fn lab_names() -> Result<Vec<String>> {
    let base = base_dir();
    let entries = match fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", base.display())),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Layout::of(name).is_ok_and(|layout| layout.dir.is_dir()))
        .collect();
    names.sort();
    Ok(names)
}

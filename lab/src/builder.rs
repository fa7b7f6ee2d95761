//! Describes a lab before there is one, and checks that there can be.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::hold::ProcessRef;
use crate::lab::Lab;
use crate::state::{Layout, Record, lab_names};
use crate::{net, power, tools};

/// Describes a lab to be made.
#[derive(Debug, Clone)]
pub struct Builder {
    name: Option<String>,
    prefix: String,
    hosts: usize,
    owned: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { name: None, prefix: "memcached-".to_owned(), hosts: 3, owned: true }
    }

    /// Names the lab; without, it gets a name of its own that no other lab has.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Hosts are called this plus their number; `memcached-` by default.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The number of hosts; 3 by default.
    #[must_use]
    pub fn hosts(mut self, hosts: usize) -> Self {
        self.hosts = hosts;
        self
    }

    /// Lets the lab outlive this value and this process; it is then removed by `arcus-lab down`.
    #[must_use]
    pub fn keep(mut self) -> Self {
        self.owned = false;
        self
    }

    /// Makes the lab and waits until every host's sshd answers.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Unavailable) when this machine can't have labs; else whatever failed. Nothing is left
    /// behind then.
    pub fn up(self) -> Result<Lab> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        tools::require_root()?;
        tools::require_tools()?;
        if self.hosts > net::MAX_HOSTS {
            bail!("{} hosts are too many for one lab; {} fit", self.hosts, net::MAX_HOSTS);
        }
        if !is_hostname_prefix(&self.prefix) {
            bail!("host name prefix {:?}: use letters, digits and '-', beginning with a letter", self.prefix);
        }
        let name = self
            .name
            .unwrap_or_else(|| format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let layout = Layout::of(&name)?;
        remove_orphans();
        if layout.is_dead() {
            power::remove(&layout)?;
        }
        if let Some(parent) = layout.dir.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::create_dir(&layout.dir).with_context(|| {
            format!(
                "making {} (is lab {name:?} up already? `arcus-lab down` removes it)",
                layout.dir.display()
            )
        })?;
        let owner = if self.owned { Some(ProcessRef::current()?) } else { None };
        let keep = std::env::var_os("ARCUS_LAB_KEEP").is_some_and(|value| value == "1");
        let record = Record { name, prefix: self.prefix, hosts: self.hosts, owner: owner.filter(|_| !keep) };
        Lab::create(layout, record)
    }
}

fn is_hostname_prefix(prefix: &str) -> bool {
    prefix.len() <= 50
        && prefix.starts_with(|c: char| c.is_ascii_alphabetic())
        && prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Removes labs whose owners were killed before they could do so themselves.
fn remove_orphans() {
    for name in lab_names().unwrap_or_default() {
        if let Ok(layout) = Layout::of(&name)
            && Record::load(&layout).is_ok_and(|record| record.is_orphaned())
        {
            // Another process may be removing it at this very moment; between the two of them it goes.
            let _ = power::remove(&layout);
        }
    }
}

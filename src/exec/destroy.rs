//! Removing what arcusctl made: installs, logs of nodes, the data of members.

use std::num::NonZeroU16;
use std::time::Duration;

use super::Operator;
use crate::error::Failure;
use crate::model::{HostName, ServiceCode};
use crate::plan::{MemberLayout, destroy_mark};
use crate::remote::{Script, scripts};

/// Much may have to be removed from a slow disk.
const REMOVAL_FACTOR: u32 = 10;

impl Operator {
    fn removal_limit(&self) -> Duration {
        self.settings.timeouts.command * REMOVAL_FACTOR
    }

    pub(super) async fn remove_install(&self, host: &HostName) -> Result<String, Failure> {
        let script = Script::new("remove the releases", scripts::REMOVE_INSTALL)
            .arg("remove")
            .arg(&self.settings.install_path);
        let said = self.fleet.host(host).await?.check(&script, self.removal_limit()).await?;
        let of = |word: &str| -> Vec<String> {
            let names = said.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
            names.map(str::to_owned).collect()
        };
        let (ours, theirs, used) = (of("ours"), of("theirs"), of("used"));
        let mut told = vec![format!("removed {} file(s), link(s) and directories", ours.len())];
        if !used.is_empty() {
            told.push(format!("kept release {}, which a process executes", used.join(", ")));
        }
        if !theirs.is_empty() {
            told.push(format!("left what is not of arcusctl: {}", theirs.join(", ")));
        }
        Ok(told.join("; "))
    }

    pub(super) async fn forget_nodes(
        &self,
        host: &HostName,
        ports: &[NonZeroU16],
    ) -> Result<String, Failure> {
        let script = Script::new("remove logs of cache nodes", scripts::FORGET_NODES)
            .arg(&self.settings.install_path)
            .args(ports.iter().map(ToString::to_string));
        self.fleet.host(host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("removed logs and pid files of {} cache node(s)", ports.len()))
    }

    pub(super) async fn mark_destroyed(
        &self,
        host: &HostName,
        code: &ServiceCode,
    ) -> Result<String, Failure> {
        let script = Script::new("note what is removed", scripts::MARK_DESTROYED)
            .arg(&self.settings.install_path)
            .arg(destroy_mark(code, &self.ensemble));
        self.fleet.host(host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok("noted that its ZooKeeper data may go".to_owned())
    }

    pub(super) async fn remove_member(&self, layout: &MemberLayout) -> Result<String, Failure> {
        let script = Script::new("remove its ZooKeeper data", scripts::REMOVE_MEMBER)
            .arg(&layout.conf_dir)
            .arg(&layout.data_dir)
            .arg(&layout.log_dir);
        let remote = self.fleet.host(&layout.member.host).await?;
        let said = remote.check(&script, self.removal_limit()).await?;
        let theirs: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("theirs ")).collect();
        Ok(match theirs.as_slice() {
            [] => "removed its data, logs and configuration".to_owned(),
            theirs => format!(
                "removed its data, logs and configuration; left what is not of ZooKeeper: {}",
                theirs.join(", ")
            ),
        })
    }
}

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
        outcome_of_removal(host, &said)
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

/// What the script that removes an install said comes to.
fn outcome_of_removal(host: &HostName, said: &str) -> Result<String, Failure> {
    let of = |word: &str| -> Vec<&str> {
        said.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
    };
    let (ours, theirs, used) = (of("ours"), of("theirs"), of("used"));
    if !used.is_empty() {
        return Err(Failure::refused(format!("{host}: kept the releases and all that belongs to them"))
            .cause(format!("release {} is one that a process executes", used.join(", ")))
            .hint("see whose process that is (arcusctl releases names it), and run the command again once it has ended"));
    }
    let mut told = vec![format!("removed {} file(s), link(s) and directories", ours.len())];
    if !theirs.is_empty() {
        told.push(format!("left what is not of arcusctl: {}", theirs.join(", ")));
    }
    Ok(told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_that_is_in_use_is_not_said_to_be_gone() {
        let host = HostName::new("h");
        let failure = outcome_of_removal(&host, "used 0123456789ab\n").unwrap_err();
        assert!(failure.causes[0].contains("0123456789ab"), "{failure:?}");
        let told = outcome_of_removal(&host, "ours current\nours run/x\ntheirs notes\n").unwrap();
        assert_eq!(told, "removed 2 file(s), link(s) and directories; left what is not of arcusctl: notes");
    }
}

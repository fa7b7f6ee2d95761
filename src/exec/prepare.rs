//! Making a host ready for a first deploy.

use super::Operator;
use crate::error::Failure;
use crate::model::HostName;
use crate::plan::{HostChange, java_release};
use crate::remote::{Script, scripts};

/// A package manager may wait for another one, and for the network.
const INSTALL_FACTOR: u32 = 20;

impl Operator {
    /// Makes one change; `elevate` has it made by way of sudo.
    pub(super) async fn prepare_host(
        &self,
        host: &HostName,
        change: &HostChange,
        elevate: bool,
    ) -> Result<String, Failure> {
        let limit = self.settings.timeouts.command;
        let (script, limit, detail) = match change {
            HostChange::User { user } => {
                let script = Script::new("create the user", scripts::CREATE_USER).arg(user);
                (script, limit, format!("created the user {user}"))
            }
            HostChange::RunDirectory { path, owner, tmpfiles } => {
                let script = Script::new("make the run directory", scripts::MAKE_RUN_DIRECTORY)
                    .arg(path)
                    .arg(owner)
                    .arg(tmpfiles.clone().unwrap_or_default());
                (script, limit, format!("made {path}, owned by {owner}"))
            }
            HostChange::InstallPath { path, owner } => {
                let script = Script::new("make the install path", scripts::MAKE_INSTALL_PATH)
                    .arg(path)
                    .arg(owner.clone().unwrap_or_default());
                let given = owner.as_ref().map(|owner| format!(", owned by {owner}")).unwrap_or_default();
                (script, limit, format!("made {path}{given}"))
            }
            HostChange::Limits { lines } => {
                let script = Script::new("write the limits", scripts::WRITE_LIMITS).args(lines);
                (script, limit, "wrote the limits; logins get them from now on".to_owned())
            }
            HostChange::Java { manager, package } => {
                let script = Script::new("install a Java runtime", scripts::INSTALL_JAVA)
                    .arg(manager.as_str())
                    .arg(*package);
                (script, limit * INSTALL_FACTOR, format!("installed {package}"))
            }
        };
        let said = self.fleet.host(host).await?.check(&script.elevate(elevate), limit).await?;
        if !matches!(change, HostChange::Java { .. }) {
            return Ok(detail);
        }
        let version = said.trim();
        if java_release(version).is_some_and(|release| release < 8) {
            return Err(Failure::failed(format!("{host}: what was installed is not the Java that is found"))
                .cause(format!(
                    "Java {version} comes before it in PATH or JAVA_HOME; ZooKeeper needs 1.8 or later"
                ))
                .hint("set JAVA_HOME in /etc/profile there, or remove the old one"));
        }
        Ok(format!("{detail}, Java {version}"))
    }
}

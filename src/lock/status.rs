//! Who has which lock.

use std::time::Duration;

use serde::Serialize;

use super::cloud::holder_of;
use super::{Holder, Place};
use crate::error::Failure;
use crate::model::{HostName, ServiceCode};
use crate::remote::{Fleet, Script, scripts};
use crate::zk::ZooKeeper;

/// What is to be seen of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockState {
    /// A living run has it.
    Held,
    Free,
    /// The host cannot lock, or does not say.
    Unknown,
}

/// The lock of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockStatus {
    pub place: Place,
    pub state: LockState,
    /// Who has it, or had it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks a host; takes nothing from anybody.
///
/// # Errors
/// When the host cannot be reached.
pub async fn host_status(
    fleet: &Fleet,
    host: &HostName,
    install_path: &str,
    limit: Duration,
) -> Result<LockStatus, Failure> {
    let script = Script::new("look at the operation lock", scripts::LOCK_STATUS).arg(install_path);
    let text = fleet.host(host).await?.check(&script, limit).await?;
    let (word, rest) = text.trim_end().split_once(' ').unwrap_or((text.trim_end(), ""));
    let (state, reason) = match word {
        "held" => (LockState::Held, None),
        "free" | "none" => (LockState::Free, None),
        _ => (LockState::Unknown, Some(rest.to_owned())),
    };
    Ok(LockStatus { place: Place::Host(host.clone()), state, holder: Holder::parse(rest.as_bytes()), reason })
}

/// Asks ZooKeeper.
///
/// # Errors
/// When it does not answer.
pub async fn cloud_status(zookeeper: &ZooKeeper, code: &ServiceCode) -> Result<LockStatus, Failure> {
    let data = holder_of(zookeeper, code).await?;
    Ok(LockStatus {
        place: Place::Cloud(code.clone()),
        state: if data.is_some() { LockState::Held } else { LockState::Free },
        holder: data.as_deref().and_then(Holder::parse),
        reason: None,
    })
}

//! What there would be to remove from a host, and what would stay.

use std::time::Duration;

use futures::future::join_all;

use super::hosts::values;
use super::{Inspected, InstallSeen, MemberPlace, inspect_install};
use crate::model::HostName;
use crate::remote::{Fleet, Script, scripts};

/// Below the install path of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainsSeen {
    pub install: InstallSeen,
    /// What arcusctl made: names below the install path.
    pub ours: Vec<String>,
    /// What somebody else put there.
    pub theirs: Vec<String>,
}

/// Looks at every host.
pub async fn inspect_remains(
    fleet: &Fleet,
    hosts: &[HostName],
    install_path: &str,
    limit: Duration,
) -> Vec<(HostName, Inspected<RemainsSeen>)> {
    join_all(hosts.iter().map(|host| async move {
        let script = Script::new("look at what could be removed", scripts::REMOVE_INSTALL)
            .arg("look")
            .arg(install_path);
        let remains = async {
            let said = async { fleet.host(host).await?.check(&script, limit).await };
            let (said, install) = tokio::try_join!(said, inspect_install(fleet, host, install_path, limit))?;
            let of = |word: &str| values(&said, word).map(str::to_owned).collect();
            Ok(RemainsSeen { install, ours: of("ours"), theirs: of("theirs") })
        };
        (host.clone(), remains.await)
    }))
    .await
}

/// Which members an earlier run noted to be going with what `mark` says, and which kept nothing since.
pub async fn inspect_marks(
    fleet: &Fleet,
    places: &[MemberPlace],
    install_path: &str,
    mark: &str,
    limit: Duration,
) -> Vec<Inspected<bool>> {
    join_all(places.iter().map(|place| async move {
        let script = Script::new("look at its ZooKeeper data", scripts::MEMBER_MARKED)
            .arg(install_path)
            .arg(mark)
            .arg(&place.data_dir);
        let said = fleet.host(&place.member.host).await?.check(&script, limit).await?;
        Ok(said.trim() == "marked")
    }))
    .await
}

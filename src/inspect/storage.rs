//! What ZooKeeper members keep on their disks.

use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::hosts::{unreadable, value};
use super::{Inspected, MemberPlace};
use crate::remote::{Fleet, Script, scripts};

/// Snapshots, transaction logs and the disk of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSeen {
    /// The newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotSeen>,
    /// Files of transactions.
    pub log_files: u64,
    /// What they take up.
    pub log_bytes: u64,
    /// Size of the file system that the data is on, in bytes.
    pub disk_bytes: u64,
    /// Bytes free there.
    pub disk_free: u64,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotSeen {
    /// `snapshot.` and the last transaction before it was begun, in hexadecimal.
    pub file: String,
    pub bytes: u64,
    /// Seconds ago by the host's clock.
    pub age: u64,
}

/// Looks at the disk of every member.
pub async fn inspect_storage(
    fleet: &Fleet,
    places: &[MemberPlace],
    limit: Duration,
) -> Vec<Inspected<StorageSeen>> {
    join_all(places.iter().map(|place| async move {
        let script = Script::new("look at its ZooKeeper data", scripts::MEMBER_STORAGE)
            .arg(&place.conf_dir)
            .arg(&place.data_dir);
        let host = &place.member.host;
        let text = fleet.host(host).await?.check(&script, limit).await?;
        read_storage(&text).ok_or_else(|| unreadable(host, "its ZooKeeper data", &text))
    }))
    .await
}

fn read_storage(text: &str) -> Option<StorageSeen> {
    let numbers = |key: &str| -> Option<(u64, u64)> {
        let (one, other) = value(text, key)?.split_once(' ')?;
        Some((one.parse().ok()?, other.parse().ok()?))
    };
    let snapshot = value(text, "snapshot").and_then(|line| {
        let mut words = line.split(' ');
        let file = words.next()?.to_owned();
        let bytes = words.next()?.parse().ok()?;
        // A clock that was set back makes it one of the future.
        let age = words.next()?.parse::<i64>().ok()?.max(0).unsigned_abs();
        Some(SnapshotSeen { file, bytes, age })
    });
    let (log_files, log_kilobytes) = numbers("logs")?;
    let (disk, free) = numbers("disk")?;
    Some(StorageSeen {
        snapshot,
        log_files,
        log_bytes: log_kilobytes * 1024,
        disk_bytes: disk * 1024,
        disk_free: free * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_s_disk_is_read_from_its_lines() {
        let seen =
            read_storage("snapshot snapshot.100000003 589 42\nlogs 2 131072\ndisk 1000 600\n").unwrap();
        let snapshot = seen.snapshot.unwrap();
        assert_eq!((snapshot.file.as_str(), snapshot.bytes, snapshot.age), ("snapshot.100000003", 589, 42));
        assert_eq!((seen.log_files, seen.log_bytes, seen.disk_free), (2, 134_217_728, 614_400));
        assert_eq!(read_storage("logs 0 0\ndisk 10 5\n").unwrap().snapshot, None);
        assert_eq!(read_storage("Welcome!\n"), None);
    }
}

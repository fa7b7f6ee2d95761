//! Sending a release to a host, and switching the host to it.

use std::io::SeekFrom;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{Event, Events, Operator};
use crate::error::Failure;
use crate::model::{Archive, Compression, HostName, ReleaseId, human_bytes};
use crate::plan::Target;
use crate::remote::{Process, Remote, Script, scripts};

/// What is read from the archive and written to a connection at a time; this is all the memory a host costs.
const CHUNK: usize = 64 * 1024;
/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Checking and unpacking a large archive on a slow disk takes longer than a command that only looks.
const UNPACK_FACTOR: u32 = 10;

impl Operator {
    pub(super) async fn stage_release(
        &self,
        host: &HostName,
        release: &ReleaseId,
        compression: Compression,
        partial: u64,
        events: &Events,
    ) -> Result<String, Failure> {
        let parcel = self.parcel.as_ref().ok_or_else(|| Failure::failed("there is no package to send"))?;
        let archive = match compression {
            Compression::Gzip => &parcel.gzip,
            Compression::Zstd => parcel
                .zstd
                .as_ref()
                .ok_or_else(|| Failure::failed("the package was not compressed with zstd"))?,
        };
        let name = format!(".{release}.{}", compression.extension());
        let remote = self.fleet.host(host).await?;
        let here =
            if partial == 0 { 0 } else { self.matching_part(&*remote, archive, &name, partial).await? };
        let script = Script::new("stage the release", scripts::STAGE)
            .arg(&self.settings.install_path)
            .arg(release.as_str())
            .arg(&name)
            .arg(&archive.sha256)
            .arg(parcel.root.clone().unwrap_or_default())
            .arg(&parcel.names_sha256)
            .arg(parcel.label.clone().unwrap_or_default())
            .arg(archive.bytes.to_string())
            .arg(here.to_string());
        let mut process = remote.spawn(&script).await?;
        let start = Instant::now();
        // A script that fails early closes its input; then its own words say more than the broken pipe.
        let sent = self.send(&mut process, archive, here, host, events).await;
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        let output = tokio::time::timeout(limit, process.finish()).await.map_err(|_| {
            Failure::unreachable(format!("{host}: did not unpack the release within {} s", limit.as_secs()))
                .hint("see whether the host's disk hangs; raise [timeouts] command in arcusctl.toml if it is only slow")
        })??;
        if output.success(host, &script)?.trim() == "present" {
            return Ok(format!("release {release} was brought by another run meanwhile"));
        }
        sent?;
        let bytes = archive.bytes - here;
        let rate = (bytes as f64 / start.elapsed().as_secs_f64().max(0.001)) as u64;
        let kept =
            if here > 0 { format!(" after {} that were there", human_bytes(here)) } else { String::new() };
        Ok(format!("staged release {release} ({}{kept}, {}/s)", human_bytes(bytes), human_bytes(rate)))
    }

    /// How much of what an earlier upload left on the host is the beginning of this archive: all of it or nothing.
    async fn matching_part(
        &self,
        remote: &dyn Remote,
        archive: &Archive,
        name: &str,
        partial: u64,
    ) -> Result<u64, Failure> {
        if partial > archive.bytes {
            return Ok(0);
        }
        let script = Script::new("look at the partial archive", scripts::PARTIAL)
            .arg(&self.settings.install_path)
            .arg(name);
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        let (there, ours) = tokio::join!(remote.check(&script, limit), checksum(archive, partial));
        Ok(if there?.trim() == ours? { partial } else { 0 })
    }

    async fn send(
        &self,
        process: &mut Process,
        archive: &Archive,
        here: u64,
        host: &HostName,
        events: &Events,
    ) -> Result<(), Failure> {
        let target = Target::Host(host.clone());
        let unread = |error: std::io::Error| unread(archive, error);
        let mut file = File::open(&archive.path).await.map_err(unread)?;
        file.seek(SeekFrom::Start(here)).await.map_err(unread)?;
        let Some(mut stdin) = process.stdin.take() else { return Ok(()) };
        // A slow upload still sends something every second, or the host would take it for dead.
        let size =
            self.rate_limit.and_then(|rate| usize::try_from(rate).ok()).map_or(CHUNK, |rate| rate.min(CHUNK));
        let mut chunk = vec![0; size];
        let mut done = here;
        let start = Instant::now();
        let mut told = start;
        loop {
            let read = file.read(&mut chunk).await.map_err(unread)?;
            if read == 0 {
                break;
            }
            let limit = self.settings.timeouts.command;
            let Ok(written) = tokio::time::timeout(limit, stdin.write_all(&chunk[..read])).await else {
                return Err(Failure::unreachable(format!("{host}: took nothing of the upload for {} s", limit.as_secs()))
                    .hint("see whether the host's disk hangs; then run the command again: it goes on where this one stopped"));
            };
            if let Err(error) = written {
                return Err(Failure::unreachable(format!(
                    "{host}: the upload broke off after {}",
                    human_bytes(done)
                ))
                .cause(error)
                .hint("run the command again: it goes on where this one stopped"));
            }
            done += read as u64;
            if told.elapsed() >= TELL_EVERY || done == archive.bytes {
                told = Instant::now();
                events.send(Event::Bytes { target: target.clone(), done, total: archive.bytes });
            }
            if let Some(rate) = self.rate_limit {
                let due = Duration::from_secs_f64((done - here) as f64 / rate as f64);
                tokio::time::sleep_until((start + due).into()).await;
            }
        }
        // The end of the input is what makes the script go on.
        stdin.shutdown().await.map_err(|error| {
            Failure::unreachable(format!("{host}: the upload could not be ended")).cause(error)
        })
    }

    pub(super) async fn switch_release(
        &self,
        host: &HostName,
        release: &ReleaseId,
        from: Option<&ReleaseId>,
    ) -> Result<String, Failure> {
        let script = Script::new("switch to the release", scripts::SWITCH)
            .arg(&self.settings.install_path)
            .arg(release.as_str())
            .arg(from.map(ReleaseId::as_str).unwrap_or_default());
        // It may wait for another run's lock, and for the disk.
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        self.fleet.host(host).await?.check(&script, limit).await?;
        Ok(format!("release {release} is in use"))
    }

    pub(super) async fn label_release(
        &self,
        host: &HostName,
        release: &ReleaseId,
        label: &str,
    ) -> Result<String, Failure> {
        let script = Script::new("label the release", scripts::LABEL)
            .arg(&self.settings.install_path)
            .arg(release.as_str())
            .arg(label);
        self.fleet.host(host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("release {release} is labelled {label}"))
    }

    pub(super) async fn tidy_up(&self, host: &HostName, leftovers: usize) -> Result<String, Failure> {
        let script = Script::new("tidy up", scripts::TIDY).arg(&self.settings.install_path);
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        self.fleet.host(host).await?.check(&script, limit).await?;
        Ok(format!("tidied up {leftovers} leftover(s) of runs that were cut short"))
    }

    pub(super) async fn prune_releases(
        &self,
        host: &HostName,
        releases: &[ReleaseId],
    ) -> Result<String, Failure> {
        let script = Script::new("remove old releases", scripts::PRUNE)
            .arg(&self.settings.install_path)
            .args(releases.iter().map(ReleaseId::as_str));
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        let said = self.fleet.host(host).await?.check(&script, limit).await?;
        let kept: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("kept ")).collect();
        let removed: Vec<&str> =
            releases.iter().map(ReleaseId::as_str).filter(|release| !kept.contains(release)).collect();
        let told = |what: &str, names: &[&str], why: &str| {
            (!names.is_empty()).then(|| format!("{what} release {}{why}", names.join(", ")))
        };
        let parts = [told("removed", &removed, ""), told("kept", &kept, ", which a process may execute")];
        Ok(parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

fn unread(archive: &Archive, error: std::io::Error) -> Failure {
    Failure::failed(format!("cannot read {}", archive.path.display())).cause(error)
}

/// SHA-256 of the first `length` bytes of the archive.
async fn checksum(archive: &Archive, length: u64) -> Result<String, Failure> {
    let unread = |error: std::io::Error| unread(archive, error);
    let mut file = File::open(&archive.path).await.map_err(unread)?.take(length);
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).await.map_err(unread)?;
        if read == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&chunk[..read]);
    }
}

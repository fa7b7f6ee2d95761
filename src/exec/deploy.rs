//! Sending a release to a host, and switching the host to it.

use std::time::{Duration, Instant};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Event, Events, Operator, Parcel};
use crate::error::Failure;
use crate::model::{HostName, ReleaseId};
use crate::plan::{Target, human_bytes};
use crate::remote::{Process, Script, scripts};

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
        events: &Events,
    ) -> Result<String, Failure> {
        let parcel = self.parcel.as_ref().ok_or_else(|| Failure::failed("there is no package to send"))?;
        let script = Script::new("stage the release", scripts::STAGE)
            .arg(&self.settings.install_path)
            .arg(release.as_str())
            .arg(&parcel.sha256)
            .arg(parcel.root.clone().unwrap_or_default());
        let mut process = self.fleet.host(host).await?.spawn(&script).await?;
        let start = Instant::now();
        // A script that fails early closes its input; then its own words say more than the broken pipe.
        let sent = send(&mut process, parcel, host, events).await;
        let limit = self.settings.timeouts.command * UNPACK_FACTOR;
        let output = tokio::time::timeout(limit, process.finish()).await.map_err(|_| {
            Failure::unreachable(format!("{host}: did not unpack the release within {} s", limit.as_secs()))
                .hint("see whether the host's disk hangs; raise [timeouts] command in arcusctl.toml if it is only slow")
        })??;
        output.success(host, &script)?;
        sent?;
        let rate = (parcel.bytes as f64 / start.elapsed().as_secs_f64().max(0.001)) as u64;
        Ok(format!("staged release {release} ({}, {}/s)", human_bytes(parcel.bytes), human_bytes(rate)))
    }

    pub(super) async fn switch_release(
        &self,
        host: &HostName,
        release: &ReleaseId,
    ) -> Result<String, Failure> {
        let script = Script::new("switch to the release", scripts::SWITCH)
            .arg(&self.settings.install_path)
            .arg(release.as_str());
        self.fleet.host(host).await?.check(&script, self.settings.timeouts.command).await?;
        Ok(format!("release {release} is in use"))
    }
}

async fn send(
    process: &mut Process,
    parcel: &Parcel,
    host: &HostName,
    events: &Events,
) -> Result<(), Failure> {
    let target = Target::Host(host.clone());
    let unread = |error: std::io::Error| {
        Failure::failed(format!("cannot read {}", parcel.path.display())).cause(error)
    };
    let mut file = File::open(&parcel.path).await.map_err(unread)?;
    let Some(mut stdin) = process.stdin.take() else { return Ok(()) };
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    let mut told = Instant::now();
    loop {
        let read = file.read(&mut chunk).await.map_err(unread)?;
        if read == 0 {
            break;
        }
        if let Err(error) = stdin.write_all(&chunk[..read]).await {
            return Err(Failure::unreachable(format!(
                "{host}: the upload broke off after {}",
                human_bytes(done)
            ))
            .cause(error)
            .hint("run the command again"));
        }
        done += read as u64;
        if told.elapsed() >= TELL_EVERY || done == parcel.bytes {
            told = Instant::now();
            events.send(Event::Bytes { target: target.clone(), done, total: parcel.bytes });
        }
    }
    // The end of the input is what makes the script go on.
    stdin
        .shutdown()
        .await
        .map_err(|error| Failure::unreachable(format!("{host}: the upload could not be ended")).cause(error))
}

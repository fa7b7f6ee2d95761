//! `deploy`: every host of the cloud and the ensemble gets the build.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use tempfile::TempPath;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::args::Deploy;
use super::changing::{Subject, Work};
use super::context::Context;
use crate::error::{Failure, Failures};
use crate::inspect::{Inspected, InstallSeen, inspect_install};
use crate::journal::Input;
use crate::model::{Archive, Cloud, Compression, HostName, Parcel};
use crate::package::{self, Package};
use crate::plan::{self, DeployWish};
use crate::report::Document;

/// A package that was read, and packed with zstd where somebody wants it so. Its end removes the temporary files.
type Ready = (Package, Option<(Archive, TempPath)>);

pub(super) async fn deploy(context: &Context, args: &Deploy) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let (hosts, note) = context.look(hosts(context, &cloud)).await?;
    let wish = DeployWish { label: args.label.clone(), partial: args.partial, keep: usize::from(args.keep) };
    let mut ready: Option<Ready> = None;
    let prepare = async || {
        let (tell, told) = mpsc::unbounded_channel();
        let (opened, compress) = (ready.take(), !args.change.dry_run);
        let package = async {
            let opened = match opened {
                Some(opened) => opened,
                None => (open(context, args.package.as_deref()).await?, None),
            };
            if compress { recompress_if_wanted(opened, told).await } else { Ok(opened) }
        };
        // Packing and looking at hosts go on side by side.
        let (package, installs) =
            context.look(async { tokio::join!(package, look(context, &hosts, tell)) }).await?;
        let (package, zstd) = ready.insert(package?);
        let mut plan = plan::deploy(&package.facts(), &wish, &installs);
        plan.notes.extend(note.clone());
        let mut operator = context.another_operator();
        let mut parcel = Parcel { label: args.label.clone(), ..package.parcel() };
        parcel.zstd = zstd.as_ref().map(|(archive, _)| archive.clone());
        operator.parcel = Some(parcel);
        operator.rate_limit = args.limit_rate;
        Ok(Work { plan, operator: Some(operator) })
    };
    context.change(&Subject::hosts_of(&cloud.code), args.change, prepare).await
}

/// What the installs on the hosts are like; each is told of as soon as it is known.
async fn look(
    context: &Context,
    hosts: &[HostName],
    tell: UnboundedSender<InstallSeen>,
) -> Vec<(HostName, Inspected<InstallSeen>)> {
    let (path, limit) = (&context.settings.install_path, context.settings.timeouts.command);
    let tell = &tell;
    join_all(hosts.iter().map(|host| async move {
        let seen = inspect_install(&context.fleet, host, path, limit).await;
        if let Ok(install) = &seen {
            // Nobody listens any more once it is clear that somebody wants zstd.
            let _clear_already = tell.send(install.clone());
        }
        (host.clone(), seen)
    }))
    .await
}

/// Packs the package with zstd as soon as it is clear that a host is going to want it so.
async fn recompress_if_wanted(
    (package, zstd): Ready,
    mut told: UnboundedReceiver<InstallSeen>,
) -> Result<Ready, Failures> {
    let release = package.release();
    while zstd.is_none()
        && let Some(install) = told.recv().await
    {
        if install.compression == Compression::Zstd && !install.releases.contains_key(&release) {
            let packing = tokio::task::spawn_blocking(move || {
                package.recompress().map(|packed| (package, Some(packed)))
            });
            let packed = packing.await;
            return Ok(packed
                .map_err(|error| Failure::failed("compressing the package broke off").cause(error))??);
        }
    }
    Ok((package, zstd))
}

/// The hosts of the cloud, then those of the ensemble that are not among them.
pub(super) async fn hosts(context: &Context, cloud: &Cloud) -> (Vec<HostName>, Option<String>) {
    let mut hosts = cloud.hosts();
    let elsewhere = context.fleet.here(&hosts).await.is_empty();
    if context.ensemble_is_default && elsewhere {
        let note = format!("{}; only the cloud's hosts get the release", context.default_ensemble_note());
        return (hosts, Some(note));
    }
    for host in context.ensemble.hosts() {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    (hosts, None)
}

async fn open(context: &Context, given: Option<&Path>) -> Result<Package, Failures> {
    let install = PathBuf::from(&context.settings.install_path);
    let installed = || install.join("bin/memcached").exists().then(|| install.clone());
    let path = given.map(Path::to_owned).or_else(|| context.settings.package.clone()).or_else(installed);
    let Some(path) = path else {
        return Err(Failure::config("there is no package to deploy")
            .cause(format!(
                "neither --package nor the settings name one, and nothing is installed in {} here",
                install.display()
            ))
            .hint(
                "give a .tar.gz of an Arcus build, or the directory it was installed to: --package FILE|DIR",
            )
            .into());
    };
    context.printer.progress(&format!("reading {}", path.display()));
    let given = path.clone();
    let opened = tokio::task::spawn_blocking(move || package::open(&path)).await;
    let package = opened.map_err(|error| Failure::failed("reading the package broke off").cause(error))??;
    // What a directory holds is judged by the release that it makes.
    if given.is_file() {
        let path = std::path::absolute(&given).unwrap_or(given);
        context.invocation.remember(Input { path, sha256: package.parcel().gzip.sha256 });
    }
    Ok(package)
}

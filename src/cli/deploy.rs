//! `deploy`: every host of the cloud and the ensemble gets the build.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Deploy;
use super::context::Context;
use crate::config::load_cloud;
use crate::error::{Failure, Failures};
use crate::exec::Operator;
use crate::inspect::inspect_installs;
use crate::model::{Cloud, Compression, HostName, Parcel};
use crate::package::{self, Package};
use crate::plan::{self, Action, DeployWish};
use crate::report::Document;

pub(super) async fn deploy(context: &Context, args: &Deploy) -> Result<Document, Failures> {
    let cloud = load_cloud(&args.conf)?;
    let (hosts, note) = context.look(hosts(context, &cloud)).await?;
    let package = open(context, args.package.as_deref());
    let installs = inspect_installs(
        &context.fleet,
        &hosts,
        &context.settings.install_path,
        context.settings.timeouts.command,
    );
    // Packing and looking at hosts need nothing of each other.
    let (package, installs) = context.look(async { tokio::join!(package, installs) }).await?;
    let package = package?;
    let wish = DeployWish { label: args.label.clone(), partial: args.partial, keep: usize::from(args.keep) };
    let mut plan = plan::deploy(&package.facts(), &wish, &installs);
    plan.notes.extend(note);
    let mut operator =
        Operator::new(Arc::clone(&context.fleet), Arc::clone(&context.settings), context.ensemble.clone());
    let mut parcel = Parcel { label: args.label.clone(), ..package.parcel() };
    let zstd = plan
        .steps()
        .any(|step| matches!(step.action, Action::StageRelease { compression: Compression::Zstd, .. }));
    // Held until the run is over: its end removes the file.
    let mut spool = None;
    if zstd && !args.change.dry_run {
        let packing =
            tokio::task::spawn_blocking(move || package.recompress().map(|packed| (packed, package)));
        let packed = context.look(packing).await?;
        let ((archive, path), package) =
            packed.map_err(|error| Failure::failed("compressing the package broke off").cause(error))??;
        parcel.zstd = Some(archive);
        spool = Some((path, package));
    }
    operator.parcel = Some(parcel);
    operator.rate_limit = args.limit_rate;
    let document = context.carry_out_with(&operator, plan, args.change.dry_run).await;
    drop(spool);
    Ok(document)
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
    let opened = tokio::task::spawn_blocking(move || package::open(&path)).await;
    opened.map_err(|error| Failure::failed("reading the package broke off").cause(error))?
}

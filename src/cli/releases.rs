//! `rollback` and `releases`: what hosts have besides what they use.

use std::path::Path;

use super::args::Change;
use super::changing::Subject;
use super::context::Context;
use super::deploy::hosts;
use crate::config::load_cloud;
use crate::error::Failures;
use crate::inspect::{Inspected, InstallSeen, inspect_installs};
use crate::model::{Cloud, HostName};
use crate::plan;
use crate::report::Document;

pub(super) async fn rollback(
    context: &Context,
    conf: &Path,
    to: Option<&str>,
    change: Change,
) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(conf)?;
    let prepare = async || Ok(plan::rollback(to, &look(context, &cloud).await?)?.into());
    context.change(&Subject::hosts_of(&cloud.code), change, prepare).await
}

pub(super) async fn releases(context: &Context, conf: &Path) -> Result<Document, Failures> {
    Ok(Document::of_releases(look(context, &load_cloud(conf)?).await?))
}

async fn look(context: &Context, cloud: &Cloud) -> Result<Vec<(HostName, Inspected<InstallSeen>)>, Failures> {
    let (hosts, _) = context.look(hosts(context, cloud)).await?;
    let settings = &context.settings;
    let looking = inspect_installs(&context.fleet, &hosts, &settings.install_path, settings.timeouts.command);
    context.look(looking).await
}

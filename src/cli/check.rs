//! `check`: every host and the plan as a whole are judged before anything is done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;
use futures::future::join_all;

use super::args::Change;
use super::context::Context;
use super::deploy::hosts;
use super::hosts::{Prepare, prepare};
use crate::check::{Asked, CheckItem, Scene, check as judge, planned_layouts};
use crate::error::{Failure, Failures};
use crate::inspect::{ArcusTree, inspect_host};
use crate::model::PackageNeeds;
use crate::package;
use crate::report::Document;
use crate::zk::probe_members;

/// For one answer to `srvr`.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// What `check` takes.
#[derive(Args, Debug)]
pub struct Check {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    /// The package that is to fit the hosts: a .tar.gz or a directory [default: the settings]
    #[arg(long, value_name = "FILE|DIR")]
    pub package: Option<PathBuf>,
    /// Have hosts prepare mend what it can, and check again
    #[arg(long)]
    pub fix: bool,
    /// With --fix, install a Java runtime where there is none, without asking; so does --yes
    #[arg(long, requires = "fix")]
    pub install_java: bool,
    /// With --fix, show what would be done and change nothing
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
}

pub(super) async fn check(context: &Context, args: &Check) -> Result<Document, Failures> {
    let items = judged(context, args).await?;
    let mendable: Vec<String> = items
        .iter()
        .filter(|item| item.is_mendable())
        .map(|item| format!("{}: {}: {}", item.subject, item.id, item.seen))
        .collect();
    if !args.fix || mendable.is_empty() {
        return Ok(Document::of_checks(items));
    }
    context.printer.progress(&format!("hosts prepare may mend {} item(s):", mendable.len()));
    for item in mendable {
        context.printer.progress(&format!("   {item}"));
    }
    let wish = Prepare {
        conf: args.conf.clone(),
        install_java: args.install_java,
        change: Change { dry_run: args.dry_run },
    };
    let mended = prepare(context, &wish).await?;
    if args.dry_run || mended.interrupted {
        return Ok(Document::of_mended_checks(mended, items));
    }
    // Limits hold for logins from now on, so the hosts are logged in to anew.
    context.fleet.close().await;
    Ok(match judged(context, args).await {
        Ok(items) => Document::of_mended_checks(mended, items),
        Err(failures) => Document::of_unchecked_mending(mended, &failures),
    })
}

/// Looks at everything and judges it.
async fn judged(context: &Context, args: &Check) -> Result<Vec<CheckItem>, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let (hosts, no_ensemble) = context.look(hosts(context, &cloud)).await?;
    let no_ensemble = no_ensemble.is_some();
    let layouts = planned_layouts(&context.ensemble, &context.settings);
    let members = if no_ensemble { &[] } else { layouts.as_deref().unwrap_or_default() };
    let path = args.package.clone().or_else(|| context.settings.package.clone());
    // Hosts are asked what the package wants of them; reading it goes on while the connections are made.
    let package = read(path).map(Arc::new).shared();
    let asked = |package: Arc<Option<Result<PackageNeeds, Failures>>>, host: &_| {
        let package = package.as_ref().as_ref().and_then(|needs| needs.as_ref().ok());
        Asked { cloud: &cloud, settings: &context.settings, members, package }.of(host)
    };
    let limit = context.settings.timeouts.command;
    let looks = join_all(hosts.iter().map(|host| {
        let questions = package.clone().map(|package| asked(package, host));
        async move { (host.clone(), inspect_host(&context.fleet, host, questions, limit).await) }
    }));
    let states =
        async { if no_ensemble { Vec::new() } else { probe_members(&context.ensemble, PROBE_LIMIT).await } };
    let tree = async {
        if no_ensemble {
            return Err(Failure::refused("no ensemble was named"));
        }
        ArcusTree::read(&*context.operator.zookeeper().await?).await
    };
    let here = context.fleet.here(&hosts);
    let looking = Box::pin(async { tokio::join!(looks, states, tree, here, package.clone()) });
    let (seen, states, tree, this_machine, package) = context.look(looking).await?;
    let scene = Scene {
        cloud: &cloud,
        settings: &context.settings,
        ensemble: &context.ensemble,
        no_ensemble,
        this_machine: &this_machine,
        layouts: &layouts,
        hosts: &seen,
        states: &states,
        tree: &tree,
        package: package.as_ref().as_ref(),
    };
    Ok(judge(&scene))
}

/// What the package wants; `None` when there is none.
async fn read(path: Option<PathBuf>) -> Option<Result<PackageNeeds, Failures>> {
    let path = path?;
    let read = tokio::task::spawn_blocking(move || package::needs(&path)).await;
    Some(
        read.unwrap_or_else(|error| {
            Err(Failure::failed("reading the package broke off").cause(error).into())
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{Outcome, RunReport, StepResult};
    use crate::model::HostName;
    use crate::plan::{Plan, Target};

    #[test]
    fn what_was_mended_is_told_when_looking_again_is_interrupted() {
        let target = Target::Host(HostName::new("a"));
        let outcome = Outcome::done("created the user memcached");
        let results = vec![StepResult { target, outcome, elapsed: Duration::ZERO }];
        let report = RunReport { results: results.clone(), interrupted: false };
        let mended = Document::of_run(Plan::new("hosts prepare"), report, Duration::ZERO);
        let interrupted = Failure::interrupted("interrupted while looking");
        let told = Document::of_unchecked_mending(mended.clone(), &interrupted.clone().into());
        assert_eq!((told.command, told.interrupted, told.exit_code), ("check", true, 130));
        assert_eq!((told.results, told.failures), (results, vec![interrupted]));
        assert!(told.plan.is_some());

        let failed = Document::of_unchecked_mending(mended, &Failure::failed("cannot read it").into());
        assert_eq!((failed.interrupted, failed.exit_code), (false, 3));
    }
}

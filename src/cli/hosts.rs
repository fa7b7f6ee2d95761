//! `hosts trust` and `hosts prepare`: what must be so before a first deploy.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::Change;
use super::changing::Subject;
use super::context::Context;
use super::deploy::hosts;
use super::trust::{Trust, trust};
use crate::error::Failures;
use crate::inspect::inspect_prepared;
use crate::model::Cloud;
use crate::plan::{self, Action, JavaConsent, Plan, PrepareWish, Step};
use crate::report::{Answer, Document};

/// The hosts themselves: log in to them, make them ready.
#[derive(Debug, Subcommand)]
pub enum Hosts {
    /// Set up key login: makes a key if there is none, and installs it; ssh asks for each password once
    Trust(Trust),
    /// Make hosts ready for a first deploy: user, directories, limits, a Java runtime
    Prepare(Prepare),
}

#[derive(Args, Debug)]
pub struct Prepare {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    /// Install a Java runtime where there is none, without asking; so does --yes
    #[arg(long)]
    pub install_java: bool,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn run(context: &Context, command: &Hosts) -> Result<Document, Failures> {
    match command {
        Hosts::Trust(args) => trust(context, args).await,
        Hosts::Prepare(args) => prepare(context, args).await,
    }
}

pub(super) async fn prepare(context: &Context, args: &Prepare) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let mut consent = (context.yes || args.install_java || args.change.dry_run).then_some(JavaConsent::Given);
    let prepare = async || Ok(plan_to_prepare(context, &cloud, &mut consent).await?.into());
    context.change(&Subject::hosts_of(&cloud.code), args.change, prepare).await
}

/// Looks at the hosts and plans what they lack. Installing software is asked for, unless it was answered before.
async fn plan_to_prepare(
    context: &Context,
    cloud: &Cloud,
    consent: &mut Option<JavaConsent>,
) -> Result<Plan, Failures> {
    let (hosts, note) = context.look(hosts(context, cloud)).await?;
    let settings = &context.settings;
    let mut wish = PrepareWish::new(cloud, &context.ensemble, settings);
    let looking = inspect_prepared(
        &context.fleet,
        &hosts,
        &wish.user,
        &wish.install_path,
        |host| wish.wants_java(host),
        settings.timeouts.command,
    );
    let seen = context.look(looking).await?;
    let mut plan = plan::prepare(&wish, &seen);
    let installs: Vec<String> =
        plan.steps().filter(|step| needs_consent(&step.action)).map(described).collect();
    if !installs.is_empty() {
        if consent.is_none() {
            let question = format!("{}\nInstall this on {} host(s)?", installs.join("\n"), installs.len());
            let answer = context.look(context.printer.ask(&question)).await?;
            *consent = Some(if answer == Answer::Yes { JavaConsent::Given } else { JavaConsent::Withheld });
        }
        wish.java = consent.unwrap_or(JavaConsent::Withheld);
        plan = plan::prepare(&wish, &seen);
    }
    plan.notes.extend(note);
    Ok(plan)
}

fn needs_consent(action: &Action) -> bool {
    matches!(action, Action::PrepareHost { change, .. } if change.needs_consent())
}

fn described(step: &Step) -> String {
    format!("{}: {}", step.target, step.action)
}

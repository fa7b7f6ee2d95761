//! `hosts trust`: key login to every host.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::StreamExt as _;
use futures::stream;

use super::args::Change;
use super::context::Context;
use super::deploy::hosts;
use crate::config::Settings;
use crate::error::{Failure, Failures};
use crate::exec::KeyInstaller;
use crate::journal::About;
use crate::model::HostName;
use crate::plan::{self, KeySeen, TrustSeen};
use crate::remote::{HostKeys, Login, SshConnector};
use crate::report::Document;

/// The keys that ssh offers by itself, the one that is made first.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

#[derive(Args, Debug)]
pub struct Trust {
    /// The cloud JSON
    #[arg(value_name = "CONF")]
    pub conf: PathBuf,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn trust(context: &Context, args: &Trust) -> Result<Document, Failures> {
    let cloud = context.invocation.load_cloud(&args.conf)?;
    let (hosts, note) = context.look(hosts(context, &cloud)).await?;
    let here = context.look(context.fleet.here(&hosts)).await?;
    let (key, key_seen) = find_key(&context.settings)?;
    let terminal = std::io::stdin().is_terminal();
    let seen = TrustSeen {
        logins: context.look(try_logins(context, &hosts, &here)).await??,
        here,
        key,
        key_seen,
        terminal,
        copier: is_installed("ssh-copy-id"),
        accept_new_host_keys: context.host_keys == HostKeys::AcceptNew,
    };
    let mut plan = plan::trust(&seen);
    plan.notes.extend(note);
    if args.change.dry_run {
        return Ok(Document::of_plan(plan));
    }
    let settings = &context.settings;
    // ssh talks with the person at one terminal, and with one host at a time.
    let installer = KeyInstaller { ssh: settings.ssh.clone(), connect: settings.timeouts.connect, terminal };
    Ok(context.change_at_terminal(&About::Cloud(cloud.code), plan, &installer).await)
}

/// Tries to log in everywhere, as every other command would, without asking anybody.
async fn try_logins(
    context: &Context,
    hosts: &[HostName],
    here: &BTreeSet<HostName>,
) -> Result<Vec<(HostName, Login)>, Failure> {
    let settings = &context.settings;
    let connector =
        &SshConnector::new(settings.ssh.clone(), HostKeys::MustBeKnown, settings.timeouts.connect)?;
    let logins = stream::iter(hosts).map(|host| async move {
        let login = if here.contains(host) { Login::Open } else { connector.try_login(host).await };
        (host.clone(), login)
    });
    Ok(logins.buffered(settings.concurrency.max(1)).collect().await)
}

/// The key to install: that of the settings, else the first that ssh would offer, else the one to make.
fn find_key(settings: &Settings) -> Result<(String, KeySeen), Failure> {
    let candidates: Vec<PathBuf> = match &settings.ssh.identity {
        Some(identity) => vec![identity.clone()],
        None => {
            let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).ok_or_else(|| {
                Failure::config("no home to keep a key in: HOME is not set")
                    .hint("name the key in arcusctl.toml: [ssh] identity")
            })?;
            DEFAULT_KEYS.iter().map(|name| Path::new(&home).join(".ssh").join(name)).collect()
        }
    };
    let judged = |path: &PathBuf| {
        let public = PathBuf::from(format!("{}.pub", path.display()));
        let seen = match (public.exists(), path.exists()) {
            (true, _) => KeySeen::Whole,
            (false, true) => KeySeen::Private,
            (false, false) => KeySeen::Missing,
        };
        (path.display().to_string(), seen)
    };
    let found: Vec<_> = candidates.iter().map(judged).collect();
    let there = found.iter().find(|(_, seen)| *seen != KeySeen::Missing);
    there.or(found.first()).cloned().ok_or_else(|| Failure::failed("no key was looked for"))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

//! Completion of the command line: the shell asks this very program, which asks ZooKeeper what there is.
//!
//! Boundary: reads only, within a second, and says nothing when it cannot; whoever presses TAB asked no question.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory as _, ValueEnum};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Shells, Zsh};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::args::Cli;
use super::context::load_settings;
use crate::config::{load_cloud, resolve_ensemble};
use crate::inspect::{ArcusTree, members_of, registered_cloud};
use crate::model::{Ensemble, NodeAddr, ServiceCode};
use crate::zk::ZooKeeper;

/// Set by the shell functions; its value names the shell that asks.
const VARIABLE: &str = "ARCUSCTL_COMPLETE";
const PROGRAM: &str = "arcusctl";
/// For everything together. Half of it is for the session's end, which nobody should wait for.
const LIMIT: Duration = Duration::from_millis(800);
const CLOSE_LIMIT: Duration = Duration::from_millis(100);

/// bash breaks words at ':' and '=', which clap's own function does not put together again: IP:PORT could not be
/// completed.
const BASH_FUNCTION: &str = include_str!("complete/bash.sh");
/// Read as a file of zsh's function path, the text is the function and must answer the first time too.
const ZSH_ENDING: &str =
    "\nif [[ ${funcstack[1]} == _arcusctl ]]; then _clap_dynamic_completer_arcusctl \"$@\"; fi\n";

/// Shells that can be told how to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// What the shell is to read: a function that asks this program.
pub(super) fn script(shell: Shell) -> std::io::Result<String> {
    let mut text = Vec::new();
    match shell {
        Shell::Bash => return Ok(BASH_FUNCTION.to_owned()),
        Shell::Zsh => {
            Zsh.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut text)?;
            text.extend_from_slice(ZSH_ENDING.as_bytes());
        }
        Shell::Fish => Fish.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut text)?,
    }
    Ok(String::from_utf8_lossy(&text).trim_start().to_owned())
}

/// Answers a shell that asks; false when no shell does and this is a run like any other.
pub(super) fn answer() -> bool {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .shells(Shells(&[&Bash, &Zsh, &Fish]))
        .try_complete(std::env::args_os(), here.as_deref());
    // An error would be printed into the line that is being typed.
    asked.unwrap_or(true)
}

/// The registered service codes.
pub(super) fn codes() -> Vec<CompletionCandidate> {
    let codes = ask(&Typed::of_this_process(), |tree| {
        tree.codes.keys().filter(|name| ServiceCode::new(name.as_str()).is_ok()).cloned().collect()
    });
    candidates(codes)
}

/// The nodes of the service code that stands before on the line, without those that do too.
pub(super) fn nodes() -> Vec<CompletionCandidate> {
    let typed = Typed::of_this_process();
    // Some commands name the cloud by its file.
    let named = typed.raw("code").first().and_then(|code| ServiceCode::new(code.as_str()).ok());
    let filed = || Some(load_cloud(Path::new(typed.raw("conf").first()?)).ok()?.code);
    let Some(code) = named.or_else(filed) else { return Vec::new() };
    let given = typed.raw("nodes");
    let nodes = ask(&typed, |tree| {
        let registered = registered_cloud(&code, tree).unwrap_or_default();
        let live = tree.codes.get(code.as_str()).map(members_of).unwrap_or_default();
        let all: BTreeSet<NodeAddr> =
            registered.iter().map(|node| node.addr).chain(live.into_keys()).collect();
        all.iter().map(ToString::to_string).filter(|node| !given.contains(node)).collect()
    });
    candidates(nodes)
}

/// The members of the ensemble, as the settings or the line name them.
pub(super) fn members() -> Vec<CompletionCandidate> {
    let ensemble = Typed::of_this_process().ensemble();
    let members = ensemble.iter().flat_map(Ensemble::members);
    candidates(members.map(ToString::to_string).collect())
}

fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What stands on the line already.
struct Typed(Option<ArgMatches>);

impl Typed {
    fn of_this_process() -> Self {
        Self::read(std::env::args_os().skip_while(|word| word != "--").skip(1).collect())
    }

    fn read(mut line: Vec<OsString>) -> Self {
        // The last word is the one that is being typed.
        line.pop();
        let mut found = Cli::command().ignore_errors(true).try_get_matches_from(line).ok();
        while let Some((_, below)) = found.as_mut().and_then(ArgMatches::remove_subcommand) {
            found = Some(below);
        }
        Self(found)
    }

    /// The words given for an argument, if this command has one of that name.
    fn raw(&self, name: &str) -> Vec<String> {
        let words = self.0.as_ref().and_then(|found| found.try_get_raw(name).ok().flatten());
        words.into_iter().flatten().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// The ensemble as a command would find it.
    fn ensemble(&self) -> Option<Ensemble> {
        let flag = self.raw("zookeeper").pop();
        let settings = load_settings(self.raw("settings").pop().map(Into::into)).ok()?;
        let named = std::env::var("ARCUSCTL_ZOOKEEPER").ok();
        resolve_ensemble(flag.as_deref(), named.as_deref(), &settings).ok()
    }
}

/// What `choose` takes from the tree; nothing when ZooKeeper does not tell in time.
fn ask(typed: &Typed, choose: impl FnOnce(&ArcusTree) -> Vec<String>) -> Vec<String> {
    let Some(ensemble) = typed.ensemble() else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let told = runtime.block_on(async { tokio::time::timeout(LIMIT, first_answer(&ensemble)).await });
    // A name that is still being resolved must not keep the shell waiting.
    runtime.shutdown_background();
    told.ok().flatten().as_ref().map(choose).unwrap_or_default()
}

/// Asks every member at once: one that is dead would cost the time that there is.
async fn first_answer(ensemble: &Ensemble) -> Option<ArcusTree> {
    let mut answers: FuturesUnordered<_> = ensemble
        .members()
        .iter()
        .map(|member| async move {
            let member = Ensemble::parse(&member.to_string()).ok()?;
            let zookeeper = std::sync::Arc::new(ZooKeeper::connect(&member, LIMIT).await.ok()?);
            let tree = ArcusTree::read(&zookeeper).await.ok();
            let _ended_or_expires = tokio::time::timeout(CLOSE_LIMIT, zookeeper.close()).await;
            tree
        })
        .collect();
    while let Some(answer) = answers.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Typed {
        Typed::read(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn what_stands_on_the_line_is_known_in_any_order() {
        for line in [
            "arcusctl memcached start cloud 10.0.0.1:1 ",
            "arcusctl -z h:1 memcached start --dry-run -v cloud 10.0.0.1:1 10.0.",
            "arcusctl memcached stop --force cloud 10.0.0.1:1 --timeout 5 ",
        ] {
            let typed = typed(line);
            assert_eq!(typed.raw("code"), ["cloud"], "{line}");
            assert_eq!(typed.raw("nodes"), ["10.0.0.1:1"], "{line}");
        }
        assert_eq!(typed("arcusctl memcached start ").raw("code"), [""; 0]);
        assert_eq!(typed("arcusctl deploy ").raw("code"), [""; 0]);
        assert_eq!(typed("arcusctl memcached list -z a:1,b:2 ").ensemble().unwrap().to_string(), "a:1,b:2");
    }

    #[test]
    fn every_shell_gets_a_function_that_asks_this_program() {
        for shell in Shell::value_variants() {
            let text = script(*shell).unwrap();
            assert!(text.contains(VARIABLE) && text.contains("arcusctl --"), "{text}");
        }
        assert!(script(Shell::Zsh).unwrap().starts_with("#compdef arcusctl\n"));
    }
}

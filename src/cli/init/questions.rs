//! The questions of `init`, each with a suggestion where there is one, each answer looked at before the next.

use inquire::ui::RenderConfig;
use inquire::validator::{ErrorMessage, Validation};
use inquire::{InquireError, Text};

use super::{
    Answers, DEFAULT_INSTALL_PATH, DEFAULT_MEMLIMIT, DEFAULT_NODES, DEFAULT_PORT, Init, read_hosts,
    usual_ensemble,
};
use crate::cli::args::Global;
use crate::error::{Failure, Failures};
use crate::model::{Ensemble, ServiceCode};

/// What is wrong with an answer, in words.
type Check = fn(&str) -> Result<(), String>;

/// Asks for everything that was not given.
///
/// # Errors
/// When the operator goes away (Ctrl-C, Esc); nothing has been written then.
pub(super) fn ask(args: &Init, global: &Global) -> Result<Answers, Failure> {
    let code = question(args.code.clone(), "Service code", "what clients ask for", "", |text| {
        ServiceCode::new(text).map(drop).map_err(|fault| fault.to_string())
    })?;
    let hosts = question(
        args.hosts.clone(),
        "Hosts of the cache nodes",
        "names, IPv4 addresses or NAME=IP, by commas; the address is the one that a host uses toward ZooKeeper",
        "",
        |text| read_hosts(text).map(drop).map_err(|failures| first_words(&failures)),
    )?;
    let number = |given: Option<String>, what: &str, help: &str, default: &str| {
        question(given, what, help, default, |text| match text.trim().parse::<u32>() {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        })
    };
    let port: Check = |text| match text.trim().parse::<u16>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err("a port from 1 to 65535".to_owned()),
    };
    Ok(Answers {
        nodes_per_host: number(
            args.nodes_per_host.map(|number| number.to_string()),
            "Cache nodes on each host",
            "each is a process of its own",
            DEFAULT_NODES,
        )?,
        first_port: question(
            args.first_port.map(|port| port.to_string()),
            "Port of a host's first node",
            "the others have those after it",
            DEFAULT_PORT,
            port,
        )?,
        memlimit: number(
            args.memlimit.map(|megabytes| megabytes.to_string()),
            "Memory of each node, in megabytes",
            "for items; a node takes somewhat more",
            DEFAULT_MEMLIMIT,
        )?,
        ensemble: question(
            global.zookeeper.clone(),
            "ZooKeeper ensemble",
            "host:port,… as every host can reach it; it is set up by arcusctl zookeeper init if it is new",
            &read_hosts(&hosts).map(|hosts| usual_ensemble(&hosts)).unwrap_or_default(),
            |text| {
                Ensemble::parse(text)
                    .map(drop)
                    .map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())
            },
        )?,
        install_path: question(
            args.install_path.clone(),
            "Install path on every host",
            "a directory that holds nothing else",
            DEFAULT_INSTALL_PATH,
            |text| {
                if text.starts_with('/') { Ok(()) } else { Err("write the whole path from / on".to_owned()) }
            },
        )?,
        package: question(
            args.package.clone(),
            "Package to deploy",
            "a .tar.gz of an Arcus build or its directory; empty if you do not know yet",
            "",
            |_| Ok(()),
        )?,
        code,
        hosts,
    })
}

fn question(
    given: Option<String>,
    what: &str,
    help: &str,
    default: &str,
    check: Check,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given);
    }
    let validator = move |text: &str| {
        Ok(match check(text) {
            Ok(()) => Validation::Valid,
            Err(words) => Validation::Invalid(ErrorMessage::Custom(words)),
        })
    };
    let message = format!("{what}:");
    let mut asked = Text::new(&message).with_help_message(help).with_validator(validator);
    if anstream::AutoStream::choice(&std::io::stderr()) == anstream::ColorChoice::Never {
        asked = asked.with_render_config(RenderConfig::empty());
    }
    if !default.is_empty() {
        asked = asked.with_default(default);
    }
    asked.prompt().map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            Failure::interrupted("interrupted while asking").hint("nothing was written")
        }
        other => Failure::failed("cannot ask at this terminal")
            .cause(other)
            .hint("give every answer as an option: arcusctl init --help"),
    })
}

fn first_words(failures: &Failures) -> String {
    failures.as_slice().first().map(ToString::to_string).unwrap_or_default()
}

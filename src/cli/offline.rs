//! The commands that read no settings and ask no host and no ZooKeeper.

use std::path::PathBuf;

use clap::Subcommand;

use super::args::Global;
use super::complete::{self, Shell};
use super::init::{self, Init};
use super::man;
use crate::config::CLOUD_SCHEMA;
use crate::error::{Failure, Failures};
use crate::report::Document;

#[derive(Debug, Subcommand)]
pub enum Offline {
    /// Write a first cloud JSON and arcusctl.toml, after a few questions
    Init(Init),
    /// Print the JSON Schema of the cloud JSON
    Schema,
    /// Print what a shell needs to complete commands, live service codes and node names
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Write the manual pages: arcusctl.1, and one for each command
    Man {
        /// Where to; made if it is not there
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

impl Offline {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Schema => "schema",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
        }
    }
}

pub(super) fn run(command: &Offline, global: &Global) -> Result<Document, Failures> {
    match command {
        Offline::Init(args) => init::run(args, global),
        Offline::Schema => Ok(Document::of_text("schema", CLOUD_SCHEMA.to_owned())),
        Offline::Completions { shell } => complete::script(*shell)
            .map(|text| Document::of_text("completions", text))
            .map_err(|error| Failure::failed("cannot write the completions").cause(error).into()),
        Offline::Man { directory } => man::write(directory),
    }
}

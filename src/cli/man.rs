//! `man`: the manual pages, out of the same words as the help.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::Cli;
use crate::error::{Failure, Failures};
use crate::report::{Document, exit_codes};

const ENVIRONMENT: [(&str, &str); 5] = [
    ("ARCUSCTL_SETTINGS", "the settings file, when there is no --settings"),
    ("ARCUSCTL_ZOOKEEPER", "the ensemble, when there is no --zookeeper"),
    ("NO_COLOR", "no colours, unless --color always"),
    ("CLICOLOR_FORCE", "colours even where nothing is a terminal, unless --color never"),
    ("XDG_CONFIG_HOME", "where arcusctl/arcusctl.toml is looked for, in place of ~/.config"),
];

/// Writes arcusctl.1 and a page for each command into `directory`.
pub(super) fn write(directory: &Path) -> Result<Document, Failures> {
    let failure = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("{}: cannot be written", path.display())).cause(error)
    };
    fs::create_dir_all(directory).map_err(|error| failure(directory, error))?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut written = Vec::new();
    for (name, page) in pages(&program) {
        let path = directory.join(name);
        fs::write(&path, page).map_err(|error| failure(&path, error))?;
        written.push(path);
    }
    Ok(Document::of_files("man", written, Vec::new()))
}

/// Every page by its file's name, the program's first.
fn pages(program: &Command) -> Vec<(PathBuf, Vec<u8>)> {
    let mut pages = Vec::new();
    let mut open = vec![program.clone()];
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().filter(|below| !below.is_hide_set()).cloned());
        let is_program = command.get_name() == program.get_name();
        let man = Man::new(command)
            .manual("arcusctl manual")
            .source(format!("arcusctl {}", program.get_version().unwrap_or_default()));
        let mut text = Vec::new();
        let rendered = man.render(&mut text);
        let ended = if is_program { ending().to_writer(&mut text) } else { Ok(()) };
        // Writing to memory cannot fail.
        if rendered.and(ended).is_ok() {
            pages.push((man.get_filename().into(), text));
        }
    }
    pages
}

/// What the program's own page has besides its help.
fn ending() -> Roff {
    let mut roff = Roff::new();
    let entry = |roff: &mut Roff, term: String, text: String| {
        roff.control("TP", []).text([bold(term)]).text([roman(text)]);
    };
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit_codes() {
        entry(&mut roff, code.to_string(), meaning.to_owned());
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in ENVIRONMENT {
        entry(&mut roff, name.to_owned(), meaning.to_owned());
    }
    roff.control("SH", ["FILES"]);
    entry(
        &mut roff,
        "arcusctl.toml".to_owned(),
        "the settings; looked for in the current directory, in ~/.config/arcusctl and in /etc/arcusctl"
            .to_owned(),
    );
    roff
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_a_page_that_says_what_it_does() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("man1")).unwrap();
        let written: BTreeSet<String> = fs::read_dir(directory.path().join("man1"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for known in ["arcusctl.1", "arcusctl-deploy.1", "arcusctl-memcached-start.1", "arcusctl-zookeeper.1"]
        {
            assert!(written.contains(known), "{known} is not in {written:?}");
        }
        for name in &written {
            let page = fs::read_to_string(directory.path().join("man1").join(name)).unwrap();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
            assert_eq!(page.contains("EXIT STATUS"), name == "arcusctl.1", "{name}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failures = write(&file.path().join("man1")).unwrap_err();
        assert!(failures.to_string().contains("man1: cannot be written"), "{failures}");
    }
}

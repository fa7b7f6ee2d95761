//! The help of every command, word for word.

use clap::{Command, CommandFactory as _};

use super::args::Cli;

/// Every command by its words, the program itself first.
fn every(command: Command, words: &str, found: &mut Vec<(String, Command)>) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        every(below.clone(), &format!("{words} {}", below.get_name()), found);
    }
    found.push((words.to_owned(), command));
}

#[test]
fn the_help_of_every_command() {
    let mut program = Cli::command().term_width(100);
    program.build();
    let mut found = Vec::new();
    every(program, "arcusctl", &mut found);
    assert!(found.len() > 25, "{}", found.len());
    for (words, mut command) in found {
        insta::assert_snapshot!(words.replace(' ', "-"), command.render_help().to_string());
    }
}

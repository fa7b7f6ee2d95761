//! Telling: plans, events, results and answers, for a person or for a program.
//!
//! Boundary: data goes to standard output, everything else to standard error; nothing here changes what happens.

mod checks;
mod commands;
mod document;
mod exit_code;
mod failures;
mod history;
mod keys;
mod logs;
mod ping;
mod plans;
mod printer;
mod progress;
mod smoke;
mod standing;
mod status;
mod tables;
mod terminal;

#[cfg(test)]
mod message_tests;

pub use document::{
    Data, Document, EnsembleList, HostReleases, MemberReport, NextStep, VERSION, WrittenFiles,
};
pub use exit_code::{exit_code_of, exit_codes};
pub use history::{RunDetail, RunSummary, command_line, outcome_of};
pub use keys::{Expiry, KeyItem, KeyOwner, KeyReport, NodeShare};
pub use ping::PingAnswer;
pub use printer::{Answer, Printer, SAID};
pub use smoke::{SmokeResult, SmokeTimes};
pub use status::StatusReport;

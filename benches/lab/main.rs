//! Benchmarks in the lab: `arcusctl` beside what an operator would do without it, in one run, as ratios.
//!
//! Needs root. `cargo bench --bench lab -- help start list deploy-10 deploy-100 redeploy growth check status` runs the sections named, or all. The
//! table is Markdown for `docs/benchmarks.md`; figures are medians, and machines are noisy, so only ratios compare.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark reports to a terminal and fails by panicking"
)]

mod check;
mod deploy;
mod measure;
mod nodes;
mod site;
mod status;

use std::process::ExitCode;

/// One line of the table: a figure, and the bound it has to keep.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    pub(crate) ratio: f64,
    pub(crate) bound: Bound,
}

/// What a ratio of ours to theirs may be.
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// For orientation only.
    None,
}

impl Row {
    fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.ratio <= bound,
            Bound::AtLeast(bound) => self.ratio >= bound,
            Bound::None => true,
        }
    }

    fn print(&self) {
        let bound = match self.bound {
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::AtLeast(bound) => format!("≥ {bound}"),
            Bound::None => String::new(),
        };
        let verdict = if self.holds() { "" } else { " **missed**" };
        println!(
            "| {} | {} | {} | {:.2} | {bound}{verdict} |",
            self.what, self.ours, self.theirs, self.ratio
        );
    }
}

type Section = (&'static str, fn() -> Vec<Row>);

const SECTIONS: [Section; 9] = [
    ("help", nodes::help),
    ("start", nodes::start),
    ("list", nodes::list),
    ("deploy-10", deploy::first_small),
    ("deploy-100", deploy::first_large),
    ("redeploy", deploy::unchanged),
    ("growth", deploy::growth),
    ("check", check::check),
    ("status", status::status),
];

fn main() -> ExitCode {
    // cargo bench passes --bench.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("{}\n", measure::machine());
    println!("| what | arcusctl | peer | ratio | bound |\n|---|---|---|---|---|");
    let mut missed = 0;
    for (name, section) in SECTIONS {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        eprintln!("-- {name}");
        for row in section() {
            row.print();
            missed += usize::from(!row.holds());
        }
    }
    if missed > 0 {
        eprintln!("{missed} bound(s) missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

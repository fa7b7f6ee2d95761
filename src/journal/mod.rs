//! What was done: a journal of each run, written ahead, and a short record of the last runs in ZooKeeper.
//!
//! Boundary: writes down what it is told and reads it back; decides nothing and prints nothing. A journal holds the
//! command line and what became of each step, and nothing of the environment. Nothing that was observed is ever taken
//! from a journal.

mod cloud;
mod entry;
mod read;
mod store;
mod write;

pub use cloud::{About, CloudRun, read_cloud_runs, record_cloud_run};
pub use entry::{AboutEntry, Begin, End, Entry, FORMAT, Header, Input, PlanEntry, PlannedStep, ResultEntry};
pub use read::{Run, RunState, StepState, StepView};
pub use store::{KEPT, Store, StoredRun, run_id};
pub use write::Journal;

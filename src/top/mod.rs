//! `top`: the status of clouds, live: what is known, how each event changes it, and how it looks on a screen.
//!
//! Boundary: pure. What happened comes in as events; no terminal, clock, host or ZooKeeper is touched.

mod model;
mod row;
mod view;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod view_tests;

pub use model::{Event, Key, Top};
pub use view::draw;

//! What the operator wrote, made into validated values: the cloud JSON and `arcusctl.toml`.
//!
//! Boundary: reads files and text, reports every fault at once with its place; knows no host and no ZooKeeper.

pub mod settings;

pub use settings::Settings;

//! What the operator wrote, made into validated values: the cloud JSON and `arcusctl.toml`.
//!
//! Boundary: reads files and text, reports every fault at once with its place; knows no host and no ZooKeeper, and
//! reads no environment: what comes from there is handed in.

mod backup;
pub mod cloud;
mod ensemble;
mod fault;
mod file;
mod json;
pub mod settings;
mod starter;

pub use backup::{load_backup, parse_backup};
pub use cloud::{CLOUD_SCHEMA, load_cloud, parse_cloud, parse_registered};
pub use ensemble::{DEFAULT_ENSEMBLE, EnsembleSource, resolve_ensemble};
pub use fault::Fault;
pub use settings::{Settings, SettingsLookup, parse_settings};
pub use starter::{Starter, StarterHost};

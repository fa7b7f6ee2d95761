//! `arcusctl`: deploys and operates Arcus cache clouds.
//!
//! The rooms, and the one direction in which they may know each other, are drawn in `docs/architecture.md`.

pub mod check;
pub mod cli;
pub mod config;
pub mod error;
pub mod exec;
pub mod inspect;
pub mod journal;
pub mod lock;
pub mod logs;
pub mod model;
pub mod node;
pub mod package;
pub mod plan;
pub mod remote;
pub mod report;
pub mod ring;
pub mod status;
pub mod top;
pub mod zk;

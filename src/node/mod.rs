//! The seam to a cache node: its ASCII protocol, spoken by way of its host.
//!
//! Boundary: asks and tells one node what it is told to; decides nothing, and knows nothing of clouds.

mod link;
mod reply;

pub use link::NodeLink;
pub use reply::{Item, Readiness};

//! The seam to ZooKeeper: a session, the four-letter words, and who is in a cloud.
//!
//! Boundary: reads and writes znodes it is told to; decides nothing. Only operations that ZooKeeper 3.5.9 has.

mod client;
mod four_letter;
mod membership;
mod own;
mod servers;

pub use client::{ZnodeAnswer, ZnodeSeen, ZooKeeper};
pub use four_letter::{MemberState, Mode, ServerStats, ask_word, probe_member, probe_members};
pub use membership::{MemberSession, Members, Membership};
pub use servers::{by_name, names_by_address, running_config};

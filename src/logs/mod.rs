//! Lines of logs from many places: when each was written, which are wanted, and all of them in the order of time.
//!
//! Boundary: pure. Knows lines and times; no host, no file, no clock.

mod gather;
mod stamp;

pub use gather::{HostClock, LogLine, Since, Stream, Wanted, merge};
pub use stamp::time_of;

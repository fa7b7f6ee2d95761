//! End to end: the real binary against real sshd, ZooKeeper and memcached on the hosts of a lab.
//!
//! Each test has a lab of its own, so tests run side by side and none sees what another left. They need root and
//! namespaces; without them they fail and say so.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod backup;
mod check;
mod coexist;
mod cut_points;
mod deploy;
mod destroy;
mod ensemble;
mod exec;
mod failures;
mod history;
mod hosts;
mod init;
mod interrupt;
mod listing;
mod local;
mod locate;
mod lock;
mod logins;
mod logs;
mod memcached;
mod output;
mod prepare;
mod quicksetup;
mod releases;
mod shells;
mod smoke;
mod status;
mod support;
mod top;
mod tree;
mod trust;
mod voice;
mod walkthrough;
mod zookeeper;

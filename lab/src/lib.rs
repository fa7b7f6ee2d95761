//! Real SSH hosts on one Linux machine, made of namespaces.
//!
//! A [`Lab`] is a private network with an *admin* namespace and any number of hosts on it. Each host has its own
//! network, mounts, processes, hostname and disk (a copy-on-write overlay of `/`), and a real OpenSSH server; nothing
//! on that network has a route out of the machine. The tests, the demo and the benchmarks of `arcusctl` run against
//! such hosts instead of against fakes. [`bundle`] assembles the sample Arcus tree that gets deployed on them.
//!
//! Boundary: the lab knows nothing of `arcusctl`. It makes hosts, breaks them on request (cable, power, a hung sshd)
//! and removes them. It needs root and namespaces; see [`probe`].
//!
//! ```no_run
//! let lab = arcus_lab::Lab::up(3)?;
//! let out = lab.admin("ssh").args(["memcached-1", "hostname"]).output()?;
//! assert_eq!(out.stdout, b"memcached-1\n");
//! lab.cut(&lab.hosts()[0])?;
//! # anyhow::Ok(())
//! ```

mod builder;
pub mod bundle;
mod disk;
mod hold;
mod lab;
mod namespace;
mod net;
mod power;
mod state;
mod tools;

pub use builder::Builder;
pub use lab::{Host, Lab};
pub use state::Summary;
pub use tools::{Unavailable, packages, probe};

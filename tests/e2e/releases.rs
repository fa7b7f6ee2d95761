//! Releases: going back and forth among them, how many are kept, how they are sent, and what may become one.

mod keeping;
mod packages;
mod rollback;
mod sending;

use std::path::Path;

use serde_json::Value;

use crate::support::{Run, Site, path};

fn deploy(site: &Site, conf: &Path, package: &Path, flags: &[&str]) -> Run {
    site.run(["deploy", path(conf), "--package", path(package)].into_iter().chain(flags.iter().copied()))
}

/// The release that a host has in use; empty when there is none.
fn current(site: &Site, index: usize) -> String {
    site.sh(index, "basename \"$(readlink /opt/arcus/current)\"")
}

/// The releases of a host, by name.
fn releases(site: &Site, index: usize) -> Vec<String> {
    site.sh(index, "ls /opt/arcus/releases").lines().map(str::to_owned).collect()
}

/// Makes a release look as if it had been staged on this day of 2020.
fn staged_on(site: &Site, index: usize, release: &str, day: u32) {
    site.sh(index, &format!("touch -d 2020-01-{day:02}T12:00:00Z /opt/arcus/releases/{release}"));
}

/// What the plan of a document says holds already.
fn holds(document: &Value) -> Vec<&str> {
    let holds = document["plan"]["holds"].as_array().unwrap();
    holds.iter().map(|hold| hold["fact"].as_str().unwrap()).collect()
}

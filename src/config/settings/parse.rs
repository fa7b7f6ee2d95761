//! The text of `arcusctl.toml` to [`Settings`], or to everything that is wrong with it.
//!
//! Boundary: pure. The ensemble's part is in `zookeeper`, single values in `checks`.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::section::{Section, kind};
use super::{MemcachedSettings, Settings, SshSettings, Timeouts, checks, zookeeper};
use crate::config::fault::{Collector, Complaint, Fault, shown};

/// Reads settings from their text.
///
/// Paths on this machine start at `base_dir`, the directory of the settings file; `~/` is `home`.
///
/// # Errors
/// Every fault of the text, in its order; never none.
pub fn parse_settings(text: &str, base_dir: &Path, home: Option<&Path>) -> Result<Settings, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut faults = Collector::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    for error in &errors {
        let span = error.span().unwrap_or_default();
        if error.message() == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or("this");
            faults.add(span.start, "", Complaint::new(format!("{} is given a second time", shown(key))));
        } else {
            let reason = error.message().lines().collect::<Vec<_>>().join(", ");
            faults.add(span.start, "", Complaint::new(format!("is not TOML: {reason}")));
            readable = false;
        }
    }
    if !readable {
        // What the parser makes of the rest is a guess, and guesses would be complained about.
        return Err(faults.finish());
    }
    let settings = read(document.get_ref(), base_dir, home, &mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults.finish()) }
}

fn read(
    document: &DeTable<'_>,
    base_dir: &Path,
    home: Option<&Path>,
    faults: &mut Collector<'_>,
) -> Settings {
    let Settings {
        source,
        mut install_path,
        mut package,
        mut concurrency,
        mut ssh,
        mut memcached,
        mut zookeeper,
        mut timeouts,
    } = Settings::default();
    let local = |value: &DeValue<'_>| checks::local_path(value, base_dir, home);

    let mut root = Section::new("", document);
    root.read_into("install_path", &mut install_path, faults, checks::install_path);
    root.read_into("package", &mut package, faults, |value| local(value).map(Some));
    root.read_into("concurrency", &mut concurrency, faults, |value| {
        checks::number(value, &(1..=1024)).map(|number| number as usize)
    });
    if let Some(section) = root.section("ssh", faults) {
        read_ssh(section, &mut ssh, local, faults);
    }
    if let Some(section) = root.section("memcached", faults) {
        read_memcached(section, &mut memcached, faults);
    }
    if let Some(section) = root.section("zookeeper", faults) {
        zookeeper::read(section, &mut zookeeper, faults);
    }
    if let Some(section) = root.section("timeouts", faults) {
        read_timeouts(section, &mut timeouts, faults);
    }
    root.finish(faults);
    Settings { source, install_path, package, concurrency, ssh, memcached, zookeeper, timeouts }
}

fn read_ssh(
    mut section: Section<'_, '_>,
    ssh: &mut SshSettings,
    local: impl FnOnce(&DeValue<'_>) -> Result<PathBuf, Complaint>,
    faults: &mut Collector<'_>,
) {
    let SshSettings { user, port, identity } = ssh;
    section.read_into("user", user, faults, |value| checks::user_name(value).map(Some));
    section.read_into("port", port, faults, |value| checks::port(value).map(|port| Some(port.get())));
    section.read_into("identity", identity, faults, |value| local(value).map(Some));
    section.finish(faults);
}

fn read_memcached(
    mut section: Section<'_, '_>,
    memcached: &mut MemcachedSettings,
    faults: &mut Collector<'_>,
) {
    let MemcachedSettings { user, session_timeout, extra_args } = memcached;
    section.read_into("user", user, faults, checks::user_name);
    // A cache node silently ignores anything else.
    section.read_into("session_timeout", session_timeout, faults, |value| {
        checks::number(value, &(10..=2000)).map(Some)
    });
    if let Some(value) = section.value("extra_args") {
        let path = section.path("extra_args");
        for (index, element) in array(value, &path, "arguments", faults).into_iter().flatten().enumerate() {
            match checks::extra_arg(element.get_ref()) {
                Ok(argument) => extra_args.push(argument),
                Err(complaint) => {
                    faults.add(element.span().start, format!("{path}[{index}]"), complaint);
                }
            }
        }
    }
    section.finish(faults);
}

fn read_timeouts(mut section: Section<'_, '_>, timeouts: &mut Timeouts, faults: &mut Collector<'_>) {
    let Timeouts { connect, command, ensemble, join, stop, zookeeper } = timeouts;
    section.read_into("connect", connect, faults, checks::duration);
    section.read_into("command", command, faults, checks::duration);
    section.read_into("ensemble", ensemble, faults, checks::duration);
    section.read_into("join", join, faults, checks::duration);
    section.read_into("stop", stop, faults, checks::duration);
    section.read_into("zookeeper", zookeeper, faults, checks::duration);
    section.finish(faults);
}

fn array<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
    path: &str,
    of: &str,
    faults: &mut Collector<'_>,
) -> Option<&'a DeArray<'i>> {
    match value.get_ref() {
        DeValue::Array(array) => Some(array),
        other => {
            let complaint = Complaint::new(format!("is {}, not an array of {of}", kind(other)));
            faults.add(value.span().start, path, complaint);
            None
        }
    }
}

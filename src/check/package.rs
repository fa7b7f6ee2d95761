//! Does the build fit the host: its shared libraries, its glibc, and what is installed already.

use super::questions::is_plain;
use super::{Check, CheckItem, Scene, Subject};
use crate::inspect::{HostFacts, NOT_DYNAMIC};
use crate::model::{HostName, PackageNeeds, human_bytes};

pub(super) fn check(scene: &Scene<'_>, items: &mut Vec<CheckItem>) {
    match scene.package {
        None => {}
        Some(Err(failures)) => {
            let check = || Check::new("package", Subject::Package, "a package that can be deployed");
            items.extend(failures.as_slice().iter().map(|failure| check().fail_as(failure)));
        }
        Some(Ok(needs)) => items.push(readable(needs)),
    }
    for (host, facts) in scene.answered() {
        if let Some(needs) = scene.wants() {
            items.push(libraries(needs, host, facts));
            items.extend(glibc(needs, host, facts));
        }
        items.extend(loader(host, facts));
    }
}

fn readable(needs: &PackageNeeds) -> CheckItem {
    let check =
        Check::new("package", Subject::Package, "a package whose programs and libraries can be loaded");
    if needs.unreadable.is_empty() {
        return check.pass(format!("takes up {} on a host", human_bytes(needs.bytes)));
    }
    let names: Vec<&str> = needs.unreadable.iter().map(String::as_str).collect();
    check.warn(
        format!("neither programs nor libraries: {}", names.join(", ")),
        "build the package anew; a cache node cannot load such a file",
    )
}

fn libraries(needs: &PackageNeeds, host: &HostName, facts: &HostFacts) -> CheckItem {
    let check = Check::of_host("libraries", host, "the shared libraries that the package wants");
    let asked: Vec<&String> = needs.libraries.keys().collect();
    let absent: Vec<String> = asked
        .iter()
        .filter(|name| !is_plain(name) || facts.absent.as_ref().is_some_and(|absent| absent.contains(**name)))
        .map(|name| format!("{name} ({} wants it)", needs.libraries[*name]))
        .collect();
    if !absent.is_empty() {
        return check.fail(
            format!("lacks {}", absent.join(", ")),
            "install on the host the packages that bring them, or build Arcus on a host like this one",
        );
    }
    match &facts.absent {
        None if !asked.is_empty() => {
            check.warn("cannot be told", "run the check again; the host did not say which libraries it has")
        }
        _ => check.pass(format!("has all {}", asked.len())),
    }
}

fn glibc(needs: &PackageNeeds, host: &HostName, facts: &HostFacts) -> Option<CheckItem> {
    let (wanted, file) = needs.glibc.as_ref()?;
    let check = Check::of_host("glibc", host, format!("glibc {wanted} or later, which {file} wants"));
    Some(match &facts.glibc {
        None => check.warn(
            "cannot be told; perhaps the host has another C library",
            "build Arcus on a host like this one, and try its bin/memcached there",
        ),
        Some(own) if own < wanted => check.fail(
            format!("glibc {own}"),
            "build Arcus on a distribution as old as the oldest host; a newer glibc runs what an older one built",
        ),
        Some(own) => check.pass(format!("glibc {own}")),
    })
}

/// What is in use there already, as the host's own loader sees it.
fn loader(host: &HostName, facts: &HostFacts) -> Option<CheckItem> {
    let wrong = facts.unloadable.as_ref()?;
    let check = Check::of_host("loader", host, "a release in use whose programs and libraries can be loaded");
    Some(if wrong.is_empty() {
        check.pass("finds all that the release in use wants")
    } else if wrong.iter().all(|line| line.ends_with(NOT_DYNAMIC)) {
        let mend = "deploy a build whose lib/default_engine.so is a library; of a program that is a script, or is linked \
                    statically, nothing can be told";
        check.warn(wrong.join(", "), mend)
    } else {
        check.fail(
            wrong.join(", "),
            "install on the host the packages that bring the libraries, or deploy a build made on a host like this one",
        )
    })
}

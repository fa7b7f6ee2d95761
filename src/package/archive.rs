//! An archive that the operator gives: hashed, unpacked and judged in one pass, without keeping any of it.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use super::Limits;
use super::faults::{Faults, shown};
use super::gunzip::{Gunzip, Hashing};
use super::listing::{Listing, Origin, Summary};
use super::recognise;
use super::tape::{Member, Tape, TapeFault};
use crate::error::{Failure, Failures};

const CHUNK: usize = 64 * 1024;

/// What is known of an archive without faults.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) summary: Summary,
}

/// Reads the archive at `path` from its first byte to its last.
///
/// # Errors
/// Everything wrong with it.
pub(super) fn read(path: &Path, limits: &Limits) -> Result<Archive, Failures> {
    read_noting(path, limits, |_| false, |_, _| {})
}

/// The same, telling `note` of every member: its name, and its content when the name is `wanted`.
///
/// # Errors
/// Everything wrong with it.
pub(super) fn read_noting(
    path: &Path,
    limits: &Limits,
    wanted: fn(&[u8]) -> bool,
    mut note: impl FnMut(&[u8], Option<&[u8]>),
) -> Result<Archive, Failures> {
    let unreadable = |error: std::io::Error| {
        let failure = Failure::config(format!("the package {} cannot be read", path.display())).cause(&error);
        match error.kind() {
            ErrorKind::PermissionDenied => failure.hint("make it readable for the user you are"),
            _ => failure,
        }
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut packed = BufReader::with_capacity(CHUNK, Hashing::new(file));
    let head = packed.fill_buf().map_err(unreadable)?;
    let mut faults = Faults::of(path);
    if !head.starts_with(recognise::GZIP) {
        let (what, hint) = recognise::other_than_gzip(path, head);
        return Err(Failure::config(format!("{} {what}", path.display())).hint(hint).into());
    }
    let largest = limits.unpacked.max(length.saturating_mul(limits.ratio));
    let mut tape =
        Tape::new(BufReader::with_capacity(CHUNK, Gunzip::new(&mut packed)), largest).keeping(wanted);
    let mut listing = Listing::new(Origin::Archive, limits);
    let mut last = String::from("its beginning");
    loop {
        match tape.next() {
            Ok(None) => break,
            Ok(Some(Member { name, kind, content })) => {
                note(&name, content.as_deref());
                if listing.add(&name, kind, &mut faults).is_err() {
                    let message = format!(
                        "has more entries or longer names than a package may ({})",
                        listing.entries()
                    );
                    return Err(faults.end(message, ""));
                }
                last = shown(&name);
            }
            Err(fault) => return Err(broken(fault, &last, length, largest, faults, unreadable)),
        }
    }
    let summary = listing.finish(&mut faults);
    faults.none()?;
    let Some(summary) = summary else {
        return Err(Failure::config(format!("{} cannot be used", path.display())).into());
    };
    let (bytes, sha256) = packed.into_inner().finish();
    Ok(Archive { bytes, sha256, summary })
}

fn broken(
    fault: TapeFault,
    last: &str,
    length: u64,
    largest: u64,
    faults: Faults,
    unreadable: impl Fn(std::io::Error) -> Failure,
) -> Failures {
    const AGAIN: &str =
        "copy or download it again; the archive can be tried with: gzip -t FILE && tar -tzf FILE";
    match fault {
        TapeFault::Unreadable(error) => unreadable(error).into(),
        TapeFault::NoArchive => faults.end(
            "is compressed with gzip, but what is in it is no tar archive",
            "pack a directory with: tar -czf arcus.tar.gz arcus",
        ),
        TapeFault::Truncated => faults.end(format!("breaks off after {last}"), AGAIN),
        TapeFault::Damaged(what) => faults.end(format!("is damaged after {last}: {what}"), AGAIN),
        TapeFault::TooLarge => faults.end(
            format!("unpacks from {length} bytes to more than {largest}, which no install of Arcus does"),
            "see where the archive comes from before anything unpacks it",
        ),
    }
}

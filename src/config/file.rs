//! Reading a configuration file as text, with a clear word when it cannot be read.
//!
//! Boundary: one file in, its text out; what the text means is for others.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::fault::{Collector, Complaint};
use crate::error::Failure;

/// More than any configuration needs, and little enough to be read whole when a wrong file is named.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The text of `path`; `what` names the kind of file, `hint` says what to do when it is missing.
///
/// # Errors
/// When the file is missing, cannot be read, is no ordinary text, or is larger than any configuration.
pub(super) fn read_text(path: &Path, what: &str, hint: &str) -> Result<String, Failure> {
    read_text_up_to(path, what, hint, LARGEST)
}

/// The same of a kind of file that may have so many bytes.
pub(super) fn read_text_up_to(path: &Path, what: &str, hint: &str, largest: u64) -> Result<String, Failure> {
    let name = path.display();
    // Opening a directory succeeds; reading it then fails with a message nobody connects with the cause.
    if path.is_dir() {
        return Err(Failure::config(format!("{name} is a directory, not a {what}")).hint(hint));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(largest + 1).read_to_end(&mut bytes)).map_err(|error| {
        let failure = Failure::config(format!("the {what} {name} cannot be read")).cause(&error);
        match error.kind() {
            ErrorKind::NotFound => failure.hint(hint),
            ErrorKind::PermissionDenied => failure.hint(format!("make {name} readable for the user you are")),
            _ => failure,
        }
    })?;
    if bytes.len() as u64 > largest {
        return Err(Failure::config(format!(
            "{name} is larger than {} MiB, too large for a {what}",
            largest >> 20
        )));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(&name.to_string(), error.as_bytes()))
}

fn not_utf8(name: &str, bytes: &[u8]) -> Failure {
    let readable = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut faults = Collector::new(readable);
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let found = if utf16 { "is UTF-16, not UTF-8 text" } else { "is not UTF-8 text from here on" };
    faults.add(readable.len(), "", Complaint::new(found).hint(format!("save {name} as UTF-8")));
    faults.finish().into_iter().next().map_or_else(
        || Failure::config(format!("{name} is not UTF-8 text")),
        |fault| fault.into_failure(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        let failure = read_text(path, "cloud file", "name a file").unwrap_err();
        failure.to_string().replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let home = tempfile::tempdir().unwrap();
        let failure = read_text(&home.path().join("none.json"), "cloud file", "name a file").unwrap_err();
        assert!(failure.message.ends_with("none.json cannot be read"), "{failure}");
        assert_eq!(failure.hints, ["name a file"]);
    }

    #[test]
    fn a_directory_is_called_one() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(refusal(home.path()), "FILE is a directory, not a cloud file");
    }

    #[test]
    fn text_in_another_encoding_is_refused_with_its_place() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cloud.json");
        std::fs::write(&path, b"{\n \"a\": \"\xb0\xa1\"}").unwrap();
        assert_eq!(refusal(&path), "FILE:2:8: is not UTF-8 text from here on");
        std::fs::write(&path, b"\xff\xfe{\0}\0").unwrap();
        assert_eq!(refusal(&path), "FILE:1:1: is UTF-16, not UTF-8 text");
    }

    #[test]
    fn a_file_that_is_no_configuration_is_not_read_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cloud.json");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(refusal(&path), "FILE is larger than 16 MiB, too large for a cloud file");
    }
}

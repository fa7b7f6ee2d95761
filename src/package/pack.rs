//! A tree as one temporary archive: the same tree gives the same bytes, whoever packs it, where and when.
//!
//! Boundary: what belongs into the archive was decided before. Nothing in a header tells times or owners, modes say only
//! what is a program, hard links are files.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{EntryType, Header};
use tempfile::TempPath;

use super::directory::{Content, Item, Tree};
use super::faults::{Faults, shown};
use super::gunzip::Hashing;
use crate::error::{Failure, Failures};

/// The directory at the top of every archive made here.
pub(super) const ROOT: &str = "arcus";
/// An archive is packed once and sent to many hosts: 2 is a fifth smaller than 1, more gains little and takes longer.
const LEVEL: Compression = Compression::new(2);
const CHUNK: usize = 64 * 1024;
const BLOCK: usize = 512;
const PROGRAM: u32 = 0o755;
const DATA: u32 = 0o644;
/// Names of up to this length fit into a header.
const SHORT: usize = 100;

/// An archive in a file that is removed with this value.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) file: TempPath,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Why an archive could not be written.
#[derive(Debug)]
enum PackFault {
    /// The temporary file did not take it.
    Spool(io::Error),
    /// The tree did not give it.
    Source(Failures),
}

impl From<io::Error> for PackFault {
    fn from(error: io::Error) -> Self {
        Self::Spool(error)
    }
}

/// Packs `tree`, which was read from `given`, into the directory for temporary files.
///
/// # Errors
/// When a file of it cannot be read or changes meanwhile, or when there is no room.
pub(super) fn pack(given: &Path, tree: &Tree) -> Result<Packed, Failures> {
    let spool = std::env::temp_dir();
    let file = tempfile::Builder::new().prefix("arcusctl-").suffix(".tar.gz").tempfile_in(&spool);
    let (file, path) = file.map_err(|error| no_spool(&spool, given, &error))?.into_parts();
    match write(given, &tree.items, file) {
        Ok((bytes, sha256)) => Ok(Packed { file: path, bytes, sha256 }),
        Err(PackFault::Source(failures)) => Err(failures),
        Err(PackFault::Spool(error)) => Err(no_spool(&spool, given, &error).into()),
    }
}

fn no_spool(spool: &Path, given: &Path, error: &io::Error) -> Failure {
    let full =
        matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge);
    let (what, mend) = if full {
        ("there is no room", "make room there")
    } else {
        ("no file can be written", "make it writable")
    };
    Failure::failed(format!("{what} in {} to pack {} in", spool.display(), given.display()))
        .cause(error)
        .hint(format!("{mend}, or name another directory for temporary files: TMPDIR=DIR arcusctl …"))
}

/// Size and SHA-256 of what was written to `out`.
fn write(given: &Path, items: &[Item], out: impl Write) -> Result<(u64, String), PackFault> {
    let packed = GzBuilder::new().mtime(0).write(Hashing::new(out), LEVEL);
    let mut archive = Writer { packed, chunk: vec![0; CHUNK] };
    let mut faults = Faults::of(given);
    archive.entry(EntryType::Directory, format!("{ROOT}/").as_bytes(), b"", PROGRAM, 0)?;
    for Item { path, content } in items {
        let mut name = [ROOT.as_bytes(), path].join(&b'/');
        match content {
            Content::Directory => {
                name.push(b'/');
                archive.entry(EntryType::Directory, &name, b"", PROGRAM, 0)?;
            }
            Content::Symlink { target } => archive.entry(EntryType::Symlink, &name, target, 0o777, 0)?,
            Content::File { source, executable, bytes } => match File::open(source) {
                Err(error) => faults.add(format!("{} cannot be read: {error}", shown(path))),
                // The archive is lost already; what else cannot be read is still worth telling.
                Ok(_) if !faults.is_empty() => {}
                Ok(file) => {
                    let mode = if *executable { PROGRAM } else { DATA };
                    archive.entry(EntryType::Regular, &name, b"", mode, *bytes)?;
                    if let Err(wrong) = archive.content(file, *bytes)? {
                        faults.add_with_hint(
                            format!("{} {wrong}", shown(path)),
                            "give a directory that nothing writes to while it is packed",
                        );
                    }
                }
            },
        }
    }
    faults.none().map_err(PackFault::Source)?;
    archive.packed.write_all(&[0; 2 * BLOCK])?;
    let mut written = archive.packed.finish()?;
    written.flush()?;
    Ok(written.finish())
}

struct Writer<W: Write> {
    packed: GzEncoder<Hashing<W>>,
    chunk: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn entry(&mut self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, size: u64) -> io::Result<()> {
        for (long, text) in [(EntryType::GNULongName, name), (EntryType::GNULongLink, link)] {
            if text.len() > SHORT {
                let marker = b"././@LongLink";
                self.header(long, marker, b"", DATA, text.len() as u64 + 1)?;
                self.packed.write_all(text)?;
                self.packed.write_all(&[0])?;
                self.fill_up(text.len() as u64 + 1)?;
            }
        }
        self.header(kind, name, link, mode, size)
    }

    fn header(&mut self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, size: u64) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        let old = header.as_old_mut();
        for (field, text) in [(&mut old.name, name), (&mut old.linkname, link)] {
            let fits = text.len().min(SHORT);
            field[..fits].copy_from_slice(&text[..fits]);
        }
        header.set_cksum();
        self.packed.write_all(header.as_bytes())
    }

    /// Copies `file`, which has to have `size` bytes. It is read in whole chunks, for what a compressor makes of the
    /// same bytes may depend on the portions that it gets.
    fn content(&mut self, mut file: impl Read, size: u64) -> io::Result<Result<(), String>> {
        const CHANGED: &str = "changed while it was packed";
        let mut left = size;
        loop {
            let filled = match fill(&mut file, &mut self.chunk) {
                Ok(filled) => filled,
                Err(error) => return Ok(Err(format!("cannot be read: {error}"))),
            };
            if filled == 0 {
                break;
            }
            let Some(rest) = left.checked_sub(filled as u64) else { return Ok(Err(CHANGED.to_owned())) };
            left = rest;
            self.packed.write_all(&self.chunk[..filled])?;
        }
        if left > 0 {
            return Ok(Err(CHANGED.to_owned()));
        }
        self.fill_up(size)?;
        Ok(Ok(()))
    }

    fn fill_up(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        self.packed.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }
}

/// As much as there is, up to the length of `chunk`.
fn fill(file: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn item(source: PathBuf, bytes: u64) -> Item {
        Item { path: b"bin/x".to_vec(), content: Content::File { source, executable: true, bytes } }
    }

    fn refusals(fault: PackFault) -> Vec<String> {
        match fault {
            PackFault::Source(failures) => failures.as_slice().iter().map(|f| f.message.clone()).collect(),
            PackFault::Spool(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_full_disk_is_called_one() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("x");
        std::fs::write(&source, b"x").unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let Err(PackFault::Spool(error)) = write(home.path(), &[item(source, 1)], full) else {
            panic!("it was written")
        };
        let failure = no_spool(Path::new("/spool"), Path::new("/opt/arcus"), &error);
        assert_eq!(failure.message, "there is no room in /spool to pack /opt/arcus in");
        assert!(failure.hints[0].contains("TMPDIR"));
    }

    #[test]
    fn a_file_that_changes_while_it_is_packed_spoils_the_archive() {
        let home = tempfile::tempdir().unwrap();
        let source = home.path().join("x");
        std::fs::write(&source, b"12345").unwrap();
        assert!(write(Path::new("d"), &[item(source.clone(), 5)], io::sink()).is_ok());
        for size in [4, 6] {
            let fault = write(Path::new("d"), &[item(source.clone(), size)], io::sink()).unwrap_err();
            assert_eq!(refusals(fault), ["d: 'bin/x' changed while it was packed"]);
        }
    }

    #[test]
    fn every_file_that_cannot_be_read_is_named() {
        let items = [item("/nonexistent/a".into(), 1), item("/nonexistent/b".into(), 1)];
        let fault = write(Path::new("d"), &items, io::sink()).unwrap_err();
        assert_eq!(refusals(fault).len(), 2);
    }
}

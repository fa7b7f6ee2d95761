//! The same tree compressed with zstd, for hosts that have it.
//!
//! Boundary: the archive was judged before; here its bytes are only packed otherwise.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::num::NonZero;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};
use zstd::zstd_safe::CParameter;

use super::Package;
use crate::error::Failure;
use crate::model::Archive;

/// Fast enough not to hold up the first host, and already smaller than gzip.
const LEVEL: i32 = 3;
/// More would only wait for the one that unpacks gzip, and each costs memory.
const MOST_THREADS: usize = 2;
/// What a thread gets at a time, in bytes; left to itself, zstd buffers some 60 MiB.
const JOB: u32 = 1 << 20;

impl Package {
    /// Packs the tree once more, with zstd. The file goes with the returned path.
    ///
    /// Blocks for as long as it takes to read everything.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn recompress(&self) -> Result<(Archive, TempPath), Failure> {
        let failed = |error: io::Error| {
            Failure::failed("cannot compress the package with zstd")
                .cause(error)
                .hint(format!("see that {} has room, or set TMPDIR", std::env::temp_dir().display()))
        };
        let file = NamedTempFile::with_prefix("arcusctl-").map_err(failed)?;
        let Packed { source_sha256, bytes, sha256 } = pack(&self.path, file.as_file()).map_err(failed)?;
        if source_sha256 != self.sha256 {
            return Err(Failure::failed(format!("{} changed while it was read", self.path.display()))
                .cause("its SHA-256 is no longer the one of the archive that was judged")
                .hint("run the command again once nothing writes to it"));
        }
        let path = file.into_temp_path();
        Ok((Archive { path: path.to_path_buf(), bytes, sha256 }, path))
    }
}

struct Packed {
    /// Of what was read; a file that was judged before may be another by now.
    source_sha256: String,
    bytes: u64,
    sha256: String,
}

fn pack(source: &Path, target: &File) -> io::Result<Packed> {
    let source = HashingReader { inner: File::open(source)?, digest: Sha256::new() };
    let mut unpacked = MultiGzDecoder::new(BufReader::new(source));
    let mut encoder = zstd::Encoder::new(Counted::new(BufWriter::new(target)), LEVEL)?;
    // Threads beside the one that reads: they are idle while hosts wait for the archive.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    encoder.multithread(threads as u32)?;
    encoder.set_parameter(CParameter::JobSize(JOB))?;
    io::copy(&mut unpacked, &mut encoder)?;
    let mut counted = encoder.finish()?;
    counted.flush()?;
    let mut source = unpacked.into_inner().into_inner();
    io::copy(&mut source, &mut io::sink())?;
    Ok(Packed { source_sha256: hex(source.digest), bytes: counted.bytes, sha256: hex(counted.digest) })
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes what is read.
struct HashingReader {
    inner: File,
    digest: Sha256,
}

impl Read for HashingReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.digest.update(&bytes[..read]);
        Ok(read)
    }
}

/// Counts and hashes what passes.
struct Counted<W> {
    inner: W,
    bytes: u64,
    digest: Sha256,
}

impl<W> Counted<W> {
    fn new(inner: W) -> Self {
        Self { inner, bytes: 0, digest: Sha256::new() }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

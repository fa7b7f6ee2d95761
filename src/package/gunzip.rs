//! Reading a gzip file through, and its SHA-256 on the way.
//!
//! Boundary: bytes in, bytes out; what they are is for others.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

/// Passes bytes on and keeps account of them.
#[derive(Debug)]
pub(super) struct Hashing<T> {
    inner: T,
    hasher: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    /// How many bytes passed, and their SHA-256 in hexadecimal.
    pub(super) fn finish(self) -> (u64, String) {
        let mut text = String::with_capacity(64);
        for byte in self.hasher.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        (self.bytes, text)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.count(&into[..read]);
        Ok(read)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Unpacks gzip to the very end of the file. As with `gzip` itself, a file may be several that were put together; what
/// is no gzip at all is an error here, while `gzip` only mentions it.
#[derive(Debug)]
pub(super) struct Gunzip<R: BufRead> {
    current: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { current: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(mut decoder) = self.current.take() {
            let read = decoder.read(into)?;
            if read > 0 {
                self.current = Some(decoder);
                return Ok(read);
            }
            let mut packed = decoder.into_inner();
            match packed.fill_buf()? {
                [] => break,
                [0x1f, ..] => self.current = Some(GzDecoder::new(packed)),
                _ => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "something that is no gzip follows the archive",
                    ));
                }
            }
        }
        Ok(0)
    }
}

//! Reading a tar archive member by member, as strictly as it can be read.
//!
//! Boundary: the form of an archive, not what its members may be called or be. What is validated here is unpacked by
//! another program on the hosts; so an archive that two programs could read in two ways (a size given twice, a name
//! given twice, something behind the end) is damaged as far as this reader is concerned.

use std::io::{self, BufRead, ErrorKind};

use super::elf;
use super::listing::Kind;

const BLOCK: usize = 512;
/// Longer than any path that Linux accepts.
const LONGEST_NAME: u64 = 8 * 1024;
/// Attributes of one member; those of real archives are a few hundred bytes.
const LARGEST_ATTRIBUTES: u64 = 1024 * 1024;
/// No program or library of Arcus comes near; this is all the memory that reading one whole may cost.
const LARGEST_WANTED: u64 = 256 * 1024 * 1024;

/// One member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// The content of a file that was wanted whole.
    pub(super) content: Option<Vec<u8>>,
}

/// Why an archive cannot be read on.
#[derive(Debug)]
pub(super) enum TapeFault {
    /// The file itself could not be read.
    Unreadable(io::Error),
    /// It breaks off.
    Truncated,
    /// There is no archive in it.
    NoArchive,
    /// It unpacks to more than was allowed.
    TooLarge,
    /// Anything else, in words to be read after its name.
    Damaged(String),
}

impl From<io::Error> for TapeFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated,
            ErrorKind::InvalidInput | ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Unreadable(error),
        }
    }
}

fn damaged(what: &str) -> TapeFault {
    TapeFault::Damaged(what.to_owned())
}

/// What headers of their own say about the member that follows them.
#[derive(Debug, Default)]
struct Attributes {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// A tar archive, unpacked.
#[derive(Debug)]
pub(super) struct Tape<R> {
    from: R,
    position: u64,
    limit: u64,
    /// Which members are wanted whole, by their names; none of them beyond [`LARGEST_WANTED`].
    wanted: fn(&[u8]) -> bool,
}

impl<R: BufRead> Tape<R> {
    /// Reads `from`, but never more than `limit` bytes of it.
    pub(super) fn new(from: R, limit: u64) -> Self {
        Self { from, position: 0, limit, wanted: |_| false }
    }

    /// The same, with the content of those members whose names are `wanted`.
    pub(super) fn keeping(self, wanted: fn(&[u8]) -> bool) -> Self {
        Self { wanted, ..self }
    }

    /// The next member; `None` at the end, when all has been read and found in order.
    ///
    /// # Errors
    /// When the archive is damaged; nothing can be read after that.
    pub(super) fn next(&mut self) -> Result<Option<Member>, TapeFault> {
        let mut attributes = Attributes::default();
        let mut pending = false;
        loop {
            let first = self.position == 0;
            let block = match self.block() {
                Err(TapeFault::Truncated) if first => return Err(TapeFault::NoArchive),
                other => other?,
            };
            if block == [0; BLOCK] {
                self.end()?;
                return if pending { Err(damaged("its last entry is missing")) } else { Ok(None) };
            }
            if number(&block[148..156]) != Some(checksum(&block)) {
                return Err(if first {
                    TapeFault::NoArchive
                } else {
                    damaged("the header of an entry is wrong")
                });
            }
            let known = [&b"ustar\x0000"[..], b"ustar  \0", &[0; 8]].contains(&&block[257..265]);
            let size = number(&block[124..136]).filter(|_| known);
            let (Some(size), Some(mode)) = (size, number(&block[100..108])) else {
                return Err(damaged("the header of an entry is wrong"));
            };
            match block[156] {
                b'L' => {
                    let name = self.long_name(size)?;
                    once(&mut attributes.name, name)?;
                }
                b'K' => {
                    let link = self.long_name(size)?;
                    once(&mut attributes.link, link)?;
                }
                b'x' => self.attributes(size, &mut attributes)?,
                b'g' => {
                    let mut global = Attributes::default();
                    self.attributes(size, &mut global)?;
                    let Attributes { name, link, size, sparse } = global;
                    if name.is_some() || link.is_some() || size.is_some() || sparse {
                        return Err(damaged("it names all of its entries at once"));
                    }
                    continue;
                }
                _ => return self.member(&block, size, mode, attributes).map(Some),
            }
            pending = true;
        }
    }

    fn member(
        &mut self,
        block: &[u8; BLOCK],
        size: u64,
        mode: u64,
        attributes: Attributes,
    ) -> Result<Member, TapeFault> {
        let Attributes { name, link, size: other_size, sparse } = attributes;
        if other_size.is_some_and(|other| other != size) {
            return Err(damaged("an entry has two sizes"));
        }
        let type_flag = block[156];
        // The map of an old sparse file goes on between its header and its content.
        let mut more = type_flag == b'S' && block[482] != 0;
        while more {
            more = self.block()?[504] != 0;
        }
        let name = name.unwrap_or_else(|| header_name(block));
        let link = link.unwrap_or_else(|| text(&block[157..257]).to_vec());
        let mut head = Vec::new();
        let keep = size <= LARGEST_WANTED && (self.wanted)(&name);
        let mut kept = Vec::new();
        self.content(size, |bytes| {
            let missing = elf::HEAD - head.len();
            head.extend(bytes.iter().take(missing));
            if keep {
                kept.extend_from_slice(bytes);
            }
        })?;
        let kind = match type_flag {
            _ if sparse => Kind::Foreign("a sparse file".to_owned()),
            b'S' => Kind::Foreign("a sparse file".to_owned()),
            // Before there was a type for directories, a slash at the end made one.
            b'0' | 0 if !name.ends_with(b"/") => Kind::File {
                mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
                bytes: size,
                architecture: elf::architecture(&head),
            },
            b'0' | 0 | b'1' | b'2' | b'5' if size > 0 => {
                Kind::Foreign("a directory or a link with content of its own".to_owned())
            }
            b'0' | 0 | b'5' => Kind::Directory,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' | b'4' => Kind::Foreign("a device".to_owned()),
            b'6' => Kind::Foreign("a fifo".to_owned()),
            other => Kind::Foreign(format!("an entry of the unknown type '{}'", other.escape_ascii())),
        };
        let content = (keep && matches!(kind, Kind::File { .. })).then_some(kept);
        Ok(Member { name, kind, content })
    }

    /// Nothing but zeros may come after the first block of zeros, and at least one more block of them must.
    fn end(&mut self) -> Result<(), TapeFault> {
        const BEHIND: &str = "something follows the end of the archive";
        if self.block()? != [0; BLOCK] {
            return Err(damaged(BEHIND));
        }
        loop {
            let bytes = self.from.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Err(damaged(BEHIND));
            }
            let length = bytes.len();
            self.advance(length)?;
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], TapeFault> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        self.take(BLOCK as u64, |bytes| {
            block[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        })?;
        Ok(block)
    }

    /// Hands the `size` bytes after a header to `each`, and skips what fills up their last block.
    fn content(&mut self, size: u64, each: impl FnMut(&[u8])) -> Result<(), TapeFault> {
        self.take(size, each)?;
        let block = BLOCK as u64;
        self.take((block - size % block) % block, |_| {})
    }

    fn take(&mut self, size: u64, mut each: impl FnMut(&[u8])) -> Result<(), TapeFault> {
        let mut left = size;
        while left > 0 {
            let bytes = self.from.fill_buf()?;
            if bytes.is_empty() {
                return Err(TapeFault::Truncated);
            }
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            each(&bytes[..length]);
            left -= length as u64;
            self.advance(length)?;
        }
        Ok(())
    }

    fn advance(&mut self, length: usize) -> Result<(), TapeFault> {
        self.from.consume(length);
        self.position += length as u64;
        if self.position > self.limit { Err(TapeFault::TooLarge) } else { Ok(()) }
    }

    fn gather(&mut self, size: u64, largest: u64, what: &str) -> Result<Vec<u8>, TapeFault> {
        if size > largest {
            return Err(TapeFault::Damaged(format!("{what} of an entry takes {size} bytes")));
        }
        let mut gathered = Vec::new();
        self.content(size, |bytes| gathered.extend_from_slice(bytes))?;
        Ok(gathered)
    }

    /// A name too long for a header, as GNU tar writes it.
    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, TapeFault> {
        let mut name = self.gather(size, LONGEST_NAME, "the name")?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Records `length key=value\n`, as POSIX has them.
    fn attributes(&mut self, size: u64, attributes: &mut Attributes) -> Result<(), TapeFault> {
        let records = self.gather(size, LARGEST_ATTRIBUTES, "the attributes")?;
        let mut rest = &records[..];
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).ok_or_else(|| damaged("the attributes of an entry are wrong"))?;
            rest = after;
            match key {
                b"path" => once(&mut attributes.name, value.to_vec())?,
                b"linkpath" => once(&mut attributes.link, value.to_vec())?,
                b"size" => {
                    let size = decimal(value).ok_or_else(|| damaged("the size of an entry is no number"))?;
                    once(&mut attributes.size, size)?;
                }
                key if key.starts_with(b"GNU.sparse.") => attributes.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), TapeFault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(damaged("an entry has two names, links or sizes")),
    }
}

/// Key, value and what follows the first record.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&records[..space])?).ok()?;
    let (record, after) = records.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], after))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A number in a header: octal digits, or binary when the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    const BINARY: u8 = 0x80;
    if field[0] & BINARY != 0 {
        let (high, low) = field.split_at(field.len().saturating_sub(8).max(1));
        // A number over 64 bits or below zero is none that a header may hold.
        let plain = high[0] == BINARY && high[1..].iter().all(|byte| *byte == 0);
        return plain.then(|| low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The sum of a header's bytes, its own field taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let field = 148..156;
    let spaces = u64::from(b' ') * field.len() as u64;
    let others = block.iter().enumerate().filter(|(place, _)| !field.contains(place));
    spaces + others.map(|(_, byte)| u64::from(*byte)).sum::<u64>()
}

/// The part of a field before its first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn header_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let mut name = Vec::new();
    // In the headers of GNU tar other things stand where POSIX has the first part of a long name.
    let prefix = if block[257..265] == *b"ustar\x0000" { text(&block[345..500]) } else { &[] };
    if !prefix.is_empty() {
        name.extend_from_slice(prefix);
        name.push(b'/');
    }
    name.extend_from_slice(text(&block[..100]));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary_and_nothing_else() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777"), Some(0o77_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(0x2_0000_0000));
        for wrong in [
            &b"0000648\0"[..],
            b"+000644\0",
            b"0644 7\0\0",
            b"\0\0\0\0\0\0\0\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn attributes_are_taken_by_their_length() {
        assert_eq!(record(b"12 path=a b\nrest"), Some((&b"path"[..], &b"a b"[..], &b"rest"[..])));
        assert_eq!(record(b"12 path=a\nb\n"), Some((&b"path"[..], &b"a\nb"[..], &b""[..])));
        for wrong in
            [&b"99 path=a\n"[..], b"10 path=a b\n", b"path=a\n", b"+9 path=a\n", b"0 path=a\n", b"8 path1\n"]
        {
            assert_eq!(record(wrong), None, "{wrong:?}");
        }
    }
}

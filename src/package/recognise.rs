//! What a file is that was given for a package and is none.
//!
//! Boundary: looks at the first bytes of a file and has words for them.

use std::path::Path;

/// Begins every gzip file.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";
/// Where a tar header says that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;
const HINT: &str = "give a .tar.gz of an Arcus install, or the directory of the install itself";

/// What `path`, whose beginning is `head`, is; and what to give instead.
pub(super) fn other_than_gzip(path: &Path, head: &[u8]) -> (&'static str, String) {
    let name = path.display();
    let again =
        |program: &str| format!("compress it with gzip instead: {program} {name} | gzip >arcus.tar.gz");
    if head.is_empty() {
        return ("is empty", HINT.to_owned());
    }
    if head.get(TAR_MAGIC) == Some(b"ustar") {
        return ("is a tar archive that is not compressed", format!("compress it: gzip {name}"));
    }
    let known: [(&[u8], &str, String); 12] = [
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd, not with gzip", again("zstd -dc")),
        (b"\xfd7zXZ\0", "is compressed with xz, not with gzip", again("xz -dc")),
        (b"BZh", "is compressed with bzip2, not with gzip", again("bzip2 -dc")),
        (b"\x04\x22\x4d\x18", "is compressed with lz4, not with gzip", again("lz4 -dc")),
        (b"\x1f\x9d", "is compressed with compress, not with gzip", again("gzip -dc")),
        (b"PK\x03\x04", "is a zip archive", HINT.to_owned()),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", HINT.to_owned()),
        (b"!<arch>\n", "is a Debian package or a library", HINT.to_owned()),
        (b"\xed\xab\xee\xdb", "is an RPM package", HINT.to_owned()),
        (b"\x7fELF", "is a program, not a package", HINT.to_owned()),
        (b"<!", "is a web page, as a failed download leaves one", HINT.to_owned()),
        (
            b"version https://git-lfs",
            "is a pointer of Git LFS, not the file itself",
            "run: git lfs pull".to_owned(),
        ),
    ];
    for (magic, what, hint) in known {
        if head.starts_with(magic) {
            return (what, hint);
        }
    }
    let control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    // A character may be cut in two where the head ends.
    let text = head.utf8_chunks().next().is_some_and(|chunk| chunk.valid().len() + 4 > head.len());
    let what =
        if text && !head.iter().any(control) { "is a text file, not a package" } else { "is no gzip file" };
    (what, HINT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_called_by_their_names() {
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\x0000");
        for (head, expected, hint) in [
            (&b""[..], "is empty", "give a .tar.gz"),
            (&tar, "is a tar archive that is not compressed", "gzip p.bin"),
            (b"\x28\xb5\x2f\xfd....", "is compressed with zstd, not with gzip", "zstd -dc p.bin | gzip"),
            (b"\xfd7zXZ\0\0\x04", "is compressed with xz, not with gzip", "xz -dc p.bin | gzip"),
            (b"BZh91AY", "is compressed with bzip2, not with gzip", "bzip2 -dc p.bin | gzip"),
            (b"PK\x03\x04\x14\0", "is a zip archive", "give a .tar.gz"),
            (b"<!DOCTYPE html>", "is a web page, as a failed download leaves one", "give a .tar.gz"),
            ("캐시 hello\n".as_bytes(), "is a text file, not a package", "give a .tar.gz"),
            (b"\x00\x01\x02", "is no gzip file", "give a .tar.gz"),
        ] {
            let (what, given) = other_than_gzip(Path::new("p.bin"), head);
            assert_eq!(what, expected);
            assert!(given.contains(hint), "{given}");
        }
    }
}

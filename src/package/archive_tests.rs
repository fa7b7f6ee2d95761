use std::io::Write;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::elf::tests::head;
use super::*;

/// An archive in the making; it takes what `tar` would never write.
struct Made(tar::Builder<Vec<u8>>);

impl Made {
    fn empty() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// What every package holds, below `root`.
    fn good_at(root: &str) -> Self {
        Self::empty()
            .file(&format!("{root}bin/memcached"), 0o755, &head(62, true))
            .file(&format!("{root}lib/default_engine.so"), 0o644, b"engine")
            .file(&format!("{root}zookeeper/bin/zkServer.sh"), 0o755, b"#!/bin/bash\n")
    }

    fn good() -> Self {
        Self::good_at("arcus/")
    }

    fn file(self, name: &str, mode: u32, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", mode, data)
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    fn special(self, kind: u8, name: &str) -> Self {
        self.entry(EntryType::new(kind), name.as_bytes(), b"", 0o644, b"")
    }

    fn entry(self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, data: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        self.header(header, data)
    }

    fn header(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    /// Attributes for the entry that follows.
    fn attributes(self, kind: u8, pairs: &[(&str, &str)]) -> Self {
        let mut records = String::new();
        for (key, value) in pairs {
            let bare = key.len() + value.len() + 3;
            let length = (bare + 1..).find(|length| length.to_string().len() + bare == *length).unwrap();
            records.push_str(&format!("{length} {key}={value}\n"));
        }
        self.entry(EntryType::new(kind), b"attributes", b"", 0o644, records.as_bytes())
    }

    fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn opened_within(bytes: &[u8], limits: &Limits) -> Result<Package, Failures> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("p.tgz");
    std::fs::write(&path, bytes).unwrap();
    open_within(&path, limits)
}

fn opened(made: Made) -> Result<Package, Failures> {
    opened_within(&gzip(&made.tar()), &Limits::default())
}

/// What is said of a bad package, without its name.
fn said(result: Result<Package, Failures>) -> Vec<String> {
    let messages =
        result.unwrap_err().as_slice().iter().map(|failure| failure.message.clone()).collect::<Vec<_>>();
    let plain = |message: String| {
        message.split_once("p.tgz").map(|(_, rest)| rest.trim_start_matches(": ").trim().to_owned())
    };
    messages.into_iter().filter_map(plain).collect()
}

#[test]
fn a_good_archive_is_described() {
    let package = opened(Made::good().symlink("arcus/lib/x.so", "default_engine.so")).unwrap();
    assert_eq!(package.root.as_deref(), Some("arcus"));
    assert_eq!(package.entries, ["bin", "lib", "zookeeper", "zookeeper/bin"]);
    assert_eq!(package.architecture.as_deref(), Some("x86_64"));
    assert_eq!(package.unpacked_bytes, 3 * 4096);
    assert_eq!(package.release().as_str(), &package.sha256[..12]);
    assert_eq!(package.facts().bytes, package.parcel().gzip.bytes);
}

#[test]
fn size_and_checksum_are_those_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("p.tgz");
    let packed = gzip(&Made::good().tar());
    std::fs::write(&path, &packed).unwrap();
    let package = open(&path).unwrap();
    let sum = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    assert_eq!(package.sha256.as_bytes(), &sum[..64]);
    assert_eq!(package.bytes, packed.len() as u64);
    assert_eq!(package.path, path);
}

#[test]
fn the_tree_may_begin_at_the_top() {
    for root in ["", "./"] {
        let package = opened(Made::good_at(root).file(".hidden", 0o644, b"")).unwrap();
        assert_eq!(package.root, None);
        assert_eq!(package.entries, [".hidden", "bin", "lib", "zookeeper", "zookeeper/bin"]);
    }
}

#[test]
fn a_script_for_memcached_names_no_processor() {
    let script = Made::empty()
        .file("a/bin/node", 0o755, b"#!/bin/sh\n")
        .symlink("a/bin/memcached", "./node")
        .file("a/lib/default_engine.so", 0o644, b"")
        .hard_link("a/zookeeper/bin/zkServer.sh", "a/bin/node");
    assert_eq!(opened(script).unwrap().architecture, None);
}

#[test]
fn bad_entries_are_refused_by_name() {
    let good = Made::good;
    let raw = |name: &[u8]| good().entry(EntryType::Regular, name, b"", 0o644, b"");
    let cases: Vec<(Made, &str)> = vec![
        (raw(b"/etc/passwd"), "'/etc/passwd' is an absolute path"),
        (
            raw(b"arcus/../../etc/passwd"),
            "'arcus/../../etc/passwd' leads out of the package or back, by '..'",
        ),
        (raw(b""), "'' has no name"),
        (raw(b"arcus/a\nb"), r"'arcus/a\nb' has control characters in its name"),
        (raw(b"arcus/caf\xe9"), r"'arcus/caf\xe9' has a name that is not UTF-8"),
        (
            raw(b"arcus/.arcusctl-old-bin"),
            "'arcus/.arcusctl-old-bin' has a name that arcusctl keeps for its own files",
        ),
        (
            raw(b"arcus/current"),
            "'arcus/current' has a name that the install path of a host keeps for itself",
        ),
        (
            raw(b"arcus/releases/x"),
            "'arcus/releases' has a name that the install path of a host keeps for itself",
        ),
        (raw(b"arcus/run"), "'arcus/run' has a name that the install path of a host keeps for itself"),
        (
            raw(b"arcus/-rf"),
            "'arcus/-rf' has a space, a leading '-' or one of * ? [ ] \\ in its name; so near the top none may",
        ),
        (good().special(b'3', "arcus/tty"), "'arcus/tty' is a device"),
        (good().special(b'4', "arcus/sda"), "'arcus/sda' is a device"),
        (good().special(b'6', "arcus/pipe"), "'arcus/pipe' is a fifo"),
        (good().special(b'V', "volume"), "'volume' is an entry of the unknown type 'V'"),
        (good().special(b'S', "arcus/holes"), "'arcus/holes' is a sparse file"),
        (
            good().file("arcus/su", 0o4755, b""),
            "'arcus/su' has mode 4755; no setuid, setgid or sticky bit may be set",
        ),
        (
            good().file("arcus/sg", 0o2755, b""),
            "'arcus/sg' has mode 2755; no setuid, setgid or sticky bit may be set",
        ),
        (
            good().file("arcus/t", 0o1755, b""),
            "'arcus/t' has mode 1755; no setuid, setgid or sticky bit may be set",
        ),
        (
            good().entry(EntryType::Directory, b"arcus/d", b"", 0o755, b"").symlink("arcus/d", "lib"),
            "'arcus/d' is there twice, as a directory and as a symbolic link",
        ),
        (
            good().symlink("arcus/x", "lib").symlink("arcus/x", "bin"),
            "'arcus/x' is there twice, as links to different places",
        ),
        (
            good().symlink("arcus/x", "lib").file("arcus/x", 0o644, b""),
            "'arcus/x' is there twice, as a symbolic link and as a file",
        ),
        (
            good().file("arcus/bin/memcached/x", 0o644, b""),
            "'arcus/bin/memcached/x' lies below 'arcus/bin/memcached', which is a file",
        ),
        (
            good().symlink("arcus/conf", "/etc"),
            "'arcus/conf' is a symbolic link to '/etc', which leads out of the package",
        ),
        (
            good().symlink("arcus/x", ".."),
            "'arcus/x' is a symbolic link to '..', which leads out of the package",
        ),
        (good().symlink("arcus/x", ""), "'arcus/x' is a symbolic link to nothing"),
        (good().symlink("arcus/x", "x"), "'arcus/x' is a symbolic link to 'x', which leads in circles"),
        (
            good().hard_link("arcus/x", "/etc/shadow"),
            "'arcus/x' is a hard link to '/etc/shadow', which is an absolute path",
        ),
        (
            good().hard_link("arcus/x", "arcus/nothing"),
            "'arcus/x' is a hard link to 'arcus/nothing', which is no file before it",
        ),
        (good().hard_link("arcus/x", "../x"), "'arcus/x' is a hard link to '../x', which leads out"),
        (
            good().symlink("arcus/l", "lib").hard_link("arcus/x", "arcus/l"),
            "'arcus/x' is a hard link to 'arcus/l', which is a symbolic link",
        ),
        (
            good().symlink("arcus/zookeeper/conf", "bin"),
            "'arcus/zookeeper/conf' is a symbolic link and has to be a directory",
        ),
        (
            good().file("other/x", 0o644, b""),
            "has neither one directory nor bin/ and lib/ at its top: 'arcus', 'other'",
        ),
        (Made::empty(), "is empty"),
        (Made::empty().file("memcached", 0o755, b""), "holds only 'memcached', a file"),
    ];
    for (made, expected) in cases {
        let said = said(opened(made));
        assert!(said.iter().any(|message| message.starts_with(expected)), "{expected}: {said:#?}");
    }
}

#[test]
fn a_program_with_a_bit_too_many_is_not_called_missing() {
    let made = Made::good().file("arcus/bin/memcached", 0o4755, b"");
    assert_eq!(
        said(opened(made)),
        ["'arcus/bin/memcached' has mode 4755; no setuid, setgid or sticky bit may be set"]
    );
}

#[test]
fn a_path_through_a_link_is_refused_whichever_comes_first() {
    let expected = "'arcus/d/x' lies below 'arcus/d', which is a symbolic link";
    let first = Made::good().symlink("arcus/d", "lib").file("arcus/d/x", 0o644, b"");
    let last = Made::good().file("arcus/d/x", 0o644, b"").symlink("arcus/d", "lib");
    for made in [first, last] {
        assert_eq!(said(opened(made)), [expected]);
    }
}

#[test]
fn links_are_followed_as_a_kernel_follows_them() {
    let tree = || Made::good().symlink("arcus/a/b/up", "../..").symlink("arcus/lib/self", "../lib");
    for (path, target) in [
        // Taking '..' off the text would find both of them inside.
        ("arcus/x", "a/b/up/../etc"),
        ("arcus/x", "lib/self/../../etc"),
        ("arcus/lib/x", "../../arcus/bin"),
        ("x", "arcus/bin"),
        // On a host, the parent of these is not in the release.
        ("arcus/x", "zookeeper/logs/../../y"),
        ("arcus/x", "zookeeper/conf/7/../.."),
    ] {
        let said = said(opened(tree().symlink(path, target)));
        assert_eq!(said.len(), 1, "{path} {target} {said:?}");
        assert!(said[0].ends_with("leads out of the package") || path == "x", "{said:?}");
    }
    for (path, target) in [
        ("arcus/x", "a/b/up/lib/self/default_engine.so"),
        ("arcus/x", "."),
        ("arcus/lib/x", "./../bin//memcached"),
        ("arcus/zookeeper/conf/x", "../bin/zkServer.sh"),
        ("arcus/x", "zookeeper/conf/zoo.cfg"),
        ("arcus/x", "nothing/there"),
    ] {
        assert!(opened(tree().symlink(path, target)).is_ok(), "{path} {target}");
    }
}

#[test]
fn what_a_package_lacks_is_named() {
    let lacking = Made::empty().file("arcus/bin/memcached", 0o644, b"").file(
        "arcus/lib/default_engine.so/x",
        0o644,
        b"",
    );
    assert_eq!(
        said(opened(lacking)),
        [
            "bin/memcached is not executable",
            "lib/default_engine.so is a directory",
            "zookeeper/bin/zkServer.sh is missing"
        ]
    );
}

#[test]
fn all_faults_are_told_and_the_many_counted() {
    let mut made = Made::good();
    for number in 0..50 {
        made = made.special(b'6', &format!("arcus/{number}"));
    }
    let said = said(opened(made));
    assert_eq!(said.len(), 21);
    assert_eq!(said[0], "'arcus/0' is a fifo");
    assert_eq!(said[20], "and 30 more faults of this kind or another");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let tar = Made::good().file("arcus/lib/large", 0o644, &[7; 100_000]).tar();
    let whole = gzip(&tar);
    let starts = |bytes: &[u8], expected: &str| {
        let said = said(opened_within(bytes, &Limits::default()));
        assert!(said[0].starts_with(expected), "{expected}: {said:?}");
    };
    starts(&whole[..whole.len() / 2], "breaks off after 'arcus/zookeeper/bin/zkServer.sh'");
    starts(&whole[..whole.len() - 1], "breaks off after 'arcus/lib/large'");
    starts(&gzip(&tar[..tar.len() - 1024]), "breaks off after 'arcus/lib/large'");
    starts(&gzip(&tar[..tar.len() - 512]), "breaks off after 'arcus/lib/large'");
    starts(&gzip(&tar[..50_000]), "breaks off after 'arcus/zookeeper/bin/zkServer.sh'");
    starts(
        &[&whole[..], b"and more"].concat(),
        "is damaged after 'arcus/lib/large': something that is no gzip follows",
    );
    starts(
        &[&whole[..], &whole[..]].concat(),
        "is damaged after 'arcus/lib/large': something follows the end",
    );
    starts(
        &gzip(&[&tar[..], b"x"].concat()),
        "is damaged after 'arcus/lib/large': something follows the end",
    );
    let mut checksum = whole.clone();
    let place = checksum.len() - 6;
    checksum[place] ^= 1;
    starts(&checksum, "is damaged after 'arcus/lib/large': ");
    let mut header = tar.clone();
    header[1024 + 5] ^= 1;
    starts(&gzip(&header), "is damaged after 'arcus/bin/memcached': the header of an entry is wrong");
    starts(&gzip(b"only a file, compressed"), "is compressed with gzip, but what is in it is no tar archive");
    starts(&gzip(&[b'x'; 2000]), "is compressed with gzip, but what is in it is no tar archive");
    starts(&gzip(b""), "is compressed with gzip, but what is in it is no tar archive");
    // Padding up to the record size of tar, and an archive in several pieces of gzip, are as they should be.
    assert!(opened_within(&gzip(&[&tar[..], &[0; 9000]].concat()), &Limits::default()).is_ok());
    let pieces = [gzip(&tar[..3000]), gzip(&tar[3000..])].concat();
    assert!(opened_within(&pieces, &Limits::default()).is_ok());
}

#[test]
fn no_flipped_bit_of_a_header_passes_unnoticed_or_panics() {
    let tar = Made::good().tar();
    for place in 0..512 {
        let mut bad = tar.clone();
        bad[place] ^= 4;
        assert!(opened_within(&gzip(&bad), &Limits::default()).is_err(), "{place}");
    }
}

#[test]
fn a_package_may_only_ask_for_so_much() {
    let limits = Limits { unpacked: 1 << 20, ratio: 10, ..Limits::default() };
    let bomb = gzip(&Made::good().file("arcus/zeros", 0o644, &vec![0; 4 << 20]).tar());
    assert!(
        said(opened_within(&bomb, &limits))[0]
            .contains("to more than 1048576, which no install of Arcus does")
    );
    assert!(opened_within(&bomb, &Limits::default()).is_ok());
    let many = gzip(&Made::good().tar());
    for limits in [Limits { entries: 2, ..Limits::default() }, Limits { names: 30, ..Limits::default() }] {
        assert!(said(opened_within(&many, &limits))[0].starts_with("has more entries or longer names"));
    }
}

#[test]
fn what_two_programs_could_read_in_two_ways_is_refused() {
    let long = "n".repeat(120);
    let cases = [
        (
            Made::good().attributes(b'x', &[("size", "4")]).file("arcus/x", 0o644, b"12345"),
            "an entry has two sizes",
        ),
        (
            Made::good()
                .entry(EntryType::GNULongName, b"l", b"", 0, long.as_bytes())
                .attributes(b'x', &[("path", "arcus/y")])
                .file("x", 0o644, b""),
            "an entry has two names",
        ),
        (
            Made::good().attributes(b'x', &[("path", "arcus/y"), ("path", "arcus/z")]).file("x", 0o644, b""),
            "an entry has two names",
        ),
        (Made::good().attributes(b'g', &[("path", "arcus/y")]), "it names all of its entries at once"),
        (
            Made::good().entry(EntryType::XHeader, b"x", b"", 0, b"5 path\n"),
            "the attributes of an entry are wrong",
        ),
        (Made::good().attributes(b'x', &[("path", "arcus/y")]), "its last entry is missing"),
        (
            Made::good().entry(EntryType::GNULongName, b"l", b"", 0, &[b'x'; 9000]),
            "the name of an entry takes 9000 bytes",
        ),
    ];
    for (made, expected) in cases {
        let said = said(opened(made));
        let end = format!("is damaged after 'arcus/zookeeper/bin/zkServer.sh': {expected}");
        assert!(said[0].starts_with(&end), "{expected}: {said:?}");
    }
    let sparse = Made::good().attributes(b'x', &[("GNU.sparse.name", "arcus/y")]).file("arcus/x", 0o644, b"");
    assert_eq!(said(opened(sparse)), ["'arcus/x' is a sparse file"]);
}

#[test]
fn names_given_by_attributes_are_judged_like_others() {
    let made = Made::good()
        .attributes(b'x', &[("path", "arcus/../../x")])
        .file("harmless", 0o644, b"")
        .attributes(b'x', &[("linkpath", "/etc/passwd")])
        .symlink("arcus/y", "bin")
        .entry(EntryType::GNULongLink, b"l", b"", 0, b"../../z\0")
        .symlink("arcus/z", "bin");
    let said = said(opened(made));
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("'arcus/../../x' leads out of the package"));
    assert!(said[1].ends_with("to '/etc/passwd', which leads out of the package"));
    assert!(said[2].ends_with("to '../../z', which leads out of the package"));
}

#[test]
fn what_tar_writes_is_read_in_each_of_its_formats() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("arcus");
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    let short = format!("{}/{}", "d".repeat(90), "f".repeat(60));
    for name in ["bin/memcached", "lib/default_engine.so", "zookeeper/bin/zkServer.sh", &long, &short] {
        let path = tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
    }
    std::os::unix::fs::symlink(&long, tree.join("캐시")).unwrap();
    for (format, without) in [("gnu", ""), ("oldgnu", ""), ("pax", ""), ("ustar", "f120"), ("v7", "d90")] {
        let path = home.path().join(format!("{format}.tgz"));
        let mut tar = Command::new("tar");
        tar.arg("-czf")
            .arg(&path)
            .arg(format!("--format={format}"))
            .args(["--mode=755", "-C"])
            .arg(home.path());
        match without {
            "f120" => tar.arg(format!("--exclude={}", "f".repeat(120))).arg("--exclude=캐시"),
            "d90" => tar.arg(format!("--exclude={}", "d".repeat(90))).arg("--exclude=캐시"),
            _ => &mut tar,
        };
        assert!(tar.arg("arcus").status().unwrap().success());
        let package = open(&path).unwrap_or_else(|failures| panic!("{format}: {failures}"));
        assert_eq!(package.entries.contains(&"캐시".to_owned()), without.is_empty(), "{format}");
    }
}

#[test]
fn what_is_no_package_at_all_is_called_by_its_name() {
    let plain = said(opened_within(&Made::good().tar(), &Limits::default()));
    assert_eq!(plain, ["is a tar archive that is not compressed"]);
    let text = said(opened_within(b"hello\n", &Limits::default()));
    assert_eq!(text, ["is a text file, not a package"]);
    let home = tempfile::tempdir().unwrap();
    let missing = open(&home.path().join("none.tgz")).unwrap_err();
    assert!(missing.as_slice()[0].message.ends_with("none.tgz cannot be read"), "{missing}");
    let device = open(Path::new("/dev/null")).unwrap_err();
    assert_eq!(device.as_slice()[0].message, "/dev/null is neither a file nor a directory");
}

/// Names and links out of few parts, so that they meet each other often.
fn entries() -> impl Strategy<Value = Vec<(u8, String, String)>> {
    let part = || prop::sample::select(vec!["d", "e", "f", "bin", "zookeeper"]);
    let step = || prop::sample::select(vec!["d", "e", "f", "bin", "..", "..", ".", "zookeeper"]);
    let name = prop::collection::vec(part(), 1..4).prop_map(|parts| format!("arcus/{}", parts.join("/")));
    let target = prop::collection::vec(step(), 1..6).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(vec![b'0', b'1', b'2', b'2', b'2', b'5']);
    prop::collection::vec((kind, name, target), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    /// What is let through is unpacked by `tar` without complaint, and none of its links leads out of it.
    #[test]
    fn nothing_that_is_let_through_leaves_the_tree(entries in entries()) {
        let mut made = Made::good();
        for (kind, name, target) in &entries {
            let target = if *kind == b'1' { format!("arcus/{target}") } else { target.clone() };
            made = made.entry(EntryType::new(*kind), name.as_bytes(), target.as_bytes(), 0o755, b"");
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("p.tgz");
        std::fs::write(&path, gzip(&made.tar())).unwrap();
        if open(&path).is_ok() {
            let out = home.path().join("out");
            std::fs::create_dir(&out).unwrap();
            let tar = Command::new("tar").arg("-xzof").arg(&path).arg("-C").arg(&out).output().unwrap();
            prop_assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
            let links = Command::new("find").arg(&out).args(["-type", "l"]).output().unwrap().stdout;
            let tree = out.join("arcus").canonicalize().unwrap();
            for link in String::from_utf8(links).unwrap().lines() {
                if let Ok(place) = Path::new(link).canonicalize() {
                    prop_assert!(place.starts_with(&tree), "{link} leads to {}", place.display());
                }
            }
        }
    }
}

//! Builds small enough to be sent by the dozen, in which every file tells the version that it is of.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Run;

/// What a build has to have is in it, and a directory `<version>-only` at its top that no other version has.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
}

impl Tree {
    /// Makes the build; `bulk` bytes of it cannot be compressed.
    pub(crate) fn new(parent: &Path, version: &str, bulk: usize) -> Self {
        let tree = Self { path: parent.join(format!("tree-{version}")) };
        for (file, mode) in [
            ("bin/memcached", 0o755),
            ("bin/tools/check", 0o755),
            ("lib/default_engine.so", 0o644),
            ("zookeeper/bin/zkServer.sh", 0o755),
            ("zookeeper/lib/zookeeper.jar", 0o644),
            ("zookeeper/conf/zoo_sample.cfg", 0o644),
            (&format!("zookeeper/conf/{version}.properties"), 0o644),
            (&format!("{version}-only/file"), 0o644),
        ] {
            tree.write(file, format!("{file} of {version}\n").as_bytes(), mode);
        }
        tree.write("lib/bulk", &noise(version, bulk), 0o644);
        tree
    }

    pub(crate) fn write(&self, file: &str, content: &[u8], mode: u32) {
        let file = self.path.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The SHA-256 of every file below these directories, in the order of their names.
    pub(crate) fn sums(&self, directories: &str) -> String {
        let sums = format!("find {directories} -type f -exec sha256sum {{}} + | LC_ALL=C sort -k 2");
        Run::of(Command::new("sh").current_dir(&self.path).arg("-c").arg(sums)).success().stdout
    }
}

/// Bytes that look random and are the same each time (xorshift).
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

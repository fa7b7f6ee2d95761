//! The files of the sample tree and where each comes from.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

const JARS: &str = "/usr/share/java";
const SCRIPTS: &str = "/usr/share/zookeeper/bin";
/// Renamed in the tree, so that whoever looks for processes called memcached finds the nodes only.
const MEMCACHED: &str = "/usr/bin/memcached";

/// Without these there is no ZooKeeper.
const NEEDED_JARS: [&str; 3] = ["zookeeper", "zookeeper-jute", "slf4j-api"];

/// What ZooKeeper uses besides: its manifest's class path and what that needs in turn, and a logging back end. Which
/// of them there are depends on the distribution's release.
const OTHER_JARS: [&str; 33] = [
    "commons-cli",
    "commons-io",
    "findbugs-annotations",
    "jackson-annotations",
    "jackson-core",
    "jackson-databind",
    "jetty9-client",
    "jetty9-http",
    "jetty9-io",
    "jetty9-security",
    "jetty9-server",
    "jetty9-servlet",
    "jetty9-util",
    "jetty9-util-ajax",
    "jline",
    "log4j-1.2",
    "logback-classic",
    "logback-core",
    "metrics-core",
    "netty-buffer",
    "netty-codec",
    "netty-common",
    "netty-handler",
    "netty-resolver",
    "netty-transport",
    "netty-transport-native-epoll",
    "netty-transport-native-unix-common",
    "reload4j",
    "servlet-api",
    "slf4j-log4j12",
    "slf4j-reload4j",
    "snappy",
    "snappy-java",
];

/// The distribution's scripts that fit as they are; `zkEnv.sh` doesn't.
const PROGRAMS: [&str; 3] = ["zkServer.sh", "zkCli.sh", "zkCleanup.sh"];

/// Files the lab itself contributes.
pub(super) const TEXTS: [(&str, &str); 5] = [
    ("zookeeper/bin/zkEnv.sh", include_str!("zkEnv.sh")),
    ("zookeeper/conf/log4j.properties", include_str!("log4j.properties")),
    ("zookeeper/conf/logback.xml", include_str!("logback.xml")),
    ("zookeeper/conf/zoo_sample.cfg", include_str!("zoo_sample.cfg")),
    ("README", include_str!("README.txt")),
];

/// What arcus.sh's command line names with -E and -X. The cache node checks that they are there, as the real one must.
const PLACEHOLDERS: [&str; 3] = ["lib/default_engine.so", "lib/syslog_logger.so", "lib/ascii_scrub.so"];

/// The files of the machine that go into the tree.
pub(super) fn sources() -> Vec<PathBuf> {
    let jar = |name: &&str| Path::new(JARS).join(format!("{name}.jar"));
    let jars = NEEDED_JARS.iter().map(jar).chain(OTHER_JARS.iter().map(jar).filter(|path| path.exists()));
    let scripts = PROGRAMS.iter().map(|name| Path::new(SCRIPTS).join(name));
    jars.chain(scripts).chain([PathBuf::from(MEMCACHED)]).collect()
}

/// Writes the tree as a compressed archive. The same inputs give the same bytes.
pub(super) fn write(out: &File, cache_node: &[u8]) -> Result<()> {
    let mut tree = Tree { tar: Builder::new(GzEncoder::new(out, Compression::default())) };
    for dir in ["", "bin", "lib", "libexec", "zookeeper", "zookeeper/bin", "zookeeper/conf", "zookeeper/lib"]
    {
        tree.directory(dir)?;
    }
    tree.file("bin/memcached", 0o755, cache_node)?;
    for name in PLACEHOLDERS {
        tree.file(name, 0o755, b"")?;
    }
    for (name, text) in TEXTS {
        tree.file(name, 0o644, text.as_bytes())?;
    }
    for source in sources() {
        let data = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        match source.parent().and_then(Path::to_str) {
            Some(JARS) => tree.file(&format!("zookeeper/lib/{name}"), 0o644, &data)?,
            Some(SCRIPTS) => tree.file(&format!("zookeeper/bin/{name}"), 0o755, &data)?,
            Some("/usr/bin") => tree.file("libexec/cache-store", 0o755, &data)?,
            _ => bail!("{} has no place in the tree", source.display()),
        }
    }
    tree.tar.into_inner()?.finish()?.flush()?;
    Ok(())
}

struct Tree<W: Write> {
    tar: Builder<W>,
}

impl<W: Write> Tree<W> {
    fn directory(&mut self, name: &str) -> Result<()> {
        let path = format!("arcus/{name}");
        self.entry(&format!("{}/", path.trim_end_matches('/')), EntryType::Directory, 0o755, b"")
    }

    fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.entry(&format!("arcus/{name}"), EntryType::Regular, mode, data)
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, data: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        // 2025-01-01: any date does, as long as it is always the same.
        header.set_mtime(1_735_689_600);
        self.tar.append_data(&mut header, path, data).with_context(|| format!("packing {path}"))
    }
}

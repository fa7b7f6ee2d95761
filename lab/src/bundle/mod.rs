//! The sample Arcus tree: what `arcusctl deploy` puts on the hosts in tests and in the demo.
//!
//! It is assembled from the distribution's own packages (Apache ZooKeeper, memcached) and the lab's cache node, which
//! stands in for arcus-memcached. A real Arcus build goes through the same door: set `ARCUS_TEST_PACKAGE` to its
//! archive, and [`shared`] gives that instead.

mod cache_node;
mod tree;

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::state::base_dir;
use crate::tools::require_tools;

/// The variable that names a real Arcus package to be used instead of the sample.
pub const PACKAGE_VARIABLE: &str = "ARCUS_TEST_PACKAGE";

/// Writes the sample tree to `out`, a `.tar.gz` whose only top-level entry is `arcus/`.
///
/// # Errors
///
/// When packages are missing (an [`Unavailable`](crate::Unavailable)), the cache node isn't built and can't be, or
/// `out` can't be written.
pub fn assemble(out: &Path) -> Result<()> {
    require_tools()?;
    let node = cache_node::find_or_build()?;
    write(out, &node)
}

/// The package that tests deploy: `ARCUS_TEST_PACKAGE` if set, else [`sample`].
///
/// # Errors
///
/// As [`assemble`]; or when `ARCUS_TEST_PACKAGE` names no file.
pub fn shared() -> Result<PathBuf> {
    if let Some(package) = std::env::var_os(PACKAGE_VARIABLE).filter(|value| !value.is_empty()) {
        let package = PathBuf::from(package);
        if !package.is_file() {
            bail!("{PACKAGE_VARIABLE} names {}, which is no file", package.display());
        }
        return Ok(package);
    }
    sample()
}

/// A sample tree that is assembled once and then shared by all test processes, until the cache node or the distribution's
/// ZooKeeper changes.
///
/// # Errors
///
/// As [`assemble`].
pub fn sample() -> Result<PathBuf> {
    require_tools()?;
    // Begins with a dot, which no lab's name does.
    let dir = base_dir().join(".bundles");
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    let _held =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| anyhow!(error).context("locking"))?;

    let node = cache_node::build_fresh()?;
    let package = dir.join(format!("arcus-{:016x}.tar.gz", fingerprint(&node)?));
    if !package.exists() {
        remove_old(&dir);
        write(&package, &node)?;
    }
    Ok(package)
}

/// Forgets packages that no running test can still want.
fn remove_old(dir: &Path) {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > Duration::from_secs(24 * 3600)))
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten().filter(old) {
        // At worst it stays until next time.
        let _ = fs::remove_file(entry.path());
    }
}

/// Writes beside `out` and renames, so that nobody ever sees half an archive.
fn write(out: &Path, node: &Path) -> Result<()> {
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stripped = cache_node::stripped(node)?;
    let file =
        tempfile::NamedTempFile::new_in(dir).with_context(|| format!("writing to {}", dir.display()))?;
    tree::write(file.as_file(), &stripped)?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(permissions)?;
    file.persist(out).with_context(|| format!("writing {}", out.display()))?;
    Ok(())
}

/// Changes whenever the sample tree would.
fn fingerprint(node: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(node).with_context(|| format!("reading {}", node.display()))?);
    for path in tree::sources() {
        let meta = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write_u64(meta.len());
        hasher.write_i64(std::os::unix::fs::MetadataExt::mtime(&meta));
    }
    for text in tree::TEXTS {
        hasher.write(text.1.as_bytes());
    }
    Ok(hasher.finish())
}

//! Finds, builds and strips the cache node's program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const NAME: &str = "arcus-cache-node";

/// The cache node beside the running program, or the one that `ARCUS_LAB_CACHE_NODE` names, or a newly built one.
pub(super) fn find_or_build() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("ARCUS_LAB_CACHE_NODE").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let beside = profile_dir()?.join(NAME);
    if beside.is_file() { Ok(beside) } else { build_fresh() }
}

/// Like [`find_or_build`], but doesn't take a program that is older than its sources.
///
/// For tests: `cargo test -p arcusctl` builds no other package's programs by itself.
pub(super) fn build_fresh() -> Result<PathBuf> {
    let dir = profile_dir()?;
    let beside = dir.join(NAME);
    if is_current(&beside) {
        return Ok(beside);
    }
    let Some(cargo) = std::env::var_os("CARGO") else {
        bail!("{} is not built: run `cargo build -p arcus-lab`", beside.display());
    };
    let target = dir.parent().context("the build directory has no parent")?;
    let release = dir.file_name().is_some_and(|name| name == "release").then_some("--release");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "arcus-lab", "--bin", NAME, "--target-dir"]).arg(target);
    command.args(release).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().context("running cargo")?;
    if !output.status.success() {
        bail!("building {NAME}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(beside)
}

/// Whether the program is there and no older than its sources, where those are at hand.
fn is_current(program: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    let Ok(built) = modified(program) else { return false };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(package.join("src/bin/cache-node")).into_iter().flatten().flatten();
    sources.map(|entry| entry.path()).all(|source| modified(&source).is_ok_and(|time| time <= built))
}

/// The directory cargo built the running program into: `target/debug` or `target/release`.
fn profile_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("finding the running program")?;
    let dir = exe.parent().context("the running program lies in no directory")?;
    // Test programs and examples lie one deeper.
    let deeper = dir.file_name().is_some_and(|name| name == "deps" || name == "examples");
    Ok(if deeper { dir.parent().unwrap_or(dir) } else { dir }.to_path_buf())
}

/// The program without its debug information, which is most of it.
pub(super) fn stripped(program: &Path) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let out = scratch.path().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&out).arg(program).status();
    // Without binutils it is merely larger.
    let chosen = if done.is_ok_and(|status| status.success()) { out } else { program.to_path_buf() };
    fs::read(&chosen).with_context(|| format!("reading {}", chosen.display()))
}

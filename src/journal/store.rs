//! Where journals lie: one file for each run, below the operator's own state directory.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::entry::Header;
use super::read::Run;
use super::write::Journal;
use crate::error::Failure;

/// So many journals are kept; the oldest go.
pub const KEPT: usize = 200;
const EXTENSION: &str = "jsonl";

/// The directory of one operator's journals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    directory: PathBuf,
}

/// A run of the store, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    pub run: Run,
    /// The run that went on with this one.
    pub resumed_by: Option<String>,
}

impl Store {
    /// `<state home>/arcusctl/runs`; the state home is `XDG_STATE_HOME`, else `~/.local/state`. A relative one counts as
    /// none. `None` without both.
    pub fn locate(xdg_state_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<Self> {
        let state = xdg_state_home
            .filter(|directory| directory.is_absolute())
            .or_else(|| home.map(|home| home.join(".local/state")))?;
        Some(Self { directory: state.join("arcusctl/runs") })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the journal of a new run: private, locked for as long as the run lives, its first line on the disk.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn create(&self, header: Header) -> Result<Journal, Failure> {
        let unwritable = |error: std::io::Error| {
            Failure::failed(format!("cannot keep a journal in {}", self.directory.display()))
                .cause(error)
                .hint("make the directory writable, or set XDG_STATE_HOME to one that is")
        };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.directory).map_err(unwritable)?;
        let path = self.path(&header.id);
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).mode(0o600).open(&path).map_err(unwritable)?;
        // Where files cannot be locked, the run looks as if it had died until it ends.
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tracing::debug!(%error, "the journal cannot be locked");
        }
        let journal = Journal::start(file, path, header).map_err(unwritable)?;
        self.prune();
        Ok(journal)
    }

    /// All runs, the newest first.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn runs(&self) -> Result<Vec<StoredRun>, Failure> {
        let runs: Vec<Run> = self.ids()?.iter().rev().filter_map(|id| self.read(id)).collect();
        let resumer = |id: &str| {
            let mut later = runs.iter().filter(|run| run.header.resumes.as_deref() == Some(id));
            later.next().map(|run| run.header.id.clone())
        };
        let resumers: Vec<Option<String>> = runs.iter().map(|run| resumer(&run.header.id)).collect();
        let stored = runs.into_iter().zip(resumers).map(|(run, resumed_by)| StoredRun { run, resumed_by });
        Ok(stored.collect())
    }

    /// The run that `name` means: `last`, an id, or a beginning that only one id has.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, name: &str) -> Result<StoredRun, Failure> {
        let runs = self.runs()?;
        let see = |failure: Failure| failure.hint("see which runs there were: arcusctl history");
        if name == "last" {
            let last = runs.into_iter().next();
            return last.ok_or_else(|| see(Failure::refused("no run is on record")));
        }
        let mut fits: Vec<StoredRun> =
            runs.into_iter().filter(|stored| stored.run.header.id.starts_with(name)).collect();
        match fits.len() {
            1 => Ok(fits.remove(0)),
            0 => Err(see(Failure::refused(format!("no run {name} is on record")))),
            _ => {
                let ids: Vec<&str> = fits.iter().map(|stored| stored.run.header.id.as_str()).collect();
                Err(see(Failure::refused(format!("{name} is more than one run")).cause(ids.join(", "))))
            }
        }
    }

    /// The ids, the oldest first.
    fn ids(&self) -> Result<Vec<String>, Failure> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let what = format!("cannot read the journals in {}", self.directory.display());
                return Err(Failure::failed(what).cause(error));
            }
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let named = path.extension().is_some_and(|extension| extension == EXTENSION);
                named.then(|| path.file_stem()?.to_str().map(str::to_owned))?
            })
            .collect();
        ids.sort();
        Ok(ids)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.{EXTENSION}"))
    }

    /// `None` for a file that is no journal, or one that has just been begun.
    fn read(&self, id: &str) -> Option<Run> {
        let path = self.path(id);
        let file = File::open(&path).ok()?;
        // Only a living writer has it locked. Asked for before it is read: what ends in between is then read whole.
        let running = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
        let text = fs::read(&path).ok()?;
        Run::parse(&String::from_utf8_lossy(&text), running)
    }

    /// Removes the oldest journals beyond [`KEPT`], but none of a run that goes on.
    fn prune(&self) {
        let Ok(ids) = self.ids() else { return };
        for id in ids.iter().rev().skip(KEPT) {
            if self.read(id).is_some_and(|run| run.is_running()) {
                continue;
            }
            if let Err(error) = fs::remove_file(self.path(id)) {
                tracing::debug!(%error, id, "an old journal could not be removed");
            }
        }
    }
}

/// An id for a new run; ids sort by time: `20261122T145902.123-4f2a`.
pub fn run_id(now: Timestamp) -> String {
    // Every `RandomState` has keys of its own.
    let random = RandomState::new().hash_one(now.as_nanosecond()) & 0xffff;
    format!("{}.{:03}-{random:04x}", now.strftime("%Y%m%dT%H%M%S"), now.subsec_millisecond())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

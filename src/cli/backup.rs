//! `backup` and `restore`: what is registered of the clouds, out of ZooKeeper and back into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::args::Change;
use super::changing::Subject;
use super::context::Context;
use super::invocation::input;
use crate::config::load_backup;
use crate::error::{Failure, Failures};
use crate::inspect::ZnodesSeen;
use crate::model::{self, BackupReport, SavedZnode, ServiceCode, is_presence};
use crate::plan::{self, RestoreWish};
use crate::report::Document;

#[derive(Args, Debug)]
pub struct Backup {
    /// The file to write, a directory to write one in, or - for standard output [default: arcus-ENSEMBLE-TIME.json here]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What cache nodes logged of their comings as well; it is never cleaned up and may be much
    #[arg(long)]
    pub with_log: bool,
}

#[derive(Args, Debug)]
pub struct Restore {
    /// The file that arcusctl backup wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only this cloud; may be repeated [default: everything in the file]
    #[arg(long = "cloud", value_name = "CODE")]
    pub clouds: Vec<ServiceCode>,
    /// Write over what is another now; else a cloud of which anything changed is left as it is
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub change: Change,
}

pub(super) async fn backup(context: &Context, args: &Backup) -> Result<Document, Failures> {
    let seen = read(context, args.with_log).await?;
    if seen.znodes.is_empty() {
        let failure = Failure::refused("there is nothing to back up: neither /arcus nor /arcus_repl exists");
        return Err(failure.hint("see that this is the ensemble you mean: arcusctl zookeeper stat").into());
    }
    let now = Timestamp::now();
    let invocation = &context.invocation;
    let (znodes, left_out) = persistent(seen);
    let backup = model::Backup {
        at: format!("{now:.0}"),
        by: format!("{}@{}", invocation.user, invocation.host),
        ensemble: context.ensemble.to_string(),
        with_log: args.with_log,
        znodes,
    };
    let text = backup.to_text();
    let to_stdout = args.file.as_deref() == Some(Path::new("-"));
    let file = match to_stdout {
        true => None,
        false => Some(write(place(context, args.file.as_deref(), now), &text)?),
    };
    let document = Document::of_backup(report(&backup, file, text.len(), left_out));
    Ok(if to_stdout { document.with_text(text) } else { document })
}

fn report(
    backup: &model::Backup,
    file: Option<PathBuf>,
    bytes: usize,
    left_out: BTreeMap<String, String>,
) -> BackupReport {
    let clouds = backup.clouds().iter().map(ToString::to_string).collect();
    BackupReport { file, bytes, znodes: backup.znodes.len(), clouds, left_out }
}

/// What outlives sessions, and what cannot be kept though it does.
fn persistent(seen: ZnodesSeen) -> (BTreeMap<String, SavedZnode>, BTreeMap<String, String>) {
    let mut left_out: BTreeMap<String, String> = seen
        .denied
        .into_iter()
        .map(|path| (path, "its access list does not let arcusctl read it".to_owned()))
        .collect();
    let mut znodes = BTreeMap::new();
    for (path, znode) in seen.znodes.into_iter().filter(|(_, znode)| !znode.is_ephemeral) {
        if is_presence(&path) {
            left_out.insert(path, "it stands where only live members and clients belong".to_owned());
        } else {
            znodes.insert(path, SavedZnode { data: znode.data, acl: znode.acl });
        }
    }
    (znodes, left_out)
}

fn place(context: &Context, wanted: Option<&Path>, now: Timestamp) -> PathBuf {
    let first = context.ensemble.members().first().map_or("zookeeper", |member| member.host.as_str());
    let host: String =
        first.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
    let name = format!("arcus-{host}-{}.json", now.strftime("%Y%m%dT%H%M%SZ"));
    match wanted {
        None => PathBuf::from(name),
        Some(directory) if directory.is_dir() => directory.join(name),
        Some(file) => file.to_owned(),
    }
}

/// The whole file or none: an older one of that name stays until the new one is on the disk. What is there and is no
/// file, such as a device or a pipe, is written to.
fn write(path: PathBuf, text: &str) -> Result<PathBuf, Failure> {
    match write_to(&path, text) {
        Ok(()) => Ok(path),
        Err(error) => Err(Failure::failed(format!("cannot write the backup {}", path.display()))
            .cause(error)
            .hint("name a file in a directory that you may write to, with room for it")),
    }
}

fn write_to(path: &Path, text: &str) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    // A link goes on leading to where it leads.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Nobody else may read it: it is made so, and renamed.
    let mut file = tempfile::Builder::new().prefix(".arcusctl-backup-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(directory)?.sync_all()
}

pub(super) async fn restore(context: &Context, args: &Restore) -> Result<Document, Failures> {
    let backup = load_backup(&args.file)?;
    context.invocation.remember(input(&args.file));
    let clouds: BTreeSet<ServiceCode> = args.clouds.iter().cloned().collect();
    let locked = if clouds.is_empty() { backup.clouds() } else { clouds.clone() };
    let wish = RestoreWish { clouds, overwrite: args.overwrite };
    // What is unknown is told before anything is locked or looked at.
    plan::restore(&backup, &wish, &ZnodesSeen::default())?;
    let prepare = async || {
        let seen = read(context, backup.with_log).await?;
        Ok(plan::restore(&backup, &wish, &seen)?.into())
    };
    context.change(&Subject::clouds(locked), args.change, prepare).await
}

async fn read(context: &Context, with_log: bool) -> Result<ZnodesSeen, Failures> {
    let looking = async { ZnodesSeen::read(&*context.operator.zookeeper().await?, with_log).await };
    Ok(context.look(looking).await??)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    #[test]
    fn a_device_is_written_to_and_a_link_stays_one() {
        // A pipe stands for every device.
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        write(pipe.clone(), "text").unwrap();
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), "text");

        let (link, file) = (root.path().join("latest.json"), root.path().join("kept.json"));
        std::fs::write(&file, "old").unwrap();
        symlink("kept.json", &link).unwrap();
        write(link.clone(), "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "new");
    }
}

//! Writing a journal: a thread of its own writes lines and forces them to the disk, many with one write where many came
//! at once, so that no task waits for a disk but those that must.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::About;
use super::entry::{AboutEntry, Begin, End, Entry, Header, PlanEntry, ResultEntry, now};
use crate::error::Failure;
use crate::exec::{Record, StepResult};
use crate::plan::{Plan, Step};

/// The journal of the run that is going on. Its end ends the lock on its file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    lines: Sender<Line>,
    /// The number of the first step of the plan that is carried out now, and of the one after its last.
    first: AtomicUsize,
    next: AtomicUsize,
    trouble: Arc<Mutex<Option<io::Error>>>,
}

/// A line to write, and whom to tell once it is on the disk.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    written: Option<oneshot::Sender<()>>,
}

impl Journal {
    /// Writes the first line and starts the writer.
    pub(super) fn start(mut file: File, path: PathBuf, header: Header) -> io::Result<Self> {
        file.write_all(&line_of(&Entry::Run(Box::new(header))))?;
        file.sync_all()?;
        // The name, too, must outlive a power cut.
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        let (lines, received) = channel();
        let trouble = Arc::default();
        let told = Arc::clone(&trouble);
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_lines(file, &received, &told))?;
        Ok(Self { path, lines, first: AtomicUsize::new(0), next: AtomicUsize::new(0), trouble })
    }

    /// What is changed by the plans to come. Does not wait: each plan, which is written after it, does.
    pub fn about(&self, about: &About) {
        self.write(&Entry::About(AboutEntry { about: about.znode_name().to_owned() }), None);
    }

    /// What is going to be carried out next.
    pub async fn plan(&self, plan: &Plan) {
        let first = self.next.fetch_add(plan.steps().count(), Ordering::Relaxed);
        self.first.store(first, Ordering::Relaxed);
        self.write_through(&Entry::Plan(PlanEntry::new(plan, first))).await;
    }

    /// Writes the last line and waits until all is on the disk.
    pub async fn end(&self, exit_code: u8, failures: &[Failure]) {
        self.write_through(&Entry::End(End { at: now(), exit_code, failures: failures.to_vec() })).await;
    }

    /// What kept lines from being written, the first time that something did.
    pub fn trouble(&self) -> Option<Failure> {
        let error = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Failure::failed(format!("cannot write the journal {}", self.path.display())).cause(error).hint(
            "free space there; what was done is as it was told, but arcusctl history does not know all of it",
        ))
    }

    fn write(&self, entry: &Entry, written: Option<oneshot::Sender<()>>) {
        // The writer ends only with the journal itself.
        let _writer_gone = self.lines.send(Line { text: line_of(entry), written });
    }

    async fn write_through(&self, entry: &Entry) {
        let (sender, written) = oneshot::channel();
        self.write(entry, Some(sender));
        let _writer_gone = written.await;
    }
}

#[async_trait]
impl Record for Journal {
    /// Returns once the line is on the disk. A disk that takes no more is no reason to stop a run.
    async fn begin(&self, number: usize, _: &Step) -> Result<(), Failure> {
        let step = self.first.load(Ordering::Relaxed) + number;
        self.write_through(&Entry::Begin(Begin { step, at: now() })).await;
        Ok(())
    }

    /// Does not wait: a result that is lost with the machine leaves the step begun, which is all that anybody may rely on.
    fn finish(&self, number: usize, results: &[StepResult]) {
        let step = self.first.load(Ordering::Relaxed) + number;
        for result in results {
            self.write(&Entry::Result(ResultEntry::new(step, result)), None);
        }
    }
}

fn line_of(entry: &Entry) -> Vec<u8> {
    // Texts and numbers can always be written as JSON.
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes until the journal is dropped.
fn write_lines(mut file: File, lines: &Receiver<Line>, trouble: &Mutex<Option<io::Error>>) {
    while let Ok(first) = lines.recv() {
        let mut text = first.text;
        let mut waiting: Vec<_> = first.written.into_iter().collect();
        for line in lines.try_iter() {
            text.extend(line.text);
            waiting.extend(line.written);
        }
        if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
            trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        for written in waiting {
            let _nobody_waits = written.send(());
        }
    }
}

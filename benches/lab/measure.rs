//! Timing whole commands, and their own memory and processor time.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What one run of a command cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Largest resident size of the process itself, in bytes.
    pub(crate) memory: u64,
    /// User and system time of the process itself.
    pub(crate) processor: Duration,
}

/// Runs to the end; a failure ends the benchmark, since a failed run is no figure.
pub(crate) fn run(command: &mut Command) -> Cost {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut cost = watch(&mut child);
    cost.wall = start.elapsed();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    cost
}

/// Reads the process's own figures until it ends; both only grow, so the last reading is the final one but for the
/// moment after it.
fn watch(child: &mut Child) -> Cost {
    let pid = child.id();
    let mut cost = Cost::default();
    while child.try_wait().unwrap().is_none() {
        if let Some(memory) = resident_peak(pid) {
            cost.memory = cost.memory.max(memory);
        }
        if let Some(processor) = processor_time(pid) {
            cost.processor = processor;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    cost
}

fn resident_peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn processor_time(pid: u32) -> Option<Duration> {
    /// `USER_HZ` of every Linux that Rust runs on.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

/// Runs all commands at once and waits for all.
pub(crate) fn together(commands: Vec<Command>) -> Duration {
    let start = Instant::now();
    let children: Vec<Child> = commands.into_iter().map(|mut command| command.spawn().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    start.elapsed()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.0} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

pub(crate) fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// The machine the figures are of.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        memory.split_whitespace().nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap_or_default();
    format!("{} cores, {}, {} GiB", cores, model.trim_start_matches([':', '\t', ' ']), kilobytes >> 20)
}

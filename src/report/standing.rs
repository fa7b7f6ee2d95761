//! The ensemble as a table: a line for each member, and below it what should be known.

use std::fmt::Write as _;

use comfy_table::Cell;
use owo_colors::OwoColorize as _;

use super::tables::{finish, number, table};
use crate::check::{EnsembleStanding, MemberStanding};
use crate::inspect::SnapshotSeen;
use crate::model::human_bytes;

pub(super) fn render(standing: &EnsembleStanding) -> String {
    let mut table = table(&[
        "member",
        "mode",
        "version",
        "zxid",
        "lag",
        "connections",
        "last snapshot",
        "logs",
        "disk free",
    ]);
    for member in &standing.members {
        table.add_row(row(member));
    }
    let mut text = finish(&table);
    let mut line = |words: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{words}");
    };
    let all = standing.members.len();
    let synced =
        standing.synced_followers.map(|synced| format!("; the leader counts {synced} follower(s) in sync"));
    line(format!(
        "\n{} of {all} members serve, a quorum needs {}{}",
        standing.serving,
        standing.quorum,
        synced.unwrap_or_default()
    ));
    for note in &standing.notes {
        line(format!("{} {note}", "note".yellow()));
    }
    text
}

fn row(standing: &MemberStanding) -> Vec<Cell> {
    let absent = || Cell::new("-");
    let stats = standing.state.stats();
    let mode = match stats {
        Some(stats) if standing.troubles.is_empty() => stats.mode.as_str().green().to_string(),
        Some(stats) => stats.mode.as_str().yellow().to_string(),
        None => standing.state.describe().red().to_string(),
    };
    let storage = standing.storage.as_ref();
    vec![
        Cell::new(&standing.member),
        Cell::new(mode),
        stats.map_or_else(absent, |stats| Cell::new(&stats.version)),
        stats.map_or_else(absent, |stats| Cell::new(&stats.zxid)),
        standing.lag.map_or_else(absent, number),
        stats.map_or_else(absent, |stats| number(stats.connections)),
        storage
            .and_then(|storage| storage.snapshot.as_ref())
            .map_or_else(absent, |snapshot| Cell::new(taken(snapshot))),
        storage.map_or_else(absent, |storage| number(human_bytes(storage.log_bytes))),
        storage.map_or_else(absent, |storage| {
            let share = storage.disk_free.saturating_mul(100) / storage.disk_bytes.max(1);
            number(format!("{} ({share} %)", human_bytes(storage.disk_free)))
        }),
    ]
}

/// `snapshot.100000003, 12 kB, 3 h ago`
fn taken(snapshot: &SnapshotSeen) -> String {
    let age = match snapshot.age {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    };
    format!("{}, {}, {age} ago", snapshot.file, human_bytes(snapshot.bytes))
}

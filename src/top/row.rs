//! One node on the screen, and the columns that rows are sorted by.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::inspect::Figures;
use crate::model::{NodeAddr, ServiceCode};
use crate::status::NodeStatus;

/// So many points a line of figures keeps.
const KEPT: usize = 240;

/// What is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Node,
    State,
    Up,
    Items,
    Memory,
    Connections,
    HitRatio,
    Operations,
}

impl Column {
    pub const ALL: [Self; 8] = [
        Self::Node,
        Self::State,
        Self::Up,
        Self::Items,
        Self::Memory,
        Self::Connections,
        Self::HitRatio,
        Self::Operations,
    ];

    pub fn heading(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::State => "state",
            Self::Up => "up",
            Self::Items => "items",
            Self::Memory => "mem",
            Self::Connections => "conns",
            Self::HitRatio => "hits",
            Self::Operations => "ops/s",
        }
    }

    /// The column so many places further; around the end.
    pub fn step(self, places: usize) -> Self {
        let here = Self::ALL.iter().position(|column| *column == self).unwrap_or_default();
        Self::ALL[(here + places) % Self::ALL.len()]
    }
}

/// Figures of one node, or of all, as they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    last: Option<(f64, Figures)>,
    /// Operations a second, the newest last.
    pub operations: VecDeque<f64>,
    /// Of the reads in between, from 0 to 1; 0 where there were none.
    pub hits: VecDeque<f64>,
}

impl Series {
    /// Adds what was counted at `at`, in seconds of any clock; gives what came since the answer before. Counters that went
    /// back belong to a new process.
    pub fn add(&mut self, at: f64, figures: Figures) -> Option<Figures> {
        let (then, before) = self
            .last
            .replace((at, figures))
            .filter(|(then, before)| at > *then && figures.operations >= before.operations)?;
        let since = Figures {
            operations: figures.operations - before.operations,
            hits: figures.hits.saturating_sub(before.hits),
            misses: figures.misses.saturating_sub(before.misses),
            ..Figures::default()
        };
        self.push(since.operations as f64 / (at - then), since.hit_ratio());
        Some(since)
    }

    /// Nobody answered, so there is a gap, and what comes after it begins anew.
    pub fn gap(&mut self) {
        self.last = None;
        self.push(0.0, None);
    }

    pub fn push(&mut self, operations: f64, hits: Option<f64>) {
        for (line, value) in [(&mut self.operations, operations), (&mut self.hits, hits.unwrap_or_default())]
        {
            line.push_back(value);
            if line.len() > KEPT {
                line.pop_front();
            }
        }
    }

    /// Operations a second by the last two answers.
    pub fn rate(&self) -> Option<f64> {
        self.last.and(self.operations.back().copied())
    }
}

/// One node as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub code: ServiceCode,
    pub status: NodeStatus,
    pub series: Series,
}

impl Row {
    pub fn node(&self) -> NodeAddr {
        self.status.node
    }

    pub fn figures(&self) -> Option<&Figures> {
        self.status.answer.as_ref().map(|answer| &answer.said.figures)
    }

    /// The part of its memory that is used, from 0 to 1.
    pub fn memory(&self) -> Option<f64> {
        let figures = self.figures().filter(|figures| figures.limit_bytes > 0)?;
        Some(figures.bytes as f64 / figures.limit_bytes as f64)
    }

    /// Seconds that its process is up, by its host's word or else its own.
    pub fn up(&self) -> Option<u64> {
        let process = self.status.process.as_ref().map(|process| process.seconds);
        process.or_else(|| self.figures().map(|figures| figures.uptime))
    }

    pub fn compare(&self, other: &Self, column: Column) -> Ordering {
        let figure = |of: fn(&Figures) -> u64| self.figures().map(of).cmp(&other.figures().map(of));
        let by_column = match column {
            Column::Node => Ordering::Equal,
            Column::State => self.worst().cmp(&other.worst()),
            Column::Up => self.up().cmp(&other.up()),
            Column::Items => figure(|figures| figures.items),
            Column::Connections => figure(|figures| figures.connections),
            Column::Memory => numbers(self.memory(), other.memory()),
            Column::HitRatio => {
                let ratio = |row: &Self| row.figures().and_then(Figures::hit_ratio);
                numbers(ratio(self), ratio(other))
            }
            Column::Operations => numbers(self.series.rate(), other.series.rate()),
        };
        by_column.then_with(|| (&self.code, self.node()).cmp(&(&other.code, other.node())))
    }

    /// Rows that are well come last.
    fn worst(&self) -> (bool, Option<crate::status::DisagreementKind>) {
        let worst = self.status.disagreements.first().map(|one| one.kind);
        (worst.is_none(), worst)
    }

    /// Whether any of its words has `text` in it.
    pub fn fits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let znode = self.status.member.as_ref().map(|member| member.znode.to_lowercase());
        self.node().to_string().contains(&text)
            || self.code.as_str().to_lowercase().contains(&text)
            || self.status.words().contains(&text)
            || znode.is_some_and(|znode| znode.contains(&text))
    }
}

/// What is not known comes first.
fn numbers(one: Option<f64>, other: Option<f64>) -> Ordering {
    one.unwrap_or(-1.0).total_cmp(&other.unwrap_or(-1.0))
}

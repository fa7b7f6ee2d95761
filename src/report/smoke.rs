//! What `smoke` found of each node.

use comfy_table::Cell;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::tables::{finish, number, table};
use crate::error::Failure;
use crate::model::NodeAddr;

/// One node, and the key that it was tried with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SmokeResult {
    pub node: NodeAddr,
    pub key: String,
    pub times: SmokeTimes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Milliseconds that each part took; `None` for what was not come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SmokeTimes {
    pub connect: Option<f64>,
    pub write: Option<f64>,
    pub read: Option<f64>,
    pub delete: Option<f64>,
}

pub(super) fn render(results: &[SmokeResult]) -> String {
    let mut table = table(&["node", "", "connect ms", "write ms", "read ms", "delete ms", "key"]);
    for result in results {
        let SmokeTimes { connect, write, read, delete } = result.times;
        let time =
            |time: Option<f64>| number(time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1}")));
        let state =
            if result.failure.is_none() { "serves".green().to_string() } else { "fails".red().to_string() };
        table.add_row(vec![
            Cell::new(result.node),
            Cell::new(state),
            time(connect),
            time(write),
            time(read),
            time(delete),
            Cell::new(&result.key),
        ]);
    }
    finish(&table)
}

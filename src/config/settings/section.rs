//! One table of the settings file while it is read: which keys were asked for, which are left over.
//!
//! Boundary: tables, keys and places; what a value means is decided by who asks.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::fault::{Collector, Complaint, Reported, nearest};

/// A table of the settings file.
pub(super) struct Section<'a, 'i> {
    /// Empty for the document itself.
    path: String,
    table: &'a DeTable<'i>,
    known: Vec<&'static str>,
}

impl<'a, 'i> Section<'a, 'i> {
    pub(super) fn new(path: impl Into<String>, table: &'a DeTable<'i>) -> Self {
        Self { path: path.into(), table, known: Vec::new() }
    }

    pub(super) fn path(&self, key: &str) -> String {
        key_path(&self.path, key)
    }

    /// The value of `key`, which becomes a known one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Where the value of `key` stands.
    pub(super) fn offset(&self, key: &str) -> Option<usize> {
        self.table.get(key).map(|value| value.span().start)
    }

    /// The value of `key` as `read` takes it; what is wrong with it goes on the list.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        faults: &mut Collector<'_>,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = self.value(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(complaint) => {
                faults.add(value.span().start, self.path(key), complaint);
                None
            }
        }
    }

    /// The same, into a place that holds the default.
    pub(super) fn read_into<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        faults: &mut Collector<'_>,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Complaint>,
    ) {
        if let Some(read) = self.read(key, faults, read) {
            *place = read;
        }
    }

    /// The table of that name, if there is one.
    pub(super) fn section(
        &mut self,
        key: &'static str,
        faults: &mut Collector<'_>,
    ) -> Option<Section<'a, 'i>> {
        let value = self.value(key)?;
        table(value, &self.path(key), faults).ok().map(|table| Section::new(self.path(key), table))
    }

    /// Complains about every key that nobody asked for.
    pub(super) fn finish(self, faults: &mut Collector<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, self.known.iter().copied()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let complaint = Complaint::new("is not a setting").hint(hint);
            faults.add(key.span().start, self.path(name), complaint);
        }
    }
}

pub(super) fn table<'a, 'i>(
    value: &'a Spanned<DeValue<'i>>,
    path: &str,
    faults: &mut Collector<'_>,
) -> Result<&'a DeTable<'i>, Reported> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        other => {
            let complaint = Complaint::new(format!("is {}, not a table", kind(other)));
            Err(faults.add(value.span().start, path, complaint))
        }
    }
}

/// What sort of value this is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// `a` and `b` make `a.b`; what TOML would not take bare stands in quotes.
pub(super) fn key_path(parent: &str, key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

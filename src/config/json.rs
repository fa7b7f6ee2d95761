//! JSON as a tree that knows where everything stands, and as the plain document.
//!
//! Boundary: the language, not what is said in it. Strict JSON only, no key twice in one object.

use std::collections::HashMap;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::fault::{Collector, Complaint, Reported, shown};

/// One text, read twice: once for places, once for values.
pub(super) struct Document<'t> {
    pub(super) tree: Value<'t>,
    pub(super) value: serde_json::Value,
}

/// Reads strict JSON.
///
/// The tree's parser says more helpfully what is not JSON; `serde_json` is the more exact one, and bounds the depth. A
/// text must please both.
pub(super) fn parse<'t>(text: &'t str, faults: &mut Collector<'_>) -> Result<Document<'t>, Reported> {
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let (offset, complaint) = refusal(text, &error, faults);
            return Err(faults.add(offset, "$", complaint));
        }
    };
    let tree = match strict_tree(text) {
        Ok(Some(tree)) => tree,
        Ok(None) => return Err(faults.add(0, "$", not_json("the text is empty"))),
        Err(error) => return Err(faults.add(error.range().start, "$", not_json(&error.kind().to_string()))),
    };
    report_duplicate_keys(&tree, "$", faults);
    Ok(Document { tree, value })
}

/// Where and why a text is not JSON, by the parser that has the better word for it.
fn refusal(text: &str, error: &serde_json::Error, faults: &Collector<'_>) -> (usize, Complaint) {
    if text.trim().is_empty() {
        return (0, not_json("the text is empty"));
    }
    let whole = error.to_string();
    let reason = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(reason, _)| reason);
    let offset = faults.offset(error.line(), error.column());
    match reason {
        "recursion limit exceeded" => (offset, Complaint::new("is nested too deeply")),
        // The other parser sees `012` as two numbers, and a line break in a string as part of it.
        "invalid number" | "number out of range" => (offset, not_json(reason)),
        _ if reason.starts_with("control character") => {
            (offset, not_json("a string has a bare control character"))
        }
        _ => match strict_tree(text) {
            Err(error) => (error.range().start, not_json(&error.kind().to_string())),
            Ok(_) => (offset, not_json(reason)),
        },
    }
}

fn strict_tree(text: &str) -> Result<Option<Value<'_>>, ParseError> {
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    parse_to_ast(text, &CollectOptions::default(), &strict).map(|parsed| parsed.value)
}

fn not_json(reason: &str) -> Complaint {
    let mut characters = reason.chars();
    let lowered: String =
        characters.next().into_iter().flat_map(char::to_lowercase).chain(characters).collect();
    Complaint::new(format!("is not JSON: {lowered}"))
}

/// Only one value of such a key could be kept, and readers differ in which.
fn report_duplicate_keys(value: &Value<'_>, path: &str, faults: &mut Collector<'_>) {
    match value {
        Value::Object(object) => {
            let mut first = HashMap::new();
            for property in &object.properties {
                let (key, start) = (property.name.as_str(), property.start());
                let path = key_path(path, key);
                if let Some(earlier) = first.insert(key, start) {
                    let line = faults.line(earlier);
                    faults.add(start, &path, Complaint::new(format!("is given twice, first on line {line}")));
                }
                report_duplicate_keys(&property.value, &path, faults);
            }
        }
        Value::Array(array) => {
            for (index, element) in array.elements.iter().enumerate() {
                report_duplicate_keys(element, &index_path(path, index), faults);
            }
        }
        Value::StringLit(_) | Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

/// The value of `key`; of several, the one that the plain document has too.
pub(super) fn get<'v, 't>(object: &'v Object<'t>, key: &str) -> Option<&'v Value<'t>> {
    object
        .properties
        .iter()
        .rev()
        .find(|property| property.name.as_str() == key)
        .map(|property| &property.value)
}

/// What sort of value this is, with its article.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(literal) if literal.value => "true",
        Value::BooleanLit(_) => "false",
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "null",
    }
}

/// `$.a` and `b` make `$.a.b`; what is no plain name stands in brackets.
pub(super) fn key_path(parent: &str, key: &str) -> String {
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { format!("{parent}.{key}") } else { format!("{parent}[{}]", shown(key)) }
}

pub(super) fn index_path(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Vec<String> {
        let mut faults = Collector::new(text);
        let _ = parse(text, &mut faults);
        faults.finish().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_stops_being_json() {
        let cases = [
            ("", "1:1  $: is not JSON: the text is empty"),
            ("{\n  \"a\": 1,\n}", "2:9  $: is not JSON: trailing commas are not allowed"),
            ("{ // the cloud\n}", "1:3  $: is not JSON: comments are not allowed"),
            ("{'a': 1}", "1:2  $: is not JSON: single-quoted strings are not allowed"),
            ("{a: 1}", "1:2  $: is not JSON: expected string for object property"),
            ("{\"a\": 1 \"b\": 2}", "1:8  $: is not JSON: expected comma"),
            ("{\"a\": 012}", "1:8  $: is not JSON: invalid number"),
            ("{} {}", "1:4  $: is not JSON: text cannot contain more than one JSON value"),
            ("{\"a\": \"\u{1}\"}", "1:8  $: is not JSON: a string has a bare control character"),
            ("{\"a\": [1,", "1:7  $: is not JSON: unterminated array"),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_key_given_twice_is_refused_wherever_it_stands() {
        let text = "{\"a\": 1,\n \"x y\": [{\"b\": 1, \"b\": 1}],\n \"a\": 2, \"a\": 3}";
        assert_eq!(
            refused(text),
            [
                "2:19  $['x y'][0].b: is given twice, first on line 2",
                "3:2  $.a: is given twice, first on line 1",
                "3:10  $.a: is given twice, first on line 3",
            ]
        );
    }

    #[test]
    fn depth_is_bounded_however_deep_the_text() {
        for depth in [200, 600, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let whole = format!("{}0{}", open.repeat(depth), close.repeat(depth));
                assert_eq!(refused(&whole).len(), 1, "{depth} of {open}");
                assert_eq!(refused(&open.repeat(depth)).len(), 1, "{depth} of {open}, cut off");
                // White space that only the tree's parser takes for such gets the text past the first one.
                let strange = format!("\u{b}{}", open.repeat(depth));
                assert_eq!(refused(&strange).len(), 1, "{depth} of {open} after a vertical tab");
            }
        }
    }

    #[test]
    fn what_serde_json_writes_is_read_back() {
        let text = r#"{"name": "\ud83d\ude00 \u00e9 \/ \" \\", "n": [1, -2.5e3, true, null]}"#;
        assert_eq!(refused(text), [""; 0]);
    }
}

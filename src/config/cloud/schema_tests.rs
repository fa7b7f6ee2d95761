//! The schema says what the parser says, but for the few rules that JSON Schema cannot express.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{CLOUD_SCHEMA, parse_cloud};
use crate::config::Fault;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(CLOUD_SCHEMA).unwrap());
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// Asserts that parser and schema agree on a text; where the parser refuses it only by rules that no schema can express,
/// that the schema accepts it. A text that is no JSON at all is nothing to a schema.
#[track_caller]
pub(super) fn assert_same_verdict(text: &str) {
    let Ok(value) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else {
        assert!(parse_cloud(text).is_err(), "{text}");
        return;
    };
    let faults = parse_cloud(text).err().unwrap_or_default();
    let expressible: Vec<&Fault> = faults.iter().filter(|fault| !is_beyond_schema(fault)).collect();
    let refusals: Vec<String> = VALIDATOR.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(
        refusals.is_empty(),
        expressible.is_empty(),
        "the parser says {faults:#?}\nthe schema says {refusals:#?}\nof {text}"
    );
}

/// A schema sees values, not how or how often they were written, nor how two of them go together.
fn is_beyond_schema(fault: &Fault) -> bool {
    let said = fault.to_string();
    let is_whole_but_not_plain = || {
        let written = said.split_once(": is ").and_then(|(_, rest)| rest.split_once(';'));
        let number = written.and_then(|(number, _)| Some((number, number.parse::<f64>().ok()?)));
        number.is_some_and(|(text, number)| {
            text.contains(['.', 'e', 'E']) && number.fract() == 0.0 && (1.0..=65535.0).contains(&number)
        })
    };
    said.contains("is given twice") || said.contains("has the address") || is_whole_but_not_plain()
}

/// A good document with one server and everything in it that can be wrong.
fn good() -> Value {
    json!({
        "$schema": "cloud.schema.json",
        "serviceCode": "c",
        "servers": [{"hostname": "h", "ip": "10.0.0.1", "config": {
            "port": 1, "memlimit": 1, "connections": 1, "threads": 1
        }}],
        "config": {"port": 2, "memlimit": 1, "connections": 1, "threads": 1}
    })
}

const PLACES: [&str; 15] = [
    "/$schema",
    "/serviceCode",
    "/servers",
    "/servers/0",
    "/servers/0/hostname",
    "/servers/0/ip",
    "/servers/0/config",
    "/servers/0/config/port",
    "/servers/0/config/memlimit",
    "/servers/0/config/connections",
    "/servers/0/config/threads",
    "/config",
    "/config/port",
    "/config/memlimit",
    "/config/connections",
];

/// Values at the edges of every rule.
fn values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "c",
        " c",
        "c ",
        "a b",
        "a/b",
        "a^b",
        ".",
        "..",
        "...",
        ".c",
        "a\u{1}",
        "a\u{7f}",
        "a\u{85}",
        "\u{85}a",
        "a\u{a0}",
        "\u{a0}a",
        "a\u{2028}",
        "\u{3000}",
        "a\u{e000}",
        "a\u{fff0}",
        "a\u{ffff}",
        "캐시",
        "\u{1f600}",
        "\u{feff}",
        "-h",
        "h-",
        "0",
        "1",
        "01",
        "+1",
        "-1",
        "1.0",
        "1e3",
        "0x1",
        "١",
        " 1",
        "1 ",
        "1\n",
        "65535",
        "65536",
        "70000",
        "1000000",
        "1000001",
        "2147483647",
        "2147483648",
        "9999999999",
        "10.0.0.1",
        "10.0.0",
        "10.0.0.0.1",
        "10.0.0.256",
        "010.0.0.1",
        "10.0.0.1 ",
        "0.0.0.0",
        "0.0.0.1",
        "223.255.255.255",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        "127.0.0.1",
        "::1",
        "h.example",
        "10.0.0.1:1",
        "$(reboot)",
    ];
    let longest = "n".repeat(128);
    let others = [
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([{}]),
        json!([1]),
        json!(["c"]),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(1.0),
        json!(65535),
        json!(65536),
        json!(1_000_000),
        json!(1_000_001),
        json!(2_147_483_647),
        json!(2_147_483_648_u64),
        json!(u64::MAX),
        json!(1e300),
        json!({"port": 0}),
        json!({"port": "1", "memlimit": 1}),
        json!({"threads": null}),
        json!(longest),
        json!(longest.clone() + "n"),
    ];
    texts.into_iter().map(|text| json!(text)).chain(others).collect()
}

#[test]
fn the_schema_itself_is_a_good_one() {
    assert!(jsonschema::draft202012::meta::is_valid(&SCHEMA));
    assert_eq!(SCHEMA["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn the_samples_name_the_schema_and_please_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for sample in ["conf/ruo91.json", "conf/local.json", "scripts/demo/cloud.json"] {
        let path = root.join(sample);
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let schema = path.parent().unwrap().join(value["$schema"].as_str().unwrap());
        assert_eq!(std::fs::read_to_string(schema).unwrap(), CLOUD_SCHEMA, "{sample}");
        assert!(parse_cloud(&text).is_ok(), "{sample}");
        assert_same_verdict(&text);
    }
}

#[test]
fn every_value_at_every_place_is_judged_alike() {
    assert!(parse_cloud(&good().to_string()).is_ok());
    for place in PLACES {
        for value in values() {
            let mut document = good();
            *document.pointer_mut(place).unwrap() = value;
            assert_same_verdict(&document.to_string());
        }
    }
}

#[test]
fn whatever_is_missing_is_missed_alike() {
    let remove = |document: &mut Value, place: &str| {
        let (parent, key) = place.rsplit_once('/').unwrap();
        if let Some(Value::Object(object)) = document.pointer_mut(parent) {
            object.remove(key);
        }
    };
    for first in PLACES {
        for second in PLACES {
            let mut document = good();
            remove(&mut document, first);
            remove(&mut document, second);
            assert_same_verdict(&document.to_string());
        }
    }
}

#[test]
fn a_number_that_one_server_of_two_lacks_is_missed_alike() {
    for key in ["port", "memlimit", "connections", "threads"] {
        let mut document = good();
        document["config"].as_object_mut().unwrap().remove(key);
        let mut second = document["servers"][0].clone();
        second["ip"] = json!("10.0.0.2");
        second["config"].as_object_mut().unwrap().remove(key);
        document["servers"].as_array_mut().unwrap().push(second);
        assert!(parse_cloud(&document.to_string()).is_err(), "{key}");
        assert_same_verdict(&document.to_string());
    }
}

#[test]
fn what_json_schema_cannot_say_only_the_parser_refuses() {
    let server = r#"{"hostname": "h", "ip": "10.0.0.1", "config": {"port": 1}}"#;
    let with = |servers: &str| {
        format!(
            r#"{{"serviceCode": "c", "servers": [{servers}], "config": {{"memlimit": 1, "connections": 1, "threads": 1}}}}"#
        )
    };
    // A key given twice, two servers with one address, a whole number written as a fraction, bytes and not characters.
    let beyond = [
        with(server).replace("\"h\"", "\"h\", \"hostname\": \"h\""),
        with(&format!("{server}, {server}")),
        with(server).replace("\"port\": 1", "\"port\": 1.0"),
        with(server).replace("\"port\": 1", "\"port\": 1e3"),
        with(server).replace("\"c\"", &format!("\"{}\"", "캐".repeat(43))),
        with(server).replace("\"h\"", &format!("\"{}\"", "캐".repeat(43))),
    ];
    for text in beyond {
        assert!(parse_cloud(&text).is_err(), "{text}");
        assert!(VALIDATOR.is_valid(&serde_json::from_str(&text).unwrap()), "{text}");
    }
    assert!(parse_cloud(&with(server)).is_ok());
}

use std::fmt::Write as _;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const RUO91: &str = include_str!("../../../conf/ruo91.json");
const LOCAL: &str = include_str!("../../../conf/local.json");

/// Every fault of `text`, one a line, hints indented below.
fn faults(text: &str) -> String {
    // Whatever is tried here is tried on the schema as well.
    schema_tests::assert_same_verdict(text);
    let mut out = String::new();
    for fault in parse_cloud(text).unwrap_err() {
        writeln!(out, "{fault}").unwrap();
        if let Some(hint) = fault.hint {
            writeln!(out, "        hint: {hint}").unwrap();
        }
    }
    out
}

/// A good document of one line with one server in it; `change` makes something else of it.
fn faults_after(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut document = json!({
        "serviceCode": "c",
        "servers": [{"hostname": "h", "ip": "10.0.0.1", "config": {"port": 1}}],
        "config": {"memlimit": 1, "connections": 1, "threads": 1}
    });
    parse_cloud(&document.to_string()).unwrap();
    change(&mut document);
    let text = faults(&document.to_string());
    // Everything is on line 1, and where there is a test of its own.
    text.lines()
        .map(|line| line.split_once("  ").map_or(line, |(_, rest)| rest.trim()))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_cloud_of_the_walkthrough_has_six_nodes_on_three_hosts() {
    let cloud = parse_cloud(RUO91).unwrap();
    assert_eq!(cloud.code.as_str(), "ruo91-cloud");
    assert_eq!(
        cloud.hosts().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["172.17.0.3", "172.17.0.4", "172.17.0.5"]
    );
    let nodes: Vec<String> =
        cloud.nodes.iter().map(|node| format!("{} {}", node.addr, node.hostname)).collect();
    assert_eq!(
        nodes,
        [
            "172.17.0.3:11211 memcached-1",
            "172.17.0.3:11212 memcached-1",
            "172.17.0.4:11211 memcached-2",
            "172.17.0.4:11212 memcached-2",
            "172.17.0.5:11211 memcached-3",
            "172.17.0.5:11212 memcached-3",
        ]
    );
    let options = NodeOptions { memlimit: 100, connections: 1000, threads: 6 };
    assert!(cloud.nodes.iter().all(|node| node.options == options));
}

#[test]
fn the_local_cloud_has_two_nodes_on_this_machine() {
    let cloud = parse_cloud(LOCAL).unwrap();
    assert_eq!(cloud.code.as_str(), "local-cloud");
    let nodes: Vec<String> = cloud.nodes.iter().map(|node| node.addr.to_string()).collect();
    assert_eq!(nodes, ["127.0.0.1:11211", "127.0.0.1:11212"]);
    assert!(cloud.hosts().iter().all(crate::model::HostName::is_loopback));
    assert_eq!(cloud.nodes[0].options, NodeOptions { memlimit: 64, connections: 100, threads: 2 });
}

#[test]
fn a_config_with_ten_faults_reports_ten_in_order() {
    let text = r#"{
  "serviceCode": "team/cache",
  "servers": [
    { "hostname": "cache 1", "ip": "10.0.0.300", "config": { "port": "70000" } },
    { "hostname": "cache-2", "ip": "cache-2",    "config": { "port": 11211, "threads": "many" } },
    { "hostname": "cache-3", "ip": "10.0.0.3",   "config": { "port": 11211, "port": 11211 } },
    { "hostname": "cache-4", "ip": "10.0.0.3",   "config": { "port": "11211" } }
  ],
  "config": { "memlimit": "100MB", "threads": 4 }
}"#;
    insta::assert_snapshot!(faults(text), @r#"
    2:18  $.serviceCode: contains '/', which would split the znode's path
    4:19  $.servers[0].hostname: is 'cache 1'; a host name has no ' '
    4:36  $.servers[0].ip: is '10.0.0.300', which is no IPv4 address such as 172.17.0.3
    4:70  $.servers[0].config.port: is '70000'; a port is a whole number from 1 to 65535
    5:36  $.servers[1].ip: is 'cache-2', which is no IPv4 address
            hint: a cache node is known by the IPv4 address that it reaches ZooKeeper from; a name goes into hostname
    5:88  $.servers[1].config.threads: is 'many'; threads is a whole number from 1 to 2147483647
    6:77  $.servers[2].config.port: is given twice, first on line 6
    7:70  $.servers[3]: has the address 10.0.0.3:11211, which $.servers[2] on line 6 has already
    9:13  $.config.connections: is missing, and no server has its own
    9:27  $.config.memlimit: is '100MB'; memlimit is a whole number of megabytes from 1 to 2147483647
    "#);
    assert_eq!(parse_cloud(text).unwrap_err().len(), 10);
}

#[test]
fn faults_of_a_file_become_failures_that_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.json");
    std::fs::write(&path, RUO91.replace("\"11212\"", "\"0\"").replace("172.17.0.5", "fe80::1")).unwrap();
    let failures = load_cloud(&path).unwrap_err();
    let first = &failures.as_slice()[0];
    assert_eq!(
        first.message.strip_prefix(&path.display().to_string()),
        Some(":11:26: $.servers[1].config.port: is '0'; a port is a whole number from 1 to 65535")
    );
    assert_eq!(first.kind, crate::error::FailureKind::Config);
    assert_eq!(failures.as_slice().len(), 5);
}

#[test]
fn a_good_file_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.json");
    std::fs::write(&path, RUO91).unwrap();
    assert_eq!(load_cloud(&path).unwrap(), parse_cloud(RUO91).unwrap());
}

#[test]
fn a_nodes_own_config_lies_over_the_global_one_as_it_was_written() {
    let text = r#"{
        "servers": [
            {"ip": "10.0.0.1", "hostname": "a", "rack": 7, "config": {"port": "1", "memlimit": 200, "color": "red"}},
            {"ip": "10.0.0.2", "hostname": "b"}
        ],
        "config": {"threads": "4", "memlimit": "100", "connections": 10, "port": 2, "color": "blue", "z": null},
        "owner": {"team": "search"},
        "serviceCode": "c"
    }"#;
    let cloud = parse_cloud(text).unwrap();
    let [first, second] = cloud.nodes.as_slice() else { panic!("{cloud:?}") };
    assert_eq!(first.options, NodeOptions { memlimit: 200, connections: 10, threads: 4 });
    assert_eq!(
        json!(first.config).to_string(),
        r#"{"threads":"4","memlimit":200,"connections":10,"port":"1","color":"red","z":null}"#
    );
    assert_eq!(second.addr.to_string(), "10.0.0.2:2");
    assert_eq!(
        json!(second.config).to_string(),
        r#"{"threads":"4","memlimit":"100","connections":10,"port":2,"color":"blue","z":null}"#
    );
    // The document itself is kept to the last unknown key, in its own order.
    let keys: Vec<&String> = cloud.document.keys().collect();
    assert_eq!(keys, ["servers", "config", "owner", "serviceCode"]);
    assert_eq!(cloud.document["servers"][0]["rack"], 7);
}

#[test]
fn numbers_may_be_written_as_strings_but_must_be_plain_whole_numbers() {
    let bad = |value: serde_json::Value| {
        faults_after(|document| document["servers"][0]["config"]["port"] = value)
            .replace("$.servers[0].config.port: ", "")
            .replace("; a port is a whole number from 1 to 65535", "; RULE")
    };
    let cases = [
        (json!(0), "is 0; RULE"),
        (json!(65536), "is 65536; RULE"),
        (json!("65536"), "is '65536'; RULE"),
        (json!(-1), "is -1; RULE"),
        (json!(1.5), "is 1.5; RULE"),
        (json!(11211.0), "is 11211.0; RULE"),
        (json!("+1"), "is '+1'; RULE"),
        (json!("1e3"), "is '1e3'; RULE"),
        (json!("0x10"), "is '0x10'; RULE"),
        (json!("١"), "is '١'; RULE"),
        (json!("99999999999999999999999"), "is '99999999999999999999999'; RULE"),
        (json!("memcached"), "is 'memcached'; RULE"),
        (json!(""), "is empty; RULE"),
        (json!(" 1"), "is ' 1', with white space around the number"),
        (json!("1\n"), "is '1\\n', with white space around the number"),
        (json!("011"), "is '011', which starts with a zero"),
        (json!(null), "is null; RULE"),
        (json!(true), "is true; RULE"),
        (json!([1]), "is an array; RULE"),
        (json!({}), "is an object; RULE"),
    ];
    for (value, expected) in cases {
        assert_eq!(bad(value.clone()), expected, "{value}");
    }
    for good in [json!(1), json!("1"), json!(65535), json!("65535")] {
        let text = json!({"serviceCode": "c", "config": {"memlimit": 1, "connections": 1, "threads": 1},
            "servers": [{"hostname": "h", "ip": "10.0.0.1", "config": {"port": good}}]});
        assert!(parse_cloud(&text.to_string()).is_ok(), "{text}");
    }
}

#[test]
fn each_number_has_its_own_range() {
    let too_much = |key: &str, most: u64| {
        let text = |value: u64| LOCAL.replace(&format!("\"{key}\""), &format!("\"{key}\": {value}, \"was\""));
        assert!(parse_cloud(&text(most)).is_ok(), "{key} {most}");
        faults(&text(most + 1))
    };
    assert_eq!(
        too_much("memlimit", 2_147_483_647),
        "9:21  $.config.memlimit: is 2147483648; memlimit is a whole number of megabytes from 1 to 2147483647\n"
    );
    assert_eq!(
        too_much("connections", 1_000_000),
        "10:24  $.config.connections: is 1000001; connections is a whole number from 1 to 1000000\n"
    );
    assert_eq!(
        too_much("threads", 2_147_483_647),
        "8:20  $.config.threads: is 2147483648; threads is a whole number from 1 to 2147483647\n"
    );
}

#[test]
fn a_node_is_known_by_an_ipv4_address() {
    let bad = |ip: serde_json::Value| {
        faults_after(|document| document["servers"][0]["ip"] = ip).replace("$.servers[0].ip: ", "")
    };
    let name = "hint: a cache node is known by the IPv4 address that it reaches ZooKeeper from; a name goes into hostname";
    let cases = [
        (json!(""), "is empty".to_owned()),
        (json!(7), "is a number, not a string".to_owned()),
        (json!("10.0.0"), "is '10.0.0', which is no IPv4 address such as 172.17.0.3".to_owned()),
        (json!("10.0.0.256"), "is '10.0.0.256', which is no IPv4 address such as 172.17.0.3".to_owned()),
        (json!("010.0.0.1"), "is '010.0.0.1', which is no IPv4 address such as 172.17.0.3".to_owned()),
        (json!("10.0.0.1 "), "is '10.0.0.1 ', with white space around the address".to_owned()),
        (json!("::1"), "is '::1', an IPv6 address; arcus-memcached speaks IPv4 only".to_owned()),
        (json!("[fe80::1%eth0]"), "is '[fe80::1%eth0]', an IPv6 address; arcus-memcached speaks IPv4 only".to_owned()),
        (json!("cache-1.example"), format!("is 'cache-1.example', which is no IPv4 address\n{name}")),
        (
            json!("10.0.0.1:11211"),
            "is '10.0.0.1:11211', an address with a port\nhint: the port stands by itself, in the server's config".to_owned(),
        ),
        (json!("0.0.0.0"), "is '0.0.0.0', the unspecified address; no cache node can have it".to_owned()),
        (json!("224.0.0.1"), "is '224.0.0.1', a multicast address; no cache node can have it".to_owned()),
        (json!("255.255.255.255"), "is '255.255.255.255', the broadcast address; no cache node can have it".to_owned()),
        (json!("$(reboot)"), format!("is '$(reboot)', which is no IPv4 address\n{name}")),
    ];
    for (ip, expected) in cases {
        assert_eq!(bad(ip.clone()), expected, "{ip}");
    }
}

#[test]
fn a_hostname_must_be_fit_for_a_znodes_name() {
    let bad = |hostname: serde_json::Value| {
        faults_after(|document| document["servers"][0]["hostname"] = hostname)
            .replace("$.servers[0].hostname: ", "")
    };
    assert_eq!(bad(json!("")), "is empty");
    assert_eq!(bad(json!(null)), "is null, not a string");
    assert_eq!(bad(json!("a b")), "is 'a b'; a host name has no ' '");
    assert_eq!(bad(json!("a/b")), "is 'a/b'; a host name has no '/'");
    assert_eq!(bad(json!("a\u{7}")), "is 'a\\u{7}'; a host name has no '\\u{7}'");
    assert_eq!(bad(json!("-oProxyCommand=x")), "is '-oProxyCommand=x'; a host name does not start with '-'");
    assert_eq!(bad(json!("h".repeat(129))), "has 129 characters; a cache node accepts 128 at most");
    let longest = RUO91.replace("memcached-1", &"h".repeat(128));
    assert!(parse_cloud(&longest).is_ok());
}

#[test]
fn a_service_code_must_be_fit_for_a_znode() {
    let bad = |code: serde_json::Value| {
        faults_after(|document| document["serviceCode"] = code).replace("$.serviceCode: ", "")
    };
    assert_eq!(bad(json!("")), "is empty");
    assert_eq!(bad(json!(5)), "is a number, not a string");
    assert_eq!(bad(json!("a/b")), "contains '/', which would split the znode's path");
    assert_eq!(bad(json!("c".repeat(129))), "has 129 characters; a cache node accepts 128 at most");
    assert_eq!(
        bad(json!("a\u{1}")),
        "contains the character '\\u{1}', which ZooKeeper does not allow in a znode name"
    );
}

#[test]
fn what_is_missing_is_reported_where_it_belongs() {
    let cases: [(&str, &str); 9] = [
        ("[]", "1:1  $: is an array, not an object\n"),
        ("{}", "1:1  $.serviceCode: is missing\n1:1  $.servers: is missing\n"),
        (
            r#"{"serviceCode": "c", "servers": {}}"#,
            "1:33  $.servers: is an object, not an array of servers\n",
        ),
        (r#"{"serviceCode": "c", "servers": []}"#, "1:33  $.servers: names no server\n"),
        (r#"{"serviceCode": "c", "servers": [1]}"#, "1:34  $.servers[0]: is a number, not an object\n"),
        (
            r#"{"serviceCode": "c", "servers": [{}], "config": {"threads": 1, "memlimit": 1, "connections": 1}}"#,
            "1:34  $.servers[0].ip: is missing\n\
             1:34  $.servers[0].hostname: is missing\n\
             1:34  $.servers[0].config.port: is missing\n",
        ),
        (
            r#"{"serviceCode": "c", "servers": [{"ip": "10.0.0.1", "hostname": "h", "config": 1}]}"#,
            "1:80  $.servers[0].config: is a number, not an object\n",
        ),
        (
            r#"{"serviceCode": "c", "servers": [{"ip": "10.0.0.1", "hostname": "h", "config": {"port": 1}}], "config": []}"#,
            "1:105  $.config: is an array, not an object\n",
        ),
        (
            r#"{"servicecode": "c", "servers": [{"ip": "10.0.0.1", "hostname": "h", "config": {"port": 1}}]}"#,
            "1:1  $.serviceCode: is missing\n\
             \x20       hint: 'servicecode' is not it; the key is written serviceCode\n\
             1:1  $.config.memlimit: is missing, and no server has its own\n\
             1:1  $.config.connections: is missing, and no server has its own\n\
             1:1  $.config.threads: is missing, and no server has its own\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(text), expected, "{text}");
    }
}

#[test]
fn a_number_that_only_some_servers_lack_is_reported_at_those() {
    let text =
        RUO91.replace("\"memlimit\"", "\"was\"").replacen("\"11211\"", "\"11211\", \"memlimit\": 1", 1);
    insta::assert_snapshot!(faults(&text), @r#"
    10:21  $.servers[1].config.memlimit: is missing, here and in $.config
    15:21  $.servers[2].config.memlimit: is missing, here and in $.config
    20:21  $.servers[3].config.memlimit: is missing, here and in $.config
    25:21  $.servers[4].config.memlimit: is missing, here and in $.config
    30:21  $.servers[5].config.memlimit: is missing, here and in $.config
    "#);
}

#[test]
fn a_wrong_global_number_is_reported_once_not_for_every_server() {
    assert_eq!(
        faults(&RUO91.replace("\"100\"", "\"lots\"")),
        "37:24  $.config.memlimit: is 'lots'; memlimit is a whole number of megabytes from 1 to 2147483647\n"
    );
}

#[test]
fn two_servers_with_one_address_are_both_named() {
    assert_eq!(
        faults(&RUO91.replace("11212", "11211").replace("172.17.0.5", "172.17.0.4")),
        "11:26  $.servers[1]: has the address 172.17.0.3:11211, which $.servers[0] on line 6 has already\n\
         21:26  $.servers[3]: has the address 172.17.0.4:11211, which $.servers[2] on line 16 has already\n\
         26:26  $.servers[4]: has the address 172.17.0.4:11211, which $.servers[2] on line 16 has already\n\
         31:26  $.servers[5]: has the address 172.17.0.4:11211, which $.servers[2] on line 16 has already\n"
    );
}

#[test]
fn one_ip_may_go_by_two_hostnames() {
    assert!(parse_cloud(&RUO91.replacen("memcached-1", "other", 1)).is_ok());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(parse_cloud(&format!("\u{feff}{RUO91}")).unwrap(), parse_cloud(RUO91).unwrap());
    assert_eq!(faults("\u{feff}[]"), "1:1  $: is an array, not an object\n");
}

#[test]
fn a_document_that_arcus_sh_registered_is_read_back() {
    let text = r#"{"created": "2014-05-22 07:27:21.121711", "modified": null, "serviceCode": "c",
        "servers": [{"ip": "10.0.0.1", "config": {"port": "11211"}}],
        "config": {"threads": "6", "memlimit": "100", "connections": "1000"}}"#;
    let cloud = parse_registered(text).unwrap();
    assert_eq!(cloud.nodes[0].hostname, "10.0.0.1");
    assert_eq!(cloud.document["created"], "2014-05-22 07:27:21.121711");
    assert_eq!(faults(text), "2:21  $.servers[0].hostname: is missing\n");
    assert_eq!(
        parse_registered(&json!(parse_cloud(RUO91).unwrap().document).to_string()),
        parse_cloud(RUO91)
    );
}

#[test]
fn what_other_tools_leave_in_the_znode_is_a_fault_not_a_crash() {
    for data in ["", "0", "arcus1.8", "null", "\"text\""] {
        assert_eq!(parse_registered(data).unwrap_err().len(), 1, "{data}");
    }
}

#[test]
fn two_hundred_nodes_in_a_megabyte_are_read_in_no_time() {
    let padding = "p".repeat(5000);
    let servers: Vec<_> = (0..200)
        .map(|index| json!({"hostname": "h", "ip": format!("10.0.0.{index}"), "note": padding, "config": {"port": 1}}))
        .collect::<Vec<_>>();
    let mut document = json!({
        "serviceCode": "c", "servers": servers, "config": {"memlimit": 1, "connections": 1, "threads": 1}
    });
    document["servers"][0]["ip"] = json!("10.1.0.1");
    let text = document.to_string();
    assert!(text.len() > 1_000_000);
    let start = Instant::now();
    assert_eq!(parse_cloud(&text).unwrap().nodes.len(), 200);
    // It takes milliseconds; the bound leaves room for a busy machine and still catches what is quadratic.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_flood_of_faults_is_no_harder() {
    let text = format!("{{\"serviceCode\": \"c\", \"servers\": [{}0]}}", "{},".repeat(20_000));
    let start = Instant::now();
    assert!(parse_cloud(&text).unwrap_err().len() > 60_000);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// A document near the right shape, for a fuzzer to get past the first check.
fn near_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".{0,12}".prop_map(|value| json!(value)),
        prop_oneof!["10.0.0.1", "h", "c", "11211"].prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = prop_oneof![
            "serviceCode",
            "servers",
            "config",
            "hostname",
            "ip",
            "port",
            "memlimit",
            "threads",
            "connections",
            ".{0,3}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| json!(values)),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Whatever comes in, the answer is a cloud or at least one fault, and every fault lies within the text.
fn check(text: &str) -> Result<(), TestCaseError> {
    for parsed in [parse_cloud(text), parse_registered(text)] {
        let Err(faults) = parsed else { continue };
        prop_assert!(!faults.is_empty());
        let lines: Vec<&str> = text.split('\n').collect();
        for fault in &faults {
            prop_assert!((1..=lines.len()).contains(&fault.line), "{}", fault);
            prop_assert!(
                (1..=lines[fault.line - 1].chars().count() + 1).contains(&fault.column),
                "{}",
                fault
            );
        }
        let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
        prop_assert!(places.is_sorted(), "{:?}", places);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn no_document_makes_it_panic(document in near_json(), pretty: bool) {
        let text = if pretty { format!("{document:#}") } else { document.to_string() };
        check(&text)?;
    }

    #[test]
    fn no_damage_to_a_good_document_makes_it_panic(
        at in 0..RUO91.len(),
        length in 0..20_usize,
        instead in "[\\[\\]{},:\"0-9a\\\\u\u{e9}\n -]{0,4}",
    ) {
        let mut text = RUO91.to_owned();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &instead);
        check(&text)?;
    }
}

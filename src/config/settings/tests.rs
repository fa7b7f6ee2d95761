use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::Fault;

const SAMPLE: &str = include_str!("../../../conf/arcusctl.toml");

fn parse(text: &str) -> Result<Settings, Vec<Fault>> {
    parse_settings(text, Path::new("/site"), Some(Path::new("/home/op")))
}

/// Every fault of `text`, one a line, hints indented below.
fn faults(text: &str) -> String {
    let mut out = String::new();
    for fault in parse(text).unwrap_err() {
        writeln!(out, "{fault}").unwrap();
        if let Some(hint) = fault.hint {
            writeln!(out, "        hint: {hint}").unwrap();
        }
    }
    out
}

/// What is wrong with the value of `key`, written as TOML.
fn wrong(section: &str, key: &str, value: &str) -> String {
    let text = faults(&format!("[{section}]\n{key} = {value}"));
    let (_, message) = text.split_once(": ").unwrap();
    message.trim_end().to_owned()
}

/// The sample with every setting in force that it has in a comment.
fn uncommented() -> String {
    let setting = |line: &'static str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(|first: char| first == '[' || first.is_ascii_alphabetic()))
    };
    SAMPLE.lines().map(|line| setting(line).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_as_it_is_changes_nothing() {
    assert_eq!(parse(SAMPLE).unwrap(), Settings::default());
}

#[test]
fn the_sample_with_every_setting_in_force_is_good_and_tells_the_defaults() {
    let settings = parse(&uncommented()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let defaults = Settings::default();
    assert_eq!(settings.install_path, defaults.install_path);
    assert_eq!(settings.concurrency, defaults.concurrency);
    assert_eq!(settings.memcached.user, defaults.memcached.user);
    assert_eq!(settings.zookeeper.peer_port, defaults.zookeeper.peer_port);
    assert_eq!(settings.zookeeper.election_port, defaults.zookeeper.election_port);
    assert_eq!(settings.timeouts, defaults.timeouts);
    assert_eq!(settings.package, Some("/site/arcus.tar.gz".into()));
    assert_eq!(settings.ssh.identity, Some("/home/op/.ssh/id_ed25519".into()));
    assert_eq!(settings.zookeeper.members.len(), 1);
}

#[test]
fn the_sample_has_every_setting_there_is() {
    let sample: toml::Table = uncommented().parse().unwrap();
    let member = "zookeeper.members.\"172.17.0.3:2181\"";
    for section in ["", "ssh", "memcached", "zookeeper", member, "timeouts"] {
        let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let complaint = faults(&format!("{header}no_such_setting_at_all = 1"));
        let (_, known) = complaint.trim_end().split_once("known here: ").unwrap();
        let mut known: Vec<&str> = known.split(", ").collect();
        known.sort_unstable();
        let mut table = &sample;
        for step in section.splitn(3, '.').filter(|step| !step.is_empty()) {
            table = table[step.trim_matches('"')].as_table().unwrap();
        }
        let mut there: Vec<&str> = table.keys().map(String::as_str).collect();
        there.sort_unstable();
        assert_eq!(there, known, "[{section}]");
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let settings = parse("").unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.install_path, "/opt/arcus");
    assert_eq!(settings.concurrency, 32);
    assert_eq!(settings.memcached.user, "memcached");
    assert_eq!((settings.zookeeper.peer_port.get(), settings.zookeeper.election_port.get()), (2888, 3888));
}

#[test]
fn everything_that_is_set_arrives() {
    let settings = parse(
        r#"
        install_path = "/srv/arcus//"
        package = "~/builds/arcus.tar.gz"
        concurrency = 0x10
        [ssh]
        user = "deploy"
        port = 2222
        identity = "keys/id"
        [memcached]
        user = "cache_1"
        session_timeout = 10
        extra_args = ["-e", "k=v; x", "-M"]
        [zookeeper]
        servers = "10.0.0.1:2181, 10.0.0.2:2181"
        peer_port = 1
        election_port = 65535
        data_dir = "/var/lib/zk"
        [zookeeper.properties]
        tickTime = 1_000
        autopurge.purgeInterval = 1
        "admin.enableServer" = false
        4lw.commands.whitelist = "*"
        fraction = 0.5
        [zookeeper.members."10.0.0.2:2181"]
        id = 255
        peer_port = 7
        data_dir = "/x"
        [timeouts]
        connect = "1500ms"
        join = "2m 30s"
        "#,
    )
    .unwrap();
    assert_eq!(settings.install_path, "/srv/arcus");
    assert_eq!(settings.package, Some("/home/op/builds/arcus.tar.gz".into()));
    assert_eq!(settings.concurrency, 16);
    let ssh =
        SshSettings { user: Some("deploy".into()), port: Some(2222), identity: Some("/site/keys/id".into()) };
    assert_eq!(settings.ssh, ssh);
    assert_eq!(settings.memcached.user, "cache_1");
    assert_eq!(settings.memcached.session_timeout, Some(10));
    assert_eq!(settings.memcached.extra_args, ["-e", "k=v; x", "-M"]);
    let zookeeper = settings.zookeeper;
    assert_eq!(zookeeper.servers.unwrap().to_string(), "10.0.0.1:2181,10.0.0.2:2181");
    assert_eq!((zookeeper.peer_port.get(), zookeeper.election_port.get()), (1, 65535));
    assert_eq!(zookeeper.data_dir.as_deref(), Some("/var/lib/zk"));
    let properties: Vec<String> =
        zookeeper.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        properties,
        [
            "4lw.commands.whitelist=*",
            "admin.enableServer=false",
            "autopurge.purgeInterval=1",
            "fraction=0.5",
            "tickTime=1000"
        ]
    );
    let own = &zookeeper.members[&"10.0.0.2:2181".parse().unwrap()];
    assert_eq!(own.id, Some(255));
    assert_eq!(own.peer_port, NonZeroU16::new(7));
    assert_eq!(own.data_dir.as_deref(), Some("/x"));
    assert_eq!(settings.timeouts.connect, Duration::from_millis(1500));
    assert_eq!(settings.timeouts.join, Duration::from_secs(150));
    assert_eq!(settings.timeouts.stop, Timeouts::default().stop);
}

#[test]
fn a_file_with_faults_all_over_reports_every_one_in_order() {
    insta::assert_snapshot!(faults(
        r#"instal_path = "/opt/arcus"
concurrency = "32"
[ssh]
user = "-oProxyCommand=reboot"
port = 0
[memcached]
session_timeout = 5
extra_args = ["-v", 7, "-p11211"]
[zookeeper]
servers = ["10.0.0.1:2181", "10.0.0.2", 3, "10.0.0.1:2181", "[::1]:2181"]
peer_port = 3888
data_dir = "data"
colour = 1
[zookeeper.properties]
dataDir = "/x"
clientPort = 2181
server.1 = "a:1:2"
dynamicConfigFile = "/x"
tickTime = [1]
"bad name" = 1
initLimit = "1\ntickTime=1"
[timeouts]
connect = 10
join = "soon"
stop = "25h"
command = "0s"
"#
    ), @r#"
    1:1  instal_path: is not a setting
            hint: did you mean install_path?
    2:15  concurrency: is a string; it is a whole number from 1 to 1024
    4:8  ssh.user: is '-oProxyCommand=reboot'; a user name has letters, digits, '.', '_' and '-', and does not start with '-'
    5:8  ssh.port: is 0; it is a whole number from 1 to 65535
    7:19  memcached.session_timeout: is 5; it is a whole number from 10 to 2000
    8:21  memcached.extra_args[1]: is a number, not a string
    8:24  memcached.extra_args[2]: is '-p11211', which arcusctl sets itself
            hint: it is 'port' in the cloud's JSON
    10:29  zookeeper.servers[1]: is wrong: entry 2, '10.0.0.2', has no port; write it as 10.0.0.2:2181
    10:41  zookeeper.servers[2]: is a number, not a string such as "10.0.0.1:2181"
    10:44  zookeeper.servers[3]: is wrong: entry 4, '10.0.0.1:2181', stands in the list twice
    10:61  zookeeper.servers[4]: is wrong: entry 5, '[::1]:2181', is an IPv6 address; arcus-memcached speaks IPv4 only
    11:13  zookeeper.peer_port: is 3888, as is election_port; they must differ
    12:12  zookeeper.data_dir: is 'data', which is not absolute
            hint: write the whole path from / on; it is a path on every host
    13:1  zookeeper.colour: is not a setting
            hint: known here: servers, peer_port, election_port, data_dir, properties, members
    15:1  zookeeper.properties.dataDir: is written by arcusctl itself
            hint: use zookeeper.data_dir
    16:1  zookeeper.properties.clientPort: is written by arcusctl itself
            hint: the client ports stand in zookeeper.servers
    17:8  zookeeper.properties.server.1: is written by arcusctl itself
            hint: use zookeeper.servers, zookeeper.peer_port and zookeeper.election_port
    18:1  zookeeper.properties.dynamicConfigFile: is written by arcusctl itself
            hint: the members stand in zookeeper.servers
    19:12  zookeeper.properties.tickTime: is an array; a property is a string, a number, true or false
    20:1  zookeeper.properties."bad name": is no property; a name has letters, digits, '.', '_' and '-'
    21:13  zookeeper.properties.initLimit: is '1\ntickTime=1'; a property is one line of plain text
    23:11  timeouts.connect: is 10 without a unit
            hint: write "10s" for seconds
    24:8  timeouts.join: is 'soon', which is no length of time
            hint: write a length of time with its unit, such as "10s" or "2m 30s"
    25:8  timeouts.stop: is '25h'; it is more than none and at most 24h
    26:11  timeouts.command: is '0s'; it is more than none and at most 24h
    "#);
}

#[test]
fn what_is_not_toml_is_reported_wherever_it_is() {
    insta::assert_snapshot!(faults("concurrency = \n[ssh\nuser = \"a\"\nport = 1\nport = 2\n"), @r#"
    1:15  is not TOML: string values must be quoted, expected literal string
    2:5  is not TOML: unclosed table, expected `]`
    "#);
}

#[test]
fn a_setting_given_twice_does_not_hide_other_faults() {
    assert_eq!(
        faults("concurrency = 1\nconcurrency = 2\n[ssh]\nport = 0\n[ssh]\nuser = 1\n"),
        "2:1  'concurrency' is given a second time\n\
         4:8  ssh.port: is 0; it is a whole number from 1 to 65535\n\
         5:2  'ssh' is given a second time\n\
         6:8  ssh.user: is a number, not a string\n"
    );
}

#[test]
fn a_path_on_the_hosts_is_absolute_and_plain() {
    let wrong = |path: &str| wrong("zookeeper", "data_dir", &toml::Value::from(path).to_string());
    assert_eq!(wrong(""), "is empty");
    assert_eq!(wrong("/"), "is '/', the root of the host's whole file system");
    assert_eq!(wrong("///"), "is '///', the root of the host's whole file system");
    assert_eq!(wrong("/a/../b"), "is '/a/../b'; write the path without '.' and '..'");
    assert!(wrong("opt/arcus").starts_with("is 'opt/arcus', which is not absolute"));
    for (path, character) in [
        ("/a b", "' '"),
        ("/a\nb", "'\\n'"),
        ("/a\tb", "'\\t'"),
        ("/a'b", "'\\''"),
        ("/a\"b", "'\"'"),
        ("/a\\b", "'\\\\'"),
        ("/$HOME", "'$'"),
        ("/a;b", "';'"),
        ("/a:b", "':'"),
        ("/a*", "'*'"),
        ("/a\u{a0}b", "'\\u{a0}'"),
    ] {
        let message = wrong(path);
        assert!(
            message.ends_with(&format!("ZooKeeper's own scripts stand no {character} in a path")),
            "{message}"
        );
    }
}

#[test]
fn arcus_is_never_installed_over_a_system_directory() {
    for path in ["/usr", "/opt/", "//etc", "/var/lib"] {
        let text = faults(&format!("install_path = {path:?}"));
        assert!(text.contains("which the host needs for other things"), "{text}");
    }
    for path in ["/", ".", "arcus", "/opt/../opt"] {
        assert!(parse(&format!("install_path = {path:?}")).is_err(), "{path}");
    }
    assert_eq!(parse("install_path = '/캐시/arcus'").unwrap().install_path, "/캐시/arcus");
}

#[test]
fn a_home_is_only_ones_own() {
    let message = wrong("ssh", "identity", "'~other/key'");
    assert_eq!(message, "is '~other/key'; only your own home can be written as ~/");
    let homeless = parse_settings("package = '~/a'", Path::new("/site"), None).unwrap_err();
    assert_eq!(homeless[0].message, "is '~/a', and no home directory is known");
    assert_eq!(parse("package = '~//etc/a'").unwrap().package, Some("/home/op/etc/a".into()));
    assert_eq!(parse("package = '/abs/a b'").unwrap().package, Some("/abs/a b".into()));
}

#[test]
fn numbers_have_their_ranges() {
    let cases = [
        ("memcached", "session_timeout", "9", "is 9; it is a whole number from 10 to 2000"),
        ("memcached", "session_timeout", "2001", "is 2001; it is a whole number from 10 to 2000"),
        ("memcached", "session_timeout", "30.0", "is a fraction; it is a whole number from 10 to 2000"),
        ("ssh", "port", "65536", "is 65536; it is a whole number from 1 to 65535"),
        ("zookeeper", "peer_port", "-1", "is -1; it is a whole number from 1 to 65535"),
        ("zookeeper", "peer_port", "\"1\"", "is a string; it is a whole number from 1 to 65535"),
    ];
    for (section, key, value, expected) in cases {
        assert_eq!(wrong(section, key, value), expected);
    }
    assert!(parse("concurrency = 1025").is_err() && parse("concurrency = 0").is_err());
    assert!(parse("concurrency = 99999999999999999999999999999999999999999999").is_err());
    assert!(parse("concurrency = 1024\n[memcached]\nsession_timeout = 2000").is_ok());
}

#[test]
fn a_wait_is_a_length_of_time_with_its_unit() {
    for good in ["1ms", "10s", "2m 30s", "1 hour", "24h", "PT10S"] {
        assert!(parse(&format!("[timeouts]\njoin = {good:?}")).is_ok(), "{good}");
    }
    for bad in ["0s", "-1s", "24h 1ms", "10", "ten seconds", "", "99999999999999999999h"] {
        assert!(parse(&format!("[timeouts]\njoin = {bad:?}")).is_err(), "{bad}");
    }
}

#[test]
fn a_section_that_is_no_table_is_one_fault() {
    for section in ["ssh", "memcached", "zookeeper", "timeouts"] {
        assert_eq!(
            faults(&format!("{section} = 1")),
            format!("1:{}  {section}: is a number, not a table\n", section.len() + 4)
        );
    }
    assert_eq!(wrong("zookeeper", "properties", "1"), "is a number, not a table");
    assert_eq!(wrong("zookeeper", "members", "[]"), "is an array, not a table");
}

#[test]
fn an_ensemble_is_an_array_or_one_string() {
    for servers in ["['a:1', 'b:2']", "'a:1,b:2'", "' a:1, b:2 '"] {
        let settings = parse(&format!("[zookeeper]\nservers = {servers}")).unwrap();
        assert_eq!(settings.zookeeper.servers.unwrap().to_string(), "a:1,b:2");
    }
    assert_eq!(wrong("zookeeper", "servers", "[]"), "names no server");
    assert_eq!(wrong("zookeeper", "servers", "''"), "is wrong: the ensemble list is empty");
    assert_eq!(
        faults("[zookeeper]\nservers = 'a:1,b,c:x'"),
        "2:11  zookeeper.servers: is wrong: entry 2, 'b', has no port; write it as b:2181\n\
         2:11  zookeeper.servers: is wrong: entry 3, 'c:x', has the port 'x'; a port is a number from 1 to 65535\n"
    );
    assert_eq!(faults("[zookeeper]\nservers = [5]").lines().count(), 1);
}

#[test]
fn a_member_cannot_use_one_port_for_two_things() {
    let same = "is 3888, as is election_port; they must differ";
    assert_eq!(wrong("zookeeper", "peer_port", "3888"), same);
    assert_eq!(
        faults("[zookeeper]\npeer_port = 5\nelection_port = 5"),
        "3:17  zookeeper.election_port: is 5, as is peer_port; they must differ\n"
    );
    assert!(parse("[zookeeper]\npeer_port = 3888\nelection_port = 2888").is_ok());
}

#[test]
fn members_stand_in_the_ensemble_and_out_of_each_others_way() {
    insta::assert_snapshot!(faults(
        r#"[zookeeper]
servers = ["a:2181", "a:2182", "b:2181"]
[zookeeper.members."a:2181"]
id = 1
peer_port = 2182
data_dir = "/data"
[zookeeper.members."a:2182"]
id = 1
[zookeeper.members."b:2181"]
id = 256
peer_port = 9
election_port = 9
data_dir = "/data"
[zookeeper.members."c:2181"]
[zookeeper.members."a"]
[zookeeper.members." a:2181"]
[zookeeper.members.x]
colour = 1
"#
    ), @r#"
    3:20  zookeeper.members."a:2181": has the port 2182, on which a:2182 serves clients
    7:20  zookeeper.members."a:2182": has the id 1, which a:2181 has already
    10:6  zookeeper.members."b:2181".id: is 256; it is a whole number from 1 to 255
    12:17  zookeeper.members."b:2181".election_port: is 9, as is peer_port; they must differ
    14:20  zookeeper.members."c:2181": is not one of zookeeper.servers
            hint: these are: a:2181,a:2182,b:2181
    15:20  zookeeper.members.a: has no port; write it as a:2181
            hint: write a member as it stands in zookeeper.servers
    16:20  zookeeper.members." a:2181": is the same member as a:2181
    17:20  zookeeper.members.x: has no port; write it as x:2181
            hint: write a member as it stands in zookeeper.servers
    18:1  zookeeper.members.x.colour: is not a setting
            hint: known here: id, peer_port, election_port, data_dir
    "#);
}

#[test]
fn members_on_one_host_share_neither_ports_nor_data() {
    let pair = |first: &str, second: &str| {
        faults(&format!("[zookeeper.members.'a:1']\n{first}\n[zookeeper.members.'a:2']\n{second}\n"))
    };
    assert!(
        pair("peer_port = 7", "election_port = 7")
            .contains("has the port 7, which a:1 on the same host has already")
    );
    assert!(
        pair("data_dir = '/d'", "data_dir = '/d/'")
            .contains("has the data_dir '/d', which a:1 on the same host has already")
    );
    assert!(
        parse("[zookeeper.members.'a:1']\npeer_port = 7\n[zookeeper.members.'b:1']\npeer_port = 7").is_ok()
    );
}

#[test]
fn a_property_given_in_two_spellings_is_given_twice() {
    assert_eq!(
        faults("[zookeeper.properties]\n\"autopurge.purgeInterval\" = 1\nautopurge.purgeInterval = 2"),
        "2:1  zookeeper.properties.\"autopurge.purgeInterval\": gives autopurge.purgeInterval a second time\n"
    );
}

#[test]
fn depth_is_bounded_however_deep_the_text() {
    for depth in [100, 100_000] {
        let _ = parse(&format!("a = {}", "[".repeat(depth)));
        let _ = parse(&format!("a = {}", "{b=".repeat(depth)));
        let _ = parse(&format!("[zookeeper.properties]\n{}a = 1", "a.".repeat(depth)));
        let _ = parse(&format!("[zookeeper.properties.{}a]\nb = 1", "a.".repeat(depth)));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(
        at in 0_usize..8000,
        length in 0..40_usize,
        instead in "[\\[\\]{}=.\"'#0-9a\\\\u\u{e9}\n -]{0,6}",
    ) {
        let mut text = uncommented();
        let at = at % text.len();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &instead);
        check(&text)?;
    }

    #[test]
    fn no_values_make_it_panic(values in prop::collection::vec((0..KEYS.len(), value()), 1..8)) {
        let text: String = values.iter().map(|(key, value)| format!("{} = {value}\n", KEYS[*key])).collect();
        check(&text)?;
    }
}

const KEYS: [&str; 14] = [
    "install_path",
    "package",
    "concurrency",
    "ssh.user",
    "ssh.port",
    "ssh.identity",
    "memcached.user",
    "memcached.extra_args",
    "zookeeper.servers",
    "zookeeper.peer_port",
    "zookeeper.properties.x",
    "zookeeper.members",
    "timeouts.join",
    "x",
];

fn value() -> impl Strategy<Value = String> {
    let text = |text: String| toml::Value::from(text).to_string();
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,10}".prop_map(text),
        "[a-z0-9:,/~. -]{0,12}".prop_map(text),
        "[0-9]{1,20}(ms|s|m|h|d|y)".prop_map(text),
        prop::collection::vec("[a-z0-9:]{0,8}".prop_map(text), 0..4)
            .prop_map(|all| format!("[{}]", all.join(","))),
        Just("{ 'a:1' = { id = 1 } }".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("nan".to_owned()),
    ]
}

/// Whatever comes in, the answer is settings or at least one fault, and every fault lies within the text.
fn check(text: &str) -> Result<(), TestCaseError> {
    let Err(faults) = parse(text) else { return Ok(()) };
    prop_assert!(!faults.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for fault in &faults {
        prop_assert!((1..=lines.len()).contains(&fault.line), "{}", fault);
        prop_assert!((1..=lines[fault.line - 1].chars().count() + 1).contains(&fault.column), "{}", fault);
    }
    Ok(())
}

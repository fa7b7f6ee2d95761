//! The command line of arcus-memcached 1.15, as its getopt reads it.

use crate::exit::{Code, Fatal};

/// Every option there is; a colon says that the one before takes a value, attached (`-m100`) or not (`-m 100`).
const OPTSTRING: &str = "a:p:s:U:m:Mc:khirvdl:u:P:f:n:t:D:LR:Cb:B:I:SE:e:qX:g:z:o:x:";

const HELP: &str = "\
memcached of the Arcus lab: a stand-in for arcus-memcached 1.15, with its command line.
-E <file>     engine (must exist)             -X <file>[,cfg]  extension (must exist); repeatable
-p <port>     TCP port (11211)                -l <addr>[,addr]  listen there only
-d            run as a daemon                 -P <file>         pid file, with -d
-u <user>     run as that user (as root)      -r                allow core dumps
-m <MB>       memory (64)                     -c <n>            connections (1024)
-t <n>        threads (4)                     -b <n>            backlog (1024)
-z <h:p,...>  join the Arcus cloud there      -o <sec>          ZooKeeper session timeout, 10 to 2000 (30)
-v, -vv       say what happens                -h                this text
Accepted and without effect: -a -B -C -D -e -f -g -I -i -k -L -M -n -q -R -U -x
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Run(Options),
    Explain(&'static str),
}

/// The options that mean something to the stand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) listen: Vec<String>,
    pub(crate) memory_mb: u64,
    pub(crate) connections: u64,
    pub(crate) threads: u64,
    pub(crate) backlog: u32,
    pub(crate) daemon: bool,
    pub(crate) core_dumps: bool,
    pub(crate) verbose: u8,
    pub(crate) user: Option<String>,
    pub(crate) pid_file: Option<String>,
    pub(crate) engine: String,
    pub(crate) extensions: Vec<String>,
    pub(crate) ensemble: Option<String>,
    pub(crate) session_seconds: u64,
}

/// The session timeout when `-o` is absent or out of its range.
const SESSION_SECONDS: u64 = 30;

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, Fatal> {
    let mut options = Options {
        port: 11211,
        listen: Vec::new(),
        memory_mb: 64,
        connections: 1024,
        threads: 4,
        backlog: 1024,
        daemon: false,
        core_dumps: false,
        verbose: 0,
        user: None,
        pid_file: None,
        engine: String::new(),
        extensions: Vec::new(),
        ensemble: None,
        session_seconds: SESSION_SECONDS,
    };
    for (letter, value) in getopt(arguments)? {
        match letter {
            'h' | 'i' => return Ok(Request::Explain(HELP)),
            'p' => options.port = number(letter, &value, 1)?,
            'l' => options.listen = value.split(',').map(|part| part.trim().to_owned()).collect(),
            'm' => options.memory_mb = number(letter, &value, 1)?,
            'c' => {
                options.connections =
                    number(letter, &value, 2).map_err(|e| Fatal { code: Code::Usage, ..e })?;
            }
            't' => options.threads = number(letter, &value, 1)?,
            'b' => options.backlog = number(letter, &value, 0)?,
            'R' | 'n' => drop(number::<u64>(letter, &value, 1)?),
            'U' => drop(number::<u16>(letter, &value, 0)?),
            'd' => options.daemon = true,
            'r' => options.core_dumps = true,
            'v' => options.verbose = options.verbose.saturating_add(1),
            'u' => options.user = Some(value),
            'P' => options.pid_file = Some(value),
            'E' => options.engine = value,
            'X' => options.extensions.push(value),
            'z' => options.ensemble = Some(value),
            // Anything else than 10…2000 is silently no timeout at all, as in the real one.
            'o' => {
                options.session_seconds =
                    value.parse().ok().filter(|s| (10..=2000).contains(s)).unwrap_or(SESSION_SECONDS);
            }
            'B' if !["auto", "ascii", "binary"].contains(&value.as_str()) => {
                return Err(Fatal::new(Code::Usage, format!("-B {value}: must be auto, ascii or binary")));
            }
            's' => return Err(Fatal::new(Code::Usage, "-s: the stand-in has no Unix sockets")),
            'S' => return Err(Fatal::new(Code::Usage, "-S: this server is not built with SASL support")),
            _ => {}
        }
    }
    if options.engine.is_empty() {
        return Err(Fatal::new(Code::Failure, "no engine: -E is needed"));
    }
    Ok(Request::Run(options))
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(
    letter: char,
    value: &str,
    least: u8,
) -> Result<T, Fatal> {
    let bad = || Fatal::new(Code::Failure, format!("-{letter} {value}: not a number that -{letter} takes"));
    value.trim().parse::<T>().ok().filter(|n| *n >= T::from(least)).ok_or_else(bad)
}

/// Splits arguments as getopt(3) does: clustered flags, values attached or not, `--` ends, others are skipped.
fn getopt(arguments: impl IntoIterator<Item = String>) -> Result<Vec<(char, String)>, Fatal> {
    let mut found = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        let Some(cluster) = argument.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
            continue;
        };
        for (at, letter) in cluster.char_indices() {
            let after = &cluster[at + letter.len_utf8()..];
            match OPTSTRING.find(letter).filter(|_| letter != ':') {
                None => return Err(Fatal::new(Code::Failure, format!("illegal option -- '{letter}'"))),
                Some(place) if !OPTSTRING[place + 1..].starts_with(':') => {
                    found.push((letter, String::new()));
                }
                Some(_) => {
                    let value = if after.is_empty() { rest.next() } else { Some(after.to_owned()) };
                    let missing =
                        || Fatal::new(Code::Failure, format!("option requires an argument -- '{letter}'"));
                    found.push((letter, value.ok_or_else(missing)?));
                    break;
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Options, Fatal> {
        match parse(line.split_whitespace().map(str::to_owned))? {
            Request::Run(options) => Ok(options),
            Request::Explain(_) => unreachable!("{line} asks for help"),
        }
    }

    #[test]
    fn reads_the_line_of_arcus_sh() {
        let options = run(
            "-E /opt/arcus/lib/default_engine.so -X /opt/arcus/lib/syslog_logger.so -X /opt/arcus/lib/ascii_scrub.so \
             -d -v -r -R5 -U 0 -D: -b 8192 -m100 -p 11300 -c 1000 -t 6 -z 10.0.0.1:2181,10.0.0.2:2181",
        )
        .unwrap();
        assert_eq!(
            (options.memory_mb, options.port, options.connections, options.threads),
            (100, 11300, 1000, 6)
        );
        assert_eq!(options.extensions.len(), 2);
        assert!(options.daemon && options.core_dumps);
        assert_eq!((options.verbose, options.backlog), (1, 8192));
        assert_eq!(options.ensemble.as_deref(), Some("10.0.0.1:2181,10.0.0.2:2181"));
    }

    #[test]
    fn flags_cluster_and_the_last_may_take_a_value() {
        let options = run("-dvvp11211 -E x").unwrap();
        assert_eq!((options.daemon, options.verbose, options.port), (true, 2, 11211));
    }

    #[test]
    fn an_odd_session_timeout_is_silently_the_default() {
        for (given, taken) in [("9", 30), ("10", 10), ("2000", 2000), ("2001", 30), ("x", 30)] {
            assert_eq!(run(&format!("-E x -o {given}")).unwrap().session_seconds, taken, "-o {given}");
        }
    }

    #[test]
    fn exit_codes_of_bad_lines() {
        for (line, code) in [
            ("-E x -O", Code::Failure),
            ("-E x -m", Code::Failure),
            ("-E x -m 0", Code::Failure),
            ("-E x -t zero", Code::Failure),
            ("-E x -c 0", Code::Usage),
            ("-E x -B telnet", Code::Usage),
            ("-p 11211", Code::Failure),
            ("-E x -c 1", Code::Usage),
        ] {
            assert_eq!(run(line).unwrap_err().code, code, "{line}");
        }
    }
}

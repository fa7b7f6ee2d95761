use std::collections::BTreeSet;

use tokio::io::duplex;

use super::*;

/// A node that answers each line that it is sent with the next of `answers`, and then goes.
async fn node(answers: &'static [&'static str]) -> Result<NodeLink, Failure> {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(async move {
        let mut far = BufReader::new(far);
        for answer in answers {
            let mut line = String::new();
            if far.read_line(&mut line).await.is_err() || far.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let addr = "10.0.0.1:11211".parse().unwrap();
    NodeLink::greet(addr, Box::new(near), Duration::from_secs(5)).await
}

#[tokio::test]
async fn questions_follow_one_another_on_one_connection() {
    let mut node = node(&[
        "VERSION 1.15.0\r\n",
        "STAT a 1\r\nSTAT b x y\r\nEND\r\n",
        // arcus-memcached's own ending of this answer.
        "10.0.0.1:2181 10.0.0.2:2181 \r\n\n\r\n",
        "READY\r\n",
        "VALUE key 3 4\r\na\r\nb\r\nEND\r\n",
        "END\r\n",
    ])
    .await
    .unwrap();
    assert_eq!(node.version(), "1.15.0");
    assert_eq!(node.stats("").await.unwrap()["b"], "x y");
    assert_eq!(node.zookeeper().await.unwrap(), "10.0.0.1:2181,10.0.0.2:2181");
    assert_eq!(node.ready().await.unwrap(), Readiness::Ready);
    let item = node.get("key").await.unwrap().unwrap();
    assert_eq!((item.flags, item.value.as_slice()), (3, &b"a\r\nb"[..]));
    assert_eq!(node.get("other").await.unwrap(), None);
    let gone = node.delete("key").await.unwrap_err();
    assert_eq!(gone.message, "10.0.0.1:11211: does not answer 'delete'");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_took_a_list_is_asked_until_it_follows_it() {
    const OLD: &str = "10.0.0.1:2181 \r\n\n\r\n";
    const NEW: &str = "10.0.0.1:2181 10.0.0.2:2181 \r\n\n\r\n";
    let wanted = "10.0.0.2:2181,10.0.0.1:2181";
    let members = |list: &str| list.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    let mut turns = node(&["VERSION 1.15.0\r\n", "OK\r\n", OLD, NEW]).await.unwrap();
    turns.follow(wanted, members).await.unwrap();
    let answers: Vec<&'static str> =
        ["VERSION 1.15.0\r\n", "OK\r\n"].into_iter().chain(std::iter::repeat_n(OLD, 100)).collect();
    let mut stays = node(answers.leak()).await.unwrap();
    let failure = stays.follow(wanted, members).await.unwrap_err();
    assert!(failure.message.contains("does not follow it"), "{failure}");
    assert!(failure.causes[0].ends_with("still says 10.0.0.1:2181"), "{failure}");
}

#[tokio::test]
async fn what_is_sent_ahead_is_not_sent_again() {
    let mut node = node(&[
        "VERSION 1.15.0\r\n",
        "NOT_READY\r\n",
        "STAT a 1\r\nEND\r\n",
        "ATTR flags=5\r\nATTR expiretime=-1\r\nEND\r\n",
        "NOT_FOUND\r\n",
        "ERROR unknown command\r\n",
    ])
    .await
    .unwrap();
    node.ahead(&["ready", "stats"]).await.unwrap();
    assert_eq!(node.ready().await.unwrap(), Readiness::NotReady);
    assert_eq!(node.stats("").await.unwrap()["a"], "1");
    assert_eq!(node.attributes("key").await.unwrap().unwrap()["expiretime"], "-1");
    assert_eq!(node.attributes("other").await.unwrap(), None);
    assert!(node.attributes("key").await.unwrap_err().causes[0].contains("unknown command"));
}

#[tokio::test]
async fn a_length_that_a_peer_makes_up_costs_no_memory() {
    for length in ["18446744073709551615", "90000000000000"] {
        let said: &'static str = Box::leak(format!("VALUE key 0 {length}\r\nabc\r\n").into_boxed_str());
        let said: &'static [&'static str] = Box::leak(Box::new(["VERSION 1.15.0\r\n", said]));
        let failure = node(said).await.unwrap().get("key").await.unwrap_err();
        assert!(failure.causes[0].contains("closed"), "{failure:?}");
    }
}

#[tokio::test]
async fn of_a_long_value_the_length_is_told_and_the_beginning_kept() {
    let said = format!("VALUE key 7 3000000\r\n{}\r\nEND\r\n", "v".repeat(3_000_000));
    let said: &'static [&'static str] = Box::leak(Box::new([
        "VERSION 1.15.0\r\n",
        Box::leak(said.into_boxed_str()) as &'static str,
        "READY\r\n",
    ]));
    let mut node = node(said).await.unwrap();
    let item = node.get("key").await.unwrap().unwrap();
    assert_eq!((item.flags, item.length, item.value.len()), (7, 3_000_000, 1 << 20));
    assert_eq!(node.ready().await.unwrap(), Readiness::Ready);
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let said: &'static str = Box::leak("STAT name value\r\n".repeat(80_000).into_boxed_str());
    let said: &'static [&'static str] = Box::leak(Box::new(["VERSION 1.15.0\r\n", said]));
    let failure = node(said).await.unwrap().stats("").await.unwrap_err();
    assert!(failure.causes[0].contains("no end"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_question_without_an_answer_nothing_more_is_asked() {
    let mut late = node(&["VERSION 1.15.0\r\n", "", "STAT a 1\r\nEND\r\nREADY\r\n"]).await.unwrap();
    late.stats("zookeeper").await.unwrap_err();
    // The late answer would be read for this one.
    let failure = late.ready().await.unwrap_err();
    assert!(failure.causes[0].contains("earlier question"), "{failure:?}");
}

#[tokio::test]
async fn a_refusal_is_an_answer_after_which_more_can_be_asked() {
    let mut node = node(&["VERSION 1.15.0\r\n", "ERROR unknown\r\n", "READY\r\n"]).await.unwrap();
    assert_eq!(node.stats("zookeeper").await.unwrap_err().kind, FailureKind::Refused);
    assert_eq!(node.ready().await.unwrap(), Readiness::Ready);
}

#[tokio::test]
async fn what_is_no_cache_node_is_told_from_one() {
    let failure = node(&["220 mail.example ESMTP\r\n"]).await.unwrap_err();
    assert!(failure.message.contains("no cache node"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_costs_its_limit() {
    let mut hung = node(&["VERSION 1.15.0\r\n", ""]).await.unwrap();
    let begun = Instant::now();
    let failure = hung.stats("").await.unwrap_err();
    assert!(failure.message.contains("does not answer 'stats'"));
    assert!(begun.elapsed() <= Duration::from_secs(5));
}

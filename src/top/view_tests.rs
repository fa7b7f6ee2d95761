//! Screens, character by character.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model_tests::{answer, press, silent, tell, three};
use super::{Event, Key, Top, draw};
use crate::error::Failure;
use crate::zk::Members;

const NOW: i64 = 100_000;

fn screen(top: &Top, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(top, frame, NOW, false)).unwrap();
    let text = terminal.backend().to_string();
    let lines = text.lines().map(|line| line.trim_matches('"').trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// Three nodes of which one does not answer any more.
fn busy() -> Top {
    let mut top = three();
    for second in 3..20_u64 {
        let at = second as f64;
        tell(&mut top, [answer(1, at, second * 90), answer(2, at, second * second * 20), silent(3, at)]);
        top.tick(at);
    }
    top
}

#[test]
fn what_matters_fits_on_the_smallest_screen() {
    insta::assert_snapshot!(screen(&busy(), 80, 24));
}

#[test]
fn with_more_room_every_node_has_lines_of_its_own() {
    let mut top = busy();
    press(&mut top, "<");
    tell(&mut top, [Event::Key(Key::Down)]);
    insta::assert_snapshot!(screen(&top, 120, 20));
}

#[test]
fn the_help_lies_over_the_screen() {
    let mut top = three();
    press(&mut top, "?");
    insta::assert_snapshot!(screen(&top, 80, 24));
}

#[test]
fn a_filter_is_seen_while_it_is_typed_and_after() {
    let mut top = three();
    press(&mut top, "/10.0.0.2");
    assert!(screen(&top, 80, 24).ends_with("/10.0.0.2▏"));
    tell(&mut top, [Event::Key(Key::Enter)]);
    let shown = screen(&top, 80, 24);
    assert!(shown.contains("only \"10.0.0.2\"") && !shown.contains("10.0.0.1:"), "{shown}");
}

#[test]
fn that_zookeeper_is_lost_stands_at_the_head() {
    let mut top = three();
    let members: Members = Err(Failure::unreachable("cannot reach ZooKeeper at zk:2181"));
    tell(
        &mut top,
        [Event::Members {
            code: super::model_tests::code(),
            at: 20.0,
            members,
            sessions: Default::default(),
        }],
    );
    press(&mut top, "p");
    let shown = screen(&top, 80, 24);
    let head: Vec<&str> = shown.lines().take(2).collect();
    assert!(head[0].contains("halted") && head[1].contains("cannot reach ZooKeeper at zk:2181"), "{shown}");
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let styled = |color| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(&busy(), frame, NOW, color)).unwrap();
        let cells = terminal.backend().buffer().content().iter();
        cells.filter(|cell| cell.fg != ratatui::style::Color::Reset).count()
    };
    assert_eq!(styled(false), 0);
    assert!(styled(true) > 0);
}

#[test]
fn the_smallest_of_terminals_is_no_reason_to_fail() {
    for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
        screen(&busy(), width, height);
    }
}

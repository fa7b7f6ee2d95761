//! How it looks: at 80 columns all that matters, with more room the lines of every node as well.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Borders, Cell, Clear, Paragraph, Row as TableRow, Sparkline, Table, TableState,
};

use super::model::Top;
use super::row::{Column, Row};
use crate::inspect::Figures;
use crate::model::{human_age, human_bytes};

/// From this width on every node has lines of its own.
const WIDE: u16 = 112;
/// Characters of such a line.
const LINE: usize = 12;
const HELP: &str = " < >  s      sort by another column
 r           the other way around
 ↑ ↓ j k     mark a node; what is wrong with it is told below
 PgUp PgDn Home End
 /           show only what has these words: address, host, cloud, state
 Esc         show all again; then quit
 p  space    halt the screen; again to go on
 q  Ctrl-C   quit
 any key     close this";

/// Draws everything. `now` is in milliseconds since 1970.
pub fn draw(top: &Top, frame: &mut Frame<'_>, now: i64, color: bool) {
    let paint = Paint { color };
    let all = top.all(now);
    let rows = top.arranged(all.clone());
    let marked = marked(top, &rows, frame.area().width, paint);
    let areas = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(4),
        Constraint::Min(3),
        Constraint::Length(marked.len() as u16),
        Constraint::Length(1),
    ]);
    let [head, lines, table, told, foot] = areas.areas(frame.area());
    draw_head(top, &all, frame, head, paint);
    draw_lines(top, frame, lines, paint);
    draw_table(top, &rows, frame, table, paint);
    frame.render_widget(Paragraph::new(marked), told);
    draw_foot(top, frame, foot, paint);
    if top.help {
        draw_help(frame, paint);
    }
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    fn bold() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

fn draw_head(top: &Top, all: &[Row], frame: &mut Frame<'_>, area: Rect, paint: Paint) {
    let figures = Figures::sum(all.iter().filter_map(Row::figures));
    let registered = all.iter().filter(|row| row.status.registered != Some(false)).count();
    let online =
        all.iter().filter(|row| row.status.member.is_some() && row.status.registered == Some(true)).count();
    let codes = top.codes();
    let what = match codes.as_slice() {
        [code] => code.to_string(),
        codes => format!("{} clouds", codes.len()),
    };
    let rate = top.whole.operations.back().map_or_else(dash, |rate| format!("{rate:.0}"));
    let mut first = vec![
        Span::styled(what, Paint::bold()),
        Span::raw(format!(
            "  {online} of {registered} online  {} items  {} of {}  {rate} ops/s",
            figures.items,
            human_bytes(figures.bytes),
            human_bytes(figures.limit_bytes),
        )),
    ];
    if top.is_halted() {
        first.push(Span::styled("  halted", paint.with(Color::Yellow).add_modifier(Modifier::REVERSED)));
    }
    let count: usize = all.iter().map(|row| row.status.disagreements.len()).sum();
    let waiting = all.iter().filter(|row| !top.is_known(row.node())).count();
    let second = match (top.trouble(), count) {
        (Some(failure), _) => Line::styled(format!("{failure}"), paint.with(Color::Red)),
        (None, _) if waiting > 0 => Line::raw(format!("waiting for the first answers of {waiting}")),
        (None, 0) => Line::styled("all is well", paint.with(Color::Green)),
        (None, 1) => Line::styled("1 disagreement", paint.with(Color::Red)),
        (None, count) => Line::styled(format!("{count} disagreements"), paint.with(Color::Red)),
    };
    frame.render_widget(Paragraph::new(vec![Line::from(first), second]), area);
}

fn draw_lines(top: &Top, frame: &mut Frame<'_>, area: Rect, paint: Paint) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(area);
    let peak = top.whole.operations.iter().copied().fold(0.0, f64::max);
    let lines = [
        (left, &top.whole.operations, 1.0, format!("ops/s, at most {peak:.0}"), None),
        (right, &top.whole.hits, 1000.0, "hit ratio, up to 100 %".to_owned(), Some(1000)),
    ];
    for (area, line, scale, title, max) in lines {
        // The newest stands at the right.
        let room = usize::from(area.width);
        let skipped = line.len().saturating_sub(room);
        let data = line.iter().skip(skipped).map(|value| (value * scale).round() as u64);
        let data: Vec<u64> = std::iter::repeat_n(0, room - (line.len() - skipped)).chain(data).collect();
        let mut sparkline = Sparkline::default()
            .block(Block::new().borders(Borders::TOP).title(title))
            .data(&data)
            .style(paint.with(Color::Cyan));
        if let Some(max) = max {
            sparkline = sparkline.max(max);
        }
        frame.render_widget(sparkline, area);
    }
}

fn draw_table(top: &Top, rows: &[Row], frame: &mut Frame<'_>, area: Rect, paint: Paint) {
    let wide = area.width >= WIDE;
    let several = top.codes().len() > 1;
    let heading = |column: Column| {
        let arrow = match (column == top.sort, top.descending) {
            (false, _) => "",
            (true, false) => "▲",
            (true, true) => "▼",
        };
        let text = format!("{}{arrow}", column.heading());
        let line = Line::from(text);
        Cell::from(if matches!(column, Column::Node | Column::State) {
            line
        } else {
            line.alignment(Alignment::Right)
        })
    };
    let mut headings: Vec<Cell<'_>> = Column::ALL.into_iter().map(heading).collect();
    let mut widths: Vec<Constraint> = [21, 15, 7, 8, 5, 6, 6, 7].map(Constraint::Length).into();
    if wide {
        headings.extend([Cell::from("ops/s"), Cell::from("hits")]);
        widths.extend([Constraint::Length(LINE as u16); 2]);
    }
    if several && wide {
        headings.insert(0, Cell::from("cloud"));
        widths.insert(0, Constraint::Fill(1));
    }
    let shown = rows.iter().map(|row| table_row(row, paint, wide, several && wide));
    let table = Table::new(shown, widths)
        .header(TableRow::new(headings).style(Paint::bold()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(top.place_of_marked(rows));
    frame.render_stateful_widget(table, area, &mut state);
}

fn table_row(row: &Row, paint: Paint, wide: bool, code: bool) -> TableRow<'static> {
    let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let figure = |of: fn(&Figures) -> String| right(row.figures().map_or_else(dash, of));
    let percent = |part: Option<f64>| part.map_or_else(dash, |part| format!("{:.0}%", part * 100.0));
    let state = if row.status.disagreements.is_empty() { Color::Green } else { Color::Red };
    let mut cells = vec![
        Cell::from(row.node().to_string()),
        Cell::from(Span::styled(row.status.words(), paint.with(state))),
        right(row.up().map_or_else(dash, human_age)),
        figure(|figures| figures.items.to_string()),
        right(percent(row.memory())),
        figure(|figures| figures.connections.to_string()),
        right(percent(row.figures().and_then(Figures::hit_ratio))),
        right(row.series.rate().map_or_else(dash, |rate| format!("{rate:.0}"))),
    ];
    if wide {
        let peak = row.series.operations.iter().copied().fold(0.0, f64::max);
        cells.push(Cell::from(Span::styled(bars(&row.series.operations, peak), paint.with(Color::Cyan))));
        cells.push(Cell::from(Span::styled(bars(&row.series.hits, 1.0), paint.with(Color::Cyan))));
    }
    if code {
        cells.insert(0, Cell::from(row.code.to_string()));
    }
    TableRow::new(cells)
}

fn dash() -> String {
    "-".to_owned()
}

/// The newest values as bars of up to eight eighths of `most`.
fn bars<'v>(values: impl IntoIterator<Item = &'v f64, IntoIter: ExactSizeIterator>, most: f64) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = values.into_iter();
    let skipped = values.len().saturating_sub(LINE);
    let bar = |value: &f64| {
        let eighths = if most > 0.0 { (value / most * 8.0).round() as usize } else { 0 };
        BARS[eighths.min(8)]
    };
    values.skip(skipped).map(bar).collect()
}

/// More of the marked node, or of the first that something is wrong with.
fn marked(top: &Top, rows: &[Row], width: u16, paint: Paint) -> Vec<Line<'static>> {
    let marked = top.place_of_marked(rows).and_then(|place| rows.get(place));
    let Some(row) = marked.or_else(|| rows.iter().find(|row| !row.status.disagreements.is_empty())) else {
        return Vec::new();
    };
    let mut lines = vec![Line::raw(described(row))];
    if let Some(failure) = row.status.disagreements.first().map(|one| &one.failure) {
        let said = wrapped(&failure.message, usize::from(width)).into_iter();
        lines.extend(said.map(|line| Line::styled(line, paint.with(Color::Red))));
        let hint = failure.hints.first().map(|hint| format!("hint: {hint}")).unwrap_or_default();
        lines.extend(wrapped(&hint, usize::from(width)).into_iter().map(Line::raw));
    }
    lines
}

/// Lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What the columns have no room for.
fn described(row: &Row) -> String {
    let status = &row.status;
    let member = match status.member.as_ref().map(|member| member.seconds) {
        Some(Some(seconds)) => format!("member for {}", human_age(seconds)),
        Some(None) => "member".to_owned(),
        None => "no member".to_owned(),
    };
    let mut words = vec![row.code.to_string(), row.node().to_string(), member];
    if let Some(process) = &status.process {
        words.push(format!("pid {}", process.pid));
        words.extend(process.release.as_ref().map(|release| format!("release {release}")));
    }
    if let Some(answer) = &status.answer {
        words.push(format!("version {}", answer.said.version));
        words.push(format!("{} evictions", answer.said.figures.evictions));
    }
    words.join("  ")
}

fn draw_foot(top: &Top, frame: &mut Frame<'_>, area: Rect, paint: Paint) {
    let seconds = top.interval.as_secs_f64();
    let line = if top.typing {
        Line::from(vec![Span::styled("/", Paint::bold()), Span::raw(top.filter.clone()), Span::raw("▏")])
    } else if top.filter.is_empty() {
        Line::raw(format!("? help  / filter  < > sort  r reverse  p halt  q quit   every {seconds} s"))
    } else {
        let filter = format!("only {:?}; Esc shows all   ? help  q quit", top.filter);
        Line::styled(filter, paint.with(Color::Yellow))
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_help(frame: &mut Frame<'_>, paint: Paint) {
    let screen = frame.area();
    let width = screen.width.min(76);
    let height = screen.height.min(HELP.lines().count() as u16 + 2);
    let area = Rect { x: (screen.width - width) / 2, y: (screen.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys ").border_style(paint.with(Color::Cyan));
    frame.render_widget(Paragraph::new(HELP).block(block), area);
}

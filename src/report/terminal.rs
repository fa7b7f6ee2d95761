//! What may reach a terminal: text, line ends, tabs and colours.
//!
//! Host names, znodes, logs and journals are other people's. A control sequence among them would be carried out by the
//! terminal of whoever looks: it can set the title, fill the clipboard, or overwrite what was said.

use std::borrow::Cow;

/// The text with every control character written out, but for line ends, tabs and sequences that only colour.
pub(super) fn tame(text: &str) -> Cow<'_, str> {
    if !text.contains(is_wild) {
        return Cow::Borrowed(text);
    }
    let mut tamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(is_wild) {
        let (before, from) = rest.split_at(place);
        tamed.push_str(before);
        let length = colour_length(from);
        if length > 0 {
            tamed.push_str(&from[..length]);
            rest = &from[length..];
        } else {
            let mut characters = from.chars();
            tamed.extend(characters.by_ref().take(1).flat_map(char::escape_default));
            rest = characters.as_str();
        }
    }
    tamed.push_str(rest);
    Cow::Owned(tamed)
}

/// JSON that means the same, with no control character but line ends: those of ASCII's beginning must be escaped in it, the
/// others may be, and only stand in texts.
pub(super) fn tame_json(json: &str) -> String {
    crate::model::escape_controls(json)
}

/// Without colours: in what others wrote they may hide it, and what comes after.
pub(super) fn colourless(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\u{1b}') {
        let (before, from) = rest.split_at(place);
        let length = colour_length(from);
        plain.push_str(before);
        // Any other sequence is written out later.
        plain.push_str(&from[..usize::from(length == 0)]);
        rest = &from[length.max(1)..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn is_wild(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\t')
}

/// How many bytes of a sequence that sets colours stand at the beginning: `ESC [ 1 ; 31 m`.
fn colour_length(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 0 };
    match parameters.find(|character: char| !character.is_ascii_digit() && character != ';') {
        Some(end) if parameters[end..].starts_with('m') => "\u{1b}[".len() + end + "m".len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use owo_colors::OwoColorize as _;

    use super::*;

    #[test]
    fn colours_and_lines_pass_as_they_are() {
        let text = format!("{}: 캐시\n\tdone {}\n", "error".red().bold(), "now".dimmed());
        assert_eq!(tame(&text), text);
    }

    #[test]
    fn what_a_terminal_would_carry_out_is_written_out() {
        assert_eq!(tame("a\u{1b}]0;title\u{7}b"), "a\\u{1b}]0;title\\u{7}b");
        assert_eq!(
            tame("\u{1b}[2J\u{1b}[31mred\u{1b}[0m\r\u{9b}2J"),
            "\\u{1b}[2J\u{1b}[31mred\u{1b}[0m\\r\\u{9b}2J"
        );
        assert_eq!(tame("\u{1b}[31"), "\\u{1b}[31");
    }

    #[test]
    fn what_others_wrote_loses_its_colours_and_nothing_else() {
        assert_eq!(colourless("a\u{1b}[8mb\u{1b}[1;31mc\u{1b}[2J\u{1b}"), "abc\u{1b}[2J\u{1b}");
    }

    #[test]
    fn json_means_the_same_without_control_characters() {
        let value = serde_json::json!({"line": "\u{9b}2J\u{7f}\u{1b}캐시\n"});
        let tamed = tame_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!tamed.contains(|character: char| character.is_control() && character != '\n'), "{tamed}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&tamed).unwrap(), value);
    }
}

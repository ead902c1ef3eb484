//! Lines that fit a terminal.

/// What goes on stands so much further in.
const DEEPER: usize = 4;

/// Breaks a line between words, so that none is wider, where no word is.
pub(super) fn wrapped(line: &str, width: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    // Blanks are words of no length, so what is indented stays so.
    for (number, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if number > 0 && used + 1 + length > width {
            text.push('\n');
            used = 0;
        } else if number > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text
}

/// A text whose lines are broken between words where they are wider; what goes on is indented
/// deeper than its line.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let mut fitted: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.chars().count() <= width {
            fitted.push(line.to_owned());
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let deeper = " ".repeat(indent + DEEPER);
        let broken = wrapped(line.trim_start(), width.saturating_sub(indent + DEEPER).max(20));
        fitted.push(format!(
            "{}{}",
            " ".repeat(indent),
            broken.replace('\n', &format!("\n{deeper}"))
        ));
    }
    fitted.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{fitted, wrapped};

    #[test]
    fn a_text_fits_its_terminal_and_loses_no_word() {
        let text = "ada@example.com  would keep 1 and merge 2 into it\n    unsubscribed: (blank) → true (from 2), \
                    since whoever said no on one record said it for all\n\nnothing was changed";
        for width in [60, 80, 120] {
            let shown = fitted(text, width);
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}: {shown}");
            assert!(shown.split_whitespace().eq(text.split_whitespace()));
        }
        assert_eq!(fitted(text, 200), text);
        assert_eq!(
            fitted(text, 60).lines().nth(2),
            Some("        said no on one record said it for all"),
            "what goes on is indented deeper"
        );
    }

    #[test]
    fn lines_break_between_words_and_nothing_is_lost() {
        let line = "FAIL permission: give the API user's role the permission Read-Only Lead";
        for width in 1..100 {
            let text = wrapped(line, width);
            assert_eq!(text.replace('\n', " "), line);
            assert!(
                text.lines().all(|line| line.chars().count() <= width || !line.contains(' ')),
                "{text}"
            );
        }
        assert_eq!(wrapped("      6 by crm", 80), "      6 by crm");
    }
}

//! Lines that fit a terminal.

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

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_nothing_is_lost() {
        let line = "FAIL permission: give the API user's role the permission Read-Only Lead";
        for width in 1..100 {
            let text = wrapped(line, width);
            assert_eq!(text.replace('\n', " "), line);
            assert!(text.lines().all(|line| line.chars().count() <= width || !line.contains(' ')), "{text}");
        }
        assert_eq!(wrapped("      6 by crm", 80), "      6 by crm");
    }
}

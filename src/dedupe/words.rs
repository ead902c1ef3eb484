//! The words of a field's name.

/// The words of a name in small letters, each between blanks: `emailOptOut__c` → ` email opt out `.
pub(super) fn words(name: &str) -> String {
    let stem = name.strip_suffix("__c").or_else(|| name.strip_suffix("_c")).unwrap_or(name);
    let mut text = String::from(" ");
    let mut before = ' ';
    let mut letters = stem.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = letter.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
        if (begins || !letter.is_alphanumeric()) && !text.ends_with(' ') {
            text.push(' ');
        }
        if letter.is_alphanumeric() {
            text.extend(letter.to_lowercase());
        }
        before = letter;
    }
    text.trim_end().to_owned() + " "
}

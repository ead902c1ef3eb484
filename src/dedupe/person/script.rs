//! The scripts that names are written in, and Cyrillic and Greek letters as Latin ones.

/// The script of a word, as far as it decides whether two words can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Script {
    Latin,
    Cyrillic,
    Greek,
    Han,
    Kana,
    Hangul,
    Arabic,
    Hebrew,
    Other,
}

impl Script {
    /// By the first letter.
    pub(super) fn of(word: &str) -> Self {
        match word.chars().find(|c| c.is_alphabetic()) {
            None | Some('\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') => Self::Latin,
            Some('\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}') => Self::Greek,
            Some('\u{400}'..='\u{52f}') => Self::Cyrillic,
            Some('\u{590}'..='\u{5ff}') => Self::Hebrew,
            Some('\u{600}'..='\u{77f}') => Self::Arabic,
            Some('\u{3040}'..='\u{30ff}') => Self::Kana,
            Some('\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}') => Self::Hangul,
            Some('\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}') => Self::Han,
            Some(_) => Self::Other,
        }
    }

    /// Whether its letters have Latin ones that sound alike.
    pub(super) fn is_alphabet(self) -> bool {
        matches!(self, Self::Latin | Self::Cyrillic | Self::Greek)
    }
}

/// A lower-case letter without marks in Latin letters; itself where it is of another script.
pub(super) fn latin(letter: char) -> &'static str {
    match letter {
        'ß' => "ss",
        'ø' | 'œ' | 'ο' | 'ω' | 'о' => "o",
        'æ' | 'α' | 'а' => "a",
        'ð' | 'đ' | 'δ' | 'д' => "d",
        'þ' | 'θ' => "th",
        'ł' | 'λ' | 'л' => "l",
        'ı' | 'ι' | 'η' | 'и' | 'і' | 'ї' | 'ы' => "i",
        'ŋ' | 'ν' | 'н' | 'њ' => "n",
        'β' | 'в' => "v",
        'б' => "b",
        'г' | 'ґ' | 'γ' => "g",
        'е' | 'э' | 'є' | 'ε' => "e",
        'ж' | 'ζ' | 'з' => "z",
        'к' | 'κ' => "k",
        'м' | 'μ' => "m",
        'п' | 'π' => "p",
        'р' | 'ρ' => "r",
        'с' | 'σ' | 'ς' => "s",
        'т' | 'τ' => "t",
        'у' | 'υ' => "u",
        'ф' | 'φ' => "f",
        'х' | 'χ' => "h",
        'ц' => "ts",
        'ч' | 'ћ' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ь' | 'ъ' => "",
        'ю' => "yu",
        'я' => "ya",
        'ј' => "j",
        'љ' => "lj",
        'ђ' | 'џ' => "dj",
        'ξ' => "x",
        'ψ' => "ps",
        _ => "\0",
    }
}

//! Which code page a text is of, where nothing but its letters tells.
//!
//! Each candidate is read, and the letters that stand where letters do speak for it: a small letter
//! within a word does, a sign or a capital within a word speaks against it (`M§ller`).

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use super::Encoding;

/// What the letters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    /// This code page reads them best.
    One(Encoding),
    /// Two read them equally well, and differently.
    Either(Encoding, Encoding),
    /// None reads them well.
    None,
}

/// The code page that reads some lines best. Windows-1252 where others read them just as well,
/// unless the detector, which knows the letters of languages, says otherwise. `crlf` says whether
/// lines end as Windows ends them: what Excel writes on a Mac in Mac OS Roman ends otherwise.
pub(super) fn guess(sample: &[u8], crlf: bool) -> Guess {
    let western = Encoding::Page(encoding_rs::WINDOWS_1252);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let detected = Encoding::Page(detector.guess(None, Utf8Detection::Deny));
    let mac = Encoding::Page(encoding_rs::MACINTOSH);
    let candidates = [western, detected, mac, Encoding::Dos].map(|encoding| {
        let text = encoding.text(sample);
        (score(&text), encoding, text)
    });
    let best = candidates.iter().map(|(score, ..)| *score).max().unwrap_or(-1);
    let mut drawn = candidates.iter().filter(|(score, ..)| *score == best);
    let Some((_, first, text)) = drawn.next().filter(|_| best >= 0) else { return Guess::None };
    let Some((_, second, _)) = drawn.find(|(_, _, other)| other != text) else {
        return Guess::One(*first);
    };
    match (*first, *second) {
        (_, second) if *first == western && second == detected => Guess::One(detected),
        (first, second) if first != western && second == mac && !crlf => Guess::One(second),
        (first, second) if first == mac && crlf => Guess::Either(first, second),
        (first, _) => Guess::One(first),
    }
}

fn score(text: &str) -> i64 {
    let chars: Vec<char> = text.chars().collect();
    let at =
        |place: Option<usize>| place.and_then(|place| chars.get(place)).copied().unwrap_or('\n');
    chars
        .iter()
        .enumerate()
        .filter(|(_, c)| !c.is_ascii())
        .map(|(place, c)| of_char(at(place.checked_sub(1)), *c, at(place.checked_add(1))))
        .sum()
}

fn of_char(before: char, c: char, after: char) -> i64 {
    let letter =
        |c: char| c.is_alphabetic() && !matches!(c, 'ª' | 'º' | 'ƒ' | '\u{2b0}'..='\u{2ff}');
    let latin = |c: char| letter(c) && c < '\u{250}';
    match c {
        char::REPLACEMENT_CHARACTER | '\u{80}'..='\u{9f}' => -10,
        '\u{e000}'..='\u{f8ff}' => -5,
        // Small Latin letters do not touch those of East Asia.
        '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
            if before.is_ascii_lowercase() || after.is_ascii_lowercase() =>
        {
            -2
        }
        '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' => 2,
        '\u{ff61}'..='\u{ff9f}' => -1,
        c if letter(c) => of_letter(before, c, after, letter, latin),
        '’' if letter(before) && letter(after) => 1,
        '\u{a0}' | '–' | '—' | '…' if !(letter(before) && letter(after)) => 0,
        '‘' | '“' | '«' | '„' | '¡' | '¿' if !letter(before) => 0,
        '’' | '”' | '»' | '®' | '™' | '°' | 'º' | 'ª' if !letter(after) => 0,
        '€' | '£' | '§' | '©' | '·' | '½' | '¼' | '²' | '³'
            if !letter(before) && !letter(after) =>
        {
            0
        }
        _ if letter(before) && letter(after) => -3,
        _ if letter(before) || letter(after) => -2,
        _ => -1,
    }
}

fn of_letter(
    before: char,
    c: char,
    after: char,
    letter: impl Fn(char) -> bool,
    latin: impl Fn(char) -> bool,
) -> i64 {
    // A word of one language has few letters in a row that another has only now and then.
    let odd = i64::from(latin(c) && latin(before) && !before.is_ascii());
    let mixed =
        letter(before) && latin(before) != latin(c) || letter(after) && latin(after) != latin(c);
    match (letter(before), letter(after)) {
        _ if mixed => -2,
        (true, _) if c.is_uppercase() && before.is_lowercase() => -3,
        (true, true) if c.is_uppercase() && after.is_lowercase() => -3,
        (false, false) => 0,
        _ => 1 - 2 * odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WESTERN: [&str; 13] = [
        "Zoë;Müller",
        "Jürgen;Groß",
        "François;Lefèvre",
        "José;Núñez",
        "Bjørn;Ågård",
        "Søren;Kjær",
        "Renée",
        "João;Conceição",
        "Élodie",
        "Ünal;Yüksel",
        "Åsa;Öberg",
        "Peña",
        "O’Hara – Müller",
    ];

    #[test]
    fn western_names_are_told_apart_by_windows_mac_and_dos() {
        let mac = Encoding::Page(encoding_rs::MACINTOSH);
        for name in WESTERN {
            let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(name);
            let Guess::One(found) = guess(&windows, true) else { panic!("{name}") };
            assert_eq!(found.text(&windows), name, "Windows-1252");
            let bytes = bytes_of(name, mac);
            let Guess::One(found) = guess(&bytes, false) else { panic!("{name}") };
            assert_eq!(found.text(&bytes), name, "Mac OS Roman");
            if !name.contains(['’', '–']) {
                let dos = bytes_of(name, Encoding::Dos);
                match guess(&dos, true) {
                    Guess::One(found) => assert_eq!(found.text(&dos), name, "code page 850"),
                    either => assert_eq!(either, Guess::Either(mac, Encoding::Dos), "{name}"),
                }
            }
        }
    }

    #[test]
    fn other_scripts_are_known_by_their_letters() {
        for (page, text) in [
            (
                encoding_rs::WINDOWS_1250,
                "Łukasz;Żółkiewski;Gdańsk\nGrzegorz;Brzęczyszczykiewicz;Łódź",
            ),
            (encoding_rs::WINDOWS_1250, "Jiří;Dvořák;Plzeň\nTomáš;Novák;Brno\nŽaneta;Černá;Děčín"),
            (encoding_rs::WINDOWS_1251, "Иван;Петров;Москва\nАнна;Смирнова;Казань"),
            (encoding_rs::WINDOWS_1253, "Γιώργος;Παπαδόπουλος;Αθήνα"),
            (
                encoding_rs::WINDOWS_1254,
                "Ayşe;Yılmaz;İstanbul\nMehmet;Şahin;Eskişehir\nÇağla;Güneş;Muğla",
            ),
            (encoding_rs::SHIFT_JIS, "太郎,山田,東京\nハナコ,佐藤,大阪"),
            (encoding_rs::GBK, "伟,王,北京\n芳,李,上海市"),
            (encoding_rs::EUC_KR, "민수,김,서울\n영희,이,부산"),
            (encoding_rs::BIG5, "小明,陳,台北\n美麗,林,高雄市"),
        ] {
            let (bytes, _, lost) = page.encode(text);
            assert!(!lost);
            let Guess::One(found) = guess(&bytes, true) else { panic!("{text}") };
            assert_eq!(found.text(&bytes), text, "{found:?} for {page:?}");
        }
    }

    #[test]
    fn bytes_that_no_code_page_has_in_words_are_not_guessed() {
        assert_eq!(guess(b"a\xd7\xf7\xd7b;x\x81\x8d\x8f\xf7y", true), Guess::None);
    }

    fn bytes_of(text: &str, encoding: Encoding) -> Vec<u8> {
        text.chars()
            .map(|c| (0..=255).find(|byte| encoding.text(&[*byte]) == c.to_string()).unwrap())
            .collect()
    }
}

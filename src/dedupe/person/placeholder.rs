//! Texts that stand for a missing value: `[Not Provided]`, `Unknown`, `n/a`, `{{lead.First Name}}`.
//!
//! Never: takes `test` for one. A lead named so is a test record, which no person's record should
//! absorb.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::word::{fold, tokens};

/// In several languages, one text a line or between commas. Each is compared without case, accents,
/// brackets, punctuation and blanks.
const BUILT_IN: &str = "
not provided, not available, not applicable, not known, not given, not specified, not supplied, not set
not entered, not disclosed, not stated, not found, not defined, not assigned, not listed, not captured
not collected, not shared, not required, not yet known, none provided, none given, none supplied
no name, no first name, no last name, no surname, no value, no data, no answer, no company, no email
unknown, unknown name, unknown first name, unknown last name, unknown person, unknown company, unnamed
unspecified, undefined, undisclosed, unassigned, unidentified, unavailable, anonymous, anon, nobody
n/a, na, n.a., none, null, nil, nan, void, empty, blank, missing, tbd, tba, tbc, to be determined
first name, last name, first, last, name, full name, surname, given name, family name, your name
firstname here, lastname here, placeholder, dummy, default, withheld, redacted, removed, deleted, hidden
friend, customer, valued customer, user, guest, visitor, subscriber, website visitor, web visitor
not a name, no nombre, asdf, asdfasdf, qwerty, abc, blah, foo, bar
unbekannt, nicht bekannt, nicht angegeben, nicht verfügbar, keine angabe, keine angaben, k.a., o.A.
ohne angabe, ohne namen, ohne name, kein name, kein vorname, kein nachname, vorname, nachname, anonym
inconnu, inconnue, non renseigné, non renseignée, non communiqué, non précisé, non disponible, sans nom
sans prénom, aucun, aucune, prénom, nom, nom de famille, anonyme, n.c., n.r.
desconocido, desconocida, no disponible, no aplica, no especificado, no indicado, no informado, sin nombre
sin apellido, sin apellidos, sin datos, ninguno, ninguna, nombre, apellido, apellidos, anónimo, n/d, s/n
sconosciuto, sconosciuta, non disponibile, non fornito, non specificato, senza nome, senza cognome
nessuno, cognome, nome, anonimo, non noto
onbekend, niet bekend, niet opgegeven, niet beschikbaar, geen, geen naam, voornaam, achternaam, n.v.t.
anoniem
desconhecido, desconhecida, não informado, não disponível, não aplicável, sem nome, sem sobrenome
nenhum, sobrenome, anônimo
ukendt, ukjent, okänd, okänt, tuntematon, ingen, ikke oppgitt, ikke oplyst, ej angivet, saknas
fornavn, etternavn, efternavn, förnamn, efternamn, ei tiedossa
nieznany, nieznana, brak, brak danych, nie podano, imię, nazwisko, neznámý, neznámá, neuvedeno, neznano
nepoznato, ismeretlen, nincs, nincs megadva, necunoscut, necunoscută, nespecificat
bilinmiyor, bilinmeyen, yok, belirtilmemiş, isimsiz
неизвестно, неизвестный, неизвестная, не указано, не указан, нет, нет данных, имя, фамилия, без имени
невідомо, невідомий, немає, неизвестен, άγνωστος, άγνωστο
不明, 未知, 不详, 不詳, 未提供, 未填写, 無名, 名無し, なし, 未入力, 匿名, 无, 無
알수없음, 미상, 없음, 이름없음, غير معروف, غير متوفر, مجهول, לא ידוע, אין
";

static FOLDED: LazyLock<HashSet<String>> = LazyLock::new(|| {
    BUILT_IN.split([',', '\n']).map(joined).filter(|text| !text.is_empty()).collect()
});

/// The texts that stand for nothing.
pub(in crate::dedupe) struct Placeholders {
    added: HashSet<String>,
}

impl Placeholders {
    /// The built-in ones and these.
    pub(in crate::dedupe) fn with(added: &[String]) -> Self {
        Self {
            added: added.iter().map(|text| joined(text)).filter(|text| !text.is_empty()).collect(),
        }
    }

    /// Whether a value says nothing, be it a name or a number.
    pub(in crate::dedupe) fn stands_for_nothing(&self, text: &str) -> bool {
        self.is_made_of_placeholders(&tokens(&without_unfilled_tokens(text)))
    }

    /// Whether a value is no name: neither digits alone nor one letter again and again are.
    pub(in crate::dedupe) fn is_no_name(&self, text: &str) -> bool {
        let words = tokens(&without_unfilled_tokens(text));
        words.iter().all(|word| word.chars().all(|c| c.is_ascii_digit()))
            || self.is_made_of_placeholders(&words)
            || is_one_letter_again_and_again(&words.concat())
    }

    /// The value without placeholders in brackets: `Ada [Not Provided]`.
    pub(in crate::dedupe) fn without_bracketed(&self, text: &str) -> String {
        let mut text = without_unfilled_tokens(text);
        for (open, close) in [('[', ']'), ('(', ')'), ('<', '>'), ('{', '}')] {
            let Some((before, rest)) = text.split_once(open) else { continue };
            let Some((inside, after)) = rest.rsplit_once(close) else { continue };
            if self.stands_for_nothing(inside) {
                text = format!("{before} {after}");
            }
        }
        text
    }

    /// Whether the words are one placeholder, or several one after the other: `Unknown Unknown`.
    fn is_made_of_placeholders(&self, words: &[String]) -> bool {
        if words.is_empty() {
            return true;
        }
        (1..=words.len()).rev().any(|length| {
            let (head, rest) = words.split_at(length);
            self.knows(&head.concat()) && self.is_made_of_placeholders(rest)
        })
    }

    fn knows(&self, folded: &str) -> bool {
        FOLDED.contains(folded) || self.added.contains(folded)
    }
}

fn joined(text: &str) -> String {
    fold(text).concat()
}

/// `{{lead.First Name}}`, `{{lead.First Name:default=Friend}}`, `%FIRSTNAME%` and `*|FNAME|*` that
/// no mail filled.
fn without_unfilled_tokens(text: &str) -> String {
    let mut kept = text.to_owned();
    for (open, close) in [("{{", "}}"), ("${", "}"), ("*|", "|*"), ("<%", "%>"), ("%%", "%%")] {
        while let Some((before, rest)) = kept.split_once(open) {
            let Some((_, after)) = rest.split_once(close) else { break };
            kept = format!("{before} {after}");
        }
    }
    kept
}

/// `xx`, `xxx`, `aaaa`.
fn is_one_letter_again_and_again(word: &str) -> bool {
    let mut letters = word.chars();
    let Some(first) = letters.next() else { return true };
    let more = letters.clone().count();
    first.is_ascii_alphabetic()
        && letters.all(|letter| letter == first)
        && (more >= 2 || more == 1 && first == 'x')
}

#[cfg(test)]
mod tests {
    use super::Placeholders;

    #[test]
    fn a_placeholder_is_no_name_in_any_brackets_case_or_language() {
        let none = Placeholders::with(&[]);
        for text in [
            "[Not Provided]",
            "[[Unknown]]",
            "Unknown",
            "UNKNOWN",
            "N/A",
            "n.a.",
            "NA",
            "None",
            "-",
            ".",
            "--",
            "?",
            "(none)",
            "<unknown>",
            "{unknown}",
            "'Unknown'",
            "Unknown Unknown",
            "Not_Provided",
            "not-provided",
            "First Name",
            "FirstName",
            "{{lead.First Name}}",
            "{{lead.First Name:default=Friend}}",
            "${firstName}",
            "*|FNAME|*",
            "no name",
            "NoLastName",
            "anonymous",
            "Not Available",
            "TBD",
            "xxx",
            "XX",
            "null",
            "NULL",
            "000",
            "12345",
            "unbekannt",
            "Inconnu",
            "INCONNUE",
            "desconocido",
            "Sconosciuto",
            "onbekend",
            "não informado",
            "Nao Informado",
            "okänd",
            "keine Angabe",
            "k.A.",
            "Неизвестно",
            "不明",
            "未知",
            "non renseigné",
            "nicht verfuegbar",
            "[unknown last name]",
            "",
            "  ",
            "…",
            "\u{200b}",
        ] {
            assert!(none.is_no_name(text), "{text:?}");
        }
        for text in [
            "Ada",
            "Test",
            "Nadia",
            "Nona",
            "Ann",
            "Noah",
            "Null-Meyer",
            "X",
            "A.",
            "Ng",
            "Li",
            "Unknownson",
            "Ada Unknown Lovelace",
            "王",
            "李",
            "Иван",
            "Xavier",
            "Aaa-Bell",
            "Nunn",
            "Blank-Smith",
        ] {
            assert!(!none.is_no_name(text), "{text:?}");
        }
    }

    #[test]
    fn the_list_can_be_added_to() {
        let more = Placeholders::with(&["Web Lead".to_owned(), "  ".to_owned()]);
        assert!(more.stands_for_nothing("[WEB-LEAD]") && more.stands_for_nothing("web lead"));
        assert!(
            !more.stands_for_nothing("Webb")
                && !Placeholders::with(&[]).stands_for_nothing("Web Lead")
        );
    }

    #[test]
    fn a_placeholder_in_brackets_is_no_part_of_a_name() {
        let none = Placeholders::with(&[]);
        assert_eq!(none.without_bracketed("Ada [Not Provided]").trim(), "Ada");
        assert_eq!(none.without_bracketed("Robert (Bob)").trim(), "Robert (Bob)");
        assert_eq!(none.without_bracketed("Ada {{lead.Last Name}}").trim(), "Ada");
    }
}

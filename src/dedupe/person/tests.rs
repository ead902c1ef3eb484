//! Who is one person, row by row, and what can never change the answer.

use proptest::prelude::*;

use super::{Skip, several_people};
use crate::lead::Lead;

/// First name, last name, company.
type Said<'a> = (&'a str, &'a str, &'a str);

fn lead(id: u64, (first, last, company): Said<'_>) -> Lead {
    Lead::new(id).with("firstName", first).with("lastName", last).with("company", company)
}

fn why(a: Said<'_>, b: Said<'_>) -> Option<String> {
    several_people(&[lead(1, a), lead(2, b)], &Skip::default())
}

/// The same names without companies.
fn why_names(a: (&str, &str), b: (&str, &str)) -> Option<String> {
    why((a.0, a.1, ""), (b.0, b.1, ""))
}

#[test]
fn spellings_initials_and_short_forms_of_one_name_are_one_person() {
    for (a, b) in [
        // Spelling.
        (("Ada", "Lovelace"), ("ADA", "lovelace")),
        (("Ada", "Lovelace"), ("Àdá", "Love-lace")),
        (("Jürgen", "Müller"), ("Juergen", "Mueller")),
        (("Jurgen", "Muller"), ("Juergen", "Mueller")),
        (("Bjørn", "Ångström"), ("Bjoern", "Aangstroem")),
        (("Karl", "Strauß"), ("Carl", "Strauss")),
        (("Eric", "Smith"), ("Erik", "Smith")),
        (("John", "Smith"), ("Jon", "Smith")),
        (("Stephen", "Smith"), ("Steven", "Smith")),
        (("Katie", "Smith"), ("Katy", "Smith")),
        (("Sara", "Smith"), ("Sarah", "Smith")),
        (("Micheal", "Smith"), ("Michael", "Smith")),
        (("Elizbeth", "Smith"), ("Elizabeth", "Smith")),
        (("Ada\u{200b}", "O'Brien"), ("Ada", "OBrien")),
        (("Ada", "O’Brien"), ("Ada", "O'Brien")),
        // Short forms.
        (("Bob", "Smith"), ("Robert", "Smith")),
        (("Bill", "Smith"), ("William", "Smith")),
        (("Liz", "Smith"), ("Elizabeth", "Smith")),
        (("Sasha", "Petrov"), ("Alexander", "Petrov")),
        (("Hans", "Schmidt"), ("Johannes", "Schmidt")),
        (("Rob", ""), ("Robert", "Smith")),
        (("Jo", "Smith"), ("Joanna", "Smith")),
        (("Ann", "Smith"), ("Anna", "Smith")),
        (("Pepe", "García"), ("José", "Garcia")),
        // Initials and middle names.
        (("A.", "Lovelace"), ("Ada", "Lovelace")),
        (("A", ""), ("Ada", "")),
        (("Ada M.", "Lovelace"), ("Ada", "Lovelace")),
        (("Ada M.", ""), ("Ada", "")),
        (("Ada-Marie", "Lovelace"), ("Ada", "Lovelace")),
        (("Ada Marie", "Lovelace"), ("AdaMarie", "Lovelace")),
        (("Hans Peter", "Schmidt"), ("Peter", "Schmidt")),
        (("J.P.", "Dupont"), ("Jean-Pierre", "Dupont")),
        (("JP", "Dupont"), ("Jean Pierre", "Dupont")),
        (("John Q.", "Smith"), ("John Quincy", "Smith")),
        // The whole name in one field, or in the wrong one.
        (("Ada Lovelace", ""), ("Ada", "Lovelace")),
        (("Lovelace, Ada", ""), ("Ada", "Lovelace")),
        (("", "Ada Lovelace"), ("Ada", "Lovelace")),
        (("Lovelace", "Ada"), ("Ada", "Lovelace")),
        (("Ada Lovelace", "Lovelace"), ("Ada", "Lovelace")),
        (("Wang", "Xiaoming"), ("Xiaoming", "Wang")),
        (("王小明", ""), ("小明", "王")),
        (("小明", "王"), ("王", "小明")),
        (("Lovelace", ""), ("Ada", "Lovelace")),
        // Titles.
        (("Dr. Ada", "Lovelace"), ("Ada", "Lovelace")),
        (("Prof. Dr.", "Lovelace"), ("Ada", "Lovelace")),
        (("Mrs", "Lovelace"), ("Ada", "Lovelace")),
        (("Ada", "Lovelace PhD"), ("Ada", "Lovelace")),
        (("John", "Smith Jr."), ("John", "Smith")),
        // Last names.
        (("Ada", "Lovelace"), ("Ada", "King")),
        (("Ada", "Lovelace-King"), ("Ada", "King")),
        (("", "van der Berg"), ("", "Vanderberg")),
        (("", "Lovelace-King"), ("", "King")),
        // Other scripts.
        (("Александр", "Петров"), ("Alexander", "Petrov")),
        (("Саша", "Петров"), ("Александр", "Петров")),
        (("Юлия", "Иванова"), ("Julia", "Ivanova")),
        (("Михаил", "Петров"), ("Mikhail", "Petrov")),
        (("Γιώργος", "Παπαδόπουλος"), ("Giorgos", "Papadopoulos")),
        (("王", "小明"), ("Xiaoming", "Wang")),
        // Nothing, or nothing real.
        (("", ""), ("Ada", "Lovelace")),
        (("Ada", ""), ("", "Lovelace")),
        (("Ada", "[Not Provided]"), ("Ada", "Lovelace")),
        (("[Not Provided]", "Lovelace"), ("Ada", "Lovelace")),
        (("{{lead.First Name}}", "Unknown"), ("Ada", "Lovelace")),
        (("ada@example.com", "Lovelace"), ("Bob", "Lovelace")),
        (("Ada [Unknown]", ""), ("Ada", "Lovelace")),
    ] {
        assert_eq!(why_names(a, b), None, "{a:?} {b:?}");
    }
}

#[test]
fn different_names_are_several_people() {
    for (a, b) in [
        (("Ada", "Lovelace"), ("Alan", "Turing")),
        // Households.
        (("Ada", "Lovelace"), ("Bob", "Lovelace")),
        (("Paul", "Smith"), ("Paula", "Smith")),
        (("Daniel", "Smith"), ("Danielle", "Smith")),
        (("Simon", "Smith"), ("Simone", "Smith")),
        (("Andreas", "Schmidt"), ("Andrea", "Schmidt")),
        (("Christian", "Schmidt"), ("Christiane", "Schmidt")),
        (("Mario", "Rossi"), ("Maria", "Rossi")),
        (("Jason", "Smith"), ("Mason", "Smith")),
        (("Carla", "Smith"), ("Clara", "Smith")),
        (("Tim", "Smith"), ("Tom", "Smith")),
        (("Jean-Pierre", "Dupont"), ("Jean-Paul", "Dupont")),
        (("Anna Maria", "Rossi"), ("Laura Maria", "Rossi")),
        (("Ada Lovelace", ""), ("Bob Lovelace", "")),
        (("Bob Lovelace", "Lovelace"), ("Ada Lovelace", "Lovelace")),
        (("Lovelace, Bob", ""), ("Ada", "Lovelace")),
        (("A.", "Lovelace"), ("Bob", "Lovelace")),
        (("Mr", "Smith"), ("Mrs", "Smith")),
        (("John", "Smith Jr."), ("John", "Smith Sr.")),
        (("John A.", "Smith"), ("John B.", "Smith")),
        // Placeholders are no last names.
        (("Ada", "[Not Provided]"), ("Bob", "[Not Provided]")),
        (("Ada", "[[Unknown]]"), ("Bob", "[[Unknown]]")),
        (("Ada", "Unknown"), ("Bob", "Unknown")),
        (("Ada", "."), ("Bob", ".")),
        (("Ada", ""), ("Bob", "")),
        (("Ada", "Lovelace"), ("Bob", "")),
        (("Ada", "Unbekannt"), ("Bob", "N/A")),
        // Last names alone.
        (("", "Lovelace"), ("", "Turing")),
        (("Ada", "Lovelace"), ("", "Turing")),
        (("", "Petrov"), ("", "Petrova")),
        (("[Not Provided]", "Lovelace"), ("Unknown", "Turing")),
        (("", "van der Berg"), ("", "van der Meer")),
        // An initial is too little where the last names differ.
        (("A.", "Lovelace"), ("Anna", "Turing")),
        // Other scripts.
        (("Иван", "Петров"), ("Мария", "Петрова")),
        (("Иван", "Петров"), ("Maria", "Petrova")),
        (("小明", "王"), ("大华", "李")),
    ] {
        assert!(why_names(a, b).is_some(), "{a:?} {b:?}");
    }
}

#[test]
fn different_companies_make_two_people_where_the_names_do_not_make_them_one() {
    let (a, b) = ("A Ltd", "B Ltd");
    let of = |first: (&'static str, &'static str), second: (&'static str, &'static str)| {
        why((first.0, first.1, a), (second.0, second.1, b))
    };
    assert_eq!(of(("Ada", "[Not Provided]"), ("Ada", "Lovelace")), None, "Ada changed her job");
    assert_eq!(of(("Ada", "Lovelace"), ("Ada", "Lovelace")), None);
    assert_eq!(of(("", ""), ("Ada", "Lovelace")), None);
    let two_annas = of(("Anna", "Smith"), ("Anna", "Jones")).unwrap();
    assert!(two_annas.contains("different last names and different companies"), "{two_annas}");
    assert!(of(("小明", "王"), ("Ada", "Lovelace")).is_some());
    assert_eq!(why(("Anna", "Smith", "Acme GmbH"), ("Anna", "Jones", "ACME")), None);
}

#[test]
fn a_lead_that_names_two_people_is_no_one_person() {
    for first in ["Ada & Charles", "Ada und Charles", "Ada + Charles"] {
        assert!(why_names((first, "Lovelace"), ("Ada", "Lovelace")).is_some(), "{first}");
    }
    assert_eq!(why_names(("Ada &", "Lovelace"), ("Ada", "Lovelace")), None);
}

#[test]
fn records_that_say_the_same_are_one_person_unless_their_name_is_of_two() {
    for name in ["Ada", "Ada B.", "Ada &", "Ada and", "", "n/a", "\u{3b1}\u{3b4}\u{3b1}"] {
        assert_eq!(why((name, "Byron", "Engines"), (name, "Byron", "Engines")), None, "{name}");
    }
    for name in ["Ada & Charles", "Ada and Charles", "Ada+Charles", "Ada und Karl"] {
        let found = why((name, "Byron", ""), (name, "Byron", "")).unwrap();
        assert_eq!(found, "lead 1 has the names of two people", "{name}");
    }
}

#[test]
fn a_second_key_that_differs_tells_people_apart_when_asked() {
    let skip = Skip { differs: vec!["accountId".to_owned()], ..Skip::default() };
    let pair = |a: &str, b: &str| {
        let lead = |id, account: &str| lead(id, ("Ada", "Lovelace", "")).with("accountId", account);
        several_people(&[lead(1, a), lead(2, b), lead(3, "")], &skip)
    };
    assert_eq!(
        pair("17", "18").unwrap(),
        "leads 1 and 2 have different values of `accountId`, a field of `skip.differs`"
    );
    for (a, b) in [("17", "17"), ("17", ""), ("17", " 17 "), ("17", "N/A")] {
        assert_eq!(pair(a, b), None, "{a} {b}");
    }
    let leads = [
        lead(1, ("Ada", "", "")).with("accountId", 5),
        lead(2, ("Ada", "", "")).with("accountId", 5.0),
    ];
    assert_eq!(several_people(&leads, &skip), None);
    assert_eq!(several_people(&leads, &Skip::default()), None);
}

#[test]
fn placeholders_of_ones_own_are_no_names() {
    let skip = Skip { placeholders: vec!["Web Lead".to_owned()], ..Skip::default() };
    let leads = [lead(1, ("web-lead", "Lovelace", "")), lead(2, ("Ada", "Lovelace", ""))];
    assert_eq!(several_people(&leads, &skip), None);
    assert!(several_people(&leads, &Skip::default()).is_some());
}

#[test]
fn a_large_group_of_one_name_is_compared_in_no_time() {
    let leads: Vec<Lead> = (0..20_000).map(|id| lead(id, ("Ada", "Lovelace", "A Ltd"))).collect();
    assert_eq!(several_people(&leads, &Skip::default()), None);
}

const FIRSTS: &[&str] = &[
    "",
    "Ada",
    "Bob",
    "Robert",
    "A.",
    "Ada Marie",
    "Jürgen",
    "Dr. Ada",
    "Иван",
    "王小明",
    "Unknown",
];
const LASTS: &[&str] =
    &["", "Lovelace", "Turing", "[Not Provided]", "Müller", "van der Berg", "Петров", "King-Noel"];
const COMPANIES: &[&str] = &["", "A Ltd", "B GmbH", "n/a", "A Limited"];

fn said() -> impl Strategy<Value = Said<'static>> {
    let one_of = proptest::sample::select;
    (one_of(FIRSTS), one_of(LASTS), one_of(COMPANIES))
}

fn are_several(leads: &[Lead]) -> bool {
    several_people(leads, &Skip::default()).is_some()
}

fn leads_of(people: &[Said<'_>]) -> Vec<Lead> {
    people.iter().zip(1..).map(|(said, id)| lead(id, *said)).collect()
}

/// The same text with accents on its Latin vowels.
fn accented(text: &str) -> String {
    text.chars()
        .flat_map(|c| if "aeiou".contains(c) { vec![c, '\u{301}'] } else { vec![c] })
        .collect()
}

proptest! {
    #[test]
    fn order_case_and_accents_never_change_the_answer(people in proptest::collection::vec(said(), 2..5)) {
        let leads = leads_of(&people);
        let answer = are_several(&leads);
        let reversed: Vec<Said<'_>> = people.iter().rev().copied().collect();
        prop_assert_eq!(are_several(&leads_of(&reversed)), answer);
        for change in [str::to_uppercase, str::to_lowercase, accented, |text: &str| format!(" {text}\u{200b} ")] {
            let mut changed = leads.clone();
            for field in ["firstName", "lastName", "company"] {
                let text = leads[0].text(field).map(change).unwrap_or_default();
                changed[0].set(field, text.into());
            }
            prop_assert_eq!(are_several(&changed), answer, "{:?}", people);
        }
    }

    #[test]
    fn a_placeholder_says_as_much_as_nothing(
        people in proptest::collection::vec(said(), 2..4),
        placeholder in proptest::sample::select(&["[Not Provided]", "UNKNOWN", "n/a", "-", "{{lead.Last Name}}", "inconnu"][..]),
    ) {
        let leads = leads_of(&people);
        let answer = several_people(&leads, &Skip::default());
        let mut filled = leads;
        for lead in &mut filled {
            for field in ["firstName", "lastName", "company"] {
                if lead.text(field).is_none() {
                    lead.set(field, placeholder.into());
                }
            }
        }
        prop_assert_eq!(&several_people(&filled, &Skip::default()), &answer);
        filled.push(lead(9, (placeholder, placeholder, placeholder)));
        prop_assert_eq!(&several_people(&filled, &Skip::default()), &answer);
    }

    #[test]
    fn whatever_is_in_a_name_is_compared_without_failing(a in "\\PC{0,12}|.{0,12}", b in "\\PC{0,12}", c in ".{0,8}") {
        let (one, two) = ((a.as_str(), b.as_str(), c.as_str()), (b.as_str(), c.as_str(), a.as_str()));
        prop_assert_eq!(are_several(&leads_of(&[one, two])), are_several(&leads_of(&[two, one])));
        // Twice the same is one person, unless the name is of two.
        if why(one, ("", "", "")).is_none() {
            prop_assert_eq!(why(one, one), None);
        }
    }
}

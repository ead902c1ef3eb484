//! Every form of a date but the plain ISO one: by tokens.

use chrono::{Days as Span, FixedOffset, NaiveDate, NaiveTime};
use unicode_normalization::UnicodeNormalization as _;

use super::words::{is_afternoon, is_filler, is_weekday, month, zone};
use super::{DateText, Days, Form, Time};

/// No date is longer.
const LONGEST: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Its value, and how many digits it has.
    Number(u32, usize),
    /// In small letters.
    Word(String),
    Sign(char),
}

pub(super) fn read(text: &str) -> Option<DateText> {
    if text.is_empty() || text.len() > LONGEST || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(serial) = serial(text) {
        return Some(serial);
    }
    let mut tokens = Tokens { all: tokens(text)?, at: 0 };
    tokens.skip(|token| {
        matches!(token, Token::Word(word) if is_weekday(word) && month(word).is_none())
            || matches!(token, Token::Sign(',' | '.' | '-'))
    });
    let (days, form) = date(&mut tokens)?;
    tokens.skip(|token| {
        matches!(token, Token::Sign(',' | '.' | '-'))
            || matches!(token, Token::Word(word) if word == "t" || is_filler(word) || is_weekday(word))
    });
    let time = time(&mut tokens)?;
    let offset = if time.is_some() { offset(&mut tokens)? } else { None };
    tokens.is_at_end().then_some(DateText { days, time, offset, form })
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let text: String =
        text.nfkc().filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{feff}')).collect();
    let mut tokens = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let run = |is: fn(char) -> bool| rest.find(|c: char| !is(c)).unwrap_or(rest.len());
        let length = match first {
            '0'..='9' => {
                let length = run(|c| c.is_ascii_digit());
                tokens.push(Token::Number(rest.get(..length)?.parse().ok()?, length));
                length
            }
            c if c.is_alphabetic() => {
                let length = run(|c| c.is_alphabetic() || c == '\u{307}');
                tokens.push(Token::Word(rest.get(..length)?.to_lowercase()));
                length
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(if c == '\u{2212}' { '-' } else { c }));
                }
                c.len_utf8()
            }
        };
        rest = rest.get(length..)?;
    }
    Some(tokens)
}

struct Tokens {
    all: Vec<Token>,
    at: usize,
}

impl Tokens {
    fn peek(&self) -> Option<&Token> {
        self.all.get(self.at)
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.all.len()
    }

    fn skip(&mut self, is: impl Fn(&Token) -> bool) {
        while self.peek().is_some_and(&is) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Option<(u32, usize)> {
        let Token::Number(value, digits) = *self.peek()? else { return None };
        self.at += 1;
        Some((value, digits))
    }

    fn word<T>(&mut self, means: impl Fn(&str) -> Option<T>) -> Option<T> {
        let Token::Word(word) = self.peek()? else { return None };
        let value = means(word)?;
        self.at += 1;
        Some(value)
    }

    fn sign(&mut self, signs: &[char]) -> Option<char> {
        let Token::Sign(sign) = *self.peek()? else { return None };
        signs.contains(&sign).then(|| {
            self.at += 1;
            sign
        })
    }

    /// Between the parts of a date with a month's name.
    fn skip_fillers(&mut self) {
        self.skip(|token| match token {
            Token::Sign(sign) => matches!(sign, ',' | '.' | '-' | '/' | 'º' | '\''),
            Token::Word(word) => is_filler(word) && month(word).is_none(),
            Token::Number(..) => false,
        });
    }
}

fn date(tokens: &mut Tokens) -> Option<(Days, Form)> {
    if let Some(month) = tokens.word(month) {
        tokens.skip_fillers();
        let (day, _) = tokens.number()?;
        tokens.skip_fillers();
        let year = tokens.number()?;
        return named(year, month, day);
    }
    let first = tokens.number()?;
    if first.1 == 8 {
        let (year, month, day) = (first.0 / 10_000, first.0 / 100 % 100, first.0 % 100);
        return (1_900..2_200).contains(&year).then(|| known(year, month, day, Form::Iso))?;
    }
    if let Some(date) = with_signs_of_east_asia(tokens, first) {
        return Some(date);
    }
    let start = tokens.at;
    if let Some(sign) = tokens.sign(&['/', '-', '.'])
        && let Some(second) = tokens.number()
        && tokens.sign(&[sign]).is_some()
        && let Some(third) = tokens.number()
    {
        tokens.sign(&['.']);
        return numeric(first, second, third, sign);
    }
    tokens.at = start;
    tokens.skip_fillers();
    let month = tokens.word(month)?;
    tokens.skip_fillers();
    let last = tokens.number()?;
    if first.1 == 4 { named(first, month, last.0) } else { named(last, month, first.0) }
}

/// `2019年3月4日`, `2019년 3월 4일`.
fn with_signs_of_east_asia(tokens: &mut Tokens, year: (u32, usize)) -> Option<(Days, Form)> {
    let mut sign =
        |signs: [&str; 2]| tokens.word(|word| signs.contains(&word).then_some(())).is_some();
    if !sign(["年", "년"]) {
        return None;
    }
    let (month, _) = tokens.number()?;
    tokens.word(|word| matches!(word, "月" | "월").then_some(()))?;
    let (day, _) = tokens.number()?;
    tokens.word(|word| matches!(word, "日" | "일" | "号").then_some(()))?;
    known(full_year(year)?, month, day, Form::Iso)
}

fn named(year: (u32, usize), month: u32, day: u32) -> Option<(Days, Form)> {
    known(full_year(year)?, month, day, Form::Named)
}

fn known(year: u32, month: u32, day: u32, form: Form) -> Option<(Days, Form)> {
    Some((Days::Known(day_of(year, month, day)?), form))
}

fn day_of(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Of two digits, a year from 1950 to 2049, as Windows takes them.
fn full_year((year, digits): (u32, usize)) -> Option<u32> {
    match digits {
        4 => Some(year),
        2 if year < 50 => Some(2_000 + year),
        2 => Some(1_900 + year),
        _ => None,
    }
}

fn numeric(
    first: (u32, usize),
    second: (u32, usize),
    third: (u32, usize),
    sign: char,
) -> Option<(Days, Form)> {
    if second.1 > 2 || first.1 == 3 || third.1 == 3 {
        return None;
    }
    if first.1 == 4 {
        return (third.1 <= 2).then(|| known(first.0, second.0, third.0, Form::Iso))?;
    }
    let year = full_year(third);
    let day = |year: Option<u32>, month: u32, day: u32| day_of(year?, month, day);
    let (us, eu) = (day(year, first.0, second.0), day(year, second.0, first.0));
    // Two digits of a year in front stand with hyphens; with slashes and dots nobody writes them
    // so.
    let iso =
        if sign == '-' && third.1 == 2 { day(full_year(first), second.0, third.0) } else { None };
    let days = [us, eu, iso];
    if let (Some(day), true) = (us, us == eu)
        && iso.is_none_or(|iso| iso == day)
    {
        return Some((Days::Known(day), Form::Numeric));
    }
    days.iter().flatten().next()?;
    Some((Days::ByOrder { days, dotted: sign == '.' }, Form::Numeric))
}

/// The outer none: it is no time; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "a date without a time is right, one with half a time is not"
)]
fn time(tokens: &mut Tokens) -> Option<Option<Time>> {
    if tokens.is_at_end() {
        return Some(None);
    }
    let half = half_of_day(tokens);
    let (first, digits) = tokens.number()?;
    let (hour, minute, second) = if digits == 4 || digits == 6 {
        let (hour_and_minute, second) =
            if digits == 6 { (first / 100, Some(first % 100)) } else { (first, None) };
        (hour_and_minute / 100, Some(hour_and_minute % 100), second)
    } else {
        clock(tokens, first)?
    };
    let half = half.or_else(|| half_of_day(tokens));
    let hour = match half {
        None if minute.is_none() => return None,
        None => hour,
        Some(_) if hour == 0 || hour > 23 => return None,
        Some(true) => {
            if hour < 12 {
                hour + 12
            } else {
                hour
            }
        }
        Some(false) if hour > 12 => return None,
        Some(false) => hour % 12,
    };
    let time = NaiveTime::from_hms_opt(hour, minute.unwrap_or(0), second.unwrap_or(0))?;
    Some(Some(Time { time, to_the_second: second.is_some() }))
}

/// Minute and second after an hour: `:06`, `:06:00`, `:06:00.123`, `.06`, `h06`, `時06分`.
fn clock(tokens: &mut Tokens, hour: u32) -> Option<(u32, Option<u32>, Option<u32>)> {
    let is_unit = |word: &str, units: &[&str]| units.contains(&word).then_some(());
    if tokens.sign(&[':', '.']).is_none()
        && tokens.word(|word| is_unit(word, &["h", "時", "시", "时", "点"])).is_none()
    {
        return Some((hour, None, None));
    }
    let Some((minute, _)) = tokens.number() else { return Some((hour, Some(0), None)) };
    let parted = tokens.sign(&[':', '.']).is_some()
        || tokens.word(|word| is_unit(word, &["m", "min", "分", "분"])).is_some();
    let second = if parted { tokens.number().map(|(second, _)| second) } else { None };
    tokens.word(|word| is_unit(word, &["s", "秒", "초"]));
    if second.is_some() && tokens.sign(&['.', ',']).is_some() {
        tokens.number()?;
    }
    Some((hour, Some(minute), second))
}

/// `AM`, `pm`, `p. m.`, `下午`.
fn half_of_day(tokens: &mut Tokens) -> Option<bool> {
    let start = tokens.at;
    if let Some(afternoon) = tokens.word(is_afternoon) {
        return Some(afternoon);
    }
    let letter = tokens.word(|word| match word {
        "a" | "π" => Some(false),
        "p" | "μ" => Some(true),
        _ => None,
    });
    let dotted = letter.is_some()
        && tokens.sign(&['.']).is_some()
        && tokens.word(|word| matches!(word, "m" | "μ").then_some(())).is_some();
    if dotted {
        tokens.sign(&['.']);
        return letter;
    }
    tokens.at = start;
    None
}

/// The outer none: it is no zone; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "a time without a zone is right, one with half a zone is not"
)]
fn offset(tokens: &mut Tokens) -> Option<Option<FixedOffset>> {
    tokens.skip(|token| {
        matches!(token, Token::Word(word) if word == "uhr") || *token == Token::Sign('(')
    });
    let named = tokens.word(zone);
    let sign = if named.unwrap_or(0) == 0 { tokens.sign(&['+', '-']) } else { None };
    let hours = match (named, sign) {
        (None, None) => return Some(None),
        (_, Some(sign)) => {
            let (first, digits) = tokens.number()?;
            let (hours, minutes) = match digits {
                1 | 2 if tokens.sign(&[':']).is_some() => (first, tokens.number()?.0),
                1 | 2 => (first, 0),
                4 => (first / 100, first % 100),
                _ => return None,
            };
            let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
            if sign == '-' { -seconds } else { seconds }
        }
        (Some(hours), None) => hours * 3_600,
    };
    // `(CET)`, `(Central European Time)`: the zone once more.
    if tokens.sign(&['(']).is_some() {
        tokens.skip(|token| matches!(token, Token::Word(_)));
    }
    tokens.sign(&[')']);
    FixedOffset::east_opt(hours).map(Some)
}

/// `43528` and `43528.7125`: days since the end of 1899, as Excel counts them, where a cell lost
/// its form.
fn serial(text: &str) -> Option<DateText> {
    let (days, fraction) =
        text.split_once(['.', ',']).map_or((text, None), |(days, rest)| (days, Some(rest)));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if days.len() != 5 || !is_number(days) || !fraction.is_none_or(is_number) {
        return None;
    }
    let days: u64 = days.parse().ok().filter(|days| (20_000..80_000).contains(days))?;
    let part: f64 = fraction.map_or(Some(0.0), |fraction| format!("0.{fraction}").parse().ok())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a day, in seconds"
    )]
    let second = (part * 86_400.0).round() as u32;
    let days = days + u64::from(second >= 86_400);
    let day = NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(Span::new(days))?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(second % 86_400, 0)?;
    let time = fraction.map(|_| Time { time, to_the_second: true });
    Some(DateText { days: Days::Known(day), time, offset: None, form: Form::Serial })
}

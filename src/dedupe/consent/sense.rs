//! What words say of consent: yes, no, or that a person has to tell.

/// What a consent field says where it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// No: an opt-out.
    OptOut,
    /// Yes: a consent.
    Consent,
    /// The words do not say, or the field holds more than true and false.
    Unclear,
}

impl Sense {
    /// How a merge treats such a field.
    pub fn treatment(self) -> &'static str {
        match self {
            Self::OptOut => "true on any record stays true",
            Self::Consent => {
                "true is a yes; records that differ are left alone until a rule for it is set"
            }
            Self::Unclear => {
                "records with different values are left alone until a rule for it is set"
            }
        }
    }
}

/// Phrases that say no, as words between blanks.
const NO: &[&str] = &[
    "opt out",
    "optout",
    "opted out",
    "optedout",
    "opts out",
    "unsubscribe",
    "unsubscribed",
    "unsubscribes",
    "suppress",
    "suppressed",
    "suppression",
    "suspend",
    "suspended",
    "blacklist",
    "blacklisted",
    "blocklist",
    "black listed",
    "abmelden",
    "abgemeldet",
    "abmeldung",
    "widerspruch",
    "widersprochen",
    "désabonné",
    "desabonné",
    "desabonne",
    "désabonner",
    "désabonnement",
    "desabonnement",
    "désinscrit",
    "desinscrit",
    "baja",
];

/// Words that say no before one of [`CHANNELS`].
const NEGATIONS: &[&str] = &["no", "do not", "donot", "dont", "don t"];

const CHANNELS: &[&str] = &[
    "call",
    "calls",
    "email",
    "emails",
    "mail",
    "mails",
    "contact",
    "track",
    "tracking",
    "sell",
    "share",
    "sms",
    "text",
    "texts",
    "phone",
    "fax",
    "marketing",
    "newsletter",
    "newsletters",
    "mailing",
    "mailings",
    "market",
    "solicit",
    "spam",
    "process",
    "profile",
    "consent",
    "permission",
    "send",
];

/// Phrases that say yes.
const YES: &[&str] = &[
    "opt in",
    "optin",
    "opted in",
    "optedin",
    "consent",
    "consented",
    "consents",
    "permission",
    "permissions",
    "einwilligung",
    "eingewilligt",
    "consentement",
    "consentimiento",
];

/// Phrases that are about consent and do not say which way.
const ABOUT: &[&str] = &["gdpr", "dsgvo", "rgpd"];

/// What the words, each between blanks, say; none where they are not about consent.
pub(super) fn in_words(text: &str) -> Option<Sense> {
    let has = |phrase: &&str| text.contains(&format!(" {phrase} "));
    let negated = NEGATIONS
        .iter()
        .any(|no| CHANNELS.iter().any(|what| text.contains(&format!(" {no} {what} "))));
    let glued = text.split(' ').any(|word| {
        ["donot", "dont", "no"]
            .iter()
            .any(|no| word.strip_prefix(no).is_some_and(|rest| CHANNELS.contains(&rest)))
    });
    let says_no = NO.iter().any(&has) || negated || glued;
    let says_yes = YES.iter().any(&has);
    // `not opted out` or `consent withdrawn` turns the sense round.
    let turned = ["not", "never", "withdrawn", "revoked", "removed", "lifted"]
        .iter()
        .any(|word| has(word) && !(*word == "not" && negated));
    match (says_no, says_yes) {
        (true, _) | (_, true) if turned => Some(Sense::Unclear),
        (true, _) => Some(Sense::OptOut),
        (false, true) => Some(Sense::Consent),
        (false, false) => ABOUT.iter().any(has).then_some(Sense::Unclear),
    }
}

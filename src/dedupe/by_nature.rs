//! Fields in which every lead has a value of its own.

/// Fields that differ on every lead by nature, or that Marketo derives: no conflict, no loss, and
/// nothing to write (recorded from live instances).
const BY_NATURE: &[&str] = &[
    "id",
    "createdAt",
    "updatedAt",
    "leadPerson",
    "personPrimaryLeadInterest",
    "contactCompany",
    "mktoName",
    "cookies",
    "anonymousIP",
    "priority",
    "urgency",
    "relativeScore",
    "originalSourceType",
    "originalSourceInfo",
    "originalSearchEngine",
    "originalSearchPhrase",
    "originalReferrer",
    "registrationSourceType",
    "registrationSourceInfo",
    "inferredCompany",
    "inferredCountry",
    "inferredCity",
    "inferredStateRegion",
    "inferredPostalCode",
    "inferredMetropolitanArea",
    "inferredPhoneAreaCode",
];

/// Whether a field differs on every lead by nature. Whole names: `registrationCode` is a field of
/// somebody's own.
pub fn differs_by_nature(field: &str) -> bool {
    BY_NATURE.contains(&field)
}

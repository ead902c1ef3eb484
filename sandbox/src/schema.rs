//! The fields of leads on this instance: standard ones, some of the CRM's, and some that somebody
//! made here.

/// What a field holds, by Marketo's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text of several lines.
    TextArea,
    Email,
    Phone,
    Url,
    Integer,
    Float,
    Score,
    Boolean,
    Date,
    DateTime,
}

impl Kind {
    /// As Describe names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::TextArea => "text",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Score => "score",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::DateTime => "datetime",
        }
    }

    /// Whether a field of it holds text, and so has a length.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::TextArea | Self::Email | Self::Phone | Self::Url)
    }
}

/// Who writes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Any caller.
    Callers,
    /// Marketo itself: callers are refused, and a merge leaves it alone.
    Marketo,
    /// Marketo's formulas and an administrator's choice: callers are refused, but a merge moves its
    /// values.
    ReadOnly,
    /// The CRM; callers may write it, and should not.
    Crm,
    /// The CRM alone: callers are refused, but a merge moves its values.
    CrmAlone,
}

impl Owner {
    /// Whether a caller's value is taken.
    pub(super) fn lets_callers_write(self) -> bool {
        matches!(self, Self::Callers | Self::Crm)
    }

    /// Whether Describe shows it as the CRM's.
    pub(super) fn is_crm(self) -> bool {
        matches!(self, Self::Crm | Self::CrmAlone)
    }
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) display_name: &'static str,
    pub(super) kind: Kind,
    /// How many characters a text may have.
    pub(super) length: usize,
    pub(super) owner: Owner,
    /// Whether leads can be looked up by it.
    pub(super) searchable: bool,
    /// Whether somebody made it on this instance; an unset one of these is null inside and reads as
    /// false.
    pub(super) custom: bool,
}

const fn field(name: &'static str, display_name: &'static str, kind: Kind) -> Field {
    let length = if matches!(kind, Kind::TextArea) { 2_000 } else { 255 };
    Field {
        name,
        display_name,
        kind,
        length,
        owner: Owner::Callers,
        searchable: false,
        custom: false,
    }
}

const fn long(field: Field) -> Field {
    Field { length: 30_000, ..field }
}

const fn read_only(field: Field) -> Field {
    Field { owner: Owner::ReadOnly, ..field }
}

const fn of_crm_alone(field: Field) -> Field {
    Field { owner: Owner::CrmAlone, ..field }
}

const fn searchable(field: Field) -> Field {
    Field { searchable: true, ..field }
}

const fn custom(field: Field) -> Field {
    Field { custom: true, ..field }
}

const fn of_marketo(field: Field) -> Field {
    Field { owner: Owner::Marketo, ..field }
}

const fn of_crm(field: Field) -> Field {
    Field { owner: Owner::Crm, ..field }
}

use Kind::{Boolean, Date, DateTime, Email, Float, Integer, Phone, Score, Text, TextArea, Url};

/// Every field. A field's place here is its number, which does not change.
pub(super) const FIELDS: &[Field] = &[
    searchable(of_marketo(field("id", "Id", Integer))),
    searchable(field("email", "Email Address", Email)),
    field("firstName", "First Name", Text),
    field("middleName", "Middle Name", Text),
    field("lastName", "Last Name", Text),
    field("salutation", "Salutation", Text),
    field("title", "Job Title", Text),
    field("department", "Department", Text),
    field("phone", "Phone Number", Phone),
    field("mobilePhone", "Mobile Phone Number", Phone),
    field("fax", "Fax Number", Phone),
    field("company", "Company Name", Text),
    field("website", "Website", Url),
    field("industry", "Industry", Text),
    field("numberOfEmployees", "Num Employees", Integer),
    field("annualRevenue", "Annual Revenue", Float),
    field("address", "Address", TextArea),
    field("city", "City", Text),
    field("state", "State", Text),
    field("postalCode", "Postal Code", Text),
    field("country", "Country", Text),
    field("dateOfBirth", "Date of Birth", Date),
    field("leadSource", "Lead Source", Text),
    field("leadStatus", "Lead Status", Text),
    field("rating", "Lead Rating", Text),
    field("leadScore", "Lead Score", Score),
    field("priority", "Priority", Integer),
    field("relativeScore", "Relative Score", Integer),
    field("unsubscribed", "Unsubscribed", Boolean),
    field("unsubscribedReason", "Unsubscribed Reason", Text),
    field("marketingSuspended", "Marketing Suspended", Boolean),
    field("marketingSuspendedReason", "Marketing Suspended Reason", Text),
    field("doNotCall", "Do Not Call", Boolean),
    field("doNotCallReason", "Do Not Call Reason", Text),
    field("blackListed", "Black Listed", Boolean),
    field("blackListedCause", "Black Listed Cause", Text),
    field("emailInvalid", "Email Invalid", Boolean),
    field("emailInvalidCause", "Email Invalid Cause", Text),
    of_marketo(field("emailSuspended", "Email Suspended", Boolean)),
    of_marketo(field("isLead", "Is Lead", Boolean)),
    of_marketo(field("isAnonymous", "Is Anonymous", Boolean)),
    of_marketo(field("mktoIsPartner", "Is Partner", Boolean)),
    of_marketo(field("mktoIsCustomer", "Is Customer", Boolean)),
    of_marketo(field("createdAt", "Created At", DateTime)),
    of_marketo(field("updatedAt", "Updated At", DateTime)),
    searchable(of_marketo(field("leadPartitionId", "Lead Partition Id", Integer))),
    of_marketo(field("originalSourceType", "Original Source Type", Text)),
    of_marketo(field("originalSourceInfo", "Original Source Info", Text)),
    of_marketo(field("registrationSourceType", "Registration Source Type", Text)),
    of_marketo(field("registrationSourceInfo", "Registration Source Info", Text)),
    of_marketo(field("acquisitionProgramId", "Acquisition Program Id", Integer)),
    of_marketo(field("mktoAcquisitionDate", "Acquisition Date", DateTime)),
    field("personType", "Person Type", Text),
    of_crm(of_marketo(field("sfdcId", "SFDC Id", Text))),
    of_crm(of_marketo(field("sfdcType", "SFDC Type", Text))),
    searchable(of_marketo(field("sfdcLeadId", "SFDC Lead Id", Text))),
    searchable(of_marketo(field("sfdcContactId", "SFDC Contact Id", Text))),
    searchable(of_marketo(field("sfdcAccountId", "SFDC Account Id", Text))),
    searchable(field("twitterId", "Twitter Id", Text)),
    searchable(field("facebookId", "Facebook Id", Text)),
    searchable(field("linkedInId", "LinkedIn Id", Text)),
    of_crm(field("accountOwner", "Account Owner", Text)),
    custom(searchable(field("externalPersonId", "External Person Id", Text))),
    custom(searchable(field("customerNumber", "Customer Number", Integer))),
    custom(searchable(field("secondaryEmail", "Secondary Email", Email))),
    custom(field("region", "Region", Text)),
    custom(field("preferredLanguage", "Preferred Language", Text)),
    custom(field("vip", "VIP", Boolean)),
    custom(field("attendedWebinar", "Attended Webinar", Boolean)),
    custom(field("lastPurchaseDate", "Last Purchase Date", Date)),
    custom(field("lastPurchaseAt", "Last Purchase At", DateTime)),
    custom(field("lifetimeValue", "Lifetime Value", Float)),
    custom(field("behaviorScore", "Behavior Score", Score)),
    custom(field("demographicScore", "Demographic Score", Score)),
    custom(field("interests", "Interests", TextArea)),
    custom(long(field("notes", "Notes", TextArea))),
    field("marketingSuspendedCause", "Marketing Suspended Cause", Text),
    custom(field("emailOptOut", "Email Opt Out", Boolean)),
    custom(field("doNotEmail", "Do Not Email", Boolean)),
    custom(field("gdprConsent", "GDPR Consent", Boolean)),
    custom(read_only(field("firstTouchChannel", "First Touch Channel", Text))),
    custom(of_crm_alone(field("accountTier", "Account Tier", Text))),
    of_marketo(field("leadPerson", "Lead Person", Text)),
    of_marketo(field("personPrimaryLeadInterest", "Person Primary Lead Interest", Text)),
    of_marketo(field("mktoName", "Full Name", Text)),
];

/// A field by its REST API name, with its number.
pub(super) fn find(name: &str) -> Option<(u16, &'static Field)> {
    FIELDS
        .iter()
        .zip(0..)
        .find(|(field, _)| field.name == name)
        .map(|(field, number)| (number, field))
}

/// A field by its number.
pub(super) fn by_number(number: u16) -> Option<&'static Field> {
    FIELDS.get(usize::from(number))
}

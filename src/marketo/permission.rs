//! Which permission of the API user's role each call needs, in the words of Marketo's screens.
//!
//! Marketo's 603 does not say it. Never: guesses for a call that is not listed.

/// The permission that a call needs, named as errors name it: method and path.
pub(super) fn of_call(call: &str) -> Option<&'static str> {
    let (method, path) = call.split_once(' ')?;
    let reads = method == "GET";
    let (version, rest) = match path.strip_prefix("/rest/v1/") {
        Some(rest) => ("rest", rest),
        None => match path.strip_prefix("/bulk/v1/") {
            Some(rest) => ("bulk", rest),
            None => ("asset", path.strip_prefix("/rest/asset/v1/")?),
        },
    };
    let first = rest.split(['/', '.']).next().unwrap_or_default();
    Some(match (version, first) {
        ("asset", _) => "Read-Only Assets",
        ("bulk", "leads") => "Read-Only Lead",
        ("rest", "activities") => "Read-Only Activity",
        ("rest", "customobjects") if reads => "Read-Only Custom Object",
        ("rest", "customobjects") => "Read-Write Custom Object",
        ("rest", "lists") if reads && !rest.contains("/leads") => "Read-Only Assets",
        ("rest", "leads") if rest.contains("Membership") => "Read-Only Assets",
        ("rest", "leads" | "lead" | "lists" | "programs") if reads => "Read-Only Lead",
        ("rest", "leads" | "lead" | "lists" | "programs") => "Read-Write Lead",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::of_call;

    #[test]
    fn each_call_that_this_program_makes_is_known() {
        for (call, permission) in [
            ("GET /rest/v1/leads.json", "Read-Only Lead"),
            ("GET /rest/v1/leads/describe2.json", "Read-Only Lead"),
            ("GET /rest/v1/leads/programs/3.json", "Read-Only Lead"),
            ("GET /rest/v1/lists/3/leads.json", "Read-Only Lead"),
            ("POST /rest/v1/leads.json", "Read-Write Lead"),
            ("POST /rest/v1/leads/7/merge.json", "Read-Write Lead"),
            ("POST /rest/v1/leads/delete.json", "Read-Write Lead"),
            ("POST /rest/v1/programs/3/members/status.json", "Read-Write Lead"),
            ("POST /rest/v1/programs/3/members/delete.json", "Read-Write Lead"),
            ("POST /rest/v1/programs/3/members.json", "Read-Write Lead"),
            ("GET /rest/v1/programs/3/members.json", "Read-Only Lead"),
            ("GET /rest/v1/programs/members/describe.json", "Read-Only Lead"),
            ("DELETE /rest/v1/lists/3/leads.json", "Read-Write Lead"),
            ("POST /rest/v1/leads/partitions.json", "Read-Write Lead"),
            ("GET /rest/v1/leads/partitions.json", "Read-Only Lead"),
            ("GET /rest/v1/lists.json", "Read-Only Assets"),
            ("GET /rest/v1/leads/7/listMembership.json", "Read-Only Assets"),
            ("GET /rest/v1/leads/7/programMembership.json", "Read-Only Assets"),
            ("GET /rest/asset/v1/programs.json", "Read-Only Assets"),
            ("GET /rest/asset/v1/folders.json", "Read-Only Assets"),
            ("GET /rest/v1/activities.json", "Read-Only Activity"),
            ("GET /rest/v1/activities/types.json", "Read-Only Activity"),
            ("GET /rest/v1/customobjects.json", "Read-Only Custom Object"),
            ("GET /rest/v1/customobjects/car_c.json", "Read-Only Custom Object"),
            ("POST /bulk/v1/leads/export/create.json", "Read-Only Lead"),
        ] {
            assert_eq!(of_call(call), Some(permission), "{call}");
        }
        assert_eq!(of_call("GET /rest/v1/stats/usage.json"), None);
        assert_eq!(of_call("POST /identity/oauth/token"), None);
    }
}

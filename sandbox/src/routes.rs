//! Which endpoint a call is for, and which permission it takes.

use super::answer::{Answer, refused};
use super::instance::Shared;
use super::options::Fault;
use super::request::{Request, take_time};
use super::{activities, extract, import, leads, lists, meddle, merge, objects, programs, sync};

/// What can be denied: the permissions of an API user's role, as Marketo's screens name them, and
/// bulk extract, which has none of its own and which some subscriptions lack.
pub const PERMISSIONS: [&str; 7] = [
    "Read-Only Lead",
    "Read-Write Lead",
    "Read-Only Activity",
    "Read-Only Assets",
    "Read-Only Custom Object",
    "Read-Write Custom Object",
    BULK_EXTRACT,
];

const BULK_EXTRACT: &str = "Bulk Extract";

/// Does what a call asks for.
pub(super) async fn dispatch(
    shared: &Shared,
    request: &Request,
    endpoint: &str,
    fault: Option<Fault>,
) -> Answer {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    let permission = permission(method, &segments);
    let is_bulk = matches!(segments.as_slice(), ["bulk", "v1", "leads", "export", ..]);
    if shared
        .options
        .denied
        .iter()
        .any(|denied| denied == permission || (is_bulk && denied == BULK_EXTRACT))
    {
        return refused("603", "Access denied").into();
    }
    // Writes wait between their look-up and their writing; everything else waits before it looks.
    if !waits_itself(method, &segments) {
        take_time(request.delay).await;
        if method != "GET" {
            meddle::during(shared, request, &[]);
        }
    }
    import::work_off(shared);
    route(shared, request, endpoint, &segments, fault).await
}

/// The endpoint that a method and a path name.
async fn route(
    shared: &Shared,
    request: &Request,
    endpoint: &str,
    segments: &[&str],
    fault: Option<Fault>,
) -> Answer {
    let method = request.method.as_str();
    match (method, segments) {
        ("GET", ["rest", "v1", "leads"]) => leads::by_filter(shared, request).into(),
        ("GET", ["rest", "v1", "lead", id]) => leads::by_id(shared, request, id).into(),
        ("GET", ["rest", "v1", "leads", "describe"]) => leads::describe(),
        ("GET", ["rest", "v1", "leads", "describe2"]) => leads::describe2(),
        ("GET", ["rest", "v1", "leads", "partitions"]) => leads::partitions(shared),
        ("POST", ["rest", "v1", "leads", "partitions"]) => {
            leads::move_partition(shared, request).into()
        }
        ("POST", ["rest", "v1", "leads", "delete"]) | ("DELETE", ["rest", "v1", "leads"]) => {
            leads::delete(shared, request).into()
        }
        ("POST", ["rest", "v1", "leads"]) => sync::leads(shared, request).await.into(),
        ("POST", ["rest", "v1", "leads", "push"]) => sync::push(shared, request).await.into(),
        ("POST", ["rest", "v1", "leads", "submitForm"]) => {
            sync::submit_form(shared, request).await.into()
        }
        ("POST", ["rest", "v1", "leads", id, "merge"]) => {
            merge::leads(shared, request, id, fault).await
        }
        ("GET", ["rest", "v1", "leads", id, "listMembership"]) => {
            lists::of_lead(shared, request, id).into()
        }
        ("GET", ["rest", "v1", "leads", id, "programMembership"]) => {
            programs::of_lead(shared, request, id).into()
        }
        ("GET", ["rest", "v1", "leads", _, "smartCampaignMembership"]) => Answer::Rows(Vec::new()),
        ("GET", ["rest", "v1", "leads", "programs", id]) => {
            programs::members(shared, request, id).into()
        }
        ("POST", ["rest", "v1", "leads", "programs", id, "status"]) => {
            programs::set_status(shared, request, id).into()
        }
        (_, ["rest", "v1", "programs", members @ ..]) => {
            of_program(shared, request, endpoint, members)
        }
        ("GET", ["rest", "asset", "v1", "programs"]) => programs::browse(shared, request),
        ("GET", ["rest", "asset", "v1", "folders"]) => programs::folders(shared),
        ("GET", ["rest", "v1", "lists"]) => lists::browse(shared, request).into(),
        ("GET", ["rest", "v1", "lists", id]) => lists::one(shared, id).into(),
        ("GET", ["rest", "v1", "lists" | "list", id, "leads"]) => {
            lists::members(shared, request, id).into()
        }
        ("GET", ["rest", "v1", "lists", id, "leads", "ismember"]) => {
            lists::is_member(shared, request, id).into()
        }
        ("POST", ["rest", "v1", "lists", id, "leads"]) => lists::add(shared, request, id).into(),
        ("DELETE", ["rest", "v1", "lists", id, "leads"]) => {
            lists::remove(shared, request, id).into()
        }
        ("GET", ["rest", "v1", "customobjects"]) => objects::list(shared),
        ("GET", ["rest", "v1", "customobjects", name, "describe"]) => {
            objects::describe(shared, name).into()
        }
        ("GET", ["rest", "v1", "customobjects", name]) => {
            objects::query(shared, request, name).into()
        }
        ("POST", ["rest", "v1", "customobjects", name]) => {
            objects::sync::rows(shared, request, name).into()
        }
        ("POST", ["rest", "v1", "customobjects", name, "delete"]) => {
            objects::delete(shared, request, name).into()
        }
        ("GET", ["rest", "v1", "activities", "types"]) => activities::activity_types(),
        ("GET", ["rest", "v1", "activities", "pagingtoken"]) => {
            activities::paging_token(shared, request).into()
        }
        ("GET", ["rest", "v1", "activities"]) => activities::browse(shared, request).into(),
        ("GET", ["rest", "v1", "activities", "leadchanges"]) => {
            activities::lead_changes(shared, request).into()
        }
        ("GET", ["rest", "v1", "activities", "deletedleads"]) => {
            activities::deleted_leads(shared, request).into()
        }
        (_, ["bulk", "v1", "leads", export @ ..]) => bulk(shared, request, endpoint, export, fault),
        ("GET", ["rest", "v1", "stats", "usage"]) => Answer::Rows(vec![shared.limits().usage()]),
        ("GET", ["rest", "v1", "stats", "errors"]) => {
            Answer::Rows(vec![shared.limits().error_usage()])
        }
        (_, known) if is_known(known) => {
            refused("605", format!("HTTP Method '{method}' is not supported")).into()
        }
        _ => refused("610", format!("Requested resource '{endpoint}' not found")).into(),
    }
}

/// Members of programs.
fn of_program(shared: &Shared, request: &Request, endpoint: &str, segments: &[&str]) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", ["members", "describe"]) => programs::members::describe(),
        ("POST", [id, "members", "status"]) => programs::set_status(shared, request, id).into(),
        ("GET", [id, "members"]) => programs::members::get(shared, request, id).into(),
        ("POST", [id, "members"]) => programs::members::set_fields(shared, request, id).into(),
        ("POST", [id, "members", "delete"]) => {
            programs::members::delete(shared, request, id).into()
        }
        _ => refused("610", format!("Requested resource '{endpoint}' not found")).into(),
    }
}

/// Bulk lead extract and bulk lead import.
fn bulk(
    shared: &Shared,
    request: &Request,
    endpoint: &str,
    segments: &[&str],
    fault: Option<Fault>,
) -> Answer {
    match (request.method.as_str(), segments) {
        ("POST", []) => import::create(shared, request).into(),
        ("GET", ["batch", id]) => import::status(shared, id).into(),
        ("GET", ["batch", id, "failures"]) => import::failures(shared, id).into(),
        ("GET", ["batch", id, "warnings"]) => import::warnings(shared, id).into(),
        ("GET", ["export"]) => extract::list(shared, request).into(),
        ("POST", ["export", "create"]) => extract::create(shared, request).into(),
        ("POST", ["export", id, "enqueue"]) => extract::enqueue(shared, request, id, fault).into(),
        ("POST", ["export", id, "cancel"]) => extract::cancel(shared, request, id).into(),
        ("GET", ["export", id, "status"]) => extract::status(shared, request, id).into(),
        ("GET", ["export", id, "file"]) => extract::file(shared, request, id, fault),
        (method, [] | ["export" | "batch", ..]) => {
            refused("605", format!("HTTP Method '{method}' is not supported")).into()
        }
        _ => refused("610", format!("Requested resource '{endpoint}' not found")).into(),
    }
}

/// The permission of the API user's role that a call takes, as Adobe's list of endpoints names it.
fn permission(method: &str, segments: &[&str]) -> &'static str {
    match (method, segments) {
        (_, ["rest", "v1", "stats", ..]) => "",
        (_, ["rest", "v1", "activities", ..]) => "Read-Only Activity",
        ("GET", ["rest", "v1", "customobjects", ..]) => "Read-Only Custom Object",
        (_, ["rest", "v1", "customobjects", ..]) => "Read-Write Custom Object",
        _ if is_asset(method, segments) => "Read-Only Assets",
        ("POST", ["bulk", "v1", "leads"]) => "Read-Write Lead",
        (_, ["bulk", ..]) | ("GET", _) => "Read-Only Lead",
        _ => "Read-Write Lead",
    }
}

fn waits_itself(method: &str, segments: &[&str]) -> bool {
    method == "POST"
        && matches!(
            segments,
            ["rest", "v1", "leads"]
                | ["rest", "v1", "leads", "push" | "submitForm"]
                | ["rest", "v1", "leads", _, "merge"]
        )
}

fn is_asset(method: &str, segments: &[&str]) -> bool {
    match (method, segments) {
        (_, ["rest", "asset", ..])
        | ("GET", ["rest", "v1", "lists"] | ["rest", "v1", "lists", _]) => true,
        ("GET", ["rest", "v1", "leads", _, what]) => what.ends_with("Membership"),
        _ => false,
    }
}

fn is_known(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["rest", "v1", "leads" | "lists" | "customobjects" | "activities"]
            | ["rest", "v1", "leads", "push" | "submitForm" | "delete" | "describe" | "describe2"]
            | ["rest", "v1", "leads", _, "merge"]
            | [
                "rest",
                "v1",
                "activities",
                "types" | "pagingtoken" | "leadchanges" | "deletedleads"
            ]
            | ["rest", "v1", "stats", "usage" | "errors"]
    )
}

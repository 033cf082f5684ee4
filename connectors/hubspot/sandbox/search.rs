//! `POST /crm/v3/objects/{type}/search` (A.5): late, limited, and without rate headers.

use http::StatusCode;
use serde_json::{Value, json};

use super::portal::{Record, Values};
use super::refusal::Refusal;
use super::{Done, HubSpot, Work, ok};

const BODY_CHARACTERS_MAX: usize = 3_000;
const PAGE_MAX: u64 = 200;
const RESULTS_MAX: u64 = 10_000;
const GROUPS_MAX: usize = 5;
const FILTERS_PER_GROUP_MAX: usize = 6;
const FILTERS_MAX: usize = 18;

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn check(work: &Work<'_>, groups: &[Value], limit: u64, after: u64) -> Result<(), Refusal> {
    let filters = groups.iter().map(|group| list(&group["filters"]).len());
    let too_many_filters =
        filters.clone().any(|count| count > FILTERS_PER_GROUP_MAX) || filters.sum::<usize>() > FILTERS_MAX;
    let refuse = |message: &str| Err(Refusal::validation(message));
    if String::from_utf8_lossy(&work.call.body).chars().count() > BODY_CHARACTERS_MAX {
        refuse("The request body is longer than 3,000 characters")
    } else if groups.len() > GROUPS_MAX || too_many_filters {
        refuse("At most 5 filter groups of 6 filters, 18 in all")
    } else if !(1..=PAGE_MAX).contains(&limit) {
        refuse("limit is at most 200")
    } else if after + limit > RESULTS_MAX {
        refuse("A search reaches 10,000 results")
    } else {
        Ok(())
    }
}

/// Numbers compare as numbers, all else as text without case.
fn order(left: &str, right: &str) -> std::cmp::Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.to_lowercase().cmp(&right.to_lowercase()),
    }
}

fn holds(filter: &Value, values: &Values) -> Result<bool, Refusal> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let own = filter["propertyName"].as_str().and_then(|name| values.get(name));
    let value = text(&filter["value"]);
    let compared = |wanted: &dyn Fn(std::cmp::Ordering) -> bool| own.is_some_and(|own| wanted(order(own, &value)));
    let among = || own.is_some_and(|own| list(&filter["values"]).iter().any(|one| order(own, &text(one)).is_eq()));
    let token = || {
        let wanted = value.to_lowercase();
        let whole = |word: &str| word == wanted || own.is_some_and(|own| own.to_lowercase() == wanted);
        let apart = |c: char| !c.is_alphanumeric() && !"@._-+".contains(c);
        let bare = wanted.trim_matches('*');
        own.is_some_and(|own| {
            let own = own.to_lowercase();
            if bare == wanted { own.split(apart).any(whole) } else { own.contains(bare) }
        })
    };
    Ok(match filter["operator"].as_str().unwrap_or_default() {
        "EQ" => compared(&std::cmp::Ordering::is_eq),
        "NEQ" => !compared(&std::cmp::Ordering::is_eq),
        "LT" => compared(&std::cmp::Ordering::is_lt),
        "LTE" => compared(&std::cmp::Ordering::is_le),
        "GT" => compared(&std::cmp::Ordering::is_gt),
        "GTE" => compared(&std::cmp::Ordering::is_ge),
        "BETWEEN" => {
            let high = text(&filter["highValue"]);
            compared(&std::cmp::Ordering::is_ge) && own.is_some_and(|own| order(own, &high).is_le())
        }
        "IN" => among(),
        "NOT_IN" => !among(),
        "HAS_PROPERTY" => own.is_some(),
        "NOT_HAS_PROPERTY" => own.is_none(),
        "CONTAINS_TOKEN" => token(),
        "NOT_CONTAINS_TOKEN" => !token(),
        _ => return Err(Refusal::validation("operator is not known")),
    })
}

/// Groups are alternatives; the filters of a group all hold.
fn matches(groups: &[Value], values: &Values) -> Result<bool, Refusal> {
    for group in groups {
        let mut all = true;
        for filter in list(&group["filters"]) {
            all = all && holds(filter, values)?;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(groups.is_empty())
}

impl HubSpot {
    pub(super) fn search(&self, work: &Work<'_>, rest: &[&str]) -> Done {
        let kind = rest.first().and_then(|name| self.portal.kind(name)).and_then(|kind| self.portal.kinds.get(kind));
        let kind = kind.ok_or_else(Refusal::not_found)?;
        let body = work.body();
        let groups = list(&body["filterGroups"]);
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let (limit, after) = (number(&body["limit"]).unwrap_or(10), number(&body["after"]).unwrap_or(0));
        check(work, groups, limit, after)?;
        for filter in groups.iter().flat_map(|group| list(&group["filters"])) {
            let name = filter["propertyName"].as_str().unwrap_or_default();
            if !kind.properties.contains_key(name) {
                return Err(Refusal::no_property(name));
            }
        }
        let query = body["query"].as_str().map(str::to_lowercase);
        let mut found: Vec<(&Record, &Values)> = Vec::new();
        for record in &kind.records {
            let Some(values) = record.searchable(work.now_ms, work.lag_ms) else { continue };
            let said =
                query.as_ref().is_none_or(|query| values.values().any(|value| value.to_lowercase().contains(query)));
            if said && matches(groups, values)? {
                found.push((record, values));
            }
        }
        if let Some(by) = body["sorts"][0]["propertyName"].as_str() {
            let value = |values: &Values| values.get(by).cloned().unwrap_or_default();
            found.sort_by(|(_, left), (_, right)| order(&value(left), &value(right)));
            if body["sorts"][0]["direction"] == "DESCENDING" {
                found.reverse();
            }
        }
        let asked: Vec<String> =
            list(&body["properties"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let page =
            found.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(usize::try_from(limit).unwrap_or(0));
        let results: Vec<Value> = page.map(|(record, values)| kind.render_as(record, values, Some(&asked))).collect();
        let mut answer = json!({ "total": found.len(), "results": results });
        if found.len() as u64 > after + limit {
            answer["paging"] = json!({ "next": { "after": (after + limit).to_string() } });
        }
        Ok(ok(StatusCode::OK, &answer))
    }
}

//! Each documented answer, and each rule of the vendor that the sandbox claims to keep.

use serde_json::{Value, json};

use crate::harness::testing::{Answer, Bench};

struct Crm {
    bench: Bench,
    token: String,
}

const CONTACTS: &str = "/crm/v3/objects/contacts";
const TICKETS: &str = "/crm/v3/objects/tickets";

impl Crm {
    async fn open() -> Self {
        let bench = Bench::start("hubspot").await;
        let token = format!("Bearer {}", bench.credential("access_token"));
        bench.control("settings", &json!({ "visibility_lag_ms": 0, "search_limit": null })).await;
        Self { bench, token }
    }

    async fn set(&self, settings: Value) {
        self.bench.control("settings", &settings).await;
    }

    async fn get(&self, path: &str) -> Answer {
        self.bench.json("GET", path, &self.token, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.bench.json("POST", path, &self.token, &body).await
    }

    async fn patch(&self, path: &str, properties: Value) -> Answer {
        self.bench.json("PATCH", path, &self.token, &json!({ "properties": properties })).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.bench.json("PUT", path, &self.token, &body).await
    }

    /// A contact of this e-mail; its id.
    async fn contact(&self, email: &str) -> String {
        let answer = self.post(CONTACTS, json!({ "properties": { "email": email } })).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn unique_ticket_property(&self) {
        let property = json!({
            "name": "causeway_application_id", "label": "Application", "type": "string", "fieldType": "text",
            "groupName": "ticketinformation", "hasUniqueValue": true,
        });
        let answer = self.post("/crm/v3/properties/tickets", property).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
    }

    async fn upsert(&self, id: &str, properties: Value) -> Answer {
        let input = json!({ "id": id, "idProperty": "causeway_application_id", "properties": properties });
        self.post(&format!("{TICKETS}/batch/upsert"), json!({ "inputs": [input] })).await
    }

    async fn search(&self, body: Value) -> Answer {
        self.post(&format!("{CONTACTS}/search"), body).await
    }
}

fn by_email(email: &str) -> Value {
    let filter = json!({ "propertyName": "email", "operator": "EQ", "value": email });
    json!({ "filterGroups": [{ "filters": [filter] }], "properties": [], "sorts": [], "limit": 10 })
}

#[tokio::test]
async fn a_contact_is_created_read_and_changed_by_its_email() {
    let crm = Crm::open().await;
    let made = crm.post(CONTACTS, json!({ "properties": { "email": "ana@example.org", "firstname": "Ana" } })).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["properties"]["hs_object_id"], id.as_str());
    assert_eq!(made.json()["archived"], false);

    let path = format!("{CONTACTS}/ana%40example.org?idProperty=email");
    let changed = crm.patch(&path, json!({ "phone": "+49301234567" })).await;
    assert_eq!((changed.status, &changed.json()["id"]), (200, &json!(id)));
    let read = crm.get(&format!("{path}&properties=phone,lifecyclestage")).await.json();
    assert_eq!(
        (&read["properties"]["phone"], &read["properties"]["lifecyclestage"]),
        (&json!("+49301234567"), &Value::Null)
    );
    assert_eq!(read["properties"]["firstname"], "Ana", "left alone");
    assert_eq!(crm.get(&format!("{CONTACTS}/{id}")).await.status, 200);
    assert_eq!(crm.patch(&format!("{CONTACTS}/no@example.org?idProperty=email"), json!({})).await.status, 404);

    let ledger = crm.bench.ledger().await;
    let operations: Vec<&Value> = ledger.iter().map(|entry| &entry["operation"]).collect();
    assert_eq!(operations[..3], ["contact_create", "contact_update", "contact_get"]);
    let record = json!({ "object": "contacts", "id": id, "new": false, "properties": { "phone": "+49301234567" } });
    assert_eq!(ledger[1]["record"], record);
}

#[tokio::test]
async fn the_secondary_email_trap() {
    let crm = Crm::open().await;
    let seeded = json!({ "email": "first@example.org", "additional_emails": ["second@example.org"] });
    let id = crm.bench.control("contacts", &seeded).await["id"].as_str().unwrap().to_owned();
    for email in ["first@example.org", "Second@example.org"] {
        let refused = crm.post(CONTACTS, json!({ "properties": { "email": email } })).await;
        let body = refused.json();
        assert_eq!((refused.status, &body["category"], &body["status"]), (409, &json!("CONFLICT"), &json!("error")));
        assert_eq!(body["message"], format!("Contact already exists. Existing ID: {id}"));
        assert!(body["correlationId"].is_string());
    }
    let by = |email: &str| format!("{CONTACTS}/{email}?idProperty=email");
    assert_eq!(crm.patch(&by("second@example.org"), json!({ "phone": "1" })).await.status, 404);
    assert_eq!(crm.patch(&by("first@example.org"), json!({ "phone": "1" })).await.status, 200);
    let other = crm.contact("third@example.org").await;
    assert_eq!(crm.patch(&format!("{CONTACTS}/{other}"), json!({ "email": "second@example.org" })).await.status, 409);
}

#[tokio::test]
async fn a_contact_needs_a_name_or_an_email_and_known_properties() {
    let crm = Crm::open().await;
    let nobody = crm.post(CONTACTS, json!({ "properties": { "phone": "1" } })).await;
    assert_eq!((nobody.status, &nobody.json()["category"]), (400, &json!("VALIDATION_ERROR")));
    let unknown = crm.post(CONTACTS, json!({ "properties": { "firstname": "Ana", "shoe_size": "39" } })).await.json();
    assert_eq!(unknown["errors"][0]["code"], "PROPERTY_DOESNT_EXIST");
    assert_eq!(unknown["errors"][0]["context"]["propertyName"], json!(["shoe_size"]));
}

#[tokio::test]
async fn an_application_is_upserted_by_its_unique_property() {
    let crm = Crm::open().await;
    let no_property = crm.upsert("app-1", json!({ "subject": "x", "hs_pipeline_stage": "1" })).await;
    assert_eq!((no_property.status, &no_property.json()["numErrors"]), (207, &json!(1)));
    crm.unique_ticket_property().await;

    let first = crm.upsert("app-1", json!({ "subject": "Backend Engineer", "hs_pipeline_stage": "1" })).await;
    let body = first.json();
    assert_eq!((first.status, &body["status"], &body["results"][0]["new"]), (200, &json!("COMPLETE"), &json!(true)));
    let id = body["results"][0]["id"].clone();
    let properties = &body["results"][0]["properties"];
    assert_eq!((&properties["hs_pipeline"], &properties["hs_is_closed"]), (&json!("0"), &json!("false")));
    assert_eq!(properties["hs_ticket_id"], id);

    let again = crm.upsert("app-1", json!({ "content": "More" })).await.json();
    assert_eq!((&again["results"][0]["id"], &again["results"][0]["new"]), (&id, &json!(false)));
    assert_eq!(again["results"][0]["properties"]["subject"], "Backend Engineer");
    let ledger = crm.bench.ledger().await;
    let record = &ledger.last().unwrap()["record"];
    assert_eq!((&record["causeway_application_id"], &record["new"]), (&json!("app-1"), &json!(false)));
    assert_eq!(crm.bench.look("records").await["tickets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_that_fails_in_part_is_a_207() {
    let crm = Crm::open().await;
    crm.unique_ticket_property().await;
    let input = |id: &str, properties: Value| json!({ "id": id, "idProperty": "causeway_application_id", "properties": properties });
    let inputs = json!([
        input("a", json!({ "hs_pipeline_stage": "1" })),
        input("b", json!({ "subject": "no stage" })),
        input("c", json!({ "hs_pipeline_stage": "2" }))
    ]);
    let answer = crm.post(&format!("{TICKETS}/batch/upsert"), json!({ "inputs": inputs })).await;
    let body = answer.json();
    assert_eq!((answer.status, body["results"].as_array().unwrap().len(), &body["numErrors"]), (207, 2, &json!(1)));
    assert_eq!(body["errors"][0]["category"], "VALIDATION_ERROR");
    let upserts = crm.bench.ledger().await.iter().filter(|entry| entry["operation"] == "record_upsert").count();
    assert_eq!(upserts, 2, "an entry for each record");
    let many: Vec<Value> = (0..101).map(|id| input(&id.to_string(), json!({}))).collect();
    assert_eq!(crm.post(&format!("{TICKETS}/batch/upsert"), json!({ "inputs": many })).await.status, 400);
}

#[tokio::test]
async fn a_batch_create_is_all_or_nothing_unless_traced() {
    let crm = Crm::open().await;
    let before = crm.bench.look("records").await["contacts"].as_array().unwrap().len();
    let input = |email: &str| json!({ "properties": { "email": email }, "objectWriteTraceId": email });
    let same = json!([input("a@example.org"), input("b@example.org"), input("b@example.org")]);
    let mut plain = same.clone();
    plain.as_array_mut().unwrap().iter_mut().for_each(|input| {
        input.as_object_mut().unwrap().remove("objectWriteTraceId");
    });
    let count = async || crm.bench.look("records").await["contacts"].as_array().unwrap().len() - before;
    assert_eq!(crm.post(&format!("{CONTACTS}/batch/create"), json!({ "inputs": plain })).await.status, 409);
    assert_eq!(count().await, 0);
    let traced = crm.post(&format!("{CONTACTS}/batch/create"), json!({ "inputs": same })).await;
    assert_eq!((traced.status, count().await), (207, 2));
    assert_eq!(traced.json()["errors"][0]["context"]["objectWriteTraceId"], json!(["b@example.org"]));
}

#[tokio::test]
async fn a_unique_property_is_made_once_and_in_a_group_that_exists() {
    let crm = Crm::open().await;
    assert_eq!(crm.get("/crm/v3/properties/tickets/causeway_application_id").await.status, 404);
    crm.unique_ticket_property().await;
    let read = crm.get("/crm/v3/properties/tickets/causeway_application_id").await.json();
    assert_eq!((&read["hasUniqueValue"], &read["groupName"]), (&json!(true), &json!("ticketinformation")));
    let property = |name: &str, group: &str| json!({ "name": name, "label": "x", "type": "string", "fieldType": "text", "groupName": group, "hasUniqueValue": true });
    let path = "/crm/v3/properties/tickets";
    assert_eq!(crm.post(path, property("causeway_application_id", "ticketinformation")).await.status, 409);
    assert_eq!(crm.post(path, property("another", "no_such_group")).await.status, 400);
    for number in 1..10 {
        assert_eq!(crm.post(path, property(&format!("unique_{number}"), "ticketinformation")).await.status, 201);
    }
    assert_eq!(crm.post(path, property("unique_10", "ticketinformation")).await.status, 400, "ten at most");
}

#[tokio::test]
async fn tickets_live_in_pipelines() {
    let crm = Crm::open().await;
    let pipelines = crm.get("/crm/v3/pipelines/tickets").await.json();
    let first = &pipelines["results"][0];
    assert_eq!((&first["id"], &first["stages"][0]["id"]), (&json!("0"), &json!("1")));
    let stage =
        |label: &str, state: &str| json!({ "label": label, "displayOrder": 0, "metadata": { "ticketState": state } });
    let given = json!({ "label": "Applications", "displayOrder": 1, "stages": [stage("Received", "OPEN"), stage("Closed", "CLOSED")] });
    let made = crm.post("/crm/v3/pipelines/tickets", given).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let added = crm
        .post(&format!("/crm/v3/pipelines/tickets/{}/stages", made["id"].as_str().unwrap()), stage("Screened", "OPEN"))
        .await;
    assert_eq!(added.status, 201);
    let closed = &made["stages"][1]["id"];
    let ticket = |stage: &Value| json!({ "properties": { "hs_pipeline": made["id"], "hs_pipeline_stage": stage } });
    assert_eq!(crm.post(TICKETS, ticket(closed)).await.json()["properties"]["hs_is_closed"], "true");
    assert_eq!(crm.post(TICKETS, ticket(&json!("nowhere"))).await.status, 400);
    // Vendor sample: the stage alone is enough, in the default pipeline.
    let sample = crm.post(TICKETS, json!({ "properties": { "hs_pipeline_stage": "1" } })).await;
    assert_eq!((sample.status, &sample.json()["properties"]["hs_pipeline"]), (201, &json!("0")));
    let path = format!("{TICKETS}/{}", sample.json()["id"].as_str().unwrap());
    assert_eq!(
        crm.patch(&path, json!({ "hs_pipeline_stage": "4" })).await.json()["properties"]["hs_is_closed"],
        "true"
    );
}

fn schema() -> Value {
    json!({
        "name": "application", "labels": { "singular": "Application", "plural": "Applications" },
        "properties": [{ "name": "causeway_application_id", "label": "Id", "type": "string", "fieldType": "text", "hasUniqueValue": true }],
        "requiredProperties": ["causeway_application_id"], "associatedObjects": ["CONTACT"],
    })
}

#[tokio::test]
async fn custom_objects_are_for_enterprise() {
    let crm = Crm::open().await;
    crm.set(json!({ "tier": "starter" })).await;
    let refused = crm.post("/crm-object-schemas/v3/schemas", schema()).await;
    let body = refused.json();
    assert_eq!((refused.status, &body["category"]), (403, &json!("MISSING_SCOPES")));
    assert_eq!(body["errors"][0]["context"]["requiredGranularScopes"], json!(["crm.schemas.custom.write"]));

    crm.set(json!({ "tier": "enterprise" })).await;
    let made = crm.post("/crm-object-schemas/v3/schemas", schema()).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let made = made.json();
    let type_id = made["objectTypeId"].as_str().unwrap();
    assert!(type_id.starts_with("2-") && made["associations"].as_array().unwrap().len() == 2);
    for name in ["application", type_id, made["fullyQualifiedName"].as_str().unwrap()] {
        assert_eq!(crm.get(&format!("/crm/v3/schemas/{name}")).await.json()["objectTypeId"], type_id);
    }
    let input = json!({ "id": "app-1", "idProperty": "causeway_application_id", "properties": {} });
    // Both path styles have the same bodies.
    for (path, new) in [
        (format!("/crm/v3/objects/{type_id}/batch/upsert"), true),
        ("/crm/objects/2026-03/application/batch/upsert".to_owned(), false),
    ] {
        let answer = crm.post(&path, json!({ "inputs": [input] })).await;
        assert_eq!((answer.status, &answer.json()["results"][0]["new"]), (200, &json!(new)));
    }
    assert_eq!(
        crm.post("/crm/v3/objects/application", json!({ "properties": {} })).await.status,
        400,
        "required property"
    );
    crm.set(json!({ "tier": "starter" })).await;
    assert_eq!(crm.get("/crm/v3/objects/application/1").await.status, 403);
}

#[tokio::test]
async fn search_is_late_and_bounded() {
    let crm = Crm::open().await;
    let id = crm.contact("ana@example.org").await;
    let found = crm.search(by_email("ana@example.org")).await;
    assert_eq!((&found.json()["total"], &found.json()["results"][0]["id"]), (&json!(1), &json!(id)));
    crm.set(json!({ "visibility_lag_ms": 3_600_000 })).await;
    let later = crm.contact("late@example.org").await;
    assert_eq!(crm.search(by_email("late@example.org")).await.json()["total"], 0);
    assert_eq!(crm.get(&format!("{CONTACTS}/{later}")).await.status, 200, "reading by id is not late");
    // A change is as late as a new record: until then search shows the old values.
    crm.set(json!({ "visibility_lag_ms": 0 })).await;
    crm.patch(&format!("{CONTACTS}/{id}"), json!({ "email": "new@example.org" })).await;
    crm.set(json!({ "visibility_lag_ms": 3_600_000 })).await;
    assert_eq!(crm.search(by_email("ana@example.org")).await.json()["total"], 1);
    assert_eq!(crm.search(by_email("new@example.org")).await.json()["total"], 0);
    crm.set(json!({ "visibility_lag_ms": 0 })).await;
    assert_eq!(crm.search(by_email("new@example.org")).await.json()["total"], 1);

    let filter = json!({ "propertyName": "email", "operator": "HAS_PROPERTY" });
    let filters = |count: usize| json!({ "filters": vec![filter.clone(); count] });
    for body in [
        json!({ "limit": 201 }),
        json!({ "limit": 200, "after": "9900" }),
        json!({ "filterGroups": [filters(7)] }),
        json!({ "filterGroups": vec![filters(1); 6] }),
        json!({ "filterGroups": vec![filters(5); 4] }),
        json!({ "query": "x".repeat(3_000) }),
        json!({ "filterGroups": [{ "filters": [{ "propertyName": "shoe_size", "operator": "EQ", "value": "1" }] }] }),
    ] {
        assert_eq!(crm.search(body.clone()).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn search_operators() {
    let crm = Crm::open().await;
    crm.bench.control("contacts", &json!({ "email": "p@example.org", "additional_emails": ["q@example.com"], "properties": { "firstname": "Quirin", "zip": "10115" } })).await;
    for (operator, property, value, hits) in [
        ("EQ", "firstname", json!({ "value": "Quirin" }), 1),
        ("IN", "firstname", json!({ "values": ["Quirin", "Nobody"] }), 1),
        ("GTE", "zip", json!({ "value": "9000" }), 1),
        ("LT", "zip", json!({ "value": "9000" }), 0),
        ("BETWEEN", "zip", json!({ "value": "10000", "highValue": "11000" }), 1),
        ("HAS_PROPERTY", "zip", json!({}), 1),
        ("NOT_HAS_PROPERTY", "zip", json!({}), 40),
        ("NEQ", "zip", json!({ "value": "10115" }), 40),
        ("CONTAINS_TOKEN", "hs_additional_emails", json!({ "value": "q@example.com" }), 1),
        ("CONTAINS_TOKEN", "firstname", json!({ "value": "quir*" }), 1),
    ] {
        let mut filter = json!({ "propertyName": property, "operator": operator });
        filter.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        let found = crm.search(json!({ "filterGroups": [{ "filters": [filter] }], "limit": 1 })).await.json();
        assert_eq!(found["total"], hits, "{operator} {property} {value}: {found}");
        assert_eq!(found["paging"].is_object(), hits > 1);
    }
}

#[tokio::test]
async fn limits_speak_the_vendors_429() {
    let crm = Crm::open().await;
    let century = 3_600_000_i64 * 24 * 36_500;
    crm.set(json!({ "search_limit": { "calls": 1, "window_ms": century } })).await;
    assert_eq!(crm.search(by_email("a@example.org")).await.status, 200);
    let search = crm.search(by_email("a@example.org")).await;
    assert_eq!((search.status, &search.json()["message"]), (429, &json!("You have reached your secondly limit.")));
    assert!(search.header("x-hubspot-ratelimit-remaining").is_none(), "search carries no rate headers");

    crm.set(json!({ "rate_limit": { "calls": 2, "window_ms": century } })).await;
    let first = crm.get("/crm/v3/pipelines/tickets").await;
    assert_eq!(
        (first.header("x-hubspot-ratelimit-max"), first.header("x-hubspot-ratelimit-remaining")),
        (Some("2"), Some("1"))
    );
    assert_eq!(first.header("x-hubspot-ratelimit-daily"), Some("1000000"));
    assert_eq!(first.header("x-hubspot-ratelimit-daily-remaining"), Some("999999"));
    assert!(
        first.header("x-hubspot-ratelimit-interval-milliseconds").is_some()
            && first.header("x-hubspot-correlation-id").is_some()
    );
    crm.get("/crm/v3/pipelines/tickets").await;
    let third = crm.get("/crm/v3/pipelines/tickets").await;
    let body = third.json();
    assert_eq!(
        (third.status, &body["errorType"], &body["policyName"]),
        (429, &json!("RATE_LIMIT"), &json!("TEN_SECONDLY_ROLLING"))
    );
    assert!(body["category"].is_null() && body["requestId"].is_string() && third.header("retry-after").is_none());

    crm.set(json!({ "tier": "starter" })).await;
    assert_eq!(crm.bench.look("settings").await["rate_limit"], json!({ "calls": 100, "window_ms": 10_000 }));
    crm.set(json!({ "daily_limit": 0 })).await;
    let daily = crm.get("/crm/v3/pipelines/tickets").await.json();
    assert_eq!(
        (&daily["policyName"], &daily["message"]),
        (&json!("DAILY"), &json!("You have reached your daily limit."))
    );
}

#[tokio::test]
async fn credentials_and_scopes() {
    let crm = Crm::open().await;
    let wrong = crm.bench.json("GET", "/crm/v3/pipelines/tickets", "Bearer pat-eu1-wrong", &Value::Null).await;
    assert_eq!(wrong.status, 401);
    let token = json!({ "tokenKey": crm.bench.credential("access_token") });
    let info = crm.post("/oauth/v2/private-apps/get/access-token-info", token.clone()).await.json();
    let names: Vec<&String> = info.as_object().unwrap().keys().collect();
    assert_eq!(names, ["appId", "hubId", "scopes", "userId"]);
    crm.set(json!({ "scopes": ["crm.objects.contacts.read"] })).await;
    let refused = crm.post(CONTACTS, json!({ "properties": { "firstname": "Ana" } })).await;
    let any_of = &refused.json()["errors"][0]["context"]["requiredGranularScopes"];
    assert_eq!((refused.status, any_of), (403, &json!(["crm.objects.contacts.write"])));
    assert_eq!(crm.search(by_email("a@example.org")).await.status, 200);
    crm.set(json!({ "credentials_valid": false })).await;
    assert_eq!(crm.search(by_email("a@example.org")).await.status, 401);
    assert_eq!(crm.post("/oauth/v2/private-apps/get/access-token-info", token).await.status, 401);
}

#[tokio::test]
async fn associations_go_both_ways() {
    let crm = Crm::open().await;
    let contact = crm.contact("ana@example.org").await;
    let ticket = crm.post(TICKETS, json!({ "properties": { "hs_pipeline_stage": "1" } })).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let default = crm
        .put(&format!("/crm/v4/objects/contacts/{contact}/associations/default/tickets/{ticket}"), Value::Null)
        .await;
    assert_eq!((default.status, &default.json()["status"]), (200, &json!("COMPLETE")));
    assert_eq!(default.json()["results"][0]["associationSpec"]["associationTypeId"], 15);
    let back = crm.get(&format!("/crm/v4/objects/tickets/{ticket}/associations/contacts")).await.json();
    let types = json!([{ "category": "HUBSPOT_DEFINED", "typeId": 16, "label": null }]);
    assert_eq!(back["results"], json!([{ "toObjectId": contact, "associationTypes": types }]));

    let path = format!("/crm/v4/objects/contacts/{contact}/associations/tickets/{ticket}");
    let typed = |id: u64| json!([{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": id }]);
    let put = crm.put(&path, typed(15)).await;
    assert_eq!((put.status, &put.json()["labels"]), (201, &json!([])));
    assert_eq!(crm.put(&path, typed(99)).await.status, 400);
    assert_eq!(
        crm.put(&format!("/crm/v4/objects/contacts/1/associations/default/tickets/{ticket}"), Value::Null).await.status,
        404
    );
    let ledger = crm.bench.ledger().await;
    let links: Vec<&Value> =
        ledger.iter().filter(|entry| entry["operation"] == "associate" && entry["committed"] == true).collect();
    assert_eq!((&links[0]["record"]["new"], &links[1]["record"]["new"]), (&json!(true), &json!(false)));

    let pair = json!({ "from": { "id": ticket }, "to": { "id": contact } });
    let batch =
        crm.post("/crm/v4/associations/tickets/contacts/batch/associate/default", json!({ "inputs": [pair] })).await;
    assert_eq!(batch.status, 200);
    let typed_pair = json!({ "from": { "id": ticket }, "to": { "id": contact }, "types": typed(16) });
    let wrong_pair = json!({ "from": { "id": "1" }, "to": { "id": contact }, "types": typed(16) });
    let batch = "/crm/associations/2026-03/tickets/contacts/batch/create";
    assert_eq!(crm.post(batch, json!({ "inputs": [typed_pair] })).await.status, 201);
    assert_eq!(crm.post(batch, json!({ "inputs": [typed_pair, wrong_pair] })).await.status, 207);
    let read = crm
        .post("/crm/v4/associations/tickets/contacts/batch/read", json!({ "inputs": [{ "id": ticket }] }))
        .await
        .json();
    assert_eq!(read["results"][0]["to"][0]["toObjectId"], contact);
    let gone = crm.bench.json("DELETE", &path, &crm.token, &Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        crm.get(&format!("/crm/v4/objects/tickets/{ticket}/associations/contacts")).await.json()["results"],
        json!([])
    );
}

#[tokio::test]
async fn labels_depend_on_the_tier() {
    let crm = Crm::open().await;
    let path = "/crm/associations/v4/contacts/tickets/labels";
    assert_eq!(crm.get(path).await.json()["results"][0]["typeId"], 15);
    crm.set(json!({ "tier": "starter" })).await;
    let label = json!({ "label": "Applicant", "name": "applicant" });
    assert_eq!(crm.post(path, label.clone()).await.status, 400);
    crm.set(json!({ "tier": "professional" })).await;
    let made = crm.post(path, label).await.json()["results"][0].clone();
    assert_eq!(made["category"], "USER_DEFINED");
    assert_eq!(crm.get(path).await.json()["results"][1], made);
}

#[tokio::test]
async fn a_note_is_created_with_its_associations() {
    let crm = Crm::open().await;
    let contact = crm.contact("ana@example.org").await;
    let note = |properties: Value| {
        let types = json!([{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202 }]);
        json!({ "properties": properties, "associations": [{ "to": { "id": contact }, "types": types }] })
    };
    let path = "/crm/v3/objects/notes";
    let made =
        crm.post(path, note(json!({ "hs_timestamp": "2026-11-22T04:00:00Z", "hs_note_body": "<p>Applied</p>" }))).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let listed = crm
        .get(&format!("/crm/v4/objects/notes/{}/associations/contacts", made.json()["id"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(listed["results"][0]["toObjectId"], contact);
    assert_eq!(crm.post(path, note(json!({ "hs_note_body": "no time" }))).await.status, 400);
    let long = json!({ "hs_timestamp": "0", "hs_note_body": "x".repeat(65_537) });
    assert_eq!(crm.post(path, note(long)).await.status, 400);
    assert_eq!(crm.bench.ledger().await[1]["operation"], "note_create");
    assert_eq!(crm.bench.look("records").await["notes"].as_array().unwrap().len(), 1);
    // Retried, it duplicates: notes have no natural key.
    crm.post(path, note(json!({ "hs_timestamp": "0" }))).await;
    assert_eq!(crm.bench.look("records").await["notes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn faults_find_their_contact_and_speak_the_vendors_words() {
    let crm = Crm::open().await;
    let rule = json!({ "operation": "*", "when": { "email": "ana@example.org" }, "do": "status", "status": 429 });
    crm.bench.fault(rule).await;
    assert_eq!(crm.post(CONTACTS, json!({ "properties": { "email": "other@example.org" } })).await.status, 201);
    let hit = crm.get(&format!("{CONTACTS}/ana%40example.org?idProperty=email")).await;
    assert_eq!((hit.status, &hit.json()["errorType"]), (429, &json!("RATE_LIMIT")));
    assert_eq!(crm.get("/crm/v3/imports").await.status, 404, "not offered");
}

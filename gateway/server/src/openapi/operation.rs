//! What one route promises: who may ask, what it takes, what it answers, and every problem it can refuse with.

use causeway_core::problem::Code;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::store::setup::Scope;

/// A schema, made when the document is.
type Make = fn(&mut SchemaGenerator) -> Value;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Operation {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) details: &'static str,
    pub(super) key: Key,
    pub(super) also: &'static [Scope],
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Vec<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) refuses: Vec<Code>,
}

/// Who may ask.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    None,
    /// A secret key with one of these scopes.
    Secret(&'static [Scope]),
    /// The same, or a publishable key from one of its pages.
    AnyKind(&'static [Scope]),
}

/// In the path, the query or a header.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Make,
}

/// A request's body.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) schema: Make,
    /// How parts are written.
    pub(super) encoding: Value,
}

/// An answer that is no problem.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) content: Option<(&'static str, Make)>,
    /// By the names of `components/headers`.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) links: Vec<Link>,
}

/// Where an answer leads: a value of it is another operation's parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) to: &'static str,
    pub(super) parameter: &'static str,
    pub(super) value: &'static str,
}

impl Operation {
    /// Its name for programs, and a few words for people.
    pub fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            details: "",
            key: Key::None,
            also: &[],
            parameters: Vec::new(),
            takes: Vec::new(),
            answers: Vec::new(),
            refuses: Vec::new(),
        }
    }

    /// More words.
    #[must_use]
    pub fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// It takes a secret key with one of these scopes.
    #[must_use]
    pub fn needs(mut self, any_of: &'static [Scope]) -> Self {
        self.key = Key::Secret(any_of);
        self.refuses(&Self::OF_KEYS)
    }

    /// The same, or a publishable key: it is for web pages too.
    #[must_use]
    pub fn needs_or_publishable(mut self, any_of: &'static [Scope]) -> Self {
        self.key = Key::AnyKind(any_of);
        self.refuses(&Self::OF_KEYS)
    }

    /// And with all of these scopes besides.
    #[must_use]
    pub fn and_needs(mut self, all_of: &'static [Scope]) -> Self {
        self.also = all_of;
        self
    }

    /// Store unavailable: keys are asked of it.
    const OF_KEYS: [Code; 5] = [
        Code::KeyInvalid,
        Code::ScopeMissing,
        Code::SecretKeyInBrowser,
        Code::OriginNotAllowed,
        Code::StoreUnavailable,
    ];

    /// A placeholder of its path.
    #[must_use]
    pub fn path<T: JsonSchema>(mut self, name: &'static str, description: &'static str) -> Self {
        self.parameters.push(Parameter { place: "path", name, description, schema: of::<T> });
        self
    }

    /// A header that may be sent.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str, schema: Make) -> Self {
        self.parameters.push(Parameter { place: "header", name, description, schema });
        self
    }

    /// A parameter of its query that may be given.
    #[must_use]
    pub fn query(mut self, name: &'static str, description: &'static str, schema: Make) -> Self {
        self.parameters.push(Parameter { place: "query", name, description, schema });
        self
    }

    /// A JSON body of this type.
    #[must_use]
    pub fn takes<T: JsonSchema>(self) -> Self {
        self.takes_as("application/json", of::<T>, Value::Null)
    }

    /// A body of this media type; of a multipart one, how its parts are written.
    #[must_use]
    pub fn takes_as(mut self, kind: &'static str, schema: Make, encoding: Value) -> Self {
        self.takes.push(Body { kind, schema, encoding });
        self
    }

    /// JSON of this type.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answers_as(status, "application/json", of::<T>, description)
    }

    /// Something of this media type.
    #[must_use]
    pub fn answers_as(mut self, status: u16, kind: &'static str, schema: Make, description: &'static str) -> Self {
        self.answers.push(Answer {
            status,
            description,
            content: Some((kind, schema)),
            headers: Vec::new(),
            links: Vec::new(),
        });
        self
    }

    /// Text for people or programs.
    #[must_use]
    pub fn answers_text(self, status: u16, kind: &'static str, description: &'static str) -> Self {
        self.answers_as(status, kind, |_| json!({ "type": "string" }), description)
    }

    /// With a version, and not again to whoever has it.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self = self.header("If-None-Match", "The version the caller has.", |_| json!({ "type": "string" }));
        self.each_answer("ETag", "ETag");
        self.answers.push(Answer {
            status: 304,
            description: "The caller has it already.",
            content: None,
            headers: vec![("ETag", "ETag")],
            links: Vec::new(),
        });
        self
    }

    /// Its first answer names another operation's parameter, at this place.
    #[must_use]
    pub fn leads_to(mut self, to: &'static str, parameter: &'static str, value: &'static str) -> Self {
        if let Some(answer) = self.answers.first_mut() {
            answer.links.push(Link { to, parameter, value });
        }
        self
    }

    /// A header of its good answers, by its name among the document's headers.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, described: &'static str) -> Self {
        self.each_answer(name, described);
        self
    }

    fn each_answer(&mut self, name: &'static str, described: &'static str) {
        self.answers.iter_mut().for_each(|answer| answer.headers.push((name, described)));
    }

    /// Problems it can be refused with.
    #[must_use]
    pub fn refuses(mut self, codes: &[Code]) -> Self {
        self.refuses.extend(codes.iter().filter(|code| !self.refuses.contains(code)).copied().collect::<Vec<_>>());
        self
    }
}

//! A "no" on its way out: the problem to answer, and whether it has been recorded where support will find it.

use causeway_core::problem::{Code, Problem};

use crate::store::StoreError;

/// Why a request is not done. Ingress turns it into HTTP.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What is answered.
    pub problem: Box<Problem>,
    /// It stands in the store with its document, or is to leave no trace; otherwise it is counted at the edge.
    pub recorded: bool,
    /// The job it was about, if that much was understood.
    pub job: Option<Box<str>>,
}

impl Refusal {
    /// The same, leaving no count: it meant to submit nothing.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Is it this one?
    pub fn is(&self, code: Code) -> bool {
        self.problem.code == code.as_str()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), recorded: false, job: None }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Problem::new(code).into()
    }
}

/// What a caller gets to see of a store's failure; the log gets the rest. A store's errors hold no data.
pub fn unavailable(verb: &'static str, error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(verb, %error, "store unavailable");
            Problem::new(Code::StoreUnavailable).retry_after(2).into()
        }
        StoreError::NotFound(_) => Code::NotFound.into(),
        StoreError::Exists(_)
        | StoreError::Fenced
        | StoreError::IllegalMove { .. }
        | StoreError::EndsByItself(_)
        | StoreError::Corrupt(_)
        | StoreError::Failed(_) => {
            tracing::error!(verb, %error, "store failed");
            Code::Internal.into()
        }
    }
}

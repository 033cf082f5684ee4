//! The words in which a vendor may be quoted to a customer: those that name a trouble and cannot name a person.
//!
//! No given name, no place, nothing that is a word only in capitals. What is missing here is hidden, never shown: adding a
//! word is safe as long as nobody is called so. Sorted, lower case, searched by bisection.

/// Is it one of the words?
pub(super) fn knows(word: &str) -> bool {
    WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "a", "about", "accept", "accepted", "access", "account", "active", "address", "after", "again", "all", "allowed",
    "already", "an", "and", "another", "answer", "answers", "any", "api", "app", "application", "applications", "are",
    "as", "at", "attachment", "attribute", "auth", "authentication", "authorization", "authorized", "bad", "basic",
    "be", "bearer", "because", "been", "before", "blank", "board", "body", "busy", "but", "by", "call", "calls",
    "can", "can't", "candidate", "cannot", "category", "character", "characters", "check", "choose", "closed", "code",
    "conflict", "contact", "contain", "content", "could", "country", "cover_letter", "create", "created",
    "credential", "credentials", "custom", "daily", "data", "date", "deleted", "denied", "detail", "did", "disabled",
    "do", "does", "doesn't", "doing", "down", "duplicate", "each", "email", "empty", "enter", "error", "errors",
    "exceeded", "exist", "existing", "exists", "expected", "expired", "failed", "failure", "false", "family", "field",
    "fields", "file", "filled", "first", "for", "forbidden", "form", "format", "found", "from", "full", "gateway",
    "get", "given", "granted", "had", "has", "hasn't", "have", "header", "http", "https", "id", "if", "in",
    "inactive", "incorrect", "input", "internal", "into", "invalid", "is", "isn't", "it", "its", "job", "jobs",
    "json", "key", "large", "last", "least", "length", "letter", "limit", "list", "live", "location", "long",
    "longer", "maintenance", "make", "malformed", "many", "match", "maximum", "message", "method", "minimum",
    "missing", "more", "most", "must", "name", "need", "needed", "needs", "new", "no", "non", "none", "not", "null",
    "number", "object", "of", "on", "once", "one", "only", "open", "operation", "option", "or", "other", "our", "out",
    "over", "parameter", "password", "pending", "per", "performing", "permission", "permissions", "person", "phone",
    "pipeline", "please", "portal", "post", "posting", "properties", "property", "provide", "provided", "question",
    "quota", "rate", "reached", "read", "reason", "recognized", "record", "records", "refused", "rejected", "request",
    "requests", "required", "resource", "resume", "retry", "save", "saved", "schema", "scope", "scopes", "second",
    "secondly", "select", "sent", "server", "service", "set", "should", "size", "some", "spam", "stage", "status",
    "submit", "submitted", "success", "successfully", "supported", "system", "taken", "temporarily", "than", "that",
    "the", "there", "this", "ticket", "time", "timed", "timeout", "to", "token", "too", "true", "try", "type",
    "unable", "unauthorized", "unavailable", "under", "unexpected", "unique", "unknown", "unprocessable",
    "unsupported", "until", "update", "url", "use", "user", "valid", "validation", "value", "values", "version",
    "was", "were", "when", "which", "with", "within", "without", "wrong", "you", "your",
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_word_is_found() {
        assert!(super::WORDS.is_sorted());
        for word in super::WORDS {
            assert!(super::knows(word) && super::knows(&word.to_uppercase()), "{word}");
        }
        assert!(!super::knows("ada") && !super::knows(""));
    }
}

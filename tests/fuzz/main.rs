//! One program per target, by its own name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match env!("CARGO_BIN_NAME") {
    "json_accept" => causeway::fuzzing::json_accept(bytes),
    "multipart_body" => causeway::fuzzing::multipart_body(bytes),
    "form_to_schema" => causeway::fuzzing::form_to_schema(bytes),
    "keys_and_codes" => causeway::fuzzing::keys_and_codes(bytes),
    "vendor_answers" => causeway_connectors::fuzzing::answers(bytes),
    other => panic!("there is no target {other}"),
});

//! What is taken, what is refused and where, and agreement with `serde_json` on all the rest.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Fault, MAX_DEPTH, MAX_ITEMS, MAX_MEMBERS, parse};

fn refused(bytes: impl AsRef<[u8]>, fault: Fault, line: usize, column: usize) {
    let bytes = bytes.as_ref();
    let error = parse(bytes).unwrap_err();
    assert_eq!((error.fault, error.line, error.column), (fault, line, column), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    use Fault::{
        ByteOrderMark, ControlCharacter, DuplicateMember, Empty, EndsEarly, LoneSurrogate, NotJson, NotUtf8, Nul,
        NumberImprecise, WideEncoding,
    };
    refused("", Empty, 1, 1);
    refused(" \n ", Empty, 2, 1);
    refused("\u{feff}{}", ByteOrderMark, 1, 1);
    refused(b"\xff\xfe{\0}\0", WideEncoding, 1, 1);
    refused(b"{\0}\0", WideEncoding, 1, 1);
    refused(b"\0{\0}", WideEncoding, 1, 1);
    refused(b"{\"a\":\n\"\xc3\"}", NotUtf8, 2, 2);
    refused(b"[\"\xed\xa0\x80\"]", NotUtf8, 1, 3);
    refused(b"[\"\xc0\xaf\"]", NotUtf8, 1, 3);
    refused(r#"{"a":1,"a":2}"#, DuplicateMember, 1, 10);
    refused(r#"{"a":1,"\u0061":2}"#, DuplicateMember, 1, 15);
    refused("{\"x\":[{\"b\":{\"a\":1,\n\"a\":2}}]}", DuplicateMember, 2, 3);
    refused(r#"["\ud800"]"#, LoneSurrogate, 1, 9);
    refused(r#"["\udc00x"]"#, LoneSurrogate, 1, 8);
    refused(r#"["\ud800\u0041"]"#, LoneSurrogate, 1, 14);
    refused(r#"{"\ud800":1}"#, LoneSurrogate, 1, 9);
    refused(r#"["a\u0000b"]"#, Nul, 1, 11);
    refused(r#"{"a\u0000b":1}"#, Nul, 1, 11);
    refused("[\"a\tb\"]", ControlCharacter, 1, 4);
    refused("[\"a\nb\"]", ControlCharacter, 2, 1);
    refused("[9007199254740993]", NumberImprecise, 1, 17);
    refused("[-9007199254740993]", NumberImprecise, 1, 18);
    refused("[1.5,\n 3.14159265358979323846]", NumberImprecise, 2, 2);
    refused("[123456789012345678901234567890]", NumberImprecise, 1, 2);
    refused("[\"1.5\",1e-400]", NumberImprecise, 1, 8);
    for (text, fault) in [
        ("[1,]", NotJson),
        ("[1 2]", NotJson),
        ("{a:1}", NotJson),
        ("{'a':1}", NotJson),
        ("{\"a\" 1}", NotJson),
        ("{\"a\":1,}", NotJson),
        ("[01]", NotJson),
        ("[+1]", NotJson),
        ("[.5]", NotJson),
        ("[1.]", NotJson),
        ("[NaN]", NotJson),
        ("[Infinity]", NotJson),
        ("[1e999]", NotJson),
        ("[0x1]", NotJson),
        ("[tru]", NotJson),
        ("[True]", NotJson),
        ("[\"\\x41\"]", NotJson),
        ("[\"\\u00g0\"]", NotJson),
        ("{} {}", NotJson),
        ("{}x", NotJson),
        ("/**/{}", NotJson),
        ("{\"a\":1}//", NotJson),
        ("[1", EndsEarly),
        ("{\"a\":", EndsEarly),
        ("\"a", EndsEarly),
        ("[\"a\\", EndsEarly),
        ("{1:1}", NotJson),
        ("[]]", NotJson),
        ("\u{a0}[]", NotJson),
        ("[\u{feff}]", NotJson),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().fault, fault, "{text}");
    }
}

#[test]
fn valid_json_of_every_kind_is_taken() {
    for text in [
        "null",
        " true ",
        "-0",
        "0.5",
        "1E+2",
        "9007199254740992",
        "-9007199254740992",
        "\"\"",
        "[]",
        "{}",
        r#"{"":0}"#,
        r#"["\"\\\/\b\f\n\r\t\u20ac\uD83D\uDE00"]"#,
        "[[[]],{\"a\":{}}]",
        "\"\u{7f}\u{2028}\u{10ffff}\"",
        r#"{"a":"b","A":"b"}"#,
        r#"["\uDBFF\uDFFF\uFFFF"]"#,
        "[1.0,2.50,13.405]",
        "\r\n\t []\n",
        // What serde_json's own Value would read as something else.
        r#"{"$serde_json::private::RawValue":"[1]"}"#,
    ] {
        let ours = parse(text.as_bytes()).unwrap();
        if !text.contains("serde_json") {
            assert_eq!(ours, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }
    assert_eq!(
        parse(br#"{"$serde_json::private::RawValue":"[1]"}"#).unwrap(),
        json!({"$serde_json::private::RawValue":"[1]"})
    );
}

#[test]
fn bounds_hold_at_their_edge() {
    let depth = usize::from(MAX_DEPTH);
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(parse(nested(depth).as_bytes()).is_ok());
    assert_eq!(parse(nested(depth + 1).as_bytes()).unwrap_err().fault, Fault::TooDeep);
    assert_eq!(parse("[".repeat(1_000_000).as_bytes()).unwrap_err().fault, Fault::TooDeep);
    let objects = |levels: usize| "{\"a\":".repeat(levels) + "0" + &"}".repeat(levels);
    assert!(parse(objects(depth).as_bytes()).is_ok());
    assert_eq!(parse(objects(depth + 1).as_bytes()).unwrap_err().fault, Fault::TooDeep);

    let members = |count: usize| {
        let list: Vec<String> = (0..count).map(|name| format!("\"{name}\":0")).collect();
        format!("{{{}}}", list.join(","))
    };
    assert!(parse(members(MAX_MEMBERS).as_bytes()).is_ok());
    assert_eq!(parse(members(MAX_MEMBERS + 1).as_bytes()).unwrap_err().fault, Fault::TooManyMembers);

    let items = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(parse(items(MAX_ITEMS).as_bytes()).is_ok());
    assert_eq!(parse(items(MAX_ITEMS + 1).as_bytes()).unwrap_err().fault, Fault::TooManyItems);
}

#[test]
fn a_fault_repeats_nothing_of_the_body() {
    for body in [r#"{"marker":1,"marker":2}"#, r#"["marker\u0000"]"#, "marker", r#"{"a":marker}"#, "[\"marker\t\"]"] {
        assert!(!parse(body.as_bytes()).unwrap_err().to_string().contains("marker"), "{body}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..(1_i64 << 53)).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        "[^\\x00]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[^\\x00]{0,6}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_valid_json(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(parse(text.as_bytes()), Ok(value));
    }

    #[test]
    fn a_repeated_member_is_refused_wherever_it_stands(
        name in "[a-z]{1,5}", before in any_json(), after in any_json(), depth in 0..20_usize,
    ) {
        let name = serde_json::to_string(&name).unwrap();
        let open = "{\"x\":[".repeat(depth);
        let close = "]}".repeat(depth);
        let text = format!("{open}{{{name}:{before},\"-\":0,{name}:{after}}}{close}");
        prop_assert_eq!(parse(text.as_bytes()).unwrap_err().fault, Fault::DuplicateMember);
    }

    #[test]
    fn never_panics_and_never_takes_what_serde_json_refuses(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }
}

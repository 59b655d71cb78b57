//! JSON with one spelling for each value, whatever features `serde_json` was built with.

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde_json::{Map, Number, Value};
use vestige_traits::limits;

/// Appends a JSON string: `"` and `\` escaped, control characters below U+0020 as `\b`, `\t`,
/// `\n`, `\f`, `\r` or `\u00xx` in lowercase, everything else as it is.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => br#"\""#,
            b'\\' => br"\\",
            0x08 => br"\b",
            b'\t' => br"\t",
            b'\n' => br"\n",
            0x0c => br"\f",
            b'\r' => br"\r",
            0..=0x1f => br"\u00",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(escape);
        if escape == br"\u00" {
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a JSON value: no space, keys ascending by the bytes of their UTF-8.
pub(super) fn value(out: &mut Vec<u8>, json: &Value) {
    match json {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(json) => number(out, json),
        Value::String(text) => string(out, text),
        Value::Array(items) => list(out, items, value),
        Value::Object(map) => object(out, map),
    }
}

fn object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
    out.push(b'{');
    for (at, (key, item)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(out, key);
        out.push(b':');
        value(out, item);
    }
    out.push(b'}');
}

/// Appends an array.
pub(super) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn number(out: &mut Vec<u8>, json: &Number) {
    if let Some(whole) = json.as_u64() {
        integer(out, whole);
    } else if let Some(whole) = json.as_i64() {
        out.push(b'-');
        integer(out, whole.unsigned_abs());
    } else {
        // A store that other hands have written to may hold a number in a form that no store gives back.
        let mut stored = Value::Number(json.clone());
        if limits::normalize_json(&mut stored) {
            value(out, &stored);
        } else {
            float(out, json.as_f64().unwrap_or(f64::NAN));
        }
    }
}

/// Appends a whole number in decimal.
pub(super) fn integer(out: &mut Vec<u8>, whole: u64) {
    out.extend_from_slice(whole.to_string().as_bytes());
}

/// Appends a number with a fraction or an exponent: the fewest digits that give the same number
/// back, plain from 1e-5 up to below 1e16, else with an exponent. Zero has no sign, as in every store.
///
/// JSON has no word for what is not finite, and no store takes it in; it becomes `null`.
pub(super) fn float(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        return out.extend_from_slice(b"null");
    }
    // Adding a positive zero turns a negative one positive and leaves every other number.
    let number = number + 0.0;
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if number.is_sign_negative() {
        out.push(b'-');
    }
    // How many digits stand before the point.
    let point = exponent + 1;
    let text = match usize::try_from(point) {
        Ok(point @ 1..=16) if digits.len() <= point => {
            format!("{digits}{}.0", "0".repeat(point - digits.len()))
        }
        Ok(point @ 1..=16) => format!("{}.{}", &digits[..point], &digits[point..]),
        _ if (-4..=0).contains(&point) => {
            format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        }
        _ => format!("{mantissa}e{exponent}"),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends a time as `"YYYY-MM-DDThh:mm:ss.ffffffZ"`.
pub(super) fn time(out: &mut Vec<u8>, time: &DateTime<Utc>) {
    let text = format!(
        "\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z\"",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.nanosecond() / 1000,
    );
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_plain_near_one_and_have_an_exponent_far_from_it() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.00001, "0.00001"),
            (0.0000123, "0.0000123"),
            (0.000001, "1e-6"),
            (1234567.0, "1234567.0"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e16"),
            (1.5e300, "1.5e300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(text(|out| float(out, number)), expected);
        }
    }

    #[test]
    fn strings_escape_what_json_asks_for_and_no_more() {
        let odd = "\"\\/\u{8}\t\n\u{c}\r\u{0}\u{1f}\u{7f}é\u{2028}😀";
        assert_eq!(
            text(|out| string(out, odd)),
            "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}é\u{2028}😀\""
        );
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let json: Value =
            serde_json::from_str(r#"{"b":{"z":1,"é":2,"a":-3},"a":[{"y":1.0,"x":null}]}"#).unwrap();
        assert_eq!(text(|out| value(out, &json)), r#"{"a":[{"x":null,"y":1.0}],"b":{"a":-3,"z":1,"é":2}}"#);
    }

    #[test]
    fn whole_numbers_of_64_bits_are_exact() {
        let json: Value = serde_json::from_str("[18446744073709551615,-9223372036854775808,0]").unwrap();
        assert_eq!(text(|out| value(out, &json)), "[18446744073709551615,-9223372036854775808,0]");
    }

    #[test]
    fn numbers_of_metadata_stand_as_every_store_gives_them_back() {
        let json: Value =
            serde_json::from_str("[1,1.0,-0.0,9e15,1e16,-1e16,1.8e19,1e20,100000000000000000000]").unwrap();
        assert_eq!(
            text(|out| value(out, &json)),
            "[1,1.0,0.0,9000000000000000.0,10000000000000000,-10000000000000000,18000000000000000000,1e20,1e20]"
        );
    }

    #[test]
    fn times_have_six_digits_and_four_in_the_year() {
        let at: DateTime<Utc> = "0042-03-04T05:06:07.00089Z".parse().unwrap();
        assert_eq!(text(|out| time(out, &at)), "\"0042-03-04T05:06:07.000890Z\"");
    }

    proptest! {
        #[test]
        fn floats_come_back_bit_for_bit(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite() && bits != (-0.0_f64).to_bits());
            let written = text(|out| float(out, number));
            let read: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read.as_f64().unwrap().to_bits(), bits, "{}", written);
        }

        #[test]
        fn strings_come_back(odd: String) {
            let written = text(|out| string(out, &odd));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), odd);
        }
    }
}

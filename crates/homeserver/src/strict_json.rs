//! JSON that can be read in one way only.
//!
//! A gate that reads `{"type": "a", "type": "b"}` as one thing and a homeserver
//! that reads it as another disagree about what was confirmed. So a key that
//! occurs twice is refused at any level, and so is nesting that no request of
//! the client-server API needs.

use std::fmt;

use ruma::api::error::ErrorKind;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, error::Category};

use crate::Refusal;

/// How deep objects and arrays may be nested, counting the body itself.
pub const DEPTH_LIMIT: usize = 32;

/// Parses a request body that has to be a JSON object.
///
/// # Errors
///
/// `400 M_NOT_JSON` for what is not JSON, nothing at all included;
/// `400 M_BAD_JSON` for JSON that is no object, that has a key twice in one
/// object, or that is nested deeper than [`DEPTH_LIMIT`].
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match parse(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(bad("The body has to be a JSON object.")),
        // The messages of our own visitor name no content; those of the parser
        // say where it stopped, which helps.
        Err(error) if error.classify() == Category::Data => Err(bad(error.to_string())),
        Err(error) => {
            let text = format!("The body is not valid JSON: {error}");
            Err(Refusal::bad_request(&ErrorKind::NotJson, text))
        }
    }
}

fn bad(text: impl Into<String>) -> Refusal {
    Refusal::bad_request(&ErrorKind::BadJson, text)
}

fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth_left: DEPTH_LIMIT }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value whose objects and arrays may be nested `depth_left` deep.
#[derive(Clone, Copy)]
struct Strict {
    depth_left: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth_left =
            self.depth_left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("a key occurs twice in one object"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errcode(text: &str) -> String {
        let refusal = parse_object(text.as_bytes()).unwrap_err();
        assert_eq!(refusal.status, http::StatusCode::BAD_REQUEST, "{text}");
        refusal.errcode
    }

    #[test]
    fn an_object_is_read_as_it_stands() {
        let text = r#"{"a": [1, -2, 2.5, "x", null, true, {}], "b": {"a": "é"}, "": 18446744073709551615}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Value::Object(parse_object(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn a_key_twice_is_refused_at_any_level() {
        for text in [
            r#"{"type": "a", "type": "b"}"#,
            r#"{"type": "a", "type": "a"}"#,
            r#"{"type": "a", "\u0074ype": "b"}"#,
            r#"{"auth": {"type": "a", "type": "b"}}"#,
            r#"{"x": [{"y": {"z": 1, "z": 2}}]}"#,
        ] {
            assert_eq!(errcode(text), "M_BAD_JSON", "{text}");
        }
    }

    #[test]
    fn the_same_key_in_two_objects_is_fine() {
        let body = parse_object(br#"{"a": {"x": 1}, "b": {"x": 1}, "x": 1}"#).unwrap();
        assert_eq!(Value::Object(body), json!({"a": {"x": 1}, "b": {"x": 1}, "x": 1}));
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| {
            let inner = depth - 1;
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
        };
        assert!(parse_object(nested(DEPTH_LIMIT).as_bytes()).is_ok());
        assert_eq!(errcode(&nested(DEPTH_LIMIT + 1)), "M_BAD_JSON");
        assert_eq!(errcode(&nested(100_000)), "M_BAD_JSON");
    }

    #[test]
    fn what_is_no_object_is_bad_json() {
        for text in ["[]", "null", "1", "\"x\"", "true"] {
            assert_eq!(errcode(text), "M_BAD_JSON", "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_json() {
        for text in
            ["", " ", "{", "{]", "{\"a\":1,}", "{} {}", "\u{feff}{}", "{'a':1}", "{\"a\":NaN}"]
        {
            assert_eq!(errcode(text), "M_NOT_JSON", "{text}");
        }
        let refusal = parse_object(b"{\"a\":\"\xff\"}").unwrap_err();
        assert_eq!(refusal.errcode, "M_NOT_JSON");
    }

    #[test]
    fn a_number_beyond_a_double_is_refused() {
        assert_eq!(errcode(r#"{"a": 1e999}"#), "M_NOT_JSON");
        assert_eq!(errcode(r#"{"a": 01}"#), "M_NOT_JSON");
    }
}

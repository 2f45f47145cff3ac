//! A deserializer of JSON values whose errors have a JSON pointer, and name the type of what is wrong, not
//! its value.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};
use serde_json::{Value, map};
use std::{fmt, slice};

/// Reads a value as a type.
pub(crate) fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    T::deserialize(FromValue(value)).map_err(|mut failure| {
        failure.path.reverse();
        failure
    })
}

/// Where a value is not of a type, and what was expected there.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The tokens of the JSON pointer; innermost first until the error is complete.
    path: Vec<String>,
    message: String,
}

impl Failure {
    pub(crate) fn pointer(&self) -> String {
        self.path.iter().fold(String::new(), |pointer, token| {
            pointer + "/" + &token.replace('~', "~0").replace('/', "~1")
        })
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn below(mut self, token: &str) -> Self {
        self.path.push(token.to_owned());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, got {}", kind(&got)))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, got {} that is not", kind(&got)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected {}", one_of(expected)))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("has an unknown member, expected {}", one_of(expected)))
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    }
}

fn kind(got: &Unexpected<'_>) -> &'static str {
    match got {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "another value",
    }
}

struct FromValue<'a>(&'a Value);

macro_rules! as_any {
    ($($method:ident($($name:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $ty,)* visitor: V) -> Result<V::Value, Failure> {
            $(let _ = $name;)*
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for FromValue<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else if let Some(number) = number.as_i128() {
                    visitor.visit_i128(number)
                } else if let Some(number) = number.as_u128() {
                    visitor.visit_u128(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::Array(array) => {
                let mut elements = Elements { rest: array.iter(), at: 0 };
                let value = visitor.visit_seq(&mut elements)?;
                match elements.rest.len() {
                    0 => Ok(value),
                    more => Err(Failure::custom(format_args!("has {more} elements too many"))),
                }
            }
            Value::Object(object) => {
                let mut members = Members { rest: object.iter(), value: None };
                let value = visitor.visit_map(&mut members)?;
                match members.rest.len() {
                    0 => Ok(value),
                    more => Err(Failure::custom(format_args!("has {more} members too many"))),
                }
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(object) if object.len() == 1 => {
                let (name, content) = object.iter().next().map_or(("", None), |(k, v)| (k.as_str(), Some(v)));
                visitor.visit_enum(Variant { name, content })
            }
            other => Err(Failure::custom(format_args!(
                "expected a variant's name, or an object of one member, got {}",
                match other {
                    Value::Object(_) => "an object of another size",
                    other => kind(&unexpected(other)),
                }
            ))),
        }
    }

    as_any! {
        deserialize_bool(); deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64();
        deserialize_i128(); deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64();
        deserialize_u128(); deserialize_f32(); deserialize_f64(); deserialize_char(); deserialize_str();
        deserialize_string(); deserialize_bytes(); deserialize_byte_buf(); deserialize_unit();
        deserialize_unit_struct(name: &'static str); deserialize_seq(); deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize); deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_identifier(); deserialize_ignored_any();
    }
}

impl<'de> IntoDeserializer<'de, Failure> for FromValue<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Elements<'a> {
    rest: slice::Iter<'a, Value>,
    at: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(FromValue(value)).map(Some).map_err(|failure| failure.below(&at.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'a> {
    rest: map::Iter<'a>,
    value: Option<(&'a String, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(Key(key)).map(Some).map_err(|failure| failure.below(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let (key, value) = self.value.take().ok_or_else(|| Failure::custom("a value without its key"))?;
        seed.deserialize(FromValue(value)).map_err(|failure| failure.below(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A member's name: a string, or the number or boolean that it spells where the type's keys are such.
struct Key<'a>(&'a str);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident $ty:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.0.parse::<$ty>() {
                Ok(key) => visitor.$visit(key),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    parsed_keys! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16; deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64; deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16; deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64; deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32; deserialize_f64 visit_f64 f64;
    }

    as_any! {
        deserialize_char(); deserialize_str(); deserialize_string(); deserialize_bytes();
        deserialize_byte_buf(); deserialize_unit(); deserialize_unit_struct(name: &'static str);
        deserialize_seq(); deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize); deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_identifier(); deserialize_ignored_any();
    }
}

struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content<T>(self, read: impl FnOnce(FromValue<'de>) -> Result<T, Failure>) -> Result<T, Failure> {
        let content = self.content.ok_or_else(|| Failure::custom("expected a variant with a content"))?;
        read(FromValue(content)).map_err(|failure| failure.below(self.name))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Failure::custom("expected a variant without a content").below(self.name)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.content(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.content(|content| content.deserialize_map(visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        id: u32,
        list: Vec<Inner>,
        by_number: BTreeMap<u8, Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    enum Inner {
        Unit,
        New(i8),
        Pair(u8, String),
        Named { a: Option<f32> },
    }

    fn value() -> Value {
        json!({
            "id": 1,
            "list": ["Unit", {"New": -1}, {"Pair": [1, "a"]}, {"Named": {"a": 2}}, {"Unit": null}],
            "by_number": {"7": "Unit"},
            "more": true,
        })
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        let read: Outer = from_value(&value()).unwrap();
        assert_eq!(read, serde_json::from_value(value()).unwrap());
    }

    #[test]
    fn a_failure_has_the_place_and_what_was_expected_but_no_value() {
        let cases = [
            ("/id", json!(5_000_000_000_u64), "/id", "expected u32, got an integer that is not"),
            ("/id", json!("secret"), "/id", "expected u32, got a string"),
            ("/list/1/New", json!(1000), "/list/1/New", "expected i8, got an integer that is not"),
            ("/list/2/Pair/1", json!(7), "/list/2/Pair/1", "expected a string, got an integer"),
            (
                "/list/2/Pair",
                json!([1]),
                "/list/2/Pair",
                "invalid length 1, expected tuple variant Inner::Pair",
            ),
            ("/list/3/Named/a", json!([]), "/list/3/Named/a", "expected f32, got an array"),
            ("/list/0", json!("secret"), "/list/0", "expected `Unit`, `New`, `Pair`, `Named`"),
            ("/list/0", json!(null), "/list/0", "expected a variant's name"),
            ("/by_number", json!({"secret/~": "Unit"}), "/by_number/secret~1~0", "expected u8, got a string"),
            ("/list", json!(null), "/list", "expected a sequence, got null"),
        ];
        for (place, wrong, pointer, message) in cases {
            let mut value = value();
            *value.pointer_mut(place).unwrap() = wrong;
            let failure = from_value::<Outer>(&value).unwrap_err();
            assert_eq!(failure.pointer(), pointer);
            assert!(failure.message().starts_with(message), "{failure}, want {message}");
            assert!(!failure.message().contains("secret"), "{failure}");
        }
        let mut value = value();
        value.as_object_mut().unwrap().remove("id");
        assert_eq!(from_value::<Outer>(&value).unwrap_err().message(), "missing field `id`");
    }
}

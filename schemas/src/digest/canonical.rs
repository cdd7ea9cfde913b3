//! Canonical JSON: keys sorted at every depth, no spaces. Written straight from the value, since every
//! wave that is read or made is digested: a tree of values in between cost four times as much.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Serialize;
use serde::ser::{self, Error as _};
use serde_json::{Error, Value};

/// A field that is left out: the one of that name in the value itself, or in its field `of`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Omitted {
    pub of: Option<&'static str>,
    pub field: &'static str,
}

/// The canonical JSON of `value` without some of its fields.
pub(super) fn write<T: Serialize>(value: &T, omitted: &[Omitted]) -> Result<Vec<u8>, Error> {
    let mut writer = Writer {
        out: Vec::new(),
        members: Vec::new(),
        level: Level::Top,
        omitted,
    };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer<'o> {
    out: Vec<u8>,
    /// Of all objects that are open: each one's key, and where it stands in `out`.
    members: Vec<Member>,
    level: Level,
    omitted: &'o [Omitted],
}

struct Member {
    key: Cow<'static, str>,
    from: usize,
    to: usize,
}

/// How deep a value is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Top,
    FieldOfTop(&'static str),
    Deeper,
}

impl Writer<'_> {
    /// A scalar, as `serde_json` writes it.
    fn scalar<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(&mut self.out, value)
    }

    /// `{"variant":`, to be closed.
    fn variant(&mut self, variant: &'static str) -> Result<(), Error> {
        self.out.push(b'{');
        self.scalar(variant)?;
        self.out.push(b':');
        Ok(())
    }
}

/// An array that is open.
struct Items<'w, 'o> {
    writer: &'w mut Writer<'o>,
    from: usize,
    /// Of the array.
    level: Level,
    end: &'static [u8],
}

impl<'w, 'o> Items<'w, 'o> {
    fn open(writer: &'w mut Writer<'o>, end: &'static [u8]) -> Self {
        writer.out.push(b'[');
        Self {
            from: writer.out.len(),
            level: writer.level,
            writer,
            end,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if self.writer.out.len() > self.from {
            self.writer.out.push(b',');
        }
        self.writer.level = Level::Deeper;
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.level = self.level;
        self.writer.out.extend_from_slice(self.end);
    }
}

/// An object that is open.
struct Fields<'w, 'o> {
    writer: &'w mut Writer<'o>,
    /// Where its first member stands.
    from: usize,
    /// Its first one in the writer's list.
    first: usize,
    /// Of the object.
    level: Level,
    sorted: bool,
    /// Of a map, until its value comes.
    key: Option<String>,
    end: &'static [u8],
}

impl<'w, 'o> Fields<'w, 'o> {
    fn open(writer: &'w mut Writer<'o>, end: &'static [u8]) -> Self {
        writer.out.push(b'{');
        Self {
            from: writer.out.len(),
            first: writer.members.len(),
            level: writer.level,
            sorted: true,
            key: None,
            writer,
            end,
        }
    }

    fn is_omitted(&self, field: &str) -> bool {
        let of = match self.level {
            Level::Top => None,
            Level::FieldOfTop(name) => Some(name),
            Level::Deeper => return false,
        };
        let mut omitted = self.writer.omitted.iter();
        omitted.any(|it| it.of == of && it.field == field)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        if self.is_omitted(key) {
            return Ok(());
        }
        let level = match self.level {
            Level::Top => Level::FieldOfTop(key),
            _ => Level::Deeper,
        };
        self.member(Cow::Borrowed(key), level, value)
    }

    fn member<T: Serialize + ?Sized>(
        &mut self,
        key: Cow<'static, str>,
        level: Level,
        value: &T,
    ) -> Result<(), Error> {
        let writer = &mut *self.writer;
        if writer.out.len() > self.from {
            writer.out.push(b',');
        }
        let from = writer.out.len();
        writer.scalar(&*key)?;
        writer.out.push(b':');
        writer.level = level;
        value.serialize(&mut *writer)?;
        let to = writer.out.len();
        if let Some(before) = writer.members[self.first..].last() {
            self.sorted &= before.key.as_ref().cmp(&key) == Ordering::Less;
        }
        writer.members.push(Member { key, from, to });
        Ok(())
    }

    fn close(self) {
        let writer = self.writer;
        let members = &mut writer.members[self.first..];
        if !self.sorted {
            members.sort_by(|a, b| a.key.cmp(&b.key));
            let mut sorted = Vec::with_capacity(writer.out.len() - self.from);
            for member in members {
                if !sorted.is_empty() {
                    sorted.push(b',');
                }
                sorted.extend_from_slice(&writer.out[member.from..member.to]);
            }
            writer.out.truncate(self.from);
            writer.out.extend_from_slice(&sorted);
        }
        writer.members.truncate(self.first);
        writer.level = self.level;
        writer.out.extend_from_slice(self.end);
    }
}

/// Scalars are written by `serde_json`.
macro_rules! scalars {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.scalar(&value)
        })*
    };
}

impl<'w, 'o> ser::Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'w, 'o>;
    type SerializeTuple = Items<'w, 'o>;
    type SerializeTupleStruct = Items<'w, 'o>;
    type SerializeTupleVariant = Items<'w, 'o>;
    type SerializeMap = Fields<'w, 'o>;
    type SerializeStruct = Fields<'w, 'o>;
    type SerializeStructVariant = Fields<'w, 'o>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.scalar(&())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let level = std::mem::replace(&mut self.level, Level::Deeper);
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.level = level;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'w, 'o>, Error> {
        Ok(Items::open(self, b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'w, 'o>, Error> {
        Ok(Items::open(self, b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'w, 'o>, Error> {
        Ok(Items::open(self, b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'w, 'o>, Error> {
        self.variant(variant)?;
        Ok(Items::open(self, b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'w, 'o>, Error> {
        Ok(Fields::open(self, b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'w, 'o>, Error> {
        Ok(Fields::open(self, b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'w, 'o>, Error> {
        self.variant(variant)?;
        let mut fields = Fields::open(self, b"}}");
        fields.level = Level::Deeper;
        Ok(fields)
    }
}

/// The ways into an array: all the same.
macro_rules! items {
    ($($of:ident: $method:ident),* $(,)?) => {
        $(impl ser::$of for Items<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        })*
    };
}

items! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

/// The ways into an object whose keys are known.
macro_rules! fields {
    ($($of:ident),*) => {
        $(impl ser::$of for Fields<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(match serde_json::to_value(key)? {
            Value::String(text) => text,
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(Error::custom("a key is no scalar"));
            }
            scalar => scalar.to_string(),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().expect("serde gives a key first");
        self.member(Cow::Owned(key), Level::Deeper, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::digest::sorted;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        One(u8),
        Two(u8, &'static str),
        Named { z: f32, a: Option<bool> },
    }

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Everything {
        zone: Vec<Kind>,
        a_list: (i64, char, &'static str),
        map: BTreeMap<u16, BTreeMap<String, f64>>,
        unit: Unit,
        none: Option<u8>,
        inner: Inner,
    }

    #[derive(Serialize)]
    struct Inner {
        digest: u8,
        b: BTreeMap<String, u8>,
        a: Vec<Inner>,
    }

    fn everything() -> Everything {
        let inner = |digest, a| Inner {
            digest,
            b: [("digest".to_owned(), 1), ("\"\u{1}ü".to_owned(), 2)].into(),
            a,
        };
        Everything {
            zone: vec![
                Kind::Unit,
                Kind::One(1),
                Kind::Two(2, "\n"),
                Kind::Named { z: 0.1, a: None },
            ],
            a_list: (-5, 'ß', "\"\u{7f}\\"),
            map: [
                (
                    9,
                    [("x".to_owned(), 1.5), ("X".to_owned(), f64::NAN)].into(),
                ),
                (10, BTreeMap::new()),
            ]
            .into(),
            unit: Unit,
            none: None,
            inner: inner(1, vec![inner(2, Vec::new())]),
        }
    }

    fn written(value: &impl Serialize, omitted: &[Omitted]) -> String {
        String::from_utf8(write(value, omitted).expect("it has a JSON form")).expect("JSON")
    }

    fn by_values(value: &impl Serialize) -> Value {
        sorted(serde_json::to_value(value).expect("it has a JSON form"))
    }

    // Whatever serde knows comes out as it does from sorted values.
    #[test]
    fn everything_that_serde_knows() {
        let value = everything();
        assert_eq!(written(&value, &[]), by_values(&value).to_string());
        assert!(write(&BTreeMap::from([((1, 2), 3)]), &[]).is_err());
    }

    // A field is left out where it was said, and nowhere else.
    #[test]
    fn left_out() {
        let value = everything();
        let mut expected = by_values(&value);
        for (of, field) in [(None, "unit"), (Some("inner"), "digest")] {
            let within = match of {
                Some(of) => &mut expected[of],
                None => &mut expected,
            };
            let within = within.as_object_mut().expect("an object");
            assert!(within.remove(field).is_some());
        }
        let omitted = [
            Omitted {
                of: None,
                field: "unit",
            },
            Omitted {
                of: Some("inner"),
                field: "digest",
            },
        ];
        assert_eq!(written(&value, &omitted), expected.to_string());
        assert!(expected["inner"]["a"][0]["digest"].is_number());
    }

    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            any::<Option<i64>>().prop_map(|number| json!(number)),
            any::<f64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        // So does any tree.
        #[test]
        fn any_value(value in values()) {
            prop_assert_eq!(written(&value, &[]), by_values(&value).to_string());
        }
    }
}

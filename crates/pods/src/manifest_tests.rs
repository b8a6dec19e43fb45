use super::*;
use serde::de::value::Error as PlainError;
use serde::forward_to_deserialize_any;

const REFERENCE: &str = include_str!("../../../docs/pods.md");

/// Has nothing to give, but sees which fields are asked for.
struct Fields<'f>(&'f mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, PlainError> {
        Err(PlainError::custom("nothing"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PlainError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
    let mut fields: &'static [&'static str] = &[];
    assert!(T::deserialize(Fields(&mut fields)).is_err() && !fields.is_empty());
    fields.to_vec()
}

/// The first column of the first table below a heading, which has as many `#` as it is deep.
fn rows(heading: &str) -> Vec<&'static str> {
    let (_, section) =
        REFERENCE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let table = table.take_while(|line| line.starts_with('|'));
    table.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn the_page_has_a_row_for_every_field_and_no_other() {
    let metadata = fields::<Metadata>().into_iter().map(|field| match field {
        "name" => "metadata.name",
        "labels" => "metadata.labels",
        "annotations" => "metadata.annotations",
        other => other,
    });
    let manifest = [fields::<Manifest>(), metadata.collect()].concat();
    for (heading, mut want) in [
        ("## Manifest", manifest),
        ("## `spec`", fields::<Spec>()),
        ("## `spec.containers[0]`", fields::<Container>()),
        ("### `ports`", fields::<Port>()),
        ("### `resources`", fields::<Amounts>()),
        ("### `securityContext`", fields::<SecurityContext>()),
    ] {
        let mut have = rows(heading);
        have.sort_unstable();
        want.sort_unstable();
        assert_eq!(have, want, "{heading}");
    }
    for (fields, named) in [
        (fields::<Env>(), "list of `name`, `value`"),
        (fields::<Resources>(), "`limits` and `requests`"),
        (fields::<Capabilities>(), "`add`, `drop`"),
    ] {
        assert!(REFERENCE.contains(named) && fields.iter().all(|field| named.contains(field)), "{fields:?}");
    }
}

#[test]
fn the_example_is_a_pod() {
    let example = REFERENCE.split("\n```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(crate::Pod::parse(example).unwrap().container.args, ["--listen=0.0.0.0:8080"]);
}

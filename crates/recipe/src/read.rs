//! From text to document: syntax, unknown keys, wrong types.
//!
//! 1. Every syntax error is reported; with one, nothing else is looked at.
//! 2. Keys that no table has are reported with the nearest one that it has, and taken out.
//! 3. The document is read; a value of the wrong type is reported and taken out, and the reading begins again, so that the
//!    second one is found too. Each round removes a key, and there are at most [`ROUNDS`].

use crate::document::{
    Blackout, Boot, Console, Document, EmbeddedImage, EmbeddedPod, File, Gate, Health, Image, Kernel, Lock,
    State, Update, Window,
};
use crate::findings::{Code, Report};
use crate::template;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor, value::Error as PlainError};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A recipe is a page or two; this is room for hundreds of files and an end to abuse.
pub(crate) const LIMIT: usize = 1 << 20;

/// Wrong types reported at once.
const ROUNDS: usize = 50;

/// Reads what can be read, and reports the rest. `None` after a syntax error.
pub(crate) fn read(text: &str, report: &mut Report<'_>) -> Option<Document> {
    if text.len() > LIMIT {
        report.add(
            Code::TooLarge,
            0..0,
            format!("the recipe has {} bytes, more than {LIMIT}", text.len()),
            "name large content by its path instead of writing it into the recipe",
        );
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        report.add(
            Code::Syntax,
            error.span().unwrap_or(0..0),
            error.message(),
            "see https://toml.io for the language",
        );
    }
    if !errors.is_empty() {
        return None;
    }
    let span = table.span();
    let mut table = table.into_inner();
    refuse_unknown(&mut table, "", report);
    for _ in 0..ROUNDS {
        let whole = Spanned::new(span.clone(), DeValue::Table(table.clone()));
        match Document::deserialize(ValueDeserializer::from(whole)) {
            Ok(document) => return Some(document),
            Err(error) => {
                let at = error.span().unwrap_or(0..0);
                let taken = take_at(&mut table, "", &at);
                let (message, remedy) = match &taken {
                    Some((section, key)) => (
                        format!("`{key}`: {}", error.message()),
                        template::example(section, key).map_or_else(
                            || "see the template that `coracle new` writes".to_owned(),
                            |example| format!("write it like `{example}`"),
                        ),
                    ),
                    None => {
                        (error.message().to_owned(), "see the template that `coracle new` writes".to_owned())
                    }
                };
                report.add(Code::WrongType, at, message, remedy);
                taken?;
            }
        }
    }
    None
}

/// The keys of a table, by the name of its section; `None` where no table is expected.
pub(crate) fn keys(section: &str) -> Option<&'static [&'static str]> {
    match section {
        "" => Some(fields::<Document>()),
        "kernel" => Some(fields::<Kernel>()),
        "image" => Some(fields::<Image>()),
        "images" => Some(fields::<EmbeddedImage>()),
        "pods" => Some(fields::<EmbeddedPod>()),
        "files" => Some(fields::<File>()),
        "console" => Some(fields::<Console>()),
        "state" => Some(fields::<State>()),
        "boot" => Some(fields::<Boot>()),
        "update" => Some(fields::<Update>()),
        "update.lock" => Some(fields::<Lock>()),
        "update.windows" => Some(fields::<Window>()),
        "update.blackouts" => Some(fields::<Blackout>()),
        "update.health" => Some(fields::<Health>()),
        "update.health.gates" => Some(fields::<Gate>()),
        _ => None,
    }
}

/// The name of a section within another.
fn within(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// In a table and all tables in it. Of one that should not be there at all, only that is said.
fn refuse_unknown(table: &mut DeTable<'_>, section: &str, report: &mut Report<'_>) {
    refuse_in(table, section, report);
    for (key, value) in table.iter_mut() {
        let section = within(section, key.get_ref());
        if keys(&section).is_none() {
            continue;
        }
        match value.get_mut() {
            DeValue::Table(table) => refuse_unknown(table, &section, report),
            DeValue::Array(array) => {
                for element in array.iter_mut() {
                    if let DeValue::Table(table) = element.get_mut() {
                        refuse_unknown(table, &section, report);
                    }
                }
            }
            _ => {}
        }
    }
}

fn refuse_in(table: &mut DeTable<'_>, section: &str, report: &mut Report<'_>) {
    let Some(known) = keys(section) else { return };
    let unknown: Vec<_> =
        table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).cloned().collect();
    for key in unknown {
        let name = key.get_ref().as_ref();
        let place = if section.is_empty() {
            "at the top of the recipe".to_owned()
        } else {
            format!("in `{section}`")
        };
        let remedy = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("valid keys here: {}", known.join(", ")),
        };
        report.add(
            Code::UnknownKey,
            key.span(),
            format!("unknown key `{}` {place}", name.escape_debug()),
            remedy,
        );
        table.remove(&key);
    }
}

/// The valid word that a person most likely meant.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&lower, key), *key))
        .filter(|(distance, key)| *distance <= 1 + key.len() / 3)
        .min()
        .map(|(_, key)| key)
}

/// Takes out the innermost key whose name or value holds the span; answers with its section and name.
fn take_at(table: &mut DeTable<'_>, section: &str, at: &Range<usize>) -> Option<(String, String)> {
    for (key, value) in table.iter_mut() {
        let section = within(section, key.get_ref());
        let taken = match value.get_mut() {
            DeValue::Table(inner) => take_at(inner, &section, at),
            DeValue::Array(array) => array.iter_mut().find_map(|element| {
                let DeValue::Table(inner) = element.get_mut() else {
                    return None;
                };
                take_at(inner, &section, at)
            }),
            _ => None,
        };
        if taken.is_some() {
            return taken;
        }
    }
    let holds = |span: Range<usize>| span.start <= at.start && at.end <= span.end;
    let name = table
        .iter()
        .find(|(key, value)| holds(value.span()) || holds(key.span()))
        .map(|(key, _)| key.clone())?;
    table.remove(&name);
    Some((section.to_owned(), name.get_ref().to_string()))
}

/// The names of a type's fields, asked of its own `Deserialize`, so that no second list can disagree.
fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // The answer is in `found`; the deserializer has no value to give and always ends in an error.
    let _ = T::deserialize(Ask(&mut found));
    found
}

struct Ask<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, PlainError> {
        Err(PlainError::custom("only asked for fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, PlainError> {
        *self.0 = fields;
        Err(PlainError::custom("only asked for fields"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_keys() {
        for (section, want) in [
            ("kernel", "fragments"),
            ("image", "budget"),
            ("images", "digest"),
            ("pods", "manifest"),
            ("files", "mode"),
            ("console", "loglevel"),
            ("state", "on_failure"),
            ("boot", "deadline"),
            ("update", "channel"),
            ("update.lock", "group"),
            ("update.windows", "days"),
            ("update.blackouts", "from"),
            ("update.health", "stable"),
            ("update.health.gates", "tcp"),
            ("", "version"),
        ] {
            assert!(keys(section).is_some_and(|known| known.contains(&want)), "{section}");
        }
    }

    #[test]
    fn nearest_key() {
        let known = ["name", "version", "on_failure"];
        for (typed, want) in [
            ("verson", Some("version")),
            ("Name", Some("name")),
            ("on-failure", Some("on_failure")),
            ("nmae", Some("name")),
            ("hypervisor", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, &known), want, "{typed}");
        }
    }
}

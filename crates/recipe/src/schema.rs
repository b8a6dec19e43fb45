//! JSON Schema of the document, for editors.

use crate::document::Document;

/// The schema of `coracle.toml` (JSON Schema 2020-12), from the same types that the parser reads.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::complete;
    use serde_json::Value;
    use toml::Table;

    /// The object schema behind references, lists and `null` alternatives.
    fn object<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
        if schema.get("properties").is_some() {
            return Some(schema);
        }
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return object(root, root.pointer(name.strip_prefix('#')?)?);
        }
        if let Some(items) = schema.get("items") {
            return object(root, items);
        }
        let any = schema.get("anyOf")?.as_array()?;
        any.iter().find_map(|one| object(root, one))
    }

    #[test]
    fn every_key_of_the_template_is_in_the_schema() {
        let schema = json_schema();
        let table: Table = complete().parse().unwrap();
        let mut seen = 0;
        for (key, value) in &table {
            let entry = &schema["properties"][key];
            assert!(entry.get("description").is_some(), "{key}");
            let inner = match value {
                toml::Value::Table(table) => Some(table),
                toml::Value::Array(list) => list.first().and_then(toml::Value::as_table),
                _ => None,
            };
            for name in inner.into_iter().flat_map(Table::keys) {
                let of = object(&schema, entry).unwrap_or_else(|| panic!("{key}: {entry}"));
                assert!(of["properties"].get(name).is_some(), "{key}.{name}");
                assert_eq!(of["additionalProperties"], false, "{key}");
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen}");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["name", "version"]));
    }
}

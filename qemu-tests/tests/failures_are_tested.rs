//! What `docs/update-failures.md` names as the test of a failure is one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "docs/update-failures.md";

#[test]
fn every_test_that_the_table_names_is_there() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = fs::read_to_string(repository.join(TABLE)).unwrap();
    let named: Vec<_> = table.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 100, "{} tests are named", named.len());
    let mut sources = BTreeMap::new();
    for (place, test) in named {
        let source = sources.entry(place).or_insert_with(|| source_of(&repository.join(place)));
        assert!(runs(test, source) || place == "PLACE", "{TABLE}: {place} has no {test}");
    }
}

/// Whether there is such a test, or such a case of one.
fn runs(test: &str, source: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {test}(")) else { return false };
    let attributes = before.rsplit('}').next().unwrap_or_default();
    let is_test = ["#[test]", "#[tokio::test"].iter().any(|attribute| attributes.contains(attribute));
    let is_case = |line: &str| line.contains("proof: ") && line.contains(&format!("::{test}"));
    is_test || source.lines().any(is_case)
}

/// All Rust files of a crate, in a row.
fn source_of(folder: &Path) -> String {
    let mut source = String::new();
    let mut folders = vec![folder.join("src"), folder.join("tests")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            match path.extension().is_some_and(|extension| extension == "rs") {
                true => source += &fs::read_to_string(path).unwrap(),
                false => folders.push(PathBuf::from(&path)),
            }
        }
    }
    source
}

//! What a recipe names beside itself: looked for, and read as far as that can be done without building.

use std::fs;
use std::path::{Path, PathBuf};

use coracle_layers::Layout;
use coracle_pods::Pod;
use coracle_pods::error::{Error as Refused, Place};
use coracle_recipe::Recipe;
use coracle_recipe::recipe::KernelSource;
use serde::Serialize;

use crate::update;

/// Something that is not as the recipe says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// Line and column, from 1, where the fault has a place.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub message: String,
}

/// Every fault outside the recipe's own text.
pub fn beside(recipe: &Recipe, path: &Path) -> Vec<Problem> {
    let at = |named: &Path| path.parent().unwrap_or(Path::new("")).join(named);
    let source = match &recipe.kernel.source {
        KernelSource::Path { path, .. } => Some(path.as_path()),
        KernelSource::Package | KernelSource::Url { .. } => None,
    };
    let fragments = recipe.kernel.fragments.iter().map(|fragment| fragment.as_path());
    let files = recipe.files.iter().map(|file| file.source.as_path());
    let plain = source.into_iter().chain(fragments).chain(files).filter_map(|named| regular(at(named)));
    let images = recipe.images.iter().filter_map(|image| layout(at(image.path.as_path())));
    let pods = recipe.pods.iter().filter_map(|pod| manifest(at(pod.as_path())));
    let update = recipe.update.iter().flat_map(|update| {
        let (root, authorities) =
            (at(update.root.as_path()), update.authorities.as_ref().map(|path| at(path.as_path())));
        let authorities = authorities.map(|path| (update::authorities(update, &path), path));
        [(update::root(&root), root)].into_iter().chain(authorities)
    });
    let update =
        update.filter_map(|(read, path)| problem(path, explained(std::error::Error::source(&read.err()?)?)));
    plain.chain(images).chain(pods).chain(update).collect()
}

fn problem(file: PathBuf, message: impl ToString) -> Option<Problem> {
    Some(Problem { file, place: None, message: message.to_string() })
}

fn regular(file: PathBuf) -> Option<Problem> {
    match fs::metadata(&file) {
        Ok(facts) if facts.is_file() => None,
        Ok(_) => problem(file, "is no file"),
        Err(error) => problem(file, error),
    }
}

fn layout(file: PathBuf) -> Option<Problem> {
    match Layout::open(&file) {
        Ok(_) => None,
        Err(error) => problem(file, explained(&error)),
    }
}

/// An error with all that caused it.
fn explained(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", explained(cause))).unwrap_or_default();
    format!("{error}{cause}")
}

fn manifest(file: PathBuf) -> Option<Problem> {
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return problem(file, error),
    };
    let error = Pod::parse(&text).err()?;
    let (place, message) = match error {
        Refused::Read { place, message } => (place, message),
        Refused::Field { place, field, reason } => (place, format!("{field}: {reason}")),
        other => (Place::default(), other.to_string()),
    };
    let known = (place != Place::default()).then_some((place.line, place.column));
    Some(Problem { file, place: known, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_named_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = "name=\"x\"\nversion=\"1.0.0\"\n[kernel]\nsource=\"./linux.tar\"\nfragments=[\"own.config\"]\n[[images]]\npath=\"app\"\n\
                    [[pods]]\nmanifest=\"pod.yaml\"\n[[files]]\nsource=\"motd\"\npath=\"/etc/motd\"\n";
        let recipe = Recipe::parse(text, "coracle.toml").unwrap();
        let names = |problems: &[Problem]| {
            let name = |one: &Problem| one.file.file_name().unwrap().to_str().unwrap().to_owned();
            problems.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        let all = beside(&recipe, &at("coracle.toml"));
        assert_eq!(names(&all), "linux.tar own.config motd app pod.yaml");

        for name in ["linux.tar", "own.config"] {
            fs::write(at(name), "").unwrap();
        }
        for name in ["motd", "app"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("pod.yaml"), "apiVersion: v1\nkind: Pot\n").unwrap();
        let left = beside(&recipe, &at("coracle.toml"));
        assert_eq!(names(&left), "motd pod.yaml");
        assert_eq!((left[0].place, left[1].place.map(|(line, _)| line > 0)), (None, Some(true)));
    }

    #[test]
    fn what_an_update_names_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name=\"x\"\nversion=\"1.0.0\"\n[update]\nrepositories=[\"https://a\"]\nchannel=\"stable\"\n\
                    root=\"root.json\"\nauthorities=\"ca.pem\"\n";
        let recipe = Recipe::parse(text, "coracle.toml").unwrap();
        fs::write(folder.path().join("root.json"), "{}").unwrap();
        fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
        let problems = beside(&recipe, &folder.path().join("coracle.toml"));
        let said: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(said.len() == 2 && said[0].starts_with("it is no root metadata"), "{said:?}");
        assert!(said[1].starts_with("it has no certificate"), "{said:?}");
    }
}

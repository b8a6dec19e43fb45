//! What a symbol depends on, read from the Kconfig files of a source tree: enough to explain a dropped option.
//!
//! Follows `source` from the top, so that an enclosing `if`, menu or choice counts. Known: `config`, `depends on`,
//! `select`, prompts with `if`, and the operators of a condition. Everything else passes by. A condition that calls a
//! shell macro cannot be judged and is never reported. See `Documentation/kbuild/kconfig-language.rst`.

mod condition;

use std::collections::BTreeMap;
use std::path::Path;

/// Nested `source` lines; the kernel has less than ten.
const DEPTH: usize = 32;
/// Kconfig files in one tree; the kernel has about 1700.
const FILES: usize = 8192;
/// Bytes of one file; the kernel's largest has 110 KiB.
const FILE_BYTES: u64 = 1 << 20;

/// The symbols of a source tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// Each place that defines a symbol, as the conditions it stands under.
    definitions: BTreeMap<String, Vec<Vec<String>>>,
    /// For each symbol, those that select it.
    selectors: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Reads the tree below `root`, for x86. A file that is missing or too large counts as empty: the tree only
    /// explains, it decides nothing.
    pub fn load(root: &Path) -> Tree {
        let mut reader = Reader { tree: Tree::default(), frames: Vec::new(), files: 0 };
        reader.file(root, "Kconfig", 0);
        reader.tree
    }

    /// Reads one text that sources nothing.
    pub fn parse(text: &str) -> Tree {
        let mut reader = Reader { tree: Tree::default(), frames: Vec::new(), files: 0 };
        reader.text(text, &mut |_, _| {});
        reader.tree
    }

    /// Whether any place defines the symbol.
    pub fn knows(&self, symbol: &str) -> bool {
        self.definitions.contains_key(symbol)
    }

    /// The conditions of `symbol` that do not hold under `set`. Empty if one of its definitions has none.
    pub fn unmet(&self, symbol: &str, set: &BTreeMap<String, String>) -> Vec<String> {
        let failing = |conditions: &Vec<String>| -> Vec<String> {
            conditions.iter().filter(|text| condition::holds(text, set) == Some(false)).cloned().collect()
        };
        let places = self.definitions.get(symbol).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(failing).min_by_key(Vec::len).unwrap_or_default()
    }

    /// The symbols in `set` that select `symbol`.
    pub fn selectors(&self, symbol: &str, set: &BTreeMap<String, String>) -> Vec<String> {
        let all = self.selectors.get(symbol).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|by| set.contains_key(*by)).cloned().collect()
    }
}

/// What the next attribute line belongs to.
enum Owner {
    Entry(String),
    Frame,
    Nobody,
}

struct Reader {
    tree: Tree,
    /// The enclosing `if`, menu and choice blocks, each with its conditions.
    frames: Vec<Vec<String>>,
    files: usize,
}

impl Reader {
    fn file(&mut self, root: &Path, name: &str, depth: usize) {
        let path = root.join(name);
        let small = std::fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= FILE_BYTES);
        self.files += 1;
        if depth > DEPTH || self.files > FILES || !small {
            return;
        }
        let Ok(bytes) = std::fs::read(&path) else { return };
        self.text(&String::from_utf8_lossy(&bytes), &mut |reader, name| reader.file(root, name, depth + 1));
    }

    fn text(&mut self, text: &str, include: &mut dyn FnMut(&mut Reader, &str)) {
        let mut owner = Owner::Nobody;
        let mut help: Option<Option<usize>> = None;
        let mut joined = String::new();
        for raw in text.lines() {
            // A help text lasts until a line that is indented less than its first one.
            if let Some(first) = help {
                let indent = indent(raw);
                if raw.trim().is_empty() {
                    continue;
                }
                if indent > 0 && first.is_none_or(|first| indent >= first) {
                    help = Some(first.or(Some(indent)));
                    continue;
                }
                help = None;
            }
            joined.push_str(raw.trim());
            if joined.ends_with('\\') {
                joined.pop();
                continue;
            }
            let line = std::mem::take(&mut joined);
            if line == "help" {
                help = Some(None);
            } else {
                self.line(&line, &mut owner, include);
            }
        }
    }

    fn line(&mut self, line: &str, owner: &mut Owner, include: &mut dyn FnMut(&mut Reader, &str)) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.split(" #").next().unwrap_or(rest).trim();
        match word {
            "config" | "menuconfig" => {
                let conditions = self.frames.concat();
                self.tree.definitions.entry(rest.to_string()).or_default().push(conditions);
                *owner = Owner::Entry(rest.to_string());
            }
            "if" => {
                self.frames.push(vec![rest.to_string()]);
                *owner = Owner::Nobody;
            }
            "menu" | "choice" => {
                self.frames.push(Vec::new());
                *owner = Owner::Frame;
            }
            "endif" | "endmenu" | "endchoice" => {
                self.frames.pop();
                *owner = Owner::Nobody;
            }
            "comment" => *owner = Owner::Nobody,
            "source" => {
                *owner = Owner::Nobody;
                include(self, &rest.trim_matches('"').replace("$(SRCARCH)", "x86"));
            }
            "depends" => {
                if let Some(condition) = rest.strip_prefix("on ") {
                    self.condition(owner, condition.trim());
                }
            }
            "bool" | "tristate" | "int" | "hex" | "string" | "prompt" => {
                let after = rest.rsplit_once('"').map_or("", |(_, after)| after.trim());
                if let (Owner::Entry(_), Some(condition)) = (&*owner, after.strip_prefix("if ")) {
                    self.condition(owner, condition.trim());
                }
            }
            "select" => {
                if let (Owner::Entry(by), Some(target)) = (owner, rest.split_whitespace().next()) {
                    self.tree.selectors.entry(target.to_string()).or_default().push(by.clone());
                }
            }
            _ => {}
        }
    }

    fn condition(&mut self, owner: &Owner, condition: &str) {
        let place = match owner {
            Owner::Entry(symbol) => {
                self.tree.definitions.get_mut(symbol).and_then(|places| places.last_mut())
            }
            Owner::Frame => self.frames.last_mut(),
            Owner::Nobody => None,
        };
        if let Some(place) = place {
            place.push(condition.to_string());
        }
    }
}

/// Columns of leading white space, a tab reaching to the next multiple of eight.
fn indent(line: &str) -> usize {
    line.chars()
        .take_while(|c| c.is_whitespace())
        .fold(0, |column, c| if c == '\t' { (column / 8 + 1) * 8 } else { column + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(symbols: &[&str]) -> BTreeMap<String, String> {
        symbols.iter().map(|symbol| (symbol.to_string(), "y".to_string())).collect()
    }

    #[test]
    fn follows_source_menus_and_help() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("x86")).unwrap();
        let top = "menu \"Drivers\"\n\tdepends on PCI\nsource \"$(SRCARCH)/Kconfig\"\nendmenu\nconfig LAST\n\tbool\n";
        let inner = "config X\n\tbool \"x\" if EXPERT\n\thelp\n\t  depends on NOTHING\n\n\t  config FAKE\n\n\
                     config Y\n\tbool \"y\"\n\tdepends on X && \\\n\t\tZ\n";
        std::fs::write(root.path().join("Kconfig"), top).unwrap();
        std::fs::write(root.path().join("x86/Kconfig"), inner).unwrap();
        let tree = Tree::load(root.path());
        assert!(!tree.knows("FAKE"));
        assert_eq!(tree.unmet("X", &set(&[])), ["PCI", "EXPERT"]);
        assert_eq!(tree.unmet("Y", &set(&["PCI", "X"])), ["X && Z"]);
        assert_eq!(tree.unmet("LAST", &set(&[])), Vec::<String>::new());
    }

    #[test]
    fn the_nearest_of_several_definitions_counts() {
        let tree = Tree::parse("config X\n\tdepends on A\n\tdepends on B\nconfig X\n\tdepends on C\n");
        assert_eq!(tree.unmet("X", &set(&[])), ["C"]);
        assert_eq!(tree.unmet("X", &set(&["C"])), Vec::<String>::new());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "((config|if|endif|help|menu|depends on|select|source) ?.{0,20}\n){0,20}") {
            let tree = Tree::parse(&text);
            for symbol in tree.definitions.keys() {
                tree.unmet(symbol, &BTreeMap::new());
            }
        }
    }
}

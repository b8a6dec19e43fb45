//! Faults with their place and remedy, for people and as JSON.

use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// What kind of fault a finding is; stable words for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// Larger than a recipe may be.
    TooLarge,
    /// Not TOML.
    Syntax,
    /// A key that no recipe has.
    UnknownKey,
    /// A value of the wrong type.
    WrongType,
    /// A key that must be present is not.
    Missing,
    /// A value of the right type that is not allowed here.
    BadValue,
    /// Two values that cannot both hold.
    Conflict,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters of the line it covers, at least 1.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The line's text, control characters replaced.
    pub text: String,
}

/// All faults of one file, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The file as the caller named it.
    pub file: String,
    /// The faults, never none and never more than 100.
    pub findings: Vec<Finding>,
}

impl std::error::Error for Findings {}

/// Lines in the manner of rustc: message, arrow, source line, caret, help.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let number = finding.line.to_string();
            let blank = " ".repeat(number.len());
            // Tabs stay tabs, so that the caret stands under its character at any tab width.
            let before = finding.column.saturating_sub(1).min(Place::SHOWN);
            let pad: String = finding
                .text
                .chars()
                .chain(std::iter::repeat(' '))
                .take(before)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            writeln!(f, "error: {}", finding.message)?;
            writeln!(f, "{blank}--> {}:{}:{}", self.file, finding.line, finding.column)?;
            writeln!(f, "{blank} |")?;
            writeln!(f, "{number} | {}", finding.text)?;
            writeln!(f, "{blank} | {pad}{}", "^".repeat(finding.length))?;
            writeln!(f, "{blank} = help: {}", finding.remedy)?;
        }
        Ok(())
    }
}

/// Findings of one file; a person mends these first, and a hostile file costs no more.
const MOST: usize = 100;

/// Findings in the making, by byte offset.
pub(crate) struct Report<'t> {
    text: &'t str,
    found: Vec<(usize, Finding)>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn add(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.found.len() >= MOST {
            return;
        }
        let place = Place::of(self.text, &span);
        self.found.push((
            span.start,
            Finding {
                code,
                line: place.line,
                column: place.column,
                length: place.length,
                message: message.into(),
                remedy: remedy.into(),
                text: place.text,
            },
        ));
    }

    /// The findings in text order, or nothing when there are none.
    pub(crate) fn finish(mut self, file: &str) -> Option<Findings> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(start, _)| *start);
        Some(Findings {
            file: file.to_owned(),
            findings: self.found.into_iter().map(|(_, finding)| finding).collect(),
        })
    }
}

/// A span as people count it.
struct Place {
    line: usize,
    column: usize,
    length: usize,
    text: String,
}

impl Place {
    /// Longest piece of a line that is shown.
    const SHOWN: usize = 400;

    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let whole = rest.split('\n').next().unwrap_or_default();
        let line_end = line_start + whole.len();
        let covered = text.get(start..end.min(line_end)).unwrap_or_default();
        let shown = whole.trim_end_matches('\r').chars().take(Self::SHOWN);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            length: covered.chars().count().clamp(1, Self::SHOWN),
            text: shown.map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect(),
        }
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_survive_odd_spans() {
        for (text, span, line, column, length) in [
            ("a = 1\nbé = 2\n", 7..8, 2, 2, 1),
            ("a = 1\nbé = 2\n", 10..13, 2, 4, 3),
            ("a = 1\nb", 0..7, 1, 1, 5),
            ("", 5..9, 1, 1, 1),
            ("a\n", 2..2, 2, 1, 1),
        ] {
            let place = Place::of(text, &span);
            assert_eq!((place.line, place.column, place.length), (line, column, length), "{text:?} {span:?}");
        }
    }

    #[test]
    fn printed_like_a_compiler() {
        let mut report = Report::new("x = 1\n\tverson = \"1\x1b\"\n");
        report.add(Code::UnknownKey, 7..13, "unknown key `verson`", "write `version`");
        let printed = report.finish("coracle.toml").map(|f| f.to_string());
        assert_eq!(
            printed.as_deref(),
            Some(
                "error: unknown key `verson`\n --> coracle.toml:2:2\n  |\n2 | \tverson = \"1\u{fffd}\"\n  | \t^^^^^^\n  = help: write `version`\n"
            )
        );
    }
}

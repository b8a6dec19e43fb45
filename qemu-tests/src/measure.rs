//! What a benchmark found: rows of samples, shown as a table or as one JSON object a line.

use std::fmt::Write;

use serde_json::json;

/// Runs of each subject unless the command line says otherwise.
const RUNS: usize = 5;

/// What the command line of a benchmark asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How it is shown.
    pub form: Form,
    /// How often each subject is measured, at least once.
    pub runs: usize,
}

/// A form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table for people, with ratios.
    Table,
    /// One object a row.
    Json,
}

/// A command line that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{word:?} is none of --json, --runs N (at least 1)")]
pub struct Unknown {
    word: String,
}

impl Options {
    /// Reads the words behind the program's name. cargo's own `--bench` says nothing.
    ///
    /// # Errors
    /// [`Unknown`] with the first word that is no option.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, Unknown> {
        let mut options = Self { form: Form::Table, runs: RUNS };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => {}
                "--json" => options.form = Form::Json,
                "--runs" => {
                    let number = words.next().unwrap_or_default();
                    let runs = number.parse().ok().filter(|runs| *runs > 0);
                    options.runs = runs.ok_or(Unknown { word: format!("--runs {number}") })?;
                }
                _ => return Err(Unknown { word }),
            }
        }
        Ok(options)
    }
}

/// Samples of one figure of one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    case: &'static str,
    subject: &'static str,
    unit: &'static str,
    samples: Vec<f64>,
}

/// The rows of one benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    bench: &'static str,
    /// The subject that the others are compared with.
    base: &'static str,
    rows: Vec<Row>,
}

impl Report {
    /// Without a row yet.
    pub fn new(bench: &'static str, base: &'static str) -> Self {
        Self { bench, base, rows: Vec::new() }
    }

    /// Adds a sample to the row of this case, subject and unit.
    pub fn add(&mut self, case: &'static str, subject: &'static str, unit: &'static str, sample: f64) {
        let known =
            self.rows.iter_mut().find(|row| (row.case, row.subject, row.unit) == (case, subject, unit));
        match known {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row { case, subject, unit, samples: vec![sample] }),
        }
    }

    /// The result in this form, rows of a case and unit together.
    pub fn show(&self, form: Form) -> String {
        let mut rows: Vec<_> = self.rows.iter().collect();
        let place =
            |row: &Row| self.rows.iter().position(|other| (other.case, other.unit) == (row.case, row.unit));
        rows.sort_by_key(|row| place(row));
        let mut text = String::new();
        if form == Form::Table {
            text += &format!(
                "{:18} {:22} {:12} {:>14} {:>14} {:>4} {:>8}\n",
                "case", "subject", "unit", "median", "min", "runs", self.base
            );
        }
        for row in rows {
            // Writing to a string cannot fail.
            let _ = match form {
                Form::Json => writeln!(text, "{}", self.object(row)),
                Form::Table => writeln!(text, "{}", self.line(row)),
            };
        }
        text
    }

    fn object(&self, row: &Row) -> serde_json::Value {
        json!({
            "bench": self.bench, "case": row.case, "subject": row.subject, "unit": row.unit,
            "median": number(row.median()), "min": number(row.min()), "runs": row.samples.len(),
        })
    }

    fn line(&self, row: &Row) -> String {
        let base = self
            .rows
            .iter()
            .find(|other| (other.case, other.subject, other.unit) == (row.case, self.base, row.unit));
        let ratio = base.map(|base| format!("{:.2} x", row.median() / base.median()));
        format!(
            "{:18} {:22} {:12} {:>14} {:>14} {:>4} {:>8}",
            row.case,
            row.subject,
            row.unit,
            number(row.median()).to_string(),
            number(row.min()).to_string(),
            row.samples.len(),
            ratio.unwrap_or_default()
        )
    }
}

impl Row {
    /// Of two in the middle the greater.
    fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn min(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// To a thousandth; whole numbers without a point.
fn number(value: f64) -> serde_json::Value {
    let rounded = (value * 1000.0).round() / 1000.0;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_options() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(parse("--bench"), Ok(Options { form: Form::Table, runs: RUNS }));
        assert_eq!(parse("--runs 2 --json --bench"), Ok(Options { form: Form::Json, runs: 2 }));
        for (line, word) in [("--jsn", "--jsn"), ("--runs", "--runs "), ("--runs 0", "--runs 0"), ("3", "3")]
        {
            assert_eq!(parse(line), Err(Unknown { word: word.into() }), "{line}");
        }
    }

    #[test]
    fn a_row_is_one_line_of_json() {
        let mut report = Report::new("boot", "floor");
        for sample in [3.0, 1.25, 2.00049] {
            report.add("direct", "coracle", "cpu-s", sample);
        }
        report.add("direct", "floor", "cpu-s", 1.0);
        report.add("direct", "coracle", "bytes", 7.0);
        let text = report.show(Form::Json);
        assert_eq!(
            text.lines().next(),
            Some(
                r#"{"bench":"boot","case":"direct","median":2,"min":1.25,"runs":3,"subject":"coracle","unit":"cpu-s"}"#
            )
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_table_compares_with_the_base_of_the_same_case_and_unit() {
        let mut report = Report::new("boot", "floor");
        report.add("direct", "coracle", "cpu-s", 3.0);
        report.add("direct", "coracle", "wall-s", 5.0);
        report.add("direct", "floor", "cpu-s", 2.0);
        let text = report.show(Form::Table);
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["direct", "coracle", "cpu-s", "3", "3", "1", "1.50", "x"]);
        assert_eq!(lines[2], ["direct", "floor", "cpu-s", "2", "2", "1", "1.00", "x"]);
        assert_eq!(lines[3], ["direct", "coracle", "wall-s", "5", "5", "1"], "nothing to compare with");
    }
}

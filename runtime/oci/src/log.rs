//! Where errors and warnings go to: standard error, and the file of `--log`.

use std::{fs::File, io::Write, time::SystemTime};

use crate::cli::{Global, LogFormat};

/// Writes an error.
pub fn error(global: &Global, message: &str) {
    write(global, "error", message);
}

/// Writes a warning.
pub fn warn(global: &Global, message: &str) {
    write(global, "warning", message);
}

fn write(global: &Global, level: &str, message: &str) {
    eprintln!("coracle-runtime: {message}");
    let Some(path) = &global.log else { return };
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let line = match global.log_format {
        LogFormat::Json => serde_json::json!({"level": level, "msg": message, "time": time}).to_string(),
        LogFormat::Text => format!("time=\"{time}\" level={level} msg={message:?}"),
    };
    // Who cannot be told here was told on standard error.
    if let Ok(mut file) = File::options().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}");
    }
}

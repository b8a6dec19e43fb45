//! The report for people.

use std::fmt::{self, Display, Formatter};

use super::report::{EntryFacts, Report, SlotContent, SlotFacts, UpdateFacts};

/// Bytes as people read them: whole GiB and MiB are exact, the rest is rounded to `7.4 MiB`, `1.5 KiB`, `92 bytes`.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_whole = |shift: &u32| self.0 >> shift > 0 && self.0.is_multiple_of(1 << shift);
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let text = match units[..2].iter().find(|(shift, _)| is_whole(shift)) {
            Some((shift, unit)) => format!("{} {unit}", self.0 >> shift),
            None => match units.iter().find(|(shift, _)| self.0 >> shift > 0) {
                Some((shift, unit)) => format!("{:.1} {unit}", self.0 as f64 / f64::from(1u32 << shift)),
                None => format!("{} bytes", self.0),
            },
        };
        f.pad(&text)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (file, disk) = (Size(self.file_bytes), Size(self.disk_bytes));
        writeln!(f, "{}: {}, {file}; a disk of {disk}", self.image, self.format)?;
        if let Some(guid) = &self.disk_guid {
            writeln!(f, "\npartitions of {guid}")?;
        }
        for partition in &self.partitions {
            let (start, size) = (Size(partition.start), Size(partition.bytes));
            writeln!(
                f,
                "  {} {:<12} {size:>10} at {start:<10} {}",
                partition.number, partition.label, partition.guid
            )?;
        }
        writeln!(f, "\nboot manager\n  {}", self.loader.as_deref().unwrap_or("none"))?;
        self.entries.iter().try_for_each(|entry| show_entry(f, entry))?;
        if !self.slots.is_empty() {
            writeln!(f, "\nslots")?;
        }
        self.slots.iter().try_for_each(|slot| show_slot(f, slot))?;
        if !self.boot_record.is_empty() {
            writeln!(f, "\nboot record")?;
        }
        for boot in &self.boot_record {
            let failure = boot.failure.as_deref().unwrap_or("none");
            writeln!(f, "  {}: attempts {}, last failure: {failure}", boot.root_hash, boot.attempts)?;
        }
        if let Some(state) = &self.state {
            let journal = if state.needs_replay { ", its journal is to be replayed" } else { "" };
            writeln!(f, "\nstate\n  ext4 {:?}, {}, {}{journal}", state.label, Size(state.bytes), state.uuid)?;
        }
        let compared = if self.release_compared { "compared with" } else { "not compared: no" };
        writeln!(f, "\nboot files {compared} release.json")?;
        match self.faults.len() {
            0 => writeln!(f, "sound: everything that can be checked holds"),
            1 => writeln!(f, "DAMAGED: 1 fault"),
            count => writeln!(f, "DAMAGED: {count} faults"),
        }
    }
}

fn show_entry(f: &mut Formatter<'_>, entry: &EntryFacts) -> fmt::Result {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    writeln!(f, "\nboot entry {}", entry.path)?;
    let signed = if entry.signed { "signed (signature not checked)" } else { "unsigned" };
    let assessment = entry.assessment.unwrap_or("fallback");
    writeln!(
        f,
        "  version       {}, {}, {assessment}, {signed}",
        or_none(&entry.version),
        Size(entry.bytes)
    )?;
    writeln!(f, "  sha256        {}", entry.sha256)?;
    writeln!(f, "  kernel        {}", or_none(&entry.kernel))?;
    writeln!(f, "  root hash     {} in slot {}", or_none(&entry.root_hash), or_none(&entry.slot))?;
    writeln!(f, "  command line  {}", or_none(&entry.command_line))?;
    let sections = entry.sections.iter().map(|(name, size)| format!("{name} {}", Size(*size)));
    writeln!(f, "  sections      {}", sections.collect::<Vec<_>>().join(", "))
}

fn show_slot(f: &mut Formatter<'_>, slot: &SlotFacts) -> fmt::Result {
    let content = match slot.content {
        SlotContent::Empty => "empty",
        SlotContent::Unsealed => "not sealed: half written or emptied",
        SlotContent::Sound => "sound",
        SlotContent::Damaged => "DAMAGED",
    };
    write!(f, "  {}  {content}", slot.slot)?;
    if let Some(names) = slot.names {
        write!(f, ", {} of root filesystem with {names} names", Size(slot.bytes))?;
    }
    match &slot.root_hash {
        Some(hash) => writeln!(f, ", {hash}")?,
        None => writeln!(f)?,
    }
    let Some(UpdateFacts { channel, repositories }) = &slot.update else { return Ok(()) };
    writeln!(f, "     follows {channel} of {}", repositories.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Fault;

    #[test]
    fn sizes_are_readable() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            (1041 << 20, "1041 MiB"),
            (6_069_248, "5.8 MiB"),
            (3 << 30, "3 GiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown);
        }
    }

    #[test]
    fn an_unreadable_disk_still_makes_a_report() {
        let fault = Fault { place: "gpt".into(), offset: Some(512), what: "no table".into() };
        assert_eq!(fault.to_string(), "gpt, byte 512: no table");
        let report = Report { image: "x".into(), format: "raw", faults: vec![fault], ..Report::default() };
        assert!(report.to_string().ends_with("DAMAGED: 1 fault\n"));
        assert!(serde_json::to_string(&report).unwrap().contains(r#""faults":[{"place":"gpt","offset":512"#));
    }
}

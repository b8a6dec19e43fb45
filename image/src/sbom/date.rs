//! A moment as SPDX writes it.

const DAY: u64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;

/// Seconds since 1970 as `2026-01-01T00:00:00Z`.
pub(super) fn text(epoch: u64) -> String {
    let (days, second) = (epoch / DAY, epoch % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date, years counted from March so that the leap day is the last (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    // From 1 March of the year 0 on.
    let days = days + 719_468;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_date() {
        let moments = [0, 951_782_399, 951_782_400, 951_868_800, 1_767_225_600, 1_709_251_199, 4_107_542_400];
        for epoch in moments {
            let mut date = std::process::Command::new("date");
            let output =
                date.args(["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
            assert_eq!(text(epoch), String::from_utf8(output.stdout).unwrap().trim());
        }
    }
}

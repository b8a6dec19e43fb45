//! What time it is, by NTP (RFC 5905; SNTP, RFC 4330).
//!
//! Every server is asked at once, four samples in all and at least one each; of a server's samples the one that was on its way the
//! shortest counts. Of the servers that answer, more than half must agree ([`majority`]). Nothing here sets a clock.
//!
//! NTP without keys proves nothing: whoever is on the way can tell any time. What a wrong time does is bounded by who uses it.

mod majority;
mod packet;
mod server;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::names::Names;
use crate::text;
use crate::wire::{MAX_SERVERS, Offset, Wrong};
use majority::Said;

/// The longest that the question may take.
pub(crate) const ALL: Duration = Duration::from_secs(20);
/// How many samples there are in all.
const SAMPLES: usize = 4;

/// How far the clock is from the time.
pub(crate) async fn ask(names: &Arc<Names>, servers: Vec<String>, not_before: u64) -> Result<Offset, Wrong> {
    if servers.is_empty() || servers.len() > MAX_SERVERS {
        return Err(Wrong::Request { why: format!("not one to {MAX_SERVERS} servers") });
    }
    let samples = SAMPLES.div_ceil(servers.len());
    let mut asked = JoinSet::new();
    for (place, name) in servers.into_iter().enumerate() {
        let names = names.clone();
        asked.spawn(async move {
            let sample = timeout(ALL, server::ask(&names, &name, samples, not_before)).await;
            (place, name, sample.unwrap_or(Err(server::Refusal::Silent)))
        });
    }
    let mut all = asked.join_all().await;
    all.sort_by_key(|(place, ..)| *place);
    let mut said = Vec::new();
    let mut why = String::new();
    for (_, name, sample) in all {
        let words = match &sample {
            Ok(sample) => format!("{name}: {} ms", sample.offset / 1_000_000),
            Err(refusal) => format!("{name}: {}", text::chain(refusal)),
        };
        why = [why, words].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        said.extend(sample.map(|sample| Said { name, sample }));
    }
    let why = text::cut(why);
    if said.is_empty() {
        return Err(Wrong::NoTime { why });
    }
    let Some((chosen, agree)) = majority::choose(said) else {
        return Err(Wrong::Disagree { why });
    };
    // 292 years either way.
    let Ok(offset_ns) = i64::try_from(chosen.sample.offset) else { return Err(Wrong::NoTime { why }) };
    let delay_ns = u64::try_from(chosen.sample.delay).unwrap_or(0);
    Ok(Offset { offset_ns, delay_ns, server: text::cut(chosen.name), agree })
}

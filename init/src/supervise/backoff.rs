//! How long to wait before starting again what has ended.

use std::time::Duration;

/// Waits that double, and are forgotten after a good run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    /// A run this long shows that the program works.
    forget_after: Duration,
    next: Duration,
}

impl Backoff {
    /// As Kubernetes has it for containers: 10 s, doubling to 5 min, forgotten after 10 min.
    pub(crate) const WORKLOAD: Self = Self::new(10, 300, 600);
    /// The host's own services come back sooner: the machine cannot be reached without them.
    pub(crate) const SERVICE: Self = Self::new(1, 60, 60);

    const fn new(first: u64, last: u64, forget_after: u64) -> Self {
        let first = Duration::from_secs(first);
        Self {
            first,
            last: Duration::from_secs(last),
            forget_after: Duration::from_secs(forget_after),
            next: first,
        }
    }

    /// The wait after a run that lasted so long.
    pub(crate) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= self.forget_after {
            self.next = self.first;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.last);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_last_and_a_good_run_forgets_them() {
        let mut backoff = Backoff::WORKLOAD;
        let waits: Vec<_> = (0..8).map(|_| backoff.next(Duration::from_secs(599)).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(backoff.next(Duration::from_secs(600)).as_secs(), 10);
        assert_eq!(backoff.next(Duration::ZERO).as_secs(), 20);
    }
}

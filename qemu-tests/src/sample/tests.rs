use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn cases() -> Vec<(String, usize)> {
    (0..20).map(|number| (number.to_string(), number)).collect()
}

/// Runs the cases; says which were checked.
fn checked(sample: Sample, fails: &[usize]) -> (Vec<usize>, Report) {
    let seen = Mutex::new(Vec::new());
    let report = sample.run(cases(), |case| {
        seen.lock().unwrap().push(*case);
        if !fails.contains(case) {
            return Ok(());
        }
        assert!(*case < 5, "on purpose");
        Err(Error::NoStart { stderr: "on purpose".into() })
    });
    (seen.into_inner().unwrap(), report.unwrap())
}

#[test]
fn a_seed_is_an_order_and_another_is_another() {
    let run = |seed| checked(Sample::of("p", "/none".into(), Scope::For(LONG), Some(seed)).unwrap(), &[]).0;
    let first = run(1);
    assert_eq!(run(1), first);
    assert_ne!(run(2), first);
    let all: BTreeSet<_> = first.into_iter().collect();
    assert_eq!(all.len(), 20);
}

#[test]
fn no_case_begins_after_the_time_is_up() {
    let sample = Sample::of("p", "/none".into(), Scope::For(Duration::ZERO), Some(1)).unwrap();
    let (seen, report) = checked(sample, &[]);
    assert!(seen.is_empty());
    assert!(catch_unwind(|| report.expect_success()).is_err(), "which proves nothing");
}

#[test]
fn one_case_can_be_asked_for() {
    let sample = Sample::of("p", "/none".into(), Scope::One("7".into()), None).unwrap();
    assert_eq!(checked(sample, &[]).0, [7]);
}

#[test]
fn as_many_run_beside_each_other_as_are_asked_for() {
    let sample = Sample { jobs: 3, ..Sample::of("p", "/none".into(), Scope::For(LONG), Some(1)).unwrap() };
    let (together, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let report = sample.run(cases(), |_| {
        most.fetch_max(together.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        together.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    assert_eq!((report.unwrap().passed, most.into_inner()), (20, 3));
}

#[test]
fn a_run_of_all_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let all = |seed| Sample::of("p", folder.path().join("deep/progress"), Scope::All, seed).unwrap();
    let (seen, report) = checked(all(Some(3)), &[2, 4, 6, 8, 10]);
    assert_eq!(seen, (0..=10).collect::<Vec<_>>(), "the fifth failure is the last");
    assert_eq!(report.failures[0].1, "2: QEMU did not start: on purpose");
    assert_eq!(report.failures[4].1, "10: on purpose");
    assert!(catch_unwind(|| report.expect_success()).is_err());

    let again = all(None);
    assert_eq!(again.seed(), 3, "the cases are the same");
    let (seen, report) = checked(again, &[]);
    assert_eq!(seen, [2, 4, 6, 8, 10].into_iter().chain(11..20).collect::<Vec<_>>());
    report.expect_success();
    assert!(
        report.summary().contains("14 cases passed, 0 failed, 6 had passed before, 20 in all"),
        "{report:?}"
    );

    assert_eq!(checked(all(Some(3)), &[9]).0.len(), 20, "what has all passed begins anew");
    assert_eq!(checked(all(None), &[9]).0, [9]);
    assert_eq!(checked(all(Some(4)), &[]).0.len(), 20, "other cases");
}

#[test]
fn numbers_stay_below_their_end_and_reach_it() {
    let mut random = Random::new(0);
    let seen: BTreeSet<_> = (0..200).map(|_| random.below(5)).collect();
    assert_eq!(seen, (0..5).collect());
    let heads = (0..200).filter(|_| random.coin()).count();
    assert!((50..150).contains(&heads), "{heads}");
}

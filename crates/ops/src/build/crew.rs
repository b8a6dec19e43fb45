//! Work on every processor, with results in the order of the tasks: however many threads, the same bytes come out.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Most threads: each of them may hold 150 MiB.
const MOST: usize = 8;

/// Tasks that are begun before the first of them is taken, for each thread: a long one does not make the others wait.
const AHEAD: usize = 4;

/// As many threads as there are processors, up to [`MOST`].
pub(super) fn threads() -> NonZero<usize> {
    let most = NonZero::new(MOST).unwrap_or(NonZero::<usize>::MIN);
    thread::available_parallelism().map_or(NonZero::<usize>::MIN, |processors| processors.min(most))
}

/// Does `work` on each task, on so many threads, and hands the results to `take` in the order of the tasks.
///
/// Only `work` runs on other threads than the caller's. At most [`AHEAD`] tasks a thread are under way. The first error in the
/// order of the tasks ends all of it.
pub(super) fn in_order<T: Send, R: Send, E: Send>(
    threads: NonZero<usize>,
    tasks: impl IntoIterator<Item = Result<T, E>>,
    work: impl Fn(T) -> Result<R, E> + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let mut tasks = tasks.into_iter().fuse().enumerate();
    let (to_do, waiting) = channel::<(usize, Result<T, E>)>();
    let (done, results) = channel();
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (waiting, work, done) = (&waiting, &work, done.clone());
            scope.spawn(move || {
                while let Some((index, task)) = next(waiting) {
                    // Nobody listens any more once there was an error.
                    if done.send((index, task.and_then(work))).is_err() {
                        return;
                    }
                }
            });
        }
        // Moved in here, so that the threads end with this, however it ends.
        let (to_do, results) = (to_do, results);
        drop(done);
        let (mut begun, mut taken) = (0, 0);
        let mut early = BTreeMap::new();
        loop {
            while begun < taken + threads.get() * AHEAD
                && let Some(task) = tasks.next()
            {
                begun += 1;
                // Fails only if every thread is gone, which the results tell.
                let _ = to_do.send(task);
            }
            if taken == begun {
                return Ok(());
            }
            // Without a result all threads have panicked, which the scope passes on.
            let Ok((index, result)) = results.recv() else { return Ok(()) };
            early.insert(index, result);
            while let Some(result) = early.remove(&taken) {
                take(result?)?;
                taken += 1;
            }
        }
    })
}

fn next<T>(waiting: &Mutex<Receiver<T>>) -> Option<T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(threads: usize, tasks: impl IntoIterator<Item = Result<u64, u64>>) -> (Vec<u64>, Result<(), u64>) {
        let mut taken = Vec::new();
        let work = |task: u64| {
            thread::sleep(Duration::from_micros(task.wrapping_mul(37) % 300));
            if task == 70 { Err(task) } else { Ok(task * 2) }
        };
        let ended = in_order(NonZero::new(threads).unwrap(), tasks, work, |result| {
            taken.push(result);
            Ok(())
        });
        (taken, ended)
    }

    #[test]
    fn results_come_in_the_order_of_their_tasks() {
        for threads in [1, 2, 7] {
            let want = (0..60).map(|task| task * 2).collect();
            assert_eq!(run(threads, (0..60).map(Ok)), (want, Ok(())), "{threads} threads");
        }
    }

    #[test]
    fn the_first_error_ends_it_wherever_it_happens() {
        for threads in [1, 2, 7] {
            let want: Vec<u64> = (0..70).map(|task| task * 2).collect();
            assert_eq!(run(threads, (0..200).map(Ok)), (want.clone(), Err(70)), "in the work");
            let tasks = (0..200).map(|task| if task == 50 { Err(task) } else { Ok(task) });
            assert_eq!(run(threads, tasks), (want[..50].to_vec(), Err(50)), "in the tasks");
        }
    }

    #[test]
    fn few_tasks_are_begun_before_their_turn() {
        let begun = std::cell::Cell::new(0);
        let tasks = (0..100).map(|task| {
            begun.set(begun.get() + 1);
            Ok::<_, ()>(task)
        });
        let mut taken = 0;
        in_order(NonZero::new(2).unwrap(), tasks, Ok, |_: usize| {
            assert!(begun.get() <= taken + 2 * AHEAD, "{} begun, {taken} taken", begun.get());
            taken += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, 100);
    }
}

//! The program in the test containers: see the README for what it does on request.

mod facts;
mod faults;
mod json;
mod orders;
mod request;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", port] => match port.parse() {
            Ok(port) => serve::run(port),
            Err(_) => return usage(),
        },
        [faults::FALTER, seconds] => match seconds.parse() {
            Ok(seconds) => {
                std::thread::spawn(move || faults::end_after(seconds));
                serve::run(8080)
            }
            Err(_) => return usage(),
        },
        // What the faults start: see there.
        [faults::BATCH, count] => faults::batch(count),
        [faults::BOMB, until] => faults::bomb(until),
        [faults::CRASH] => faults::crash_init(),
        [faults::FREEZE] => faults::freeze_init().map(|()| faults::stay()),
        [orders::SAY, text] => orders::say(text),
        [orders::APART, port] => match port.parse() {
            Ok(port) => orders::move_apart().and_then(|()| serve::run(port)),
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("payload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: coracle-payload serve PORT");
    ExitCode::from(2)
}

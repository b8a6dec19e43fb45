//! The program in the container: does what its arguments say and prints what it finds.
//!
//! Compiled by the tests alone into one static file. Each argument `verb` or `verb:object` prints a line `= argument`, then what
//! it found, or `! errno`.

use std::{env, fs, io, net::TcpListener, process::Command, thread, time::Duration};

fn main() {
    for argument in env::args().skip(1) {
        let (verb, object) = argument.split_once(':').unwrap_or((&argument, ""));
        let found = act(verb, object);
        println!("= {argument}");
        match found {
            Ok(text) => println!("{}", text.trim_end()),
            Err(error) => println!("! {}", error.raw_os_error().unwrap_or(-1)),
        }
    }
}

fn act(verb: &str, object: &str) -> io::Result<String> {
    match verb {
        "cat" => fs::read_to_string(object),
        "ls" => names(object),
        "open" => fs::File::open(object).map(|_| String::new()),
        "await" => await_file(object),
        "pty" => pty(object),
        "link" => Ok(fs::read_link(object)?.display().to_string()),
        "write" => fs::write(object, "x").map(|()| String::new()),
        "fill" => {
            let (path, mebibytes) = object.split_once(' ').unwrap_or((object, "1"));
            let mut file = fs::File::create(path)?;
            let block = vec![1; 1 << 20];
            (0..mebibytes.parse().unwrap_or(1)).try_for_each(|_| io::Write::write_all(&mut file, &block))?;
            Ok(String::new())
        }
        "copy" => fs::copy(object, "/copy").map(|_| String::new()),
        "remove" => fs::remove_file(object).map(|()| String::new()),
        "args" => Ok(env::args().collect::<Vec<_>>().join(" ")),
        "env" => Ok(env::vars().map(|(name, value)| format!("{name}={value}\n")).collect()),
        "cwd" => Ok(env::current_dir()?.display().to_string()),
        "connect" => std::os::unix::net::UnixStream::connect(object).map(|_| String::new()),
        "listen" => TcpListener::bind(object).map(|_| String::new()),
        "run" => {
            let words: Vec<&str> = object.split(' ').collect();
            let out = Command::new(words[0]).args(&words[1..]).output()?;
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        }
        "owner" => {
            use std::os::unix::fs::MetadataExt;
            let meta = fs::symlink_metadata(object)?;
            Ok(format!("{}:{} {:o} {}", meta.uid(), meta.gid(), meta.mode(), meta.rdev()))
        }
        "eat" => Ok(eat(object.parse().unwrap_or(0)).to_string()),
        "fork" => fork(object.parse().unwrap_or(0)),
        "sleep" => {
            thread::sleep(Duration::from_secs(object.parse().unwrap_or(0)));
            Ok(String::new())
        }
        "exit" => std::process::exit(object.parse().unwrap_or(0)),
        _ => Err(io::Error::from_raw_os_error(38)),
    }
}

/// Waits a minute for a file that somebody else makes.
fn await_file(path: &str) -> io::Result<String> {
    for _ in 0..6000 {
        if fs::symlink_metadata(path).is_ok() {
            return Ok(String::new());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::from_raw_os_error(110))
}

/// Opens a pair of terminals by its multiplexer and gives what stands in their folder; then its other end, which is locked.
fn pty(folder: &str) -> io::Result<String> {
    let pair = fs::File::options().read(true).write(true).open(format!("{folder}/ptmx"))?;
    let seen = names(folder)?;
    let end =
        fs::File::open(format!("{folder}/0")).map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0);
    drop(pair);
    Ok(format!("{seen}: {end}"))
}

fn names(folder: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

/// Touches this many MiB.
fn eat(mebibytes: usize) -> usize {
    let mut held = Vec::new();
    for _ in 0..mebibytes {
        held.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
    held.len()
}

/// Starts this many sleepers, counts those that came to be, and ends them.
fn fork(wanted: usize) -> io::Result<String> {
    let this = env::current_exe()?;
    let mut sleepers = Vec::new();
    let mut refused = 0;
    for _ in 0..wanted {
        match Command::new(&this).arg("sleep:600").spawn() {
            Ok(sleeper) => sleepers.push(sleeper),
            Err(error) => refused = error.raw_os_error().unwrap_or(-1),
        }
    }
    let made = sleepers.len();
    for mut sleeper in sleepers {
        sleeper.kill()?;
        sleeper.wait()?;
    }
    Ok(format!("{made} refused {refused}"))
}

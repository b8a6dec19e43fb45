//! `coracle-kernel`: prints the path of a kernel, after building it if the cache has none.

use coracle_kernel::{
    PACK, Profile, Request, Source, THIS_PROGRAM, build, configure, default_cache, pack, source,
};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Build the kernel of Coracle, or find it in the cache; print its path.

Usage: coracle-kernel --profile virtio|full [--source TARBALL [--sha256 HEX]] [--cache DIR] [--check-only]

  --source TARBALL  kernel source (default: the distribution's package linux-source-6.12)
  --sha256 HEX      the digest that the tarball must have
  --cache DIR       where kernels are kept (default: $XDG_CACHE_HOME or ~/.cache, then coracle/kernel)
  --check-only      configure and check, do not compile; print the path of the configuration

Example: qemu-system-x86_64 -kernel \"$(coracle-kernel --profile virtio)\" ...
";

enum Goal {
    Help,
    Check(Request),
    Build(Request),
    /// Not for people: the kernel's makefile asks for it.
    Pack,
}

fn main() -> ExitCode {
    let mut report = |step| eprintln!("kernel: {step:?}");
    let result = match parse(std::env::args().skip(1)) {
        Ok(Goal::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Goal::Check(request)) => configure(&request, &mut report),
        Ok(Goal::Build(request)) => build(&request, &mut report).map(|built| built.bzimage),
        Ok(Goal::Pack) => match pack() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => Err(error),
        },
        Err(reason) => {
            eprintln!("coracle-kernel: {reason}; see --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(one) = cause {
                eprintln!("coracle-kernel: {one}");
                cause = one.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Goal, String> {
    let (mut profile, mut source, mut sha256, mut cache, mut goal) =
        (None, PathBuf::from(source::DISTRIBUTION), None, None, Goal::Build as fn(Request) -> Goal);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Goal::Help),
            PACK => return Ok(Goal::Pack),
            "--check-only" => goal = Goal::Check,
            "--profile" => profile = Some(value()?.parse::<Profile>().map_err(|error| error.to_string())?),
            "--source" => source = value()?.into(),
            "--sha256" => sha256 = Some(value()?),
            "--cache" => cache = Some(PathBuf::from(value()?)),
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    let source = match sha256 {
        Some(sha256) => Source::Pinned { path: source, sha256 },
        None => Source::Distribution(source),
    };
    let profile = profile.ok_or("--profile is missing")?;
    let cache = cache.or_else(default_cache).ok_or("no home folder: --cache is missing")?;
    Ok(goal(Request { profile, fragments: Vec::new(), source, cache, packer: THIS_PROGRAM.into() }))
}

#!/bin/sh
# Makes the example anew as a patch release has it: a few lines of one of our own programs and the version are other ones.
#
#   patched.sh SOURCES TARGET OUT
#
# SOURCES becomes a copy of this repository with the change, TARGET is cargo's folder for it, OUT gets the image. The other
# programs are those of the last `./dev build`.
set -eu
sources=$1 target=$2 out=$3
mkdir -p "$sources" "$out"
tar --exclude=./target --exclude=./build --exclude=./.git -cf - . | tar -C "$sources" -xf -
# A copy keeps times, so cargo compiles what has changed since the last run, and this.
file=$sources/init/src/watchdog.rs
awk '{ print } /^        Err\(error\) => \{$/ && !done { done = 1
  print "            if known.len() > 1 {"
  print "                warning!(\"another watchdog was not tried left={}\", known.len() - 1);"
  print "            }" }' init/src/watchdog.rs >"$file"
! cmp -s init/src/watchdog.rs "$file" || { echo "nothing to change in $file" >&2; exit 1; }
sed -i 's/^version = "0.1.0"$/version = "0.1.1"/' "$sources/examples/hello/coracle.toml"
rm -rf "$sources/programs"
cp -r build/programs "$sources/programs"
(cd "$sources" && CARGO_TARGET_DIR=$target ./dev static coracle-init >&2)
install -m 755 "$target/x86_64-unknown-linux-gnu/device/init" "$sources/programs/init"
cd "$sources"
"$OLDPWD/target/release/coracle" build examples/hello/coracle.toml --out "$out" --programs programs >&2

#!/bin/sh
# Builds the peers of the boot benchmark: one Debian 12 on an ext4 disk, and three ways to boot it.
#
#   build.sh FOLDER PROGRAM
#
# PROGRAM, static, is what the container runs. Leaves in FOLDER: `disk.raw`, `kernel`, `debian.initrd` (as the distribution
# makes it) and `bare.initrd`. As root. The packages come from where apt of this machine gets them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 program=$2
root=$folder/root
PATH=$PATH:/usr/sbin:/sbin

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
[ -n "$mirror" ] || { echo 'apt knows no mirror' >&2; exit 1; }
debootstrap --variant=minbase --include=systemd-sysv,crun,busybox-static,kmod,linux-image-cloud-amd64,zstd \
  bookworm "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 || { tail -n 20 "$folder/debootstrap.log" >&2; exit 1; }

# The container: same program, user and limits as in examples/hello; what crun does by default for the rest.
bundle=$root/opt/hello
install -D -m 755 "$program" "$bundle/rootfs/hello"
mkdir "$bundle/rootfs/proc" "$bundle/rootfs/dev" "$bundle/rootfs/sys"
install -m 644 "$here/config.json" "$bundle/config.json"

# With systemd: a unit, and the network as systemd brings it up. Nothing of a first boot is left to do.
install -m 644 "$here/hello.service" "$root/etc/systemd/system/hello.service"
install -m 644 "$here/wired.network" "$root/etc/systemd/network/wired.network"
echo debian >"$root/etc/hostname"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
chroot "$root" systemctl --quiet enable hello.service systemd-networkd.service
chroot "$root" systemd-machine-id-setup >/dev/null 2>&1

# By hand: a script as init; and for an initrd of our own another one, with the modules that lead to the disk and the network.
install -m 755 "$here/host" "$root/sbin/host"
release=$(ls "$root/lib/modules")
initrd=$folder/initrd
mkdir -p "$initrd/dev" "$initrd/proc" "$initrd/root" "$initrd/bin" "$initrd/modules"
cp "$root/bin/busybox" "$initrd/bin/busybox"
install -m 755 "$here/bare-init" "$initrd/init"
for module in virtio_pci virtio_blk virtio_net; do
  chroot "$root" modprobe -S "$release" --show-depends "$module"
done | awk '/^insmod/ && !seen[$2]++ { print $2 }' | while read -r path; do
  cp "$root$path" "$initrd/modules/"
  basename "$path"
done >"$initrd/modules/order"
(cd "$initrd" && find . | cpio --quiet -o -H newc) >"$folder/bare.initrd"

cp "$root/boot/vmlinuz-$release" "$folder/kernel"
cp "$root/boot/initrd.img-$release" "$folder/debian.initrd"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
mke2fs -q -t ext4 -d "$root" "$folder/disk.raw" 1G
rm -rf "$root" "$initrd"

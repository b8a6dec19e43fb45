#!/bin/sh
# Makes the two root file systems of the update benchmark: the same Debian 12 on two dates, some 200 MB each.
#
#   trees.sh FOLDER
#
# Leaves in FOLDER: `old` and `new`, trees of unpacked packages, and the two kernels, `old.kernel` and `new.kernel`. Packages of
# which the mirror has one version are the same in both; of these it has two, and half of all bytes are theirs. As root. The
# packages come from where apt of this machine, a Debian 12, gets them; once it has those versions no more, write down newer ones.
set -eu
folder=$1
PATH=$PATH:/usr/sbin:/sbin

versions() {
  case $1 in
    old) echo linux-image-6.1.0-47-cloud-amd64 containerd=1.6.20~ds1-1+deb12u2 \
      openssl=3.0.20-1~deb12u2 libssl3=3.0.20-1~deb12u2 \
      systemd=252.38-1~deb12u1 systemd-sysv=252.38-1~deb12u1 udev=252.38-1~deb12u1 libsystemd0=252.38-1~deb12u1 \
      libsystemd-shared=252.38-1~deb12u1 libudev1=252.38-1~deb12u1 ;;
    new) echo linux-image-6.1.0-50-cloud-amd64 containerd=1.6.20~ds1-1+deb12u3 \
      openssl=3.0.22-1~deb12u2 libssl3=3.0.22-1~deb12u2 \
      systemd=252.39-1~deb12u2 systemd-sysv=252.39-1~deb12u2 udev=252.39-1~deb12u2 libsystemd0=252.39-1~deb12u2 \
      libsystemd-shared=252.39-1~deb12u2 libudev1=252.39-1~deb12u2 ;;
  esac
}

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
[ -n "$mirror" ] || { echo 'apt knows no mirror' >&2; exit 1; }
include=containerd,runc,openssl,ca-certificates,systemd-sysv,udev,kmod,iproute2,nftables,e2fsprogs,cryptsetup-bin,dbus
debootstrap --print-debs --variant=minbase --include=$include bookworm "$folder/names" "$mirror" >"$folder/names.txt"
rm -rf "$folder/names"

# Owned by who downloads, or apt complains.
mkdir -p "$folder/same"
for date in old new; do
  mkdir -p "$folder/$date.debs"
  versions $date | tr ' ' '\n' | sort >"$folder/$date.txt"
done
sed 's/=.*//' "$folder/old.txt" "$folder/new.txt" | sort -u >"$folder/two.txt"
tr ' ' '\n' <"$folder/names.txt" | grep . | sort -u | grep -vxFf "$folder/two.txt" >"$folder/same.txt"
(cd "$folder/same" && xargs apt-get download -qq <"$folder/same.txt")
for date in old new; do
  (cd "$folder/$date.debs" && xargs apt-get download -qq <"$folder/$date.txt")
  mkdir "$folder/$date"
  for package in "$folder"/same/*.deb "$folder/$date.debs"/*.deb; do
    dpkg-deb -x "$package" "$folder/$date"
  done
  (
    cd "$folder/$date"
    mv boot/vmlinuz-* "$folder/$date.kernel"
    # What a container host has no use for.
    rm -rf boot usr/share/doc usr/share/man usr/share/locale usr/share/info usr/share/zoneinfo var/cache var/lib/dpkg
    rm -rf usr/lib/x86_64-linux-gnu/gconv usr/bin/ctr usr/bin/containerd-shim usr/bin/containerd-shim-runc-v1
    # One path for both: the version is in it.
    mv lib/modules/* lib/modules/cloud
    cd lib/modules/cloud/kernel
    rm -rf drivers/comedi drivers/target fs/btrfs fs/ceph fs/nfs fs/nfsd fs/smb net/ceph net/rds net/sctp net/smc net/sunrpc net/tipc
  )
done
rm -rf "$folder/same" "$folder"/*.debs "$folder"/*.txt

#!/bin/sh
# compare.sh [IMG]
#
# Times OpenVBS beside other backup programs on one disk image in one run, and prints one table of seconds, repository
# sizes and memory: full backup, unchanged, 1 % changed, restore (compared byte for byte). Without IMG a realistic image
# is made first. The programs that are installed take part; docs/performance.md tells how to read the table.
#
#   BENCH_KIT  folder with make-volume.sh, mutate-volume.sh and peers.sh   (default: ../shared/bench beside the project)
#   SIZE_GIB   size of the image that is made                              (default 4)
#   WORK       folder for the image and the repositories, on a disk        (default: a new folder in $TMPDIR)
#   FS=xfs     everything lies on an XFS file system with reflinks, made in a file below WORK for this run (root only):
#              OpenVBS then learns what changed from the file system
#   TOOLS, ROUNDS, COLD, CINDER_ROOT ...  as peers.sh takes them
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
BENCH_KIT=${BENCH_KIT:-$HERE/../../shared/bench}
if [ ! -x "$BENCH_KIT/peers.sh" ]; then
  echo "compare.sh: $BENCH_KIT has no peers.sh; for OpenVBS alone run: npm run bench" >&2
  exit 2
fi
WORK=${WORK:-$(mktemp -d "${TMPDIR:-/tmp}/openvbs-compare.XXXXXX")}
mkdir -p "$WORK"
export OPENVBS_BENCH_STATE="$WORK/own-state"
IMG=${1:-$WORK/volume.img}
MOUNTED=
clean_up() {
  "$HERE/own-tool" stop >/dev/null 2>&1 || true
  [ -z "$MOUNTED" ] || { umount "$MOUNTED" && rm "$MOUNTED.img"; }
}
trap clean_up EXIT
trap 'exit 130' INT TERM
if [ "${FS:-}" = xfs ]; then
  truncate -s "${FS_GIB:-40}G" "$WORK/xfs.img"
  mkfs.xfs -q -m reflink=1 "$WORK/xfs.img"
  mkdir -p "$WORK/xfs"
  mount -o loop "$WORK/xfs.img" "$WORK/xfs"
  MOUNTED=$WORK/xfs WORK=$WORK/xfs
  [ ! -f "$IMG" ] || cp --sparse=always "$IMG" "$WORK/volume.img"
  IMG=$WORK/volume.img
fi
[ -f "$IMG" ] || TMPDIR=$WORK "$BENCH_KIT/make-volume.sh" "$IMG" "${SIZE_GIB:-4}" openvbs
export TOOLS="${TOOLS:-restic borg-fixed-lz4 borg-fixed-zstd1 qemu-img}"
OWN_TOOL=$HERE/own-tool "$BENCH_KIT/peers.sh" "$IMG" "$WORK"
echo "peak memory of the OpenVBS server: $("$HERE/own-tool" stop) MiB"

#!/usr/bin/env bash
# Build the images for real and run driftgauge in its own, without a daemon and without a registry of images:
# buildah builds on a base that debootstrap makes (Debian 12, Python 3.11), tests/deploy/run_image.py runs
# what came out.
#
#   deploy/image-test.sh            needs root, Debian's archive and a package index; `make image-test` prepares its Python
#
#   PYTHON          interpreter with driftgauge[test], default .venv/bin/python
#   DEBIAN_MIRROR   default http://deb.debian.org/debian
#
# Everything it makes is in one temporary folder, which is gone afterwards, also after a failure.

set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath --no-symlinks "${PYTHON:-.venv/bin/python}")
work=$(mktemp -d -t driftgauge-image.XXXXXX)

step() { printf '\n=== %s\n' "$*"; }
die() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
# Storage of its own, so that nothing of the machine's images is used or left; vfs and chroot need nothing of the kernel but root.
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
export BUILDAH_ISOLATION=chroot

clean() {
  status=$?
  type -P buildah >/dev/null && buildah rm --all >/dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
  [ "$status" -eq 0 ] || printf 'FAIL: image-test ended with status %s\n' "$status" >&2
}
trap clean EXIT

install_tools() {
  local attempt
  for attempt in 1 2 3; do
    apt-get -o DPkg::Lock::Timeout=300 update -qq \
      && apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends buildah debootstrap >"$work/apt.log" 2>&1 && return
    sleep $((attempt * 10))
  done
  die "buildah and debootstrap could not be installed: $(tail -n 3 "$work/apt.log")"
}

# The machine's own pip settings reach the builds as secrets, which are mounted while a command runs and are not part of an image.
pip_secrets() {
  local certificates
  certificates=$("$python" -m pip config list | sed -nE "s/^[^']*\.cert='(.*)'$/\1/p" | tail -n 1)
  certificates=${certificates:-${PIP_CERT:-${SSL_CERT_FILE:-}}}
  {
    echo '[global]'
    "$python" -m pip config list | sed -nE "s/^[^']*\.(index-url|extra-index-url|trusted-host|proxy|timeout|default-timeout)='(.*)'$/\1 = \2/p" \
      | awk -F ' = ' '{value[$1] = $0} END {for (name in value) print value[name]}'
    [ -z "$certificates" ] || echo 'cert = /run/secrets/ca.pem'
  } >"$work/pip.conf"
  secrets=(--secret "id=pip.conf,src=$work/pip.conf")
  [ -z "$certificates" ] || secrets+=(--secret "id=ca.pem,src=$certificates")
}

build() { # tag, Dockerfile
  buildah build --quiet --format docker --build-arg PYTHON_IMAGE=localhost/driftgauge-base:test "${secrets[@]}" \
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" --file "$2" --tag "$1" . >"$work/build.log" 2>&1 \
    || { cat "$work/build.log" >&2; die "$2 does not build"; }
}

unpack() { # name, tag: the image's files in $work/name.path, its configuration in $work/name.json
  buildah mount "$(buildah from "$2")" >"$work/$1.path"
  buildah inspect --type image "$2" >"$work/$1.json"
}

[ "$(id -u)" -eq 0 ] || die 'expected root: debootstrap and containers without a daemon need it'
[ -x "$python" ] || die "expected Python with driftgauge[test] at $python: run make image-test, or set PYTHON"

step 'tools'
if ! type -P buildah debootstrap >/dev/null; then install_tools; fi
command buildah --version

step 'base image: Debian 12 with Python'
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip bookworm "$work/rootfs" \
  "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log" >&2; die 'debootstrap'; }
mkdir "$work/base"
tar --one-file-system -C "$work/rootfs" -cf "$work/base/rootfs.tar" .
rm -rf --one-file-system "$work/rootfs"
printf 'FROM scratch\nADD rootfs.tar /\n' >"$work/base/Dockerfile"
buildah build --quiet --format docker --tag localhost/driftgauge-base:test "$work/base" >/dev/null
rm -rf "$work/base"

pip_secrets
step 'image of driftgauge, from Dockerfile'
build localhost/driftgauge:test Dockerfile
step 'image of the model server, from deploy/modelserver/Dockerfile'
build localhost/driftgauge-modelserver:test deploy/modelserver/Dockerfile

step 'containers'
unpack driftgauge localhost/driftgauge:test
unpack modelserver localhost/driftgauge-modelserver:test
"$python" -m tests.deploy.run_image "$work"

step 'PASS: both images were built, and driftgauge ran in its own'

#!/bin/bash
# make-bases.sh: local stand-ins for the registry's images that docker-compose.yml and the Dockerfile name.
#   golang:1.26-bookworm  busybox and the Go in GO_ROOT: no C compiler and no git, which CGO_ENABLED=0 builds do not need
#   nginx:stable          Debian's nginx and the libraries that it is linked to, and nothing else
# What is there already stays. Needs Debian, and Docker's variables. CA certificates are the machine's own, because a
# registry that is reached through a proxy may be signed by its CA.
set -euo pipefail
WORK=$(mktemp -d); trap 'rm -rf "$WORK"' EXIT
apt_get() { flock "${APT_LOCK:-$WORK/apt.lock}" apt-get "$@"; }  # which would end at once while another one runs
SUITE_OPTIONS=(--pull=false --network none --quiet)

fetch() {  # fetch FOLDER PACKAGE...: unpack Debian packages, without installing them
  local folder=$1; shift; mkdir -p "$WORK/debs" "$folder"
  ( cd "$WORK/debs" && { apt-get download "$@" || { apt_get update && apt-get download "$@"; }; } ) >&2
  for package in "$@"; do dpkg -x "$WORK/debs/${package}"_*.deb "$folder"; done
}

users() {  # users FOLDER: the names that programs look up
  mkdir -p "$1/etc" "$1/tmp"; chmod 1777 "$1/tmp"
  printf '%s\n' 'superuser:x:0:0::/:/bin/sh' 'nginx:x:101:101::/:/bin/false' >"$1/etc/passwd"
  printf '%s\n' 'superuser:x:0:' 'nginx:x:101:' >"$1/etc/group"
}

if ! docker image inspect golang:1.26-bookworm >/dev/null 2>&1; then
  fetch "$WORK/busybox" busybox-static
  image=$WORK/golang; mkdir -p "$image/base/bin" "$image/base/go" "$image/base/usr/bin"; users "$image/base"
  cp "$WORK/busybox/bin/busybox" "$image/base/bin"
  for name in $("$image/base/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$image/base/bin/$name"; done
  printf '%s\n' 'FROM scratch' 'COPY base/ /' 'COPY --from=ca ca-certificates.crt /etc/ssl/certs/ca-certificates.crt' \
    'COPY --from=go . /usr/local/go' 'ENV HOME=/tmp GOPATH=/go GOTOOLCHAIN=local PATH=/usr/local/go/bin:/bin' \
    'WORKDIR /go' >"$image/Dockerfile"
  docker build "${SUITE_OPTIONS[@]}" --build-context go="$GO_ROOT" --build-context ca=/etc/ssl/certs \
    -t golang:1.26-bookworm "$image"
fi

if ! docker image inspect nginx:stable >/dev/null 2>&1; then
  image=$WORK/nginx
  fetch "$image/base" nginx
  libraries=$(dpkg-deb -f "$WORK"/debs/nginx_*.deb Depends Pre-Depends | tr ',' '\n' | grep -oE 'lib[a-z0-9.+-]+|zlib1g' | sort -u)
  fetch "$image/base" $libraries
  users "$image/base"; mkdir -p "$image/base/run"
  printf '%s\n' 'FROM scratch' 'COPY base/ /' 'ENV PATH=/usr/sbin' >"$image/Dockerfile"
  docker build "${SUITE_OPTIONS[@]}" -t nginx:stable "$image"
fi

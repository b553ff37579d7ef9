#!/bin/sh
# Builds BuildKit and buildx from their sources, by Go and its module proxy, into a folder:
#   scripts/buildkit.sh DIR && PATH=DIR:$PATH npm run test:system
# For test/flow/aws-image.test.ts where their images cannot be pulled; it needs `docker-registry` besides (a package of
# Debian). Takes about two minutes and 2 GB.
set -eu

out=${1:?usage: scripts/buildkit.sh DIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT

# `go install` refuses modules with `exclude` or `replace`; so each is built as the main module that it is.
build() {
  folder=$(go mod download -json "$1@$2" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  cp -r "$folder" "$sources/$3"
  chmod -R u+w "$sources/$3"
  rm -rf "$sources/$3/vendor"
  (cd "$sources/$3" && go build -mod=mod -buildvcs=false -o "$out/$3" "./cmd/$3")
}

build github.com/docker/buildx v0.24.0 buildx
build github.com/moby/buildkit v0.23.2 buildkitd

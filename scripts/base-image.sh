#!/bin/sh
# Makes a small base image of this machine's own Node and the basics of a shell, without pulling anything:
#   scripts/base-image.sh NAME
# Tests and the demo build their Dockerfiles on it (build argument BASE) where no registry can be reached.
# ENGINE names the engine's client; by default docker, else podman. Linux only: an image holds Linux programs.
set -eu

name=${1:?usage: scripts/base-image.sh NAME}
project=$(cd "$(dirname "$0")/.." && pwd)
engine=${ENGINE:-$(command -v docker || command -v podman)} || { echo "base-image: no container engine" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || { echo "base-image: only Linux has programs that run in an image" >&2; exit 1; }

node=$project/node_modules/.bin/node
[ -x "$node" ] || node=$(command -v node)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/usr/bin" "$root/usr/local/bin" "$root/etc" "$root/proc" "$root/dev" "$root/sys" "$root/root"
mkdir -m 1777 "$root/tmp"

# Copies a program to a place in the image, with the shared libraries it is linked to, where they are here.
add() {
  program=$(readlink -f "$1")
  cp "$program" "$root$2"
  ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    [ -e "$root$library" ] || cp -L "$library" "$root$library"
  done
}

add "$node" /usr/local/bin/node
add /bin/sh /bin/sh
for basic in cat chmod cp date echo env false head id ls mkdir mv pwd rm sleep sort tail test touch true uname wc; do
  path=$(command -v "$basic" 2>/dev/null) || continue
  case $path in /*) ;; *) path=/usr/bin/$basic ;; esac
  [ -x "$path" ] && add "$path" "/usr/bin/$basic"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"

# What the C library loads by itself to look up names.
for library in /lib/*-linux-gnu/libnss_dns.so.2 /lib/*-linux-gnu/libnss_files.so.2 /lib/*-linux-gnu/libresolv.so.2; do
  [ -e "$library" ] || continue
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done

tar -C "$root" -c . | "$engine" import \
  --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
  --change 'WORKDIR /app' \
  --change 'CMD ["/usr/local/bin/node"]' \
  - "$name" >&2

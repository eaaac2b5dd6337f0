#!/bin/bash
# Builds Dockerfile.production where there is no Docker and no image registry: rehearse.sh [TARGET] [FOLDER]
#
# buildah runs the Dockerfile's own steps; the images that it builds on are stood in for by a Debian 12
# of mmdebstrap's, with this machine's Rust mounted into it. Needs root, and Debian's packages buildah
# and mmdebstrap. PORTABLE=0 reuses what tools/prover.sh has compiled, in a copy. The image can be run:
#   buildah --root FOLDER/store --runroot FOLDER/run from …
set -euo pipefail

target=${1:-cpu}
folder=$(realpath -m "${2:-/tmp/platformless-rehearsal}")
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${PLATFORMLESS_CACHE:-$HOME/.cache/platformless}
portable=${PORTABLE:-1}

mkdir -p "$folder/cache"
cd "$folder"
build=(buildah --root "$folder/store" --runroot "$folder/run" bud --isolation chroot --format docker --layers
    --volume /etc/ssl/certs:/etc/ssl/certs:ro)

[ -e base.tar ] || mmdebstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm base.tar

# The certificates of this machine, which its way to package registries may need.
cat >Python.Dockerfile <<'PYTHON'
FROM scratch
ADD base.tar /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
PYTHON
cat >Rust.Dockerfile <<'RUST'
FROM localhost/rehearsal-python
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
ENV RUSTUP_HOME=/rust/rustup CARGO_HOME=/rust/cargo \
    PATH=/rust/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUST
"${build[@]}" --tag localhost/rehearsal-python --file Python.Dockerfile .
"${build[@]}" --tag localhost/rehearsal-rust --file Rust.Dockerfile .

# A copy: the Dockerfile removes what it has compiled, as an image should.
if [ "$portable" = 0 ] && ! compgen -G "$folder/cache/target-*" >/dev/null; then
    cp -a "$cache"/target-cpu-* "$folder/cache/" 2>/dev/null || true
fi
"${build[@]}" --volume "$HOME/.rustup:/rust/rustup:ro" --volume "$HOME/.cargo:/rust/cargo" \
    --volume "$folder/cache:/cache" \
    --build-arg PYTHON_IMAGE=localhost/rehearsal-python --build-arg RUST_IMAGE=localhost/rehearsal-rust \
    --build-arg PORTABLE="$portable" --build-arg PLATFORMLESS_BUILD=rehearsal \
    --target "$target" --tag "localhost/fabstir-llm-node:$target" --file "$root/Dockerfile.production" "$root"

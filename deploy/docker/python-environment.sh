#!/bin/bash
# The Python environment of an image, in two steps, so that a change of code does not fetch again
# what it depends on:
#   python-environment.sh dependencies WHEELS ENVIRONMENT
#   python-environment.sh package WHEELS ENVIRONMENT
# What is installed is what the lock files name, hash by hash, without the developers' tools.
set -euo pipefail

step=$1
wheels=$2
environment=$3
uv=/opt/uv/bin/uv
export UV_NO_CACHE=1 UV_LINK_MODE=copy

dependencies() {
    local lock wheel digest
    lock=$(mktemp)
    # llama.cpp was compiled from the source that the lock names; from here on its wheel is meant.
    wheel=$(echo "$wheels"/llama_cpp_python-*.whl)
    digest=$(sha256sum <"$wheel" | cut -d ' ' -f 1)
    awk -v digest="$digest" '
        /^[A-Za-z0-9]/ { compiled = /^llama-cpp-python==/; if (compiled) print $1 " --hash=sha256:" digest }
        !compiled' requirements.lock >"$lock"
    "$uv" venv -q --python "$(command -v python3)" "$environment"
    "$uv" pip install -q --python "$environment/bin/python" --compile-bytecode --require-hashes \
        --constraint "$lock" --constraint requirements-p2p.lock --find-links "$wheels" \
        --requirement pyproject.toml --extra node --extra engine --extra p2p
    rm -f "$lock"
}

case $step in
dependencies) dependencies ;;
package) "$uv" pip install -q --python "$environment/bin/python" --compile-bytecode --no-deps . ;;
*)
    echo "error: unknown step $step: dependencies or package" >&2
    exit 2
    ;;
esac

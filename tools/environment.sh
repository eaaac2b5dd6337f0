#!/usr/bin/env bash
# Makes .venv from requirements.lock; quick when nothing changed.
. "$(dirname "$0")/common.sh"

UV_VERSION=0.13.9

command -v python3 >/dev/null || fail "python3 is missing: install Python 3.11 or newer"
UV=$PLATFORMLESS_CACHE/tools/bin/uv
if ! "$UV" --version 2>/dev/null | grep -q "uv $UV_VERSION"; then
    say "installing uv $UV_VERSION"
    python3 -m venv "$PLATFORMLESS_CACHE/tools" || fail "python3 cannot make virtual environments: install python3-venv"
    "$PLATFORMLESS_CACHE/tools/bin/pip" install -q "uv==$UV_VERSION"
fi

cd "$ROOT"
stamp=.venv/installed.sha256
want=$(cat requirements.lock pyproject.toml "$UV" "$0" | sha256sum)
[ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$want" ] && exit 0

# What is compiled on installation is compiled once for this lock, Python and processor: uv's cache would compile it anew
# for every checkout.
requirements=$(mktemp -d)
trap 'rm -rf "$requirements"' EXIT
awk -v compiled="$requirements/compiled.txt" -v others="$requirements/others.txt" '
    /^[A-Za-z0-9]/ { file = /^llama-cpp-python==/ ? compiled : others }
    { print > (file ? file : others) }' requirements.lock
processor=$(grep -m 1 '^flags' /proc/cpuinfo | sha256sum | cut -c 1-8)
key=$(cat "$requirements/compiled.txt" <(python3 --version) | sha256sum | cut -c 1-16)
wheels=$PLATFORMLESS_CACHE/wheels/$key-$processor
if ! ls "$wheels"/*.whl >/dev/null 2>&1; then
    need g++ g++
    say "compiling llama.cpp (4 to 5 minutes, the first time)"
    mkdir -p "$wheels.part"
    "$PLATFORMLESS_CACHE/tools/bin/pip" wheel -q --no-deps --require-hashes --requirement "$requirements/compiled.txt" --wheel-dir "$wheels.part"
    rm -rf "$wheels"
    mv "$wheels.part" "$wheels"
fi

say "installing the Python environment"
"$UV" venv -q --clear --python "$(command -v python3)" .venv
"$UV" pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes "$requirements/others.txt"
"$UV" pip install -q --compile-bytecode --python .venv/bin/python --no-deps "$wheels"/*.whl
"$UV" pip install -q --python .venv/bin/python --no-deps --editable .
printf '%s' "$want" >$stamp

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
need g++ g++ # llama.cpp is compiled when it is installed for the first time
stamp=.venv/installed.sha256
want=$(cat requirements.lock pyproject.toml "$UV" | sha256sum)
[ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$want" ] && exit 0
say "installing the Python environment"
"$UV" venv -q --clear --python "$(command -v python3)" .venv
"$UV" pip sync -q --python .venv/bin/python --require-hashes requirements.lock
"$UV" pip install -q --python .venv/bin/python --no-deps --editable .
printf '%s' "$want" >$stamp

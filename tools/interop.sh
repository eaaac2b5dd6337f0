#!/usr/bin/env bash
# Fetches the libraries of tests/interop, which checks our cryptography against another implementation.
. "$(dirname "$0")/common.sh"

npm_packages "$ROOT/tests/interop" "the JavaScript libraries of the existing client"

#!/bin/bash
# Makes the secrets that compose.yml hands to its services: make-secrets.sh [FOLDER]
#
# The host's key is asked for, or read from standard input. What is there already stays, so that it
# can be run again. The folder is for its owner alone; the files in it can be read by whoever a
# container runs as, and a container sees only those that its service is given.
set -euo pipefail

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

# keep NAME: writes standard input to a new file, complete from the first moment.
keep() {
    local part
    part=$(mktemp ".$1.XXXXXX")
    cat >"$part"
    chmod 444 "$part"
    mv "$part" "$1"
}

random_hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

for name in postgres_password redis_password s5_portal_token metrics_token grafana_admin_password; do
    [ -e "$name" ] || random_hex 24 | keep "$name"
done
[ -e ledger_key ] || random_hex 32 | keep ledger_key
[ -e ledger_url ] || printf 'postgresql+psycopg://fabstir:%s@postgres:5432/fabstir' "$(cat postgres_password)" | keep ledger_url
[ -e broker_url ] || printf 'redis://:%s@redis:6379/0' "$(cat redis_password)" | keep broker_url

if [ ! -e host_private_key ]; then
    [ ! -t 0 ] || printf "The host's private key, 0x and 64 hex digits (not shown): " >&2
    read -rs key || true
    [ ! -t 0 ] || echo >&2
    if ! [[ $key =~ ^(0x)?[0-9a-fA-F]{64}$ ]]; then
        echo "error: that is no private key; expected 0x and 64 hex digits" >&2
        exit 2
    fi
    printf '%s' "$key" | keep host_private_key
fi
echo "secrets are in $PWD; keep a copy of host_private_key and ledger_key elsewhere" >&2

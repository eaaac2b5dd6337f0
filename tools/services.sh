#!/usr/bin/env bash
# Installs Debian's PostgreSQL, Redis, RabbitMQ, Prometheus, nginx and Caddy, of which tests start
# private ones, and what checks scripts and units (shellcheck, systemd); quick when they are there.
# Installing them starts no service.
. "$(dirname "$0")/common.sh"

POLICY=/usr/sbin/policy-rc.d # asked by Debian's packages before they start a service

missing() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || echo postgresql
    [ -x /usr/bin/redis-server ] || echo redis-server
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    [ -x /usr/bin/promtool ] || echo prometheus
    [ -x /usr/sbin/nginx ] || echo nginx-light
    [ -x /usr/bin/caddy ] || echo caddy
    [ -x /usr/bin/shellcheck ] || echo shellcheck
    [ -x /usr/bin/systemd-analyze ] || echo systemd
}

refuse_services() {
    kept=
    if [ -e "$POLICY" ]; then
        kept=$(mktemp) && cp -p "$POLICY" "$kept"
    fi
    trap allow_services EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

allow_services() {
    if [ -n "$kept" ]; then
        as_root cp -p "$kept" "$POLICY"
        rm -f "$kept"
    else
        as_root rm -f "$POLICY"
    fi
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

mapfile -t packages < <(missing)
[ ${#packages[@]} -gt 0 ] || exit 0

advice="install Debian's packages ${packages[*]} (apt-get install ${packages[*]})"
command -v apt-get >/dev/null || fail "no apt-get: $advice"
as_root true 2>/dev/null || fail "not root: $advice"
say "installing ${packages[*]}"
refuse_services
as_root apt-get update -qq || fail "apt-get update failed: $advice"
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
    fail "apt-get install failed: $advice"
mapfile -t packages < <(missing)
[ ${#packages[@]} -eq 0 ] || fail "${packages[*]}: installed, but not where Debian puts them"

#!/usr/bin/env bash
# Installs what the browser and database tests drive, on Debian and Ubuntu, when this user may do so.
# Anywhere else it says what is missing; those tests then skip with that reason.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
command -v firefox-esr >/dev/null || command -v firefox >/dev/null || missing+=(firefox-esr)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    left=()
    for package in "${missing[@]}"; do  # one by one: not every distribution has each of them
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null || left+=("$package")
    done
    [ ${#left[@]} -eq 0 ] && exit 0
    missing=("${left[@]}")
fi
echo "not installed: ${missing[*]}; the tests that need them will be skipped" >&2

#!/usr/bin/env bash
# Make a fresh machine ready: `tools/setup.sh run|neural|test FINGERPRINT`. The Makefile calls it when
# no stamp of the present lock files exists; by hand nobody needs it.
#
# Three steps: system libraries (apt, if something is missing and we may), a virtual environment,
# the packages of the lock files. Nothing is fetched later, models included; those of whisper and
# Piper (the goal neural) are fetched by `jarvis-backend models fetch`, which asks.
set -euo pipefail
cd "$(dirname "$0")/.."

goal=${1:?run, neural or test}
fingerprint=${2:?fingerprint of the lock files}
case $goal in run | neural | test) ;; *) echo "setup: '$goal' is neither run nor neural nor test" >&2 && exit 64 ;; esac

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
library() { /sbin/ldconfig -p 2>/dev/null | grep -q "$1" || [ -n "$(find /usr/lib /lib -name "$1*" -print -quit 2>/dev/null)" ]; }
library_of_alsa() { [ -n "$(find /usr/lib -name "libasound_module_pcm_$1.so" -print -quit 2>/dev/null)" ]; }

# The packages that are missing, as Debian calls them, each with what it is for. A program counts
# as there wherever it came from.
missing_packages() {
    library libportaudio.so.2 || echo "libportaudio2 microphone and speaker"
    if [ "$goal" != test ]; then
        have flite || have espeak-ng || echo "flite a better voice for the reference backend"
        return 0
    fi
    have flite || echo "flite a voice that the tests speak with"
    have espeak-ng || echo "espeak-ng another one"
    have gcc || echo "gcc the virtual sound card of the tests"
    [ -e /usr/include/stdio.h ] || echo "libc6-dev the same"
    [ -e /usr/include/alsa/asoundlib.h ] || echo "libasound2-dev the same"
    have pulseaudio || echo "pulseaudio a sound server of the tests"
    have pactl || echo "pulseaudio-utils the same"
    library_of_alsa pulse || echo "libasound2-plugins the same"
    have pipewire || echo "pipewire another sound server of the tests"
    have wireplumber || echo "wireplumber the same"
    have pipewire-pulse || echo "pipewire-pulse the same"
    have dbus-run-session || echo "dbus-daemon the same"
    have strace || echo "strace the proof that nothing but loopback is used"
    # The same program under another name, without the service that redis-server would start.
    have redis-server || have redis-check-rdb || echo "redis-tools what several backends share in the tests"
    have chromium || have chromium-browser || echo "chromium the browser that looks at the console"
    have journalctl || echo "systemd the service manager that the tests boot in a box"
    [ -e /usr/include/systemd/sd-daemon.h ] || echo "libsystemd-dev the journal's own library, which is built"
    ls /usr/include/python3.*/Python.h >/dev/null 2>&1 || echo "python3-dev the same"
    have pkg-config || echo "pkg-config the same"
    have mosquitto || echo "mosquitto an MQTT broker of the tests"
    have tmux || echo "tmux a terminal of the tests"
    have git || echo "git the list of the project's files"
}

# Prints the words that go in front of apt-get, or fails where we may not install.
apt_prefix() {
    have apt-get || return 1
    [ "$(id -u)" -eq 0 ] && { echo "env" && return 0; }
    have sudo && sudo -n true 2>/dev/null && { echo "sudo -n env" && return 0; }
    return 1
}

apt_install() {
    local prefix
    prefix=$(apt_prefix) || return 1
    # shellcheck disable=SC2086  # the prefix is several words
    install() { $prefix DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null >"$log" 2>&1; }
    local log
    log=$(mktemp)
    say "installing $*"
    if ! install "$@"; then
        # shellcheck disable=SC2086
        $prefix apt-get update -qq </dev/null >>"$log" 2>&1 || true
        install "$@" || { tail -n 5 "$log" >&2 && rm -f "$log" && return 1; }
    fi
    rm -f "$log"
}

system_libraries() {
    local missing names
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    names=$(cut -d ' ' -f 1 <<<"$missing" | paste -s -d ' ')
    # shellcheck disable=SC2086  # one word per package
    apt_install $names && return 0
    say "going on without $(sed 's/ / (/; s/$/)/' <<<"$missing" | paste -s -d , | sed 's/,/, /g'); to have it: apt-get install $names"
}

# The one that SETUP_PYTHON names (CI: one of several), or the system's own: its environments also work
# inside a service (a private one in somebody's home does not).
find_python() {
    local python
    for python in ${SETUP_PYTHON:-} /usr/bin/python3 python3.13 python3.12 python3.11 python3 python3.14; do
        if have "$python" && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return 0
        fi
    done
    say "no Python 3.11 or newer found (looked for /usr/bin/python3 and python3.11 to python3.14)"
    return 1
}

virtual_environment() {
    local python here
    here=$(pwd -P)
    if [ "$(cat .venv/.place 2>/dev/null)" = "$here" ] && .venv/bin/python -c '' 2>/dev/null; then
        return 0
    fi
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3-venv || { say "$python cannot make virtual environments: apt-get install python3-venv" && return 1; }
    fi
    rm -rf .venv
    "$python" -m venv .venv
    echo "$here" >.venv/.place
}

pip_install() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input "$@"
}

packages() {
    local locks=(-r requirements.txt -r requirements-backend.txt)
    [ "$goal" = run ] || locks+=(-r requirements-neural.txt)
    [ "$goal" != test ] || locks+=(-r requirements-dev.txt)
    say "installing the packages of ${locks[*]//-r/} into .venv"
    pip_install --no-deps --require-hashes "${locks[@]}"
    pip_install --no-deps --no-build-isolation --no-index --editable .
}

# The journal's own library, where it can be built; the tests of what stands in for it run anyway.
journal_library() {
    [ "$goal" = test ] || return 0
    pip_install --no-deps --no-build-isolation --require-hashes -r requirements-systemd.txt 2>/dev/null ||
        say "going on without systemd-python (it could not be built: libsystemd-dev, python3-dev, pkg-config, gcc)"
}

# The official client of Socket.IO, where there is Node already; its test says so where there is not.
node_client() {
    [ "$goal" = test ] && have node && have npm || return 0
    say "installing the packages of tests/node/package-lock.json"
    npm --prefix tests/node ci --silent --no-audit --no-fund --ignore-scripts ||
        say "going on without the Node client (npm ci failed in tests/node)"
}

system_libraries
virtual_environment
packages
journal_library
node_client
# A stamp for each goal that is reached: what test needs holds what neural needs, and that what run needs.
find .venv -maxdepth 1 -name '.ready-*' ! -name "*-$fingerprint" -delete
[ "$goal" != test ] || : >".venv/.ready-test-$fingerprint"
[ "$goal" = run ] || : >".venv/.ready-neural-$fingerprint"
: >".venv/.ready-run-$fingerprint"

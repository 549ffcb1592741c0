#!/usr/bin/env bash
# Resolve the ranges of pyproject.toml into the five lock files. Each holds every hash of every
# wheel it pins, and only what the file before it does not have yet:
#
#   requirements.txt          the daemon on a device
#   requirements-backend.txt  the reference backend, and what builds this checkout
#   requirements-neural.txt   speech-to-text by whisper and a voice by Piper, for the backend
#   requirements-dev.txt      tests and gates
#   requirements-systemd.txt  the journal's own library: source only, built against libsystemd
#
# Pins that still fit are kept; `make lock ARGS=--upgrade` looks for newer ones. The resolver is uv in
# a throw-away environment: pip's own tools resolve for one Python and one machine at a time, these
# files are for all of them. No file names the place that packages come from: that is the
# business of whoever installs.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8   # another version may order or mark the lines differently
work=build/lock
[ -x "$work/bin/uv" ] || { python3 -m venv "$work" && "$work/bin/pip" install --quiet "uv==$UV_VERSION"; }
export UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_NO_PROGRESS=1

names() { sed -n 's/^\([A-Za-z0-9][A-Za-z0-9._-]*\)==.*/\1/p' "$@"; }

# resolve NAME UV-ARGUMENT...: all that NAME needs, with whatever NAME.txt holds now as preference
resolve() {
    local name=$1
    shift
    "$work/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --group models \
        --generate-hashes --no-emit-index-url --no-header --no-annotate \
        --output-file "$work/$name.txt" "$@"
}

# The environment that all files are for (tool.uv in pyproject.toml) need not stand on each line.
plain() {
    sed -E "s/ (and|;) (sys_platform == 'linux'|(platform_python_implementation|implementation_name) (== 'cpython'|== 'CPython'|!= 'PyPy'))//g" "$@"
}

# publish NAME HEADER [EARLIER...]: NAME.txt, without what the earlier files hold
publish() {
    local name=$1 header=$2
    shift 2
    {
        printf '%s\n' "$header" '#' "# Written by \`make lock\`; do not edit." ''
        if [ $# -gt 0 ]; then
            awk 'NR == FNR { known[$1]; next }
                 /^[^ #]/ { split($0, part, "=="); skip = (part[1] in known) }
                 !skip' <(names "$@") <(plain "$work/$name.txt")
        else
            plain "$work/$name.txt"
        fi
    } >"$name.txt.new"
    mv "$name.txt.new" "$name.txt"
}

for name in requirements requirements-backend requirements-neural requirements-dev requirements-systemd; do
    if [ -f "$name.txt" ]; then cat "$name.txt" >"$work/$name.txt"; else rm -f "$work/$name.txt"; fi
done

resolve requirements "$@"
publish requirements "# The daemon on a device: every package, exactly, with its hashes.
#
#     pip install --no-deps --require-hashes -r requirements.txt
#
# For Linux on x86-64 and aarch64, Python 3.11 to 3.14. --no-deps because the list is complete, and
# because openwakeword is here for the model files in its wheel: its code is never imported, so
# scipy, scikit-learn and tqdm, which that code would need, are left out on purpose."

resolve requirements-backend "$@" --extra backend --group build -c requirements.txt
publish requirements-backend "# What the reference backend needs on top of requirements.txt, and setuptools, which installs this
# checkout." requirements.txt

resolve requirements-neural "$@" --extra backend --extra neural --group build -c requirements.txt -c requirements-backend.txt
publish requirements-neural "# What speech-to-text by whisper and a voice by Piper need on top of requirements.txt and
# requirements-backend.txt; without their weights (jarvis-backend models)." \
    requirements.txt requirements-backend.txt

resolve requirements-dev "$@" --extra backend --extra dev --group build \
    -c requirements.txt -c requirements-backend.txt -c requirements-neural.txt
publish requirements-dev "# What tests and gates need on top of the other files." \
    requirements.txt requirements-backend.txt requirements-neural.txt

resolve requirements-systemd "$@" --extra systemd -c requirements.txt
publish requirements-systemd "# systemd-python, for a service on a machine with libsystemd-dev, python3-dev, gcc and pkg-config; the
# ear also runs without it." requirements.txt

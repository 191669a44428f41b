# Functions that `demo` and `test` share: Debian packages and the virtual environment.
# Sourced by bash with the checkout as its working directory.

# Without its bytecode every start of a command compiles what it imports, three times over.
unset PYTHONDONTWRITEBYTECODE

# Installs those of the Debian packages named that are missing, and nothing otherwise.
need_packages() {
    local package missing=()
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # A third party's repository that does not answer must not stop Debian's own packages.
    apt-get update -qq </dev/null || true
    apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null >/dev/null
}

# Makes .venv from a lock file, with the checkout installed in it; quick when it is up to date.
# An existing one that was made from any of the lock files named will do.
need_venv() {
    local lock python=${PYTHON:-python3} stamp
    for lock in "$@"; do
        stamp="$("$python" -V) $(cat "$lock" pyproject.toml | sha256sum)"
        [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ] || return 0
    done
    lock=$1
    stamp="$("$python" -V) $(cat "$lock" pyproject.toml | sha256sum)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "$("$python" -V) is too old: 3.11 or newer is needed (set PYTHON)" >&2
        return 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    echo "installing Python packages from $lock" >&2
    "$python" -m venv --clear .venv
    .venv/bin/pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
    # A path in a .pth file; the finder that is installed otherwise costs each start 10 ms.
    .venv/bin/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation \
        --config-settings editable_mode=compat --editable .
    echo "$stamp" >.venv/stamp
}

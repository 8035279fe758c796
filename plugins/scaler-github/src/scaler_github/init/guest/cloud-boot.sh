#!/bin/sh
# boot_script of a profile whose guests are stock cloud images (Debian, Ubuntu, Fedora, …).
#
# Run as root in every guest of the profile, by what its seed brings along:
#   builder  installs GitHub's runner; its disk becomes the profile's image
#   smoke    shows that the runner starts and that the scaler is reached
#   runner   runs one job
# With base_image in place of source_image there are only runners, which install it themselves.
#
# The runner's config is a secret, and so is SCALER_KEY, which gets it. Neither is ever on a command
# line, where every user of the guest could read it, and the job's processes do not have the key.
#
# SCALER_ROOT is for trying this script: a folder that stands in for /.
set -eu

RUNNER_VERSION=${RUNNER_VERSION:-2.335.1} # https://github.com/actions/runner/releases
RUNNER_SHA256=${RUNNER_SHA256:-}          # of the archive, from the same page; not compared if empty
# A mirror is quicker than GitHub: static = { "/image-deps" = { path = … } } in [plugins.monitor]
# and here RUNNER_FROM=$SCALER_URL/image-deps
RUNNER_FROM=${RUNNER_FROM:-https://github.com/actions/runner/releases/download/v$RUNNER_VERSION}

TRIES=${TRIES:-150} # two seconds apart, for the scaler to have the runner's config

root=${SCALER_ROOT:-}
home=$root/opt/actions-runner
user=runner

fetch() { # ADDRESS FILE; the address is not on the command line, it can have the key in it
    printf 'url = "%s"\n' "$1" |
        curl --config - -sSL --max-time 300 -o "$2" -w '%{http_code}'
}

install_packages() {
    command -v curl >/dev/null && command -v tar >/dev/null && return
    if command -v apt-get >/dev/null; then
        apt-get -q update
        DEBIAN_FRONTEND=noninteractive apt-get -qy install curl tar ca-certificates
    elif command -v dnf >/dev/null; then
        dnf -qy install curl tar
    fi
}

install_runner() {
    install_packages
    case $(uname -m) in
    aarch64) machine=arm64 ;;
    *) machine=x64 ;;
    esac
    id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
    archive=actions-runner-linux-$machine-$RUNNER_VERSION.tar.gz
    mkdir -p "$home"
    status=$(fetch "$RUNNER_FROM/$archive" "$home/$archive")
    if [ "$status" != 200 ]; then
        echo "$RUNNER_FROM/$archive: answered $status" >&2
        return 1
    fi
    if [ -n "$RUNNER_SHA256" ]; then
        echo "$RUNNER_SHA256  $home/$archive" | sha256sum -c -
    fi
    tar -xzf "$home/$archive" -C "$home"
    rm "$home/$archive"
    # what .NET needs; where the distribution is not known to it, have it in source_image
    "$home/bin/installdependencies.sh" || echo "its dependencies could not be installed" >&2
    chown -R "$user": "$home"
    touch "$home/image-built"
}

# prints the config; nothing, and fails, where the scaler says that there is none
get_config() {
    if [ -n "${SCALER_JITCONFIG:-}" ]; then # jit_delivery = "seed"
        cat "$SCALER_JITCONFIG"
        rm -f "$SCALER_JITCONFIG"
        return
    fi
    answer=$(mktemp)
    tries=0
    until status=$(fetch "$SCALER_URL/github-jitconfig${SCALER_KEY:+?key=$SCALER_KEY}" "$answer") &&
        [ "$status" = 200 ]; do
        tries=$((tries + 1))
        # a machine that makes or tries an image has none, and is told so
        if [ "$status" = 404 ] && [ "$SCALER_ROLE" = smoke ]; then
            echo 404
            rm -f "$answer"
            return
        fi
        if [ "$status" = 410 ] || [ "$tries" -ge "$TRIES" ]; then
            echo "no config: the scaler answered $status" >&2
            rm -f "$answer"
            return 1
        fi
        sleep 2
    done
    sed 's/^"//; s/"$//' "$answer" # a JSON string of base64: nothing in it is escaped
    rm -f "$answer"
}

umask 022
case ${SCALER_ROLE:-runner} in
builder)
    install_runner
    ;;
smoke)
    [ -e "$home/image-built" ]
    "$home/bin/Runner.Listener" --version
    if [ -z "${SCALER_JITCONFIG:-}" ] && [ -n "${SCALER_URL:-}" ]; then
        [ "$(get_config)" = 404 ]
    fi
    ;;
runner)
    [ -e "$home/image-built" ] || install_runner
    config=$(umask 077 && get_config)
    unset SCALER_KEY SCALER_URL SCALER_JITCONFIG
    cd "$home"
    # the runner takes it out of its own environment before it starts a job
    export ACTIONS_RUNNER_INPUT_JITCONFIG="$config"
    unset config
    export HOME="/home/$user" USER="$user" LOGNAME="$user"
    exec runuser -u "$user" -- ./run.sh
    ;;
*)
    echo "SCALER_ROLE is $SCALER_ROLE: wanted builder, smoke or runner" >&2
    exit 1
    ;;
esac

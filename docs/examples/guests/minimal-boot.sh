#!/bin/sh
# boot_script of a profile whose guests have busybox and little else. Run as root by the guest's
# own init, which read scaler.env from the seed and powers the guest off when this ends:
#
#   mount -o ro /dev/disk/by-label/cidata /seed && set -a && . /seed/scaler.env && umount /seed
#   wget -q -O /tmp/boot "$SCALER_URL/boot?key=$SCALER_KEY" && sh /tmp/boot; poweroff -f
#
# The runner is any program that takes its config from ACTIONS_RUNNER_INPUT_JITCONFIG. wget has the
# key on its command line; nobody but root runs anything then, and the key is spent before the job.
set -eu

RUNNER=${RUNNER:-/opt/runner/run.sh}
USER_OF_JOBS=${USER_OF_JOBS:-runner}
BUILT=${BUILT:-/opt/runner/image-built} # on the disk that becomes the image

ask() { # prints what /github-jitconfig answers; its end says what was wrong
    timeout 30 wget -q -O - "$SCALER_URL/github-jitconfig${SCALER_KEY:+?key=$SCALER_KEY}" 2>&1
}

case ${SCALER_ROLE:-runner} in
builder)
    mkdir -p "${BUILT%/*}"
    : >"$BUILT"
    sync
    echo "scaler: built ${SCALER_NONCE:-}"
    ;;
smoke)
    [ -e "$BUILT" ]
    # it is told that it has no config, so it reaches the scaler
    case $(ask || true) in
    *404*) echo "scaler: ok ${SCALER_NONCE:-}" ;;
    *) echo "scaler: failed: the scaler was not reached" && exit 1 ;;
    esac
    ;;
*)
    tries=0
    until config=$(ask); do
        tries=$((tries + 1))
        case $tries:$config in
        60:* | *:*410*) echo "scaler: failed: no config" && exit 1 ;;
        esac
        sleep 1
    done
    config=${config#\"}
    export ACTIONS_RUNNER_INPUT_JITCONFIG="${config%\"}"
    unset config SCALER_KEY SCALER_URL
    exec setuidgid "$USER_OF_JOBS" "$RUNNER"
    ;;
esac

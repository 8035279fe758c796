#!/bin/sh
# Run by cloud-init in a guest of scaler: finds the seed, gets the boot script, runs it as root,
# says on the serial line how that ended, and powers off.
#
# The boot script's environment has SCALER_URL, SCALER_KEY (what the guest is known by at the
# scaler; empty where it is known by its address), SCALER_ROLE (runner, builder or smoke),
# SCALER_PROFILE, SCALER_RUNNER, SCALER_HOLD, and SCALER_JITCONFIG, the file with the runner's
# config where the seed has one. Whatever a job can see must have neither the key nor that file.
#
# SCALER_ROOT is for trying this script: a folder that stands in for /.
set -u
umask 077
root=${SCALER_ROOT:-}
patience=${SCALER_PATIENCE:-600}  # seconds for the scaler to answer
secrets=$root/run/scaler          # in memory
work=$root/var/lib/scaler-guest   # where programs may be started, which /run often forbids

say() {
    for line in "$root/dev/ttyS0" "$root/dev/ttyAMA0" "$root/dev/console"; do
        # on a line of its own: others write there too
        if [ -w "$line" ] && printf '\r\nscaler: %s\r\n' "$1" 2>/dev/null >>"$line"; then
            return
        fi
    done
    printf 'scaler: %s\n' "$1"
}

off() {
    rm -rf "$secrets" "$work"
    sync
    poweroff || poweroff -f
    exit "$1"
}

failed() {
    say "failed: $1"
    if [ "${SCALER_ROLE:-}" = runner ] && [ -n "${SCALER_HOLD:-}" ]; then
        say "it is held for a person"
        exit 1
    fi
    off 1
}

read_seed() {
    rm -rf "$secrets" "$work"
    mkdir -p "$secrets" "$work" || return 1
    if [ -n "$root" ]; then
        seed=$root/seed
    else
        seed=$secrets/seed
        mkdir "$seed" || return 1
        tries=0
        until device=$(blkid -L cidata || blkid -L CIDATA) &&
            mount -o ro,nosuid,nodev,noexec "$device" "$seed"; do
            tries=$((tries + 1))
            [ "$tries" -lt 15 ] || return 1
            sleep 2
        done
    fi
    for name in scaler.env jitconfig boot; do
        if [ -e "$seed/$name" ]; then
            cp "$seed/$name" "$secrets/" || return 1
        fi
    done
    [ -n "$root" ] || umount "$seed"
    [ -r "$secrets/scaler.env" ]
}

# the address has the key in it, so it is on no command line: anybody can read those
fetch() {
    address="$SCALER_URL/$1${SCALER_KEY:+?key=$SCALER_KEY}"
    if command -v curl >/dev/null; then
        printf 'url = "%s"\n' "$address" | curl --config - -fsS --max-time 30 -o "$2"
    elif command -v wget >/dev/null; then
        printf '%s\n' "$address" | wget -q -T 30 -t 1 -i - -O "$2"
    else
        printf '%s\n' "$address" | python3 -c '
import sys, urllib.request
with urllib.request.urlopen(sys.stdin.readline().strip(), timeout=30) as answer:
    sys.stdout.buffer.write(answer.read())
' >"$2"
    fi
}

get_boot() {
    if [ -e "$secrets/boot" ]; then
        mv "$secrets/boot" "$work/boot"
        return
    fi
    if [ -z "$SCALER_URL" ]; then
        why="the seed has neither a boot script nor an address to get one from"
        return 1
    fi
    until why=$(fetch boot "$work/boot" 2>&1); do
        [ "$(date +%s)" -lt "$until" ] || return 1
        sleep 2
    done
}

# what must not be the same in two guests that start from this one's disk
forget() {
    if [ -e "$root/etc/machine-id" ]; then
        : >"$root/etc/machine-id"
    fi
    rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" \
        "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
}

until=$(($(date +%s) + patience))
why=
SCALER_ROLE=
read_seed || failed "there is no seed that it can read: a disk labelled cidata with scaler.env"
# shellcheck source=/dev/null
. "$secrets/scaler.env"
rm -f "$secrets/scaler.env"
get_boot || failed "no boot script after $patience s: ${why:-no answer}"
[ -s "$work/boot" ] || failed "the boot script is empty"
chmod 700 "$work/boot"

output=$root/dev/ttyS0
[ -w "$output" ] || output=/dev/null
(
    export SCALER_URL SCALER_KEY SCALER_ROLE SCALER_PROFILE SCALER_RUNNER SCALER_HOLD
    SCALER_JITCONFIG=
    [ ! -e "$secrets/jitconfig" ] || SCALER_JITCONFIG=$secrets/jitconfig
    export SCALER_JITCONFIG
    cd "$root/" && exec "$work/boot"
) </dev/null >>"$output" 2>&1
status=$?
unset SCALER_KEY
[ "$status" -eq 0 ] || failed "the boot script ended with $status"

case $SCALER_ROLE in
builder)
    forget
    say "built $SCALER_NONCE"
    off 0
    ;;
smoke)
    say "ok $SCALER_NONCE"
    off 0
    ;;
*)
    [ -z "$SCALER_HOLD" ] || exit 0
    off 0
    ;;
esac

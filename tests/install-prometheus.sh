#!/bin/sh
# Installs Prometheus, promtool, Alertmanager and amtool from Debian or Ubuntu, for the tests that run against the real ones.
# Where that is not possible, it says what is left out and why, and is content: the tests name what they leave out,
# and DRIFTGAUGE_REQUIRE=prometheus,alertmanager makes them fail instead.
set -u

PROGRAMS="prometheus promtool prometheus-alertmanager amtool"

missing() {
    for program in $PROGRAMS; do
        command -v "$program" >/dev/null 2>&1 || printf '%s ' "$program"
    done
}

leave_out() {
    echo "LEFT OUT: tests that need $(missing)- $1" >&2
    exit 0
}

if [ -z "$(missing)" ]; then
    echo "prometheus and alertmanager are installed: $(prometheus --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3)"
    exit 0
fi

command -v apt-get >/dev/null 2>&1 || leave_out "no apt-get here; install Prometheus and Alertmanager another way"
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    leave_out "not root, and sudo would ask for a password; run: sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Tests start servers of their own, so the packages' services must not run: policy-rc.d refuses them while dpkg configures.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy"
    trap 'rm -f "$log"; $as_root rm -f "$policy"' EXIT
fi

echo "installing prometheus and prometheus-alertmanager (about 33 MB)"
{
    $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends prometheus prometheus-alertmanager
} >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    leave_out "apt-get failed, see above"
}
[ -z "$(missing)" ] || leave_out "apt-get succeeded, but they are not on the path"
echo "installed: $(prometheus --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3)"

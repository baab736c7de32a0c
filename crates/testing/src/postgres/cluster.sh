# Runs one throw-away PostgreSQL cluster for as long as standard input is open.
#
# Usage: sh -c <this> cluster BIN DIR PORT...
#
# The test process holds the other end of standard input. However it ends, also
# by SIGKILL, the pipe closes, and the cluster is stopped and deleted. That is
# why everything, initdb included, runs in this one script: there is no moment
# at which somebody could die and leave something behind.
#
# Answers on standard output, one line each: "ready PORT", "stopped", "started",
# or "failed REASON". Commands on standard input: "crash", "start".

trap '' HUP INT TERM PIPE
bin=$1
dir=$2
shift 2

pg() {
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 "$@" >"$dir/out" 2>&1
}

start() {
    # A crash must be a crash: fsync stays on.
    pg start -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 -c fsync=on"
}

fail() {
    echo "failed $(cat "$dir/out" "$dir/log" 2>/dev/null | tail -n 20 | tr '\n' ' ')"
    rm -rf "$dir"
    exit 1
}

"$bin/initdb" -D "$dir/data" -U myelin -A password --pwfile="$dir/password" \
    --encoding=UTF8 --locale=C --no-sync >"$dir/out" 2>&1 || fail

# A port that was free a moment ago may be taken now.
started=no
for port in "$@"; do
    if start; then
        started=yes
        break
    fi
done
[ "$started" = yes ] || fail
echo "ready $port"

while read -r command; do
    case $command in
    crash) pg stop -m immediate && echo stopped || echo "failed to stop" ;;
    start) start && echo started || echo "failed to start" ;;
    esac
done

pg stop -m immediate
rm -rf "$dir"

# Read by the scripts beside it: where things are, and how a process is started, found and ended.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Everything that is made is below this folder.
run=/var/tmp/causeway-two-gateways
# Where everybody may be: the database's own user cannot enter every folder that this is started from.
cd /

say() { printf '%s\n' "$*"; }
die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# When a process began, which with its number makes it the one that was started and no other.
began() { awk '{ sub(/^.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2>/dev/null; }

runs() {
  local pid at
  [ -e "$run/pids/$1" ] || return 1
  read -r pid at <"$run/pids/$1"
  [ -n "$at" ] && [ "$(began "$pid")" = "$at" ]
}

# ADDRESS...: where something is about to listen, nobody does yet. Who did would be taken for it.
free() {
  local at answer
  for at; do
    answer=0
    timeout 2 bash -c "exec 3<>/dev/tcp/${at%:*}/${at#*:}" 2>/dev/null || answer=$?
    # Nobody's is refused at once. Where a connection hangs, somebody listens and does not come.
    [ $answer -eq 1 ] || die "$at is taken by another program: end that first"
  done
}

# NAME COMMAND...: in a session of its own, its output in a log.
launch() {
  local name=$1 pid
  shift
  date -u +"--- started %FT%TZ" >>"$run/logs/$name"
  setsid "$@" </dev/null >>"$run/logs/$name" 2>&1 &
  pid=$!
  echo "$pid $(began "$pid")" >"$run/pids/$name"
}

# NAME: what it has said since it was started, the end of it.
last_words() { tac "$run/logs/$1" | sed '/^--- started /q' | head -n 20 | tac; }

# WHAT SECONDS NAME COMMAND...: until the command succeeds, while the process runs.
wait_for() {
  local what=$1 end=$((SECONDS + $2)) name=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    runs "$name" || die "$what: the process has ended; the end of $run/logs/$name:
$(last_words "$name")"
    [ $SECONDS -lt $end ] || die "$what: not within its time; see $run/logs/$name"
    sleep 0.1
  done
  # Another program at its port may have answered.
  runs "$name" || die "$what: another program does, and ours has ended; the end of $run/logs/$name:
$(last_words "$name")"
}

# NAME SIGNAL: asks it to stop and waits until it has; by force after a minute.
end() {
  local pid end=$((SECONDS + 60))
  runs "$1" || return 0
  read -r pid _ <"$run/pids/$1"
  kill "-$2" "$pid"
  while runs "$1"; do
    [ $SECONDS -lt $end ] || kill -KILL -- "-$pid"
    sleep 0.05
  done
}

secret() {
  [ -s "$run/secrets/$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$run/secrets/$1"
  cat "$run/secrets/$1"
}

start_gateway() {
  ! runs "gateway-$1" || return 0
  free "127.0.0.1:809$1" "127.0.0.1:819$1"
  launch "gateway-$1" causeway --config "$here/gateway-$1.toml" serve
  wait_for "gateway $1 is ready" 90 "gateway-$1" curl -fs "http://127.0.0.1:819$1/readyz"
  say "gateway $1 is ready: public 127.0.0.1:809$1, management 127.0.0.1:819$1"
}

# HAProxy sends requests to this gateway: some looks after it is ready.
in_rotation() { curl -fs 'http://127.0.0.1:8404/;csv' | grep -q "^gateways,gateway-$1,.*,UP,"; }

# Keeps one private server: runs `sh ./run` in the folder, does what it is told, and when its input ends, because whoever
# owns it let go or died, ends every process of the server and removes the folder.
#
# usage: sh -c THIS keeper FOLDER COMMAND...   input: a word or two a line; output: one line for each.
set -u
folder=$1
shift
server=
held=
cd "$folder" || exit 1

# The server's processes. Backends of PostgreSQL have sessions of their own, so a process group would not hold them all.
all() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$server" '
    { pid = $1; sub(/^.*\) /, ""); if ($1 != "Z" && $1 != "X") parent[pid] = $2 }
    END {
      for (pid in parent) {
        at = pid
        while (at != root && at in parent) at = parent[at]
        if (at == root) print pid
      }
    }' | sort -n
}

# Stops them all. Looks again until none was born meanwhile.
stop() {
  held=
  while
    now=$(all)
    [ "$now" != "$held" ]
  do
    held=$now
    [ -z "$held" ] || kill -STOP $held 2>/dev/null
  done
}

alive() {
  for pid in $1; do
    { read -r line <"/proc/$pid/stat"; } 2>/dev/null || continue
    case ${line##*) } in Z* | X*) ;; *) return 0 ;; esac
  done
  return 1
}

# Until the processes in $1 are gone, at most a minute.
gone() {
  tries=0
  while alive "$1"; do
    tries=$((tries + 1))
    [ $tries -lt 3000 ] || return 1
    sleep 0.02
  done
}

finish() {
  [ -n "$server" ] || return 0
  stop
  [ -z "$held" ] || kill -KILL $held 2>/dev/null
  gone "$held"
  wait "$server" 2>/dev/null
  server=
}

leave() {
  finish
  cd /
  # A process that lost its parent earlier may write a last time meanwhile.
  tries=0
  until rm -rf -- "$folder" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || exit 1
    sleep 0.1
  done
  exit 0
}
trap leave TERM INT HUP

while read -r word signal; do
  case $word in
    run)
      finish
      "$@" </dev/null >>log 2>&1 &
      server=$!
      echo "$server"
      ;;
    kill)
      finish
      echo killed
      ;;
    end)
      if [ -n "$server" ]; then
        before=$(all)
        kill "-$signal" "$server" 2>/dev/null
        gone "$server"
        finish
        # What it left behind belongs to nobody now.
        [ -z "$before" ] || kill -KILL $before 2>/dev/null
        gone "$before"
      fi
      echo ended
      ;;
    freeze)
      [ -z "$server" ] || stop
      echo frozen
      ;;
    thaw)
      [ -z "$server" ] || kill -CONT $(all) 2>/dev/null
      echo thawed
      ;;
    look)
      if [ -n "$server" ] && alive "$server"; then echo $(all); else echo; fi
      ;;
  esac
done
leave

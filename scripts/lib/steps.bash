# Steps shown to the user: one line each with the elapsed seconds; their output goes to a log.
# Sourced by scripts/setup. It doesn't know what is being set up.

log=${XDG_STATE_HOME:-$HOME/.local/state}/assistant/setup.log
running=()  # process groups to end when we are stopped

say() { printf '%s\n' "$*" >&2 || true; } # the terminal may be gone

# fail PROBLEM NEXT-STEP: print one sentence each, and where the full output is.
fail() {
  say "$1"
  say "$2"
  [[ -s $log ]] && say "The full output is in $log."
  exit 1
}

open_log() {
  mkdir -p "$(dirname "$log")"
  : >"$log"
}

# start COMMAND...: in the background, in a process group of its own, so that stopping it stops
# its children too. Its process id is then in $started.
start() {
  set -m
  "$@" </dev/null >>"$log" 2>&1 &
  started=$!
  set +m
  running+=("$started")
}

# follow WHAT PID [NOTE-COMMAND]: show the seconds until PID ends; returns its exit status.
follow() {
  local what=$1 pid=$2 note=${3:-true} began=$SECONDS told=-1 every=20 status=0 seconds
  [[ -t 2 ]] && every=1
  while kill -0 "$pid" 2>/dev/null; do
    seconds=$((SECONDS - began))
    if ((told < 0 || seconds >= told + every)); then
      told=$seconds
      [[ -t 2 ]] && printf '\r\033[K'
      printf '%s ... %s %s' "$what" "$( ((seconds == 0)) || echo "$seconds s")" "$("$note")"
      [[ -t 2 ]] || echo
    fi >&2
    sleep 0.2
  done
  wait "$pid" || status=$?
  [[ -t 2 ]] && printf '\r\033[K' >&2
  ((status == 0)) && say "$what: done in $((SECONDS - began)) s"
  return "$status"
}

# step WHAT COMMAND...: run it to its end; returns its exit status.
step() {
  local what=$1
  shift
  printf '\n=== %s\n' "$what" >>"$log"
  start "$@"
  follow "$what" "$started"
}

# reason: the likeliest cause of the failure that the end of the log shows, as a sentence.
reason() {
  local tail
  tail=$(tail -n 300 "$log" 2>/dev/null || true)
  case $tail in
    *'No space left on device'*) echo 'The disk is full: free 4 GB, then run this again.' ;;
    *'DO NOT MATCH THE HASHES'*)
      echo 'A downloaded package does not match its pin: run this again. If it happens again, do not trust that package index.' ;;
    *'Temporary failure in name resolution'* | *'Failed to resolve'* | *'NewConnectionError'* | *'Network is unreachable'*)
      echo 'The network could not be reached: connect this machine, then run this again.' ;;
    *'No matching distribution found'* | *'Could not find a version'*)
      echo "The package index has no matching file: check the network and pip's configuration (pip config list), then run this again." ;;
    *'Killed signal terminated program'* | *'out of memory'*)
      echo 'There was not enough memory for the compiler: close other programs, then run this again. It resumes where it stopped.' ;;
    *'ensurepip is not'*)
      echo "This Python has no venv module: install it (Debian: apt-get install python3-venv), then run this again." ;;
    *'CMAKE_CXX_COMPILER'*)
      echo 'There is no C++ compiler: install one (Debian: apt-get install g++), then run this again.' ;;
    *) echo 'Run this again. It resumes where it stopped.' ;;
  esac
}

stop_running() {
  local pid
  for pid in ${running[@]+"${running[@]}"}; do
    kill -TERM -- "-$pid" 2>/dev/null || true
  done
}

trap stop_running EXIT
trap 'say; say "Stopped. Run this again to resume where it stopped."; exit 130' INT
trap 'exit 143' TERM

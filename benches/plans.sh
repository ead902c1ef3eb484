#!/usr/bin/env bash
# Measures a plan of many groups: how long each command on it takes, how much memory it needs at its peak, and how soon
# the page shows its first screen and each next one. Needs bash, awk, curl and GNU time. A plan is made of what Marketo
# says now, so a sandbox on this machine takes Marketo's place; nobody else is called.
# Usage: benches/plans.sh [GROUPS]   (about 100,000 by default)
# With PROGRAM=FILE that program is measured, and nothing is built. With KEEP=FOLDER the files stay there, and what a
# run before it made of the same number of groups is used again.
set -euo pipefail
cd "$(dirname "$0")/.."

groups=${1:-100000}
goal_megabytes=200
goal_first=1
goal_next=0.1

if ! /usr/bin/time --version 2>&1 | grep -q GNU; then
  echo "plans.sh needs GNU time as /usr/bin/time (the package is called time)" >&2
  exit 1
fi

program=${PROGRAM:-}
if [ -z "$program" ]; then
  cargo build --release --quiet
  program="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release/mkto-audit"
fi
program=$(realpath "$program")
folder=${KEEP:-$(mktemp -d)}
mkdir -p "$folder"
folder=$(realpath "$folder")
sandbox=0
page=0
end() {
  [ "$page" = 0 ] || kill -INT "$page" 2>/dev/null || true
  [ "$sandbox" = 0 ] || kill -INT "$sandbox" 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$folder"
}
trap end EXIT
cd "$folder"

# Fills `run` with the program and nothing of this machine's settings; a sandbox has room for as many calls as a plan takes.
run=()
set_run() {
  run=(env -i HOME="$folder" PATH="$PATH" MARKETO_BASE_URL="$(cat address)" MARKETO_CLIENT_ID="$(cat id)"
    MARKETO_CLIENT_SECRET="$(cat secret)" MKTO_AUDIT__LIMITS__CALLS=100000 MKTO_AUDIT__LIMITS__DAILY_CALLS=10000000
    MKTO_AUDIT_CLOCK_SPEED=600 MKTO_AUDIT_BY=Ada "$@" "$program" --db "$folder/cache.db")
}
missed=0

# Prints a figure beside its goal: NAME FIGURE UNIT GOAL.
beside() {
  local verdict=met
  if awk -v is="$2" -v goal="$4" 'BEGIN { exit !(is > goal) }'; then
    verdict=MISSED
    missed=1
  fi
  printf '%-34s %8s %s; goal: at most %s %s, %s\n' "$1" "$2" "$3" "$4" "$3" "$verdict"
}

# Runs a command, and prints its time, and its peak of memory beside the goal: EXIT-CODE ARGUMENT...
measure() {
  local expected=$1 code=0
  shift
  /usr/bin/time -v -o time.txt "${run[@]}" "$@" >output.txt 2>errors.txt || code=$?
  if [ "$code" != "$expected" ]; then
    echo "$* ended with exit code $code:" >&2
    tail -n 5 errors.txt >&2
    head -n 5 output.txt >&2
    exit 1
  fi
  read -r seconds megabytes < <(awk -F': ' '
    /Elapsed/ { n = split($NF, part, ":"); seconds = 0; for (i = 1; i <= n; i++) seconds = seconds * 60 + part[i] }
    /Maximum resident/ { megabytes = $NF / 1000 }
    END { printf "%.2f %.0f\n", seconds, megabytes }' time.txt)
  beside "$(echo "$*" | cut -c 1-33)" "$megabytes" MB "$goal_megabytes"
  printf '%-34s %8s s\n' "" "$seconds"
}

start_sandbox() {
  # Of the leads that a sandbox makes, so many are in groups that can be decided about.
  "$program" sandbox --listen 127.0.0.1:0 --leads $((groups * 27 / 10)) --duplicates 0.96 --race-window 0s \
    --rate-limit 1000000 --concurrency 100 --daily-quota 100000000 --daily-export 100000000000 \
    --knob clock_speed=600 >exports 2>sandbox.txt &
  sandbox=$!
  for _ in $(seq 600); do
    grep -q SECRET exports && break
    sleep 0.1
  done
  sed -n 's/^export MARKETO_BASE_URL=//p' exports >address
  sed -n 's/^export MARKETO_CLIENT_ID=//p' exports >id
  sed -n 's/^export MARKETO_CLIENT_SECRET=//p' exports >secret
}

# The seconds of a request to the page: URL CURL-ARGUMENT...
ask() {
  local url=$1
  shift
  curl --silent --show-error --fail --output answer.json --write-out '%{time_total}\n' "$@" "$url"
}

# What a browser asks for before it shows something.
measure_page() {
  "${run[@]}" review first --no-open >link.txt 2>review.txt &
  page=$!
  for _ in $(seq 300); do
    grep -q '#' link.txt && break
    sleep 0.1
  done
  local link address token
  link=$(grep '#' link.txt)
  address=${link%%/review*}
  token=${link##*#}
  local session first
  first=$(
    ask "$address/review"
    ask "$address/review.css"
    ask "$address/review.js"
    ask "$address/api/session" -X POST -H "origin: $address" -H "x-mkto-token: $token"
  )
  session=$(sed 's/.*"session": *"\([^"]*\)".*/\1/' answer.json)
  local who=(-H "x-mkto-session: $session")
  first="$first
$(ask "$address/api/plan" "${who[@]}")
$(ask "$address/api/cards?tab=safe&count=25" "${who[@]}")"
  beside "page: first screen" "$(echo "$first" | awk '{ all += $1 } END { printf "%.3f", all }')" s $goal_first
  local what
  for what in "tab=safe&after=24" "tab=safe&after=$((groups / 2))" "tab=safe&after=$((groups * 9 / 10))" "tab=decide" \
    "tab=safe&search=smith" "tab=safe&risk=green" "tab=safe&cause=race" "tab=safe&domain=example.com"; do
    beside "page: $what" "$(ask "$address/api/cards?$what&count=25" "${who[@]}")" s $goal_next
  done
  beside "page: its sums again" "$(ask "$address/api/plan" "${who[@]}")" s $goal_next
  local megabytes
  megabytes=$(awk '/VmHWM/ { printf "%.0f", $2 / 1000 }' "/proc/$page/status")
  beside "page: peak of memory" "$megabytes" MB "$goal_megabytes"
  kill -INT "$page"
  wait "$page" || true
  page=0
}

if [ -e made ]; then
  set_run
else
  start_sandbox
  set_run
  measure 0 scan
  measure 0 plan create --name first
  # Another one, in which another record of each race stays.
  set_run MKTO_AUDIT__CAUSE__RACE__WINNER__ORDER=newest
  measure 0 plan create --name second
  set_run
  touch made
fi
"${run[@]}" plan list

measure 0 merge --plan first
measure 0 merge --plan first --json
measure_page
measure 0 plan show first
measure 0 plan show first --json
measure 0 plan list
measure 0 plan diff first second
for file in first.csv first.xlsx first.html; do
  measure 0 plan export "$file"
done

# Somebody decides about every group in the file, and it is taken back.
awk -v RS='\r\n' -v ORS='\r\n' -F, -v OFS=, '
  # Not where a value goes on in the next line.
  /^[0-9]+,,(yes)?,[0-9]+,(yes|no),(green|amber|red),/ && $1 != last { last = $1; $2 = "merge" }
  { print }' first.csv >decided.csv
measure 0 plan import first.csv --by Bo
measure 0 plan import first.xlsx --by Bo
measure 0 plan import decided.csv --by Bo
measure_page
measure 0 merge --plan first
measure 0 plan list
measure 0 plan approve first --by Cy
exit $missed

#!/usr/bin/env bash
# Measures whole processes: how long `scan --file` and `report` take on a big instance, and how much memory they need at
# their peak. Needs bash, awk and GNU time; calls nobody. Usage: benches/end_to_end.sh [LEADS]   (2,000,000 by default)
set -euo pipefail
cd "$(dirname "$0")/.."

leads=${1:-2000000}
goal_seconds=2
goal_megabytes=300

if ! /usr/bin/time --version 2>&1 | grep -q GNU; then
  echo "end_to_end.sh needs GNU time as /usr/bin/time (the package is called time)" >&2
  exit 1
fi

cargo build --release --quiet
program="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/release/mkto-audit"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Runs a command with nothing of this machine's settings, and leaves "SECONDS MEGABYTES" in the file `measured`.
measure() {
  env -i HOME="$folder" PATH="$PATH" /usr/bin/time -v -o time.txt "$program" --db "$folder/cache.db" "$@" >output.txt 2>errors.txt || {
    cat errors.txt >&2
    exit 1
  }
  awk -F': ' '
    /Elapsed/ { n = split($NF, part, ":"); seconds = 0; for (i = 1; i <= n; i++) seconds = seconds * 60 + part[i] }
    /Maximum resident/ { megabytes = $NF / 1000 }
    END { printf "%.2f %.0f\n", seconds, megabytes }' time.txt >measured
}

# 3% of the leads are in groups; emails are in no order.
awk -v leads="$leads" 'BEGIN {
  print "id,email,firstName,lastName,company,createdAt,updatedAt,originalSourceType,leadPartitionId,unsubscribed"
  for (id = 1; id <= leads; id++) {
    person = id % 67 == 0 ? id - 1 : id
    scattered = (person * 7919) % 1000003
    printf "%d,p%06d.%d@example.com,Ada,Byron %d,Analytical Engines,2024-05-06T07:08:09Z,2025-05-06T07:08:09Z,List import,1,false\n",
      id, scattered, person, person
  }
}' >leads.csv

missed=0
measure scan --file leads.csv
read -r seconds megabytes <measured
echo "scan --file of $leads leads: $seconds s, $megabytes MB at the peak"

for arguments in "report" "report --json" "report --csv"; do
  # The words of each are its arguments.
  # shellcheck disable=SC2086
  measure $arguments
  read -r seconds megabytes <measured
  verdict=met
  if awk -v s="$seconds" -v m="$megabytes" -v gs=$goal_seconds -v gm=$goal_megabytes 'BEGIN { exit !(s > gs || m > gm) }'; then
    verdict=MISSED
    missed=1
  fi
  echo "$arguments on $leads cached leads: $seconds s, $megabytes MB at the peak;" \
    "goal: at most $goal_seconds s and $goal_megabytes MB, $verdict"
done
exit $missed

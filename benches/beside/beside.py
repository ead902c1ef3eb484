#!/usr/bin/env python3
"""mkto-audit beside DuckDB and polars on the same file of leads.

Usage: benches/beside/beside.py [LEADS ...]   (2000000 and 10000000 by default)

Makes the file (1.5 GB for ten million leads, and as much again for each program's database) in a temporary folder, puts
DuckDB and polars into a virtual environment there, runs the programs in turns (A B A B), and prints medians of their
wall time and peak memory, and their ratios: on a busy machine trust the ratios. Needs awk and cargo; calls nobody but
the package registry. Ends with 1 where a goal is missed.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUNS = int(os.environ.get("RUNS", "3"))


def build():
    """The program and the bare parse, as release binaries."""
    cargo = ["cargo", "build", "--release", "--quiet"]
    subprocess.run([*cargo, "--locked", "--bin", "mkto-audit"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    parse = target / "parse"
    subprocess.run([*cargo, "--target-dir", parse], cwd=HERE / "parse", check=True)
    return target / "release" / "mkto-audit", parse / "release" / "parse"


def measure(commands, folder):
    """Seconds and megabytes of some processes, one after the other; the memory is that of the largest."""
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    seconds, megabytes = 0.0, 0.0
    for command in commands:
        begun = time.monotonic()
        with open(folder / "output.txt", "w+b") as output:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            seconds += time.monotonic() - begun
            if status != 0:
                output.seek(0)
                sys.exit(f"{command} failed: {output.read().decode(errors='replace')}")
        scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
        megabytes = max(megabytes, usage.ru_maxrss / scale)
    return seconds, megabytes


def side_by_side(ways, folder):
    """Medians of each way, in turns."""
    measured = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, prepare_and_commands in ways.items():
            prepare, commands = prepare_and_commands
            prepare()
            measured[name].append(measure(commands, folder))
    # A ratio is that of runs beside each other; the median of ratios forgives a machine whose speed drifts.
    first = next(iter(ways))
    for name, runs in measured.items():
        seconds = statistics.median(run[0] for run in runs)
        megabytes = statistics.median(run[1] for run in runs)
        time_ratio = statistics.median(ours[0] / run[0] for ours, run in zip(measured[first], runs))
        memory_ratio = statistics.median(ours[1] / run[1] for ours, run in zip(measured[first], runs))
        print(f"  {name:28} {seconds:8.2f} s {megabytes:8.0f} MB   ours / this: {time_ratio:.2f} {memory_ratio:.3f}")
        yield name, (seconds, megabytes, time_ratio, memory_ratio)


def main():
    sizes = [int(size) for size in sys.argv[1:]] or [2_000_000, 10_000_000]
    program, parse = build()
    missed = []

    def goal(words, value, at_most):
        met = value <= at_most
        print(f"  {words}: {value:.2f}, goal at most {at_most}: {'met' if met else 'MISSED'}")
        if not met:
            missed.append(words)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "duckdb", "polars"], check=True)
        for leads in sizes:
            file, cache = folder / f"{leads}.csv", folder / "cache.db"
            with open(file, "wb") as out:
                subprocess.run(["awk", "-v", f"leads={leads}", "-f", HERE / "leads.awk"], stdout=out, check=True)
            ours = [program, "--db", cache]
            forget = lambda: cache.unlink(missing_ok=True)
            nothing = lambda: None
            load_and_report = [[*ours, "scan", "--file", file], [*ours, "report"]]
            duckdb = [[python, HERE / "duckdb_load.py", file, folder / "duck.db"]]
            print(f"{leads:,} leads, {file.stat().st_size / 1e6:,.0f} MB; load into a database, and the first report:")
            ways = {"mkto-audit": (forget, load_and_report), "DuckDB": (nothing, duckdb)}
            if leads <= 10_000_000:
                ways["polars, no database"] = (nothing, [[python, HERE / "polars_group.py", file]])
            figures = dict(side_by_side(ways, folder))
            goal("time of load and report, of DuckDB's", figures["DuckDB"][2], 0.6)
            goal("memory, of DuckDB's", figures["DuckDB"][3], 0.125)
            if leads >= 20_000_000:
                goal("seconds of load and report", figures["mkto-audit"][0], 70)
                goal("megabytes", figures["mkto-audit"][1], 150)
            print(" scan --file beside the bare parse:")
            ways = {"scan --file": (forget, load_and_report[:1]), "bare parse": (nothing, [[parse, file]])}
            goal("times the bare parse", dict(side_by_side(ways, folder))["bare parse"][2], 3)
            print(" reports:")
            asked = f"P{7919:06}.1@example.com"
            reports = {
                "report": ["report"],
                "report --email": ["report", "--email", asked],
                "report --domain": ["report", "--domain", "nowhere.example"],
                "report --json": ["report", "--json"],
                "report --csv": ["report", "--csv", "out.csv"],
                "report --html": ["report", "--html", "out.html"],
            }
            ways = {name: (nothing, [[*ours, *arguments]]) for name, arguments in reports.items()}
            figures = dict(side_by_side(ways, folder))
            if leads == 2_000_000:
                goal("seconds of a report", figures["report"][0], 0.3)
            goal("megabytes of a report at most", max(figure[1] for figure in figures.values()), 150)
            file.unlink()
            forget()
            (folder / "duck.db").unlink()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

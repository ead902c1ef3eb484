#!/usr/bin/env python3
"""mkto-audit beside DuckDB and polars on the same file of leads.

Makes the file (1.5 GB for ten million leads, and as much again for each program's database) in a temporary folder, puts
DuckDB and polars into a virtual environment there, runs the programs in turns (A B A B), and prints medians of their wall
time, CPU time (user and system) and peak memory, and their ratios: on a busy machine trust the ratios, and those of the CPU
time most. Needs awk and cargo; calls nobody but the package registries. Ends with 1 where a goal is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Run(NamedTuple):
    """What a run took, or how many times as much as another one."""

    wall: float
    cpu: float
    megabytes: float


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("leads", nargs="*", type=int, default=[2_000_000, 10_000_000], help="sizes (2000000 10000000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program, in turns (3)")
    parser.add_argument("--folder", type=Path, help="where the files go; by default the folder for temporary files")
    parser.add_argument("--program", type=Path, help="a mkto-audit that is built already")
    parser.add_argument("--parse", type=Path, help="a bare parse (`beside/parse`) that is built already")
    parser.add_argument("--python", type=Path, help="a Python that has DuckDB and polars already")
    parser.add_argument("--no-polars", action="store_true", help="leave polars out, which holds the file in memory")
    parser.add_argument("--no-duckdb", action="store_true", help="leave DuckDB out")
    return parser.parse_args()


def build(chosen):
    """The program and the bare parse, as release binaries."""
    cargo = ["cargo", "build", "--release", "--quiet"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    program, parse = chosen.program, chosen.parse
    if program is None:
        subprocess.run([*cargo, "--locked", "--bin", "mkto-audit"], cwd=ROOT, check=True)
        program = target / "release" / "mkto-audit"
    if parse is None:
        subprocess.run([*cargo, "--target-dir", target / "parse"], cwd=HERE / "parse", check=True)
        parse = target / "parse" / "release" / "parse"
    return program.resolve(), parse.resolve()


def measure(commands, folder):
    """Some processes, one after the other; the memory is that of the largest."""
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    wall, cpu, megabytes = 0.0, 0.0, 0.0
    for command in commands:
        begun = time.monotonic()
        with open(folder / "output.txt", "w+b") as output:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            wall += time.monotonic() - begun
            if status != 0:
                output.seek(0)
                sys.exit(f"{command} failed: {output.read().decode(errors='replace')}")
        cpu += usage.ru_utime + usage.ru_stime
        scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
        megabytes = max(megabytes, usage.ru_maxrss / scale)
    return Run(wall, cpu, megabytes)


def side_by_side(ways, folder, runs):
    """Medians of each way in turns, and how many times as much the first way takes."""
    measured = {name: [] for name in ways}
    for _ in range(runs):
        for name, (prepare, commands) in ways.items():
            prepare()
            measured[name].append(measure(commands, folder))
    figures = {}
    first = next(iter(measured.values()))
    print(f"  {'':28} {'wall':>10} {'CPU':>10} {'memory':>10}   first / this: wall, CPU, memory")
    for name, of_name in measured.items():
        median = Run(*map(statistics.median, zip(*of_name)))
        # A ratio is that of runs beside each other; the median of ratios forgives a machine whose speed drifts.
        times = [Run(*(a / b for a, b in zip(ours, other))) for ours, other in zip(first, of_name)]
        ratio = Run(*map(statistics.median, zip(*times)))
        print(
            f"  {name:28} {median.wall:8.2f} s {median.cpu:8.2f} s {median.megabytes:7.0f} MB"
            f"   {ratio.wall:.2f} {ratio.cpu:.2f} {ratio.megabytes:.3f}",
            flush=True,
        )
        figures[name] = (median, ratio)
    return figures


class Goals:
    """What was promised, and what of it is missed."""

    def __init__(self):
        self.missed = []

    def check(self, words, value, at_most):
        met = value <= at_most
        print(f"  {words}: {value:.2f}, goal at most {at_most}: {'met' if met else 'MISSED'}", flush=True)
        if not met:
            self.missed.append(words)


def load(chosen, goals, ours, python, file, folder, forget):
    """Load into a database, and the first report."""
    ways = {"mkto-audit": (forget, [[*ours, "scan", "--file", file], [*ours, "report"]])}
    nothing = lambda: None
    if not chosen.no_duckdb:
        ways["DuckDB"] = (nothing, [[python, HERE / "duckdb_load.py", file, folder / "duck.db"]])
    if not chosen.no_polars:
        ways["polars, no database"] = (nothing, [[python, HERE / "polars_group.py", file]])
    figures = side_by_side(ways, folder, chosen.runs)
    if "DuckDB" in figures:
        _, ratio = figures["DuckDB"]
        goals.check("wall time of load and report, of DuckDB's", ratio.wall, 0.6)
        goals.check("memory, of DuckDB's", ratio.megabytes, 0.125)
        (folder / "duck.db").unlink()
    return figures["mkto-audit"][0]


def reports(chosen, goals, ours, leads, folder):
    """Every form of report on the cache that was loaded last."""
    asked = f"P{7919:06}.1@example.com"
    forms = {
        "report": ["report"],
        "report --email": ["report", "--email", asked],
        "report --domain": ["report", "--domain", "nowhere.example"],
        "report --cause": ["report", "--cause", "unknown"],
        "report --limit": ["report", "--limit", "200"],
        "report --json": ["report", "--json"],
        "report --csv": ["report", "--csv", "out.csv"],
        "report --html": ["report", "--html", "out.html"],
    }
    ways = {name: (lambda: None, [[*ours, *arguments]]) for name, arguments in forms.items()}
    figures = side_by_side(ways, folder, chosen.runs)
    if leads == 2_000_000:
        goals.check("seconds of a report", figures["report"][0].wall, 0.3)
    goals.check("megabytes of a report", max(median.megabytes for median, _ in figures.values()), 150)


def main():
    chosen = options()
    program, parse = build(chosen)
    goals = Goals()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(temporary)
        # Not resolved: a virtual environment is known by the name of its Python.
        python = chosen.python and chosen.python.absolute()
        if python is None and not (chosen.no_duckdb and chosen.no_polars):
            venv.create(folder / "venv", with_pip=True)
            python = folder / "venv" / "bin" / "python"
            subprocess.run([python, "-m", "pip", "install", "--quiet", "duckdb", "polars"], check=True)
        for leads in chosen.leads:
            file, cache = folder / f"{leads}.csv", folder / "cache.db"
            forget = lambda: cache.unlink(missing_ok=True)
            with open(file, "wb") as out:
                subprocess.run(["awk", "-v", f"leads={leads}", "-f", HERE / "leads.awk"], stdout=out, check=True)
            ours = [program, "--db", cache]
            print(f"{leads:,} leads, {file.stat().st_size / 1e6:,.0f} MB; load into a database, and the first report:")
            loaded = load(chosen, goals, ours, python, file, folder, forget)
            if leads >= 20_000_000:
                goals.check("seconds of load and report", loaded.wall, 70)
                goals.check("megabytes", loaded.megabytes, 150)
            print(" scan --file beside the bare parse:")
            ways = {
                "scan --file": (forget, [[*ours, "scan", "--file", file]]),
                "bare parse": (lambda: None, [[parse, file]]),
            }
            ratio = side_by_side(ways, folder, chosen.runs)["bare parse"][1]
            goals.check("wall time, of the bare parse's", ratio.wall, 3)
            print(" reports:")
            reports(chosen, goals, ours, leads, folder)
            file.unlink()
            forget()
    return 1 if goals.missed else 0


if __name__ == "__main__":
    sys.exit(main())

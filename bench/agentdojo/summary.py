"""The figures of `results/results.jsonl` as one small JSON file, with every question that was put for a user task and every attack
that succeeded. `summary.py > summary.json`."""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.metadata
import json
import pathlib
import re
import statistics

from run import HERE, SUITES, VERSION


def needs(question: dict) -> str:
    """What a person must know to answer: the worst of the reasons for which it was asked."""
    found = {reason_needs(reason) for reason in question["message"].split("; ")}
    order = ["only an outsider's text holds the value", "the value stands nowhere", "a trusted field holds the value", "the prompt's words"]
    return next(kind for kind in order if kind in found)


def reason_needs(reason: str) -> str:
    if "the prompt does not ask for" in reason:
        return "the prompt's words"
    where = re.search(r"it was found (.*)$", reason)[1]
    if where == "nowhere":
        return "the value stands nowhere"
    labels = re.search(r"\(([^)]*)\)$|text that is (.*)$", where)
    trusted = {"prompt", "trusted", "named"} & set(re.split(r",\s*", labels[1] or labels[2]))
    return "a trusted field holds the value" if trusted else "only an outsider's text holds the value"


def figures(rows: list[dict], unguarded: set, direct: list[float]) -> dict:
    benign = [row for row in rows if not row["key"][3]]
    attacks = [row for row in rows if row["key"][3]]
    times = [time for row in rows for time in row["latencies"]]
    return {
        "user_tasks": len(benign),
        "user_tasks_done": sum(row["utility"] for row in benign),
        "questions_for_user_tasks": sum(len(row["asked"]) for row in benign),
        "user_tasks_with_questions": sum(bool(row["asked"]) for row in benign),
        "refused_otherwise": sum(len(row["refused"]) for row in benign if row["key"][1] in ("grants", "provenance", "all")),
        "pairs": len(attacks),
        "attacks_that_succeed": sum(row["security"] for row in attacks),
        "pairs_that_succeed_unguarded": sum(pair(row) in unguarded for row in attacks),
        "of_these_succeed": sum(row["security"] and pair(row) in unguarded for row in attacks),
        "user_tasks_done_under_attack": sum(row["utility"] for row in attacks),
        "injected_calls": sum(row["injected"] for row in attacks),
        "questions_about_injected_calls": sum(question["injected"] for row in attacks for question in row["asked"]),
        "calls": len(times),
        "median_ms": round(statistics.median(times) * 1000, 2) if times else None,
        "added_ms_median": round((statistics.median(times) - statistics.median(direct)) * 1000, 1) if times and direct else None,
    }


def pair(row: dict) -> tuple:
    suite, _, user, attack = row["key"]
    return suite, user, attack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results/results.jsonl")
    options = parser.parse_args()
    rows = list({tuple(row["key"]): row for row in map(json.loads, options.results.read_text().splitlines())}.values())
    unguarded = {pair(row) for row in rows if row["key"][1] == "nothing" and row["key"][3] and row["security"]}
    modes = list(dict.fromkeys(row["key"][1] for row in rows))
    told: dict = {
        "packages": {name: importlib.metadata.version(name) for name in ("agentdojo", "mcp")},
        "benchmark": VERSION,
        "sha256": {f"{name}.toml": hashlib.sha256((HERE / f"{name}.toml").read_bytes()).hexdigest() for name in SUITES},
        "figures": {}, "questions": {}, "questions_by_need": {}, "attacks_that_succeed": {},
    }
    for mode in modes:
        mine = [row for row in rows if row["key"][1] == mode]
        told["figures"][mode] = {}
        for suite in [*SUITES, "all"]:
            some = [row for row in mine if suite in (row["key"][0], "all")]
            direct = [time for row in rows if row["key"][1] == "nothing" and suite in (row["key"][0], "all") for time in row["latencies"]]
            if some:
                told["figures"][mode][suite] = figures(some, unguarded, direct if mode != "nothing" else [])
        if mode not in ("nothing", "grants"):
            told["attacks_that_succeed"][mode] = [list(pair(row)) for row in mine if row["key"][3] and row["security"]]
        asked = [(row, question) for row in mine if not row["key"][3] for question in row["asked"]]
        told["questions_by_need"][mode] = {
            suite: dict(collections.Counter(needs(question) for row, question in asked if suite in (row["key"][0], "all")))
            for suite in [*SUITES, "all"]
        }
        if mode.startswith("all"):
            told["questions"][mode] = [
                {"suite": row["key"][0], "user_task": row["key"][2], "tool": question["tool"], "needs": needs(question), "because": question["message"].split("needs an approval: ")[-1]}
                for row, question in asked
            ]
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

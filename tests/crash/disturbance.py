"""What the tests here share: a run of each scenario that nothing disturbs, and the frame in which many are disturbed, each
in a folder of its own, and gone on with."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time

import scenarios

# How many of each ten runs a scenario gets.
SHARES = {"fit": 3, "fit to JPEG XL": 1, "experiment": 2, "learn": 1, "filter to JPEG": 1, "many": 1, "many to JPEG XL": 1}


class Undisturbed:
    """What a scenario leaves, and how long it takes."""

    def __init__(self, scenario, program, inputs, folder):
        scenario.begin(folder, inputs)
        start = time.monotonic()
        run = subprocess.run(scenario.command(program, folder), cwd=folder, capture_output=True, text=True,
                             timeout=scenarios.TIMEOUT)
        self.seconds = time.monotonic() - start
        if run.returncode != 0:
            sys.exit(f"{scenario.name}: an undisturbed run ended with {run.returncode}: {run.stderr}")
        self.files = {name: scenario.content(folder, name) for name in scenario.finals}
        self.names = names_in(folder)


def names_in(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)


def on_from(scenario, program, folder):
    """The command that a user gives after a disturbance: with --resume where there is a checkpoint, else once more."""
    command = scenario.command(program, folder)
    begun = "--resume" not in command and not scenario.many
    return command + ["--force"] if begun else command


def main(description, word, disturb, counts, files=(), prepare=None):
    """Disturbs --count runs. disturb(scenario, files, expected, inputs, folder, random numbers) is called for each, with
    the paths of `files` behind the program's, and answers with its complaints, what it did, and a number for each of
    `counts`, whose sums are printed. prepare(scenario, files, expected, inputs, folder) has more to find out of the
    undisturbed run."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("program", *files):
        parser.add_argument(name, type=os.path.abspath)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paths = [getattr(arguments, name) for name in ("program", *files)]
    random_numbers = random.Random(arguments.seed)
    known = {scenario.name: scenario for scenario in scenarios.scenarios()}
    turns = [name for name, share in SHARES.items() for _ in range(share)]
    failures, sums, undisturbed = 0, [0] * len(counts), {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = os.path.join(folder, "inputs")
        scenarios.make_inputs(paths[0], inputs)
        for i in range(arguments.count):
            scenario = known[turns[i % len(turns)]]
            if scenario.name not in undisturbed:
                home = os.path.join(folder, scenario.name)
                undisturbed[scenario.name] = Undisturbed(scenario, paths[0], inputs, home)
                if prepare:
                    prepare(scenario, paths, undisturbed[scenario.name], inputs, home)
            complaints, what, numbers = disturb(scenario, paths, undisturbed[scenario.name], inputs,
                                                os.path.join(folder, str(i)), random_numbers)
            sums = [sum(pair) for pair in zip(sums, numbers)]
            failures += len(complaints)
            for complaint in complaints:
                print(f"{word} {i + 1}, {scenario.name}{what}: {complaint}", flush=True)
    told = ", ".join(f"{number} {name}" for number, name in zip(sums, counts))
    print(f"{arguments.count} runs, {told}, {failures} complaints")
    return 1 if failures else 0

#!/usr/bin/env python3
"""Kills runs of the program at random moments and goes on with each, until the bytes are those of an undisturbed run.

usage: power_cuts.py PROGRAM [--count N] [--seed N]

In what a killed run leaves, no file may stand half done under its final name, and its checkpoint, where there is one, is
whole and not behind the one that the run began from. A third of the runs are killed more than once. What the kernel
holds in memory is not lost by a kill, as it would be by a power cut: that each file reaches the disk before its name is
changed is not tested here."""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenarios

# How many of each ten cuts a scenario gets.
SHARES = {"fit": 4, "experiment": 2, "learn": 1, "filter": 1, "many": 2}


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


def run_until(command, folder, seconds):
    """Whether it was killed, and its end else. All of its processes are: the power is gone for each."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
            return False, process.returncode, errors
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True, -signal.SIGKILL, ""


def on_from(scenario, program, folder):
    """The command that a user gives after a cut: with --resume where there is a checkpoint, else once more."""
    command = scenario.command(program, folder)
    begun = "--resume" not in command and scenario.name != "many"
    return command + ["--force"] if begun else command


def one_cut(scenario, program, expected, inputs, folder, random_numbers):
    """The complaints, and whether anything was killed."""
    scenario.begin(folder, inputs)
    complaints, killed = [], 0
    cuts = random_numbers.choice([1, 1, 2])
    command = scenario.command(program, folder)
    for _ in range(cuts):
        before = scenario.reached(folder)
        moment = random_numbers.uniform(0, 1.05 * expected.seconds)
        was_killed, code, errors = run_until(command, folder, moment)
        killed += was_killed
        complaints += [f"{name} is half done after a cut" for name in scenario.whole(folder, expected.files)]
        if not was_killed:
            break
        if scenario.reached(folder) < before:
            complaints.append(f"the checkpoint fell from {before} to {scenario.reached(folder)}")
        command = on_from(scenario, program, folder)
    if killed and was_killed:
        was_killed, code, errors = run_until(command, folder, scenarios.TIMEOUT)
    if was_killed:
        complaints.append("the run that goes on hangs")
    elif code != 0:
        complaints.append(f"the run that goes on ends with {code}: {errors.strip()}")
    else:
        left = [name for name in names_in(folder) if not name.endswith(".tmp")]
        if left != expected.names:
            complaints.append(f"it leaves {left}, not {expected.names}")
        complaints += [f"{name} is not as undisturbed" for name in scenario.finals
                       if name in left and scenario.content(folder, name) != expected.files[name]]
    return complaints, killed > 0, [name for name in names_in(folder) if name.endswith(".tmp")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    random_numbers = random.Random(arguments.seed)
    known = {scenario.name: scenario for scenario in scenarios.scenarios()}
    turns = [name for name, share in SHARES.items() for _ in range(share)]
    failures, killed, leftovers = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        inputs = os.path.join(folder, "inputs")
        scenarios.make_inputs(program, inputs)
        undisturbed = {}
        for i in range(arguments.count):
            scenario = known[turns[i % len(turns)]]
            if scenario.name not in undisturbed:
                undisturbed[scenario.name] = Undisturbed(scenario, program, inputs, os.path.join(folder, scenario.name))
            complaints, was_killed, left = one_cut(scenario, program, undisturbed[scenario.name], inputs,
                                                   os.path.join(folder, str(i)), random_numbers)
            killed += was_killed
            leftovers += len(left)
            for complaint in complaints:
                failures.append(f"cut {i + 1}, {scenario.name}: {complaint}")
                print(failures[-1], flush=True)
    print(f"{arguments.count} runs, {killed} of them killed, {leftovers} temporary files left, {len(failures)} complaints")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Kills runs of the program at random moments and goes on with each, until the bytes are those of an undisturbed run.

usage: power_cuts.py PROGRAM [--count N] [--seed N]

In what a killed run leaves, no file may stand half done under its final name, and its checkpoint, where there is one, is
whole and not behind the one that the run began from. A third of the runs are killed more than once. What the kernel
holds in memory is not lost by a kill, as it would be by a power cut: that each file reaches the disk before its name is
changed is not tested here."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disturbance
import scenarios
from disturbance import names_in, on_from


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


def one_cut(scenario, paths, expected, inputs, folder, random_numbers):
    """The complaints, and whether anything was killed and how many temporary files are left."""
    program = paths[0]
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
    return complaints, "", (killed > 0, sum(name.endswith(".tmp") for name in names_in(folder)))


if __name__ == "__main__":
    sys.exit(disturbance.main(__doc__.splitlines()[0], "cut", one_cut, ("of them killed", "temporary files left")))

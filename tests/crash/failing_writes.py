#!/usr/bin/env python3
"""Runs the program while its writes fail at random calls, as those of a full or a broken disk do, and goes on with what
each run leaves, until the bytes are those of an undisturbed run.

usage: failing_writes.py PROGRAM SHIM --count N --seed N

SHIM is the library of shim.cpp. Each run ends well or with one message that names the reason; it leaves no file half
done under its final name, and no temporary one."""

import argparse
import errno
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import scenarios
from power_cuts import SHARES, Undisturbed, names_in, on_from

# What fails: the errno, and how.
KINDS = [
    ("full disk", {"HG_SHIM_ERROR": errno.ENOSPC, "HG_SHIM_LASTING": 1}),
    ("full disk, half written", {"HG_SHIM_ERROR": errno.ENOSPC, "HG_SHIM_LASTING": 1, "HG_SHIM_SHORT": 1}),
    ("full for a moment", {"HG_SHIM_ERROR": errno.ENOSPC}),
    ("broken disk", {"HG_SHIM_ERROR": errno.EIO, "HG_SHIM_LASTING": 1}),
    ("broken for a moment", {"HG_SHIM_ERROR": errno.EIO}),
    ("short write", {"HG_SHIM_ERROR": errno.EIO, "HG_SHIM_SHORT": 1}),
    ("limited files", None),
]


def limit_files(size):
    """For a process: no file grows beyond that size. What stdio writes fails by this too."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def run(command, folder, shim, settings=None, size=None):
    environment = dict(os.environ)
    if settings is not None:
        environment["LD_PRELOAD"] = shim
        environment.update({name: str(value) for name, value in settings.items()})
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=scenarios.TIMEOUT, preexec_fn=limit_files(size) if size is not None else None)


def messages_of(run):
    return [line for line in run.stderr.splitlines()
            if line.startswith("hourglass: ") and not line.startswith(("hourglass: warning", "hourglass: note"))]


def check_end(scenario, run, reasons):
    """What is wrong with how a disturbed run ended."""
    if run.returncode == 0:
        return []
    if run.returncode == 3 and scenario.name == "many":
        told = run.stderr
    elif run.returncode == 1:
        messages = messages_of(run)
        if len(messages) != 1 and not (messages and scenario.name == "many"):  # where each file may have its own
            return [f"it ends with {len(messages)} messages: {run.stderr}"]
        told = messages[-1]
    else:
        return [f"it ends with {run.returncode}: {run.stderr}"]
    return [] if any(reason in told for reason in reasons) else [f"its message does not say why: {told}"]


def one_failure(scenario, program, shim, expected, calls, inputs, folder, random_numbers):
    scenario.begin(folder, inputs)
    name, settings = KINDS[random_numbers.randrange(len(KINDS))]
    command = scenario.command(program, folder)
    if settings is None:
        size = random_numbers.randrange(1, 1 << random_numbers.randrange(1, 21))
        disturbed = run(command, folder, shim, size=size)
        reasons, where = [os.strerror(errno.EFBIG)], f"of {size} bytes"
    else:
        at = random_numbers.randrange(1, calls + 1)
        disturbed = run(command, folder, shim, {**settings, "HG_SHIM_AT": at})
        reasons, where = [os.strerror(settings["HG_SHIM_ERROR"])], f"at call {at}"
    complaints = check_end(scenario, disturbed, reasons)
    complaints += [f"{file} is half done" for file in scenario.whole(folder, expected.files)]
    complaints += [f"{file} is left" for file in names_in(folder) if file.endswith(".tmp")]
    scenario.reached(folder)
    whole = [file for file in scenario.finals if os.path.exists(os.path.join(folder, file))
             and scenario.content(folder, file) == expected.files[file]]
    if disturbed.returncode == 0 and len(whole) < len(expected.files):
        missing = sorted(set(scenario.finals) - set(whole))
        if not all(os.path.basename(file) in disturbed.stderr for file in missing):
            complaints.append(f"it ends well without a word of {missing}: {disturbed.stderr}")
    rest = run(on_from(scenario, program, folder), folder, shim)
    if rest.returncode != 0:
        complaints.append(f"the run that goes on ends with {rest.returncode}: {rest.stderr}")
    else:
        complaints += [f"{file} is not as undisturbed" for file in scenario.finals
                       if scenario.content(folder, file) != expected.files[file]]
        if names_in(folder) != expected.names:
            complaints.append(f"it leaves {names_in(folder)}, not {expected.names}")
    return f"{name} {where}", complaints, disturbed.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("shim")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program, shim = os.path.abspath(arguments.program), os.path.abspath(arguments.shim)
    random_numbers = random.Random(arguments.seed)
    known = {scenario.name: scenario for scenario in scenarios.scenarios()}
    turns = [name for name, share in SHARES.items() for _ in range(share)]
    failures, refused, undisturbed = [], 0, {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = os.path.join(folder, "inputs")
        scenarios.make_inputs(program, inputs)
        for i in range(arguments.count):
            scenario = known[turns[i % len(turns)]]
            if scenario.name not in undisturbed:
                home = os.path.join(folder, scenario.name)
                expected = Undisturbed(scenario, program, inputs, home)
                count = os.path.join(folder, "count")
                scenario.begin(home + "-counted", inputs)
                run(scenario.command(program, home + "-counted"), home + "-counted", shim, {"HG_SHIM_COUNT": count})
                undisturbed[scenario.name] = expected, os.path.getsize(count)
                os.remove(count)
            expected, calls = undisturbed[scenario.name]
            what, complaints, code = one_failure(scenario, program, shim, expected, calls, inputs,
                                                 os.path.join(folder, str(i)), random_numbers)
            refused += code != 0
            for complaint in complaints:
                failures.append(f"failure {i + 1}, {scenario.name}, {what}: {complaint}")
                print(failures[-1], flush=True)
    print(f"{arguments.count} runs, {refused} of them ended with an error, {len(failures)} complaints")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs the program while its writes fail at random calls, as those of a full or a broken disk do, and goes on with what
each run leaves, until the bytes are those of an undisturbed run.

usage: failing_writes.py PROGRAM SHIM --count N --seed N

SHIM is the library of shim.cpp. Each run ends well or with one message that names the reason; it leaves no file half
done under its final name, and no temporary one."""

import errno
import os
import resource
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import disturbance
import scenarios
from disturbance import names_in, on_from

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
    if run.returncode == 3 and scenario.many:
        told = run.stderr
    elif run.returncode == 1:
        messages = messages_of(run)
        if len(messages) != 1 and not (messages and scenario.many):  # where each file may have its own
            return [f"it ends with {len(messages)} messages: {run.stderr}"]
        told = "\n".join(messages)
    else:
        return [f"it ends with {run.returncode}: {run.stderr}"]
    return [] if any(reason in told for reason in reasons) else [f"its message does not say why: {told}"]


def count_calls(scenario, paths, expected, inputs, folder):
    """How many calls of an undisturbed run can fail."""
    program, shim = paths
    counted, count = folder + "-counted", folder + "-count"
    scenario.begin(counted, inputs)
    run(scenario.command(program, counted), counted, shim, {"HG_SHIM_COUNT": count})
    expected.calls = os.path.getsize(count)


def one_failure(scenario, paths, expected, inputs, folder, random_numbers):
    """The complaints, what failed, and whether the run ended with an error."""
    program, shim = paths
    scenario.begin(folder, inputs)
    name, settings = KINDS[random_numbers.randrange(len(KINDS))]
    command = scenario.command(program, folder)
    if settings is None:
        size = random_numbers.randrange(1, 1 << random_numbers.randrange(1, 21))
        disturbed = run(command, folder, shim, size=size)
        reasons, where = [os.strerror(errno.EFBIG)], f"of {size} bytes"
    else:
        at = random_numbers.randrange(1, expected.calls + 1)
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
    return complaints, f", {name} {where}", (disturbed.returncode != 0,)


if __name__ == "__main__":
    sys.exit(disturbance.main(__doc__.splitlines()[0], "failure", one_failure, ("of them ended with an error",), ("shim",),
                              count_calls))

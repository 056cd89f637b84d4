#!/usr/bin/env python3
"""Whether runs keep to --memory-limit: each command says what it needs when it refuses; given exactly that much, it holds
no more than that, within 5 %, and it needs no more than twice of what it takes then. A picture of 24 megapixels is
interrupted in its first tile: the others are filtered in the same memory, and the result is written as always.

usage: memory_limit_test.py PROGRAM [PART-OF-A-CASE'S-NAME...]"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import picture

TOLERANCE, WASTE = 1.05, 2
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")

FIT = ["--method", "fit", "--iterations", "2", "--learning-rate", "0.01"]
# The input, by what `degrade` makes of a picture of that size, and the command that gets it. Of the words, {folder} is the
# case's own, where mask.png holds one of half the picture's pixels, and {data} the tests' data. The result is a PNG where the
# command names none.
CASES = [
    ("gray JPEG, filter", (640, 480, 1), ["--quality", "30"], ["restore", "--fast"]),
    ("4:2:0 JPEG, filter", (400, 300, 3), ["--quality", "20"], ["restore", "--fast"]),
    ("4:4:4 JPEG, filter", (333, 250, 3), ["--quality", "60", "--subsampling", "444"], ["restore", "--fast"]),
    ("progressive JPEG, filter", (320, 320, 3), ["--quality", "40", "--progressive"], ["restore", "--fast"]),
    ("PNG of 16 bits, filter", (300, 200, 3, 16), None, ["denoise", "--method", "filter", "--sigma", "10"]),
    ("PNG of 8 bits, noise by learning", (1500, 1000, 3, 8), None, ["denoise", "--lessons", "2", "--sigma", "10"]),
    ("4:2:0 JPEG, filter, to JPEG XL", (400, 300, 3), ["--quality", "20"],
     ["restore", "--fast", "-o", "{folder}/out.jxl"]),
    ("gray JPEG, filter, to JPEG XL", (900, 700, 1), ["--quality", "20"],
     ["restore", "--fast", "--bit-depth", "16", "-o", "{folder}/out.jxl"]),
    ("gray JPEG, filter, to JPEG", (640, 480, 1), ["--quality", "20"], ["restore", "--fast", "-o", "{folder}/out.jpg"]),
    ("gray JPEG, learn", (200, 160, 1), ["--quality", "20"], ["restore", "--lessons", "2"]),
    ("4:2:0 JPEG, learn", (200, 160, 3), ["--quality", "20"], ["restore", "--lessons", "2"]),
    ("4:2:0 JPEG, another network learns", (700, 500, 3), ["--quality", "20"],
     ["restore", "--lessons", "2", "--model", "{data}/onnx/skip_17_eval.onnx"]),
    ("gray JPEG, another network learns", (300, 200, 1), ["--quality", "20"],
     ["restore", "--lessons", "2", "--model", "{data}/onnx/skip_17_training.onnx"]),
    ("a JPEG too small to learn from", (40, 32, 3), ["--quality", "20"], ["restore", "--lessons", "2"]),
    ("4:2:0 JPEG, fit in f32", (160, 128, 3), ["--quality", "20"], ["restore", "--precision", "f32"] + FIT),
    ("4:2:0 JPEG, fit in what suits the CPU", (160, 128, 3), ["--quality", "20"], ["restore"] + FIT),
    ("gray JPEG, two fits at once", (96, 96, 1), ["--quality", "20"], ["restore", "--runs", "2", "--at-once", "2"] + FIT),
    ("PNG of 16 bits, fit", (128, 96, 3, 16), None, ["denoise"] + FIT),
    ("PNG, a larger network", (96, 64, 1), None, ["upscale", "--factor", "2", "--model", "medium"] + FIT[2:]),
    ("PNG, inpaint", (96, 64, 3), None, ["inpaint", "--mask", "{folder}/mask.png"] + FIT[2:]),
    ("PNG, experiment", (128, 96, 1), None,
     ["experiment", "--quality", "20", "--model", "small", "--iterations", "2", "--learning-rate", "0.01"]),
    ("4:2:0 JPEG, fit in tiles", (1400, 1000, 3), ["--quality", "20"], ["restore"] + FIT),
    ("4:2:0 JPEG, fit of a large network in tiles", (700, 700, 3), ["--quality", "20"],
     ["restore", "--model", "standard"] + FIT),
    ("24 megapixels, filter", (6000, 4000, 3), ["--quality", "20"], ["restore", "--fast"]),
    ("bench", (0, 0), None, ["bench", "iteration", "--model", "small", "--size", "160x128", "--iterations", "1"]),
]


# Pictures larger than this are filtered in tiles, and interrupted once so much of the work is done.
WHOLE_SIDE, BEGUN = 2048, 0.02


def peak_of(command, folder, until=None):
    """The exit code, the most memory that it held in bytes, and what it said. until: the share of the filter's work that is
    done when it is interrupted."""
    more = [] if until is None else ["--json"]
    with subprocess.Popen(command + more, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in process.stdout if until is not None else []:
            event = json.loads(line)
            if event.get("stage") == "filter" and event["share"] >= until:
                process.send_signal(signal.SIGINT)
                until = 2
        process.stdout.read()
        errors = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_maxrss * 1024, errors


def command_of(program, folder, case):
    _, size, degraded, command = case
    command = [program] + [word.format(folder=folder, data=DATA) for word in command] + ["--threads", "2"]
    if command[1] == "bench":
        return command
    png, jpeg = os.path.join(folder, "in.png"), os.path.join(folder, "in.jpg")
    picture.write_png(png, *size)
    if degraded is not None:
        subprocess.run([program, "degrade", png, "-o", jpeg, "--force"] + degraded, check=True, capture_output=True)
    if command[1] == "inpaint":
        mask, holes = os.path.join(folder, "mask.png"), os.path.join(folder, "holes.png")
        subprocess.run([program, "degrade", png, "-o", holes, "--drop", "0.5", "--mask", mask, "--force"], check=True,
                       capture_output=True)
    if "-o" not in command:
        command += ["-o", os.path.join(folder, "out" if command[1] == "experiment" else "out.png")]
    return command + [png if degraded is None else jpeg, "--force", "-q"]


def needed(errors):
    """Bytes, of "needs 55.36 MiB" or "needs about 1.2 GiB"."""
    said = re.search(r"needs? (?:about )?([\d.]+) ([MG])iB", errors)
    return int(float(said[1]) * {"M": 2**20, "G": 2**30}[said[2]]) if said else None


def check(program, folder, case):
    command = command_of(program, folder, case)
    code, _, errors = peak_of(command + ["--memory-limit", "9M"], folder)
    if "its pixels alone need" in errors:
        code, _, errors = peak_of(command + ["--memory-limit", str(needed(errors) + 2**20)], folder)
    limit = needed(errors)
    if code != 1 or limit is None:
        return [f"within 9 MiB it ends with {code}: {errors.strip()}"]
    large = max(case[1]) > WHOLE_SIDE
    code, peak, errors = peak_of(command + ["--memory-limit", str(limit)], folder, BEGUN if large else None)
    print(f"{case[0]}: needs {limit / 2**20:.1f} MiB, holds {peak / 2**20:.1f} MiB", flush=True)
    complaints = []
    if code != (130 if large else 0):
        complaints.append(f"within {limit} bytes, as it needs, it ends with {code}: {errors.strip()}")
    elif peak > TOLERANCE * limit:
        complaints.append(f"holds {peak} bytes, the limit is {limit}")
    elif limit > WASTE * peak:
        complaints.append(f"needs {limit} bytes, as it says, and holds {peak}")
    return complaints


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    failures = 0
    for case in CASES:
        if wanted and not any(word in case[0] for word in wanted):
            continue
        with tempfile.TemporaryDirectory() as folder:
            for complaint in check(program, folder, case):
                failures += 1
                print(f"{case[0]}: {complaint}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

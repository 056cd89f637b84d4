#!/usr/bin/env python3
"""What the parameters of a network's file cost. A fit is begun, interrupted, which leaves a checkpoint, taken up again and
interrupted once more: each time it holds no more than `model info` says, which is what --memory-limit is given; no more
than 24 bytes a parameter are added by more parameters; and the checkpoint that was taken up is not held open.

usage: parameter_memory_test.py PROGRAM [PARAMETERS]"""

import array
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import picture

PARAMETERS, FEWER = 8_000_000, 2_000_000
MOST_BYTES = 24
SIDE = 8
ITERATIONS = 120  # until the fit has been well for a while: both states that it may be taken back to are there


# ---- an ONNX file, as protobuf writes it


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def value_info(name, dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def tensor(name, dims, values):
    return b"".join(field(1, d) for d in dims) + field(2, 1) + field(8, name) + field(9, values.tobytes())


def node(op, inputs, output, attributes=b""):
    return b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, op) + attributes


def write_onnx(path, nodes, tensors, channels):
    graph = (b"".join(field(1, n) for n in nodes) + field(2, "made") + b"".join(field(5, t) for t in tensors) +
             field(11, value_info("z", [1, channels, "h", "w"])) + field(12, value_info("y", [1, 1, "h", "w"])))
    with open(path, "wb") as file:
        file.write(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17)))


def drawn(count):
    """So many small numbers, the same after every thousand."""
    random.seed(1)
    thousand = array.array("f", (random.uniform(-0.01, 0.01) for _ in range(1000)))
    return (thousand * (count // 1000 + 1))[:count]


def write_vector(path, count):
    """The image is z and the mean of one vector: all parameters in one tensor."""
    write_onnx(path, [node("ReduceMean", ["v"], "m"), node("Add", ["z", "m"], "y")], [tensor("v", [count], drawn(count))], 1)


def write_convolutions(path, count):
    """A row of convolutions of 3x3 and 256 channels, with ReLU, of so many weights or a few more."""
    channels, size = 256, 3
    pads = field(5, field(1, "pads") + b"".join(field(8, 1) for _ in range(4)) + field(20, 7))
    nodes, tensors, last, inside = [], [], "z", 0
    while inside < count:
        name = f"w{len(tensors)}"
        elements = channels * channels * size * size
        tensors.append(tensor(name, [channels, channels, size, size], drawn(elements)))
        nodes += [node("Conv", [last, name], name + "c", pads), node("Relu", [name + "c"], name + "r")]
        last, inside = name + "r", inside + elements
    tensors.append(tensor("end", [1, channels, size, size], drawn(channels * size * size)))
    nodes.append(node("Conv", [last, "end"], "y", pads))
    write_onnx(path, nodes, tensors, channels)


# ---- runs


def limit_of(program, model):
    said = subprocess.run([program, "model", "info", model, "--size", f"{SIDE}x{SIDE}", "--precision", "f32", "--threads",
                           "2"], check=True, capture_output=True, text=True).stdout
    return re.search(r"peak memory +([\d.]+) MiB", said)[1] + "M"


def open_files(process):
    folder = f"/proc/{process.pid}/fd"
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def interrupted(command, iterations):
    """Interrupts the fit behind so many iterations; the most memory that it held, what it had open then, what it said."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        files = []
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") == "progress" and event["stage"] == "fit" and event["iteration"] >= iterations and not files:
                files = open_files(process)
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not files:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode} before it was interrupted: {errors}")
    return usage.ru_maxrss * 1024, files, errors


def check(program, folder, name, write, count):
    """The peaks of the two runs, and what is wrong with them."""
    model, png, checkpoint = (os.path.join(folder, n) for n in ("net.onnx", "in.png", "run.ckpt"))
    # By another process: what this one held before it started a program counts as held by that (getrusage(2)).
    writer = multiprocessing.Process(target=write, args=(model, count))
    writer.start()
    writer.join()
    picture.write_png(png, SIDE, SIDE, 1)
    limit = limit_of(program, model)
    command = [program, "denoise", png, "-o", os.path.join(folder, "out.png"), "--force", "--json", "-q", "--memory-limit",
               limit]
    fit = ["--method", "fit", "--model", model, "--iterations", "1000000", "--stop", "none", "--precision", "f32",
           "--threads", "2", "--checkpoint", checkpoint]
    complaints = []
    first, _, errors = interrupted(command + fit, ITERATIONS)
    if not os.path.exists(checkpoint):
        return [first], [f"{name}: left no checkpoint: {errors}"]
    reached = os.path.getsize(checkpoint)
    second, files, _ = interrupted(command + ["--resume", checkpoint], ITERATIONS + 10)
    complaints += [f"{name}: {file} is held open" for file in files if "run.ckpt" in file]
    for peak in (first, second):
        print(f"{name}, {count} parameters: limit {limit}, holds {peak / 2**20:.1f} MiB, checkpoint of {reached} bytes",
              flush=True)
        if peak > float(limit[:-1]) * 2**20:
            complaints.append(f"{name}: holds {peak} bytes, the limit is {limit}")
    os.remove(checkpoint)
    return [first, second], complaints


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    most = int(sys.argv[2]) if len(sys.argv) > 2 else PARAMETERS
    complaints = []
    for name, write in (("one vector", write_vector), ("convolutions", write_convolutions)):
        peaks = []
        for count in (FEWER, most):
            with tempfile.TemporaryDirectory() as folder:
                held, wrong = check(program, folder, name, write, count)
                peaks.append(held)
                complaints += wrong
        if name == "one vector" and not complaints:
            for fewer, more in zip(*peaks):
                each = (more - fewer) / (most - FEWER)
                print(f"{name}: {each:.2f} bytes a parameter", flush=True)
                if each > MOST_BYTES:
                    complaints.append(f"{name}: {each:.2f} bytes a parameter, expected {MOST_BYTES} at most")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs of the program that the tests here disturb, on an image of 32x24 pixels: how each is begun, how it goes on after
a disturbance, and what it leaves in the end."""

import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import picture

TIMEOUT = 600  # seconds: for a program that hangs, not for one that is slow


def read(path):
    with open(path, "rb") as file:
        return file.read()


def checkpoint_integer(data, name):
    """A value of a checkpoint's (engine/train/archive.h): behind its name's length and its name, the type 0."""
    sought = struct.pack("<Q", len(name)) + name.encode() + b"\0"
    at = data.index(sought) + len(sought)
    return struct.unpack_from("<q", data, at)[0]


class Scenario:
    """A command, run in a folder of its own. `finals` are the files whose bytes must be those of the undisturbed run; a
    name that ends in .csv is a history, whose times may differ."""

    def __init__(self, name, arguments, finals, checkpoint=None, counter=None):
        self.name, self.arguments, self.finals = name, arguments, finals
        self.checkpoint, self.counter = checkpoint, counter

    def begin(self, folder, inputs):
        shutil.copytree(inputs, folder)

    def command(self, program, folder):
        """What goes on with whatever is in the folder."""
        command = [program] + self.arguments
        if self.checkpoint and os.path.exists(os.path.join(folder, self.checkpoint)):
            command += ["--resume", self.checkpoint]
        return command

    def content(self, folder, name):
        data = read(os.path.join(folder, name))
        if not name.endswith(".csv"):
            return data
        rows = (line.split(b",") for line in data.splitlines())
        return [row[:1] + row[2:] for row in rows]

    def whole(self, folder, expected):
        """The names of final files that are there but are not what they should be."""
        wrong = []
        for name in self.finals:
            if not os.path.exists(os.path.join(folder, name)) or name.endswith(".csv"):
                continue  # a history grows row by row
            if self.content(folder, name) != expected[name] and not self.may_be(folder, name):
                wrong.append(name)
        return wrong

    def may_be(self, folder, name):
        """Whether an earlier result stands there whole: the filter's, before the fit's takes its place."""
        data = read(os.path.join(folder, name))
        return name.endswith(".png") and data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82") and self.early

    early = False

    def reached(self, folder):
        """The iteration that the checkpoint holds; 0 without one."""
        path = self.checkpoint and os.path.join(folder, self.checkpoint)
        if not path or not os.path.exists(path):
            return 0
        return checkpoint_integer(read(path), self.counter)


FIT = ["--method", "fit", "--threads", "1", "--learning-rate", "0.01", "--checkpoint-every", "0"]


def scenarios():
    fit = Scenario(
        "fit",
        ["restore", "in.jpg", "-o", "out.png", "--iterations", "24", "--history", "out.csv", "--report", "out.html",
         "--save-network", "out.onnx", "--checkpoint", "run.ckpt"] + FIT,
        ["out.png", "out.csv", "out.onnx"], "run.ckpt", "total")
    fit.early = True
    experiment = Scenario(
        "experiment",
        ["experiment", "in.png", "-o", "folder", "--quality", "20", "--model", "small", "--iterations", "12",
         "--snapshots", "3,6", "--threads", "1", "--checkpoint-every", "0"],
        ["folder/restored.png", "folder/compressed.jpg", "folder/snapshots/iteration_000003.png", "folder/contact_sheet.png"],
        "folder/run.ckpt", "total")
    experiment.early = True
    learn = Scenario(
        "learn",
        ["learn", "-o", "out.onnx", "--mosaics", "1", "--drawings", "2", "--qualities", "20", "--channels", "4",
         "--convolutions", "1", "--gray", "--threads", "1", "--iterations", "24", "--checkpoint-every", "0"],
        ["out.onnx"], "out.onnx.ckpt", "fit/iteration")
    filtered = Scenario(
        "filter", ["restore", "in.jpg", "-o", "out.png", "--method", "filter", "--report", "out.html", "--threads", "1"],
        ["out.png"])
    many = Scenario(
        "many",
        ["restore", "photos", "-r", "--output-dir", "results", "--manifest", "manifest.jsonl", "--report", "reports",
         "--method", "filter", "--threads", "1", "--jobs", "2"],
        ["results/%d.restored.png" % i for i in range(4)])
    return [fit, experiment, learn, filtered, many]


def make_inputs(program, folder):
    os.makedirs(os.path.join(folder, "photos"))
    picture.write_png(os.path.join(folder, "in.png"), 32, 24)
    degrade = [program, "degrade", "in.png", "--quality", "20", "-o"]
    for output in ["in.jpg"] + ["photos/%d.jpg" % i for i in range(4)]:
        subprocess.run(degrade + [output], cwd=folder, check=True, capture_output=True, timeout=TIMEOUT)

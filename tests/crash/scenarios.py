"""Runs of the program that the tests here disturb, on an image of 32x24 pixels: how each is begun, how it goes on after
a disturbance, and what it leaves in the end."""

import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import picture

PICTURES = (".png", ".jpg", ".jxl")
TIMEOUT = 600  # seconds: for a program that hangs, not for one that is slow


def read(path):
    with open(path, "rb") as file:
        return file.read()


def checkpoint_integer(data, name):
    """A value of a checkpoint's (engine/train/archive.h): behind its name's length and its name, the type 0."""
    sought = struct.pack("<Q", len(name)) + name.encode() + b"\0"
    at = data.index(sought) + len(sought)
    return struct.unpack_from("<q", data, at)[0]


def is_whole_jxl(data):
    """Whether its boxes (ISO/IEC 18181-2) end where the file does, the picture's last part among them."""
    at, ends = 0, False
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        elif size == 0:
            size = len(data) - at
        if size < 8:
            return False
        ends = ends or kind == b"jxlc" or (kind == b"jxlp" and data[at + 8:at + 9] >= b"\x80")
        at += size
    return at == len(data) and ends


def is_whole(name, data):
    """Whether the picture begins and ends as one of its format."""
    if name.endswith(".jxl"):
        return is_whole_jxl(data)
    if name.endswith(".jpg"):
        return data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
    return data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82")


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
        return self.early and name.endswith(PICTURES) and is_whole(name, read(os.path.join(folder, name)))

    early = False
    many = False  # of several files: what is done is kept, and a failure may be one file's

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
    fit_jxl = Scenario(
        "fit to JPEG XL",
        ["restore", "in.jpg", "-o", "out.jxl", "--iterations", "12", "--checkpoint", "run.ckpt"] + FIT,
        ["out.jxl"], "run.ckpt", "total")
    fit_jxl.early = True
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
        "filter to JPEG", ["restore", "in.jpg", "-o", "out.jpg", "--method", "filter", "--report", "out.html", "--threads", "1"],
        ["out.jpg"])
    several = [Scenario(
        name,
        ["restore", "photos", "-r", "--output-dir", "results", "--format", ending, "--manifest", "manifest.jsonl", "--report",
         "reports", "--method", "filter", "--threads", "1", "--jobs", "2"],
        ["results/%d.restored.%s" % (i, ending) for i in range(4)])
        for name, ending in (("many", "png"), ("many to JPEG XL", "jxl"))]
    for scenario in several:
        scenario.many = True
    return [fit, fit_jxl, experiment, learn, filtered] + several


def make_inputs(program, folder):
    os.makedirs(os.path.join(folder, "photos"))
    picture.write_png(os.path.join(folder, "in.png"), 32, 24)
    degrade = [program, "degrade", "in.png", "--quality", "20", "-o"]
    for output in ["in.jpg"] + ["photos/%d.jpg" % i for i in range(4)]:
        subprocess.run(degrade + [output], cwd=folder, check=True, capture_output=True, timeout=TIMEOUT)

#!/usr/bin/env python3
"""Runs a fit in terminals of several widths: a progress line never fills its row, ends with a whole field, has a bar
where there is room, and messages break between words, those of errors too; a command that goes on can be pasted.

usage: terminal_test.py HOURGLASS
"""
import fcntl
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from picture import write_png  # noqa: E402

# A field of the progress, as it may stand last.
FIELDS = re.compile(r"^(\d+/\d+|\w+ \d+ %|done|.* left|[\d.]+ dB to the JPEG, [\d.]+ to the original"
                    r"|[\d.]+ times as far from it as the original|loss [\d.e+-]+|[\d.]+ (it/s|s/it))$")


def in_terminal(command, columns, folder=None, code=0, end_at=None):
    """What the command writes to a terminal that is so wide. end_at: the text at which it gets Ctrl-C's signal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder)
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
        if end_at and end_at in written:
            process.send_signal(signal.SIGINT)
            end_at = None
    os.close(ours)
    if process.wait() != code:
        sys.exit(f"exit code {process.returncode}:\n{written.decode(errors='replace')}")
    return written.decode().replace("\r\n", "\n")


def check(text, columns, folder):
    """What is wrong, as texts."""
    wrong = []
    shown = [piece for line in text.split("\n") for piece in line.split("\r\x1b[K")[1:]]
    if len(shown) < 2:
        wrong.append(f"no progress: {text!r}")
    for line in shown:
        if len(line) >= columns:
            wrong.append(f"fills the row: {line!r}")
        if not FIELDS.match(line.split("  ")[-1].split("] ")[-1]):
            wrong.append(f"ends within a field: {line!r}")
        if line.startswith("[") != (columns >= 60):
            wrong.append(f"a bar, or none: {line!r}")
    # A path is a word that nobody can break better.
    messages = [line for line in text.split("\n") if line and "\r" not in line and str(folder) not in line]
    words = set(re.findall(r"[\w%.']+", text.replace("\n", " ")))
    for line in messages:
        if len(line) > columns:
            wrong.append(f"longer than the row: {line!r}")
    for word in ("coefficients", "rounding", "differs", "original"):
        if word not in words:
            wrong.append(f"'{word}' is broken")
    return wrong


def check_messages(program, columns, folder):
    """The same of an error, of an answer, and of a command that is told."""
    wrong = []
    error = in_terminal([program, "verify", "a.png", "a.jpg"], columns, folder, code=1)
    answer = in_terminal([program, "verify", "a.jpg", "a.png"], columns, folder)
    if " ".join(error.split()) != "hourglass: a.png: not a JPEG, so it states no coefficients to verify":
        wrong.append(f"the error is {error!r}")
    if "yes: a.jpg can be a JPEG of this image: " not in " ".join(answer.split()):
        wrong.append(f"the answer is {answer!r}")
    # Names stay as they are, with blanks that follow each other and longer than the row.
    for missing in ("my  photo.jpg", "/no/such/folder/of/photographs/at/all/" + "long/" * 20 + "photo.jpg"):
        told = in_terminal([program, "restore", missing], columns, folder, code=1)
        if missing not in told or not " ".join(told.split()).endswith("no such file"):
            wrong.append(f"of '{missing}' it says {told!r}")
    spaced = in_terminal([program, "verify", "a   b.png", "a.jpg"], columns, folder, code=1)
    if "a   b.png" not in spaced or spaced.split() != error.replace("a.png", "a b.png").split():
        wrong.append(f"of a name with blanks it says {spaced!r}")
    frozen = in_terminal([program, "model", "check", "fitted.onnx", "--freeze", "*conv.bias"], columns, folder)
    if "\n\nnot trained: " not in frozen:
        wrong.append("what is not trained does not stand apart")
    name = "a photograph whose name is long.png"
    stopped = in_terminal([program, "restore", "a.jpg", "-o", name, "--method", "fit", "--iterations", "100000", "--stop",
                           "none", "--threads", "1"], columns, folder, code=130, end_at=b"dB to the JPEG")
    for text in error, answer, spaced, stopped[stopped.index("stopped early"):]:
        wrong += [f"longer than the row: {line!r}" for line in text.split("\n") if len(line) > columns and name not in line]
    command = stopped[stopped.index("to go on:") + len("to go on:"):].replace("\\\n", " ")
    if "\n" in command.strip() or shlex.split(command) != ["hourglass", "restore", "a.jpg", "-o", name, "--resume",
                                                          name + ".ckpt"]:
        wrong.append(f"the command to go on is {command!r}")
    (folder / name).unlink()
    (folder / (name + ".ckpt")).unlink()
    return wrong


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program, failed = os.path.abspath(sys.argv[1]), False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_png(folder / "a.png", 48, 40, channels=3)
        write_png(folder / "a   b.png", 48, 40, channels=3)
        subprocess.run([program, "degrade", folder / "a.png", "-o", folder / "a.jpg", "--quality", "10"], check=True,
                       capture_output=True)
        subprocess.run([program, "restore", folder / "a.jpg", "-o", folder / "b.png", "--method", "fit", "--iterations", "1",
                        "--save-network", folder / "fitted.onnx", "--threads", "1"], check=True, capture_output=True)
        for columns in (40, 60, 80, 120):
            text = in_terminal([program, "restore", folder / "a.jpg", "-o", folder / f"{columns}.png", "--iterations", "12",
                                "--reference", folder / "a.png", "--threads", "1"], columns)
            for line in check(text, columns, folder) + check_messages(program, columns, folder):
                failed = True
                print(f"{columns} columns: {line}")
    print("failed" if failed else "progress and messages fit their terminals")
    sys.exit(failed)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Holds README.md against the program: every command and option that it shows is in the program's help, links and the
picture lead somewhere, the picture is small, and the first screen has what a stranger needs.

usage: readme_test.py HOURGLASS ROOT
"""
import re
import subprocess
import sys
from pathlib import Path

FIRST_SCREEN = 45  # lines
LARGEST_PICTURE = 120_000  # bytes


def help_of(program, words):
    """The help of the command that the words begin with, and how many of them it has."""
    for count in (2, 1):
        names = words[:count]
        if len(names) < count or not all(re.fullmatch("[a-z]+", name) for name in names):
            continue
        done = subprocess.run([program, *names, "--help"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
    return None


def commands_in(text):
    """The command lines of the program, from blocks and from running text."""
    blocks = "\n".join(re.findall(r"```\n(.*?)```", text, re.DOTALL))
    lines = [re.sub(r"\s#.*", "", line) for line in blocks.splitlines()]
    for line in lines + re.findall(r"`([^`\n]+)`", text):
        for call in re.findall(r"(?:^|\| |nice )(?:build/)?hourglass ([^|]*)", line):
            yield call.split()


def wrong_commands(program, text):
    for words in commands_in(text):
        if words[0] in ("--version", "help"):
            continue
        said = help_of(program, words)
        if said is None:
            yield f"no command: hourglass {' '.join(words)}"
            continue
        for word in words:
            option = word.split("=")[0]
            if re.fullmatch(r"--?[a-z0][a-z-]*", option) and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", said):
                yield f"no option {option}: hourglass {' '.join(words)}"


def anchor_of(heading):
    """As the places that show Markdown make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def wrong_links(root, text):
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = root / path if path else root / "README.md"
        if not file.is_file():
            yield f"leads nowhere: {target}"
        elif anchor and anchor not in map(anchor_of, re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)):
            yield f"no such heading: {target}"


def wrong_screen(root, text):
    first = "\n".join(text.splitlines()[:FIRST_SCREEN])
    pictures = re.findall(r"!\[.+\]\((.*)\)", first)
    if not pictures:
        yield "no picture on the first screen"
    for picture in pictures:
        size = (root / picture).stat().st_size
        if size > LARGEST_PICTURE:
            yield f"{picture} has {size} bytes"
    for needed in ("scripts/quickstart", "scripts/test", "hourglass restore photo.jpg"):
        if needed not in first:
            yield f"'{needed}' is not on the first screen"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, root = sys.argv[1], Path(sys.argv[2])
    text = (root / "README.md").read_text(encoding="utf-8")
    wrong = [*wrong_commands(program, text), *wrong_links(root, text), *wrong_screen(root, text)]
    print(*wrong, f"{len(list(commands_in(text)))} commands looked at", sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

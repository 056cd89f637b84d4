#!/usr/bin/env python3
"""Reads the manual pages with mandoc and groff, which must warn of nothing, and completes in bash, zsh and fish. What is
not installed is skipped, and said so.

usage: shells_test.py HOURGLASS
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

failures = []


def check(what, passed, text=""):
    if not passed:
        failures.append(what)
        print(f"FAILED: {what}\n{text}")


def has(program):
    if shutil.which(program):
        return True
    print(f"skipped: {program} is not installed")
    return False


def output_of(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    return done.stdout + done.stderr


def check_pages(share):
    pages = sorted(share.glob("man/man?/*"))
    check("there are pages", len(pages) > 20)
    if has("mandoc"):
        for page in pages:
            text = output_of(["mandoc", "-T", "lint", "-W", "warning", page])
            check(f"mandoc reads {page.name}", not text, text)
    if has("groff"):
        for page in pages:
            text = output_of(["groff", "-man", "-Tutf8", "-ww", "-z", page])
            check(f"groff reads {page.name}", not text, text)


# What is typed, and what must be among what is offered for the last word.
CASES = [
    (["re"], ["restore"]),
    (["bench", "th"], ["threads"]),
    (["restore", "--metho"], ["--method"]),
    (["restore", "--method", ""], ["learn", "filter", "fit"]),
    (["restore", "--fast", "--model", "st"], ["standard"]),
    (["bench", "threads", "--mod"], ["--mode"]),
    (["help", "ce"], ["cells"]),
    (["restore", "phot"], ["photo.jpg"]),
    (["restore", "-o", "phot"], ["photo.jpg"]),
    (["restore", "--output-dir", "al"], ["album"]),
]


def bash_offers(script, words):
    asked = 'source "$1"; shift; COMP_WORDS=(hourglass "$@"); COMP_CWORD=$#; _hourglass; printf "%s\\n" "${COMPREPLY[@]}"'
    return output_of(["bash", "--norc", "-c", asked, "bash", script, *words]).split()


def fish_offers(script, words):
    asked = 'source $argv[1]; complete -C (string join -- " " hourglass $argv[2..-1])'
    return [line.split("\t")[0].rstrip("/") for line in
            output_of(["fish", "--no-config", "-c", asked, script, *words]).splitlines()]


# What Tab makes of it, typed into a terminal.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='> '; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; print rea''dy"
while zpty -r shell line; do [[ $line == *ready* ]] && break; done
zpty -w -n shell "$2"$'\t'
text=
repeat 100; do
  sleep 0.1
  while zpty -r -t shell line; do text+=$line; done
  [[ $text == *"$3"* ]] && break
done
print -r -- "$text"
zpty -d shell
"""


def zsh_types(folder, words, wanted):
    return output_of(["zsh", "-f", "-c", ZSH, "zsh", folder, " ".join(["hourglass", *words]), wanted])


def check_completions(share):
    if has("bash"):
        script = share / "bash-completion/completions/hourglass"
        for words, wanted in CASES + [(["restore", "--method", "=", "fi"], ["filter", "fit"])]:
            offered = bash_offers(script, words)
            check(f"bash completes {words}", set(wanted) <= set(offered), str(offered))
        check("bash offers nothing of other commands", "--lessons" not in bash_offers(script, ["compare", "--l"]))
        check("bash offers files only where there may be some",
              bash_offers(script, ["restore", "--method", "phot"]) == [])
    if has("fish"):
        script = share / "fish/vendor_completions.d/hourglass.fish"
        for words, wanted in CASES:
            offered = fish_offers(script, words)
            check(f"fish completes {words}", set(wanted) <= set(offered), str(offered))
    if has("zsh"):
        script = share / "zsh/vendor-completions/_hourglass"
        text = output_of(["zsh", "-n", script])
        check("zsh reads its script", not text, text)
        for words, wanted in CASES:
            # A single one is typed, more are listed.
            if words[-1]:
                text = zsh_types(script.parent, words, wanted[0])
                check(f"zsh completes {words}", wanted[0] in text, text)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        share = Path(folder, "share")
        subprocess.run([program, "help", "--write", share], check=True)
        os.chdir(folder)
        Path("photo.jpg").touch()
        Path("album").mkdir()
        os.environ["HOME"] = folder
        check_pages(share)
        check_completions(share)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A release by clang, whose row loops are slow, is not configured without a word; other builds are.

usage: clang_test.py ROOT
"""
import shutil
import subprocess
import sys
import tempfile

WORDS = "compiles the row loops for the oldest x86-64 alone"


def said(root, build_type):
    """What configuring says."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["cmake", "-S", root, "-B", folder, "-G", "Ninja", "-DCMAKE_CXX_COMPILER=clang++",
                               f"-DCMAKE_BUILD_TYPE={build_type}", "-DHOURGLASS_TESTS=OFF"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(done.stdout)
        return " ".join(done.stdout.split())


def main():
    machine = subprocess.run(["uname", "-m"], text=True, stdout=subprocess.PIPE).stdout.strip()
    if shutil.which("clang++") is None or machine != "x86_64":
        print("needs clang++ and x86-64")
        sys.exit(77)  # ctest counts this as skipped
    for build_type, warns in (("Release", True), ("Debug", False)):
        if (WORDS in said(sys.argv[1], build_type)) != warns:
            sys.exit(f"{build_type}: the warning should {'' if warns else 'not '}be there")


if __name__ == "__main__":
    main()

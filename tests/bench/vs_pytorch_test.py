#!/usr/bin/env python3
"""bench/vs_pytorch on an image that takes no time: its table has times, ratios and memory for what was asked for.

usage: vs_pytorch_test.py ROOT HOURGLASS; exits with 77 where there is no PyTorch.
"""
import importlib.util
import json
import subprocess
import sys


def main():
    root, program = sys.argv[1:]
    if importlib.util.find_spec("torch") is None:
        print("skipped: there is no PyTorch")
        sys.exit(77)
    command = [sys.executable, "-B", f"{root}/bench/vs_pytorch", "--binary", program, "--networks", "small",
               "--size", "64x64", "--threads", "1", "--rounds", "1", "--iterations", "2"]
    table = subprocess.run([*command, "--precisions", "f32"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in table.splitlines() if line.startswith("small")]
    assert "PyTorch" in table and "oneDNN" in table, table
    assert [row[1] for row in rows] == ["f32", "f32"], table  # with memory by default, and kept
    assert all(sum(cell.endswith("x") for cell in row) == 2 for row in rows), table

    rows = json.loads(subprocess.run([*command, "--precisions", "f32", "--json"], capture_output=True, text=True,
                                     check=True).stdout)
    assert [row["pytorch_memory"] for row in rows] == ["default", "keep"], rows
    assert all(row["speedup"] > 0 and row["memory_ratio"] > 0 and row["pytorch_bytes"] > 50 << 20 for row in rows), rows

    # What can't be measured ends nothing else, and is said.
    refused = subprocess.run([*command, "--networks", "huge,small", "--precisions", "f32", "--json"],
                             capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "not measured: huge f32" in refused.stderr, refused
    assert len(json.loads(refused.stdout)) == 2, refused


if __name__ == "__main__":
    main()

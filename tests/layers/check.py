#!/usr/bin/env python3
"""Fails when an #include opens a door between layers the wrong way.

    graph <- ops <- engine/runtime <- engine/train <- engine/restore <- engine/report <- engine/cli
    engine/measure stands on engine/train and serves engine/cli.
    engine/image needs graph/error.h only and serves engine/restore; models/ builds on graph and ops.

dnnl.hpp stands in no header outside ops/ and engine/runtime/, and ONNX's, protobuf's and cairo's in no header at all.

usage: check.py ROOT
"""
import re
import sys
from pathlib import Path

# What each layer may include besides itself; the longest matching folder wins.
MAY_INCLUDE = {
    "graph": [],
    "ops": ["graph"],
    "models": ["graph", "ops"],
    "engine/runtime": ["graph", "ops"],
    "engine/train": ["graph", "ops", "engine/runtime"],
    "engine/measure": ["graph", "ops", "engine/runtime", "engine/train"],
    "engine/image": ["graph/error.h"],
    "engine/restore": ["graph", "ops", "engine/runtime", "engine/train", "engine/image"],
    "engine/report": ["graph", "ops", "engine/runtime", "engine/train", "engine/image", "engine/restore"],
    "engine/cli": ["graph", "ops", "models", "engine/runtime", "engine/train", "engine/measure",
                   "engine/image", "engine/restore", "engine/report"],
}
DNNL = re.compile(r"(oneapi/dnnl/)?dnnl\w*\.h(pp)?$")
DNNL_HEADERS_IN = ("ops", "engine/runtime")
ONNX = re.compile(r"(onnx|google/protobuf)/|.*\.pb\.h$|onnx[\w.-]*\.h$")
CAIRO = re.compile(r"cairo[\w-]*\.h$|fontconfig/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def layer_of(path):
    """The layer that a path from the root belongs to, or None."""
    matches = [layer for layer in MAY_INCLUDE if path == layer or path.startswith(layer + "/")]
    return max(matches, key=len, default=None)


def wrong(path, include):
    """Why `path` must not include `include`; None when it may."""
    layer = layer_of(path)
    is_header = path.endswith(".h")
    if is_header and DNNL.match(include) and layer not in DNNL_HEADERS_IN:
        return "oneDNN belongs in no header outside ops/ and engine/runtime/"
    if is_header and ONNX.match(include):
        return "ONNX and protobuf belong in no header"
    if is_header and CAIRO.match(include):
        return "cairo belongs in no header"
    if include.startswith("tests/"):
        return "the library does not know its tests"
    target = layer_of(include)
    if target is None or target == layer:
        return None
    for allowed in MAY_INCLUDE[layer]:
        if include == allowed or include.startswith(allowed + "/"):
            return None
    return f"{layer}/ may include only {', '.join(MAY_INCLUDE[layer]) or 'itself'}"


def check(root):
    """(complaints, number of includes looked at) for the tree at root."""
    root = Path(root)
    complaints, seen = [], 0
    for top in sorted({layer.split("/")[0] for layer in MAY_INCLUDE}):
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix not in (".h", ".cpp", ".hpp", ".cc", ".in") or not file.is_file():
                continue
            if layer_of(path) is None:
                complaints.append(f"{path}: stands in no layer; name the folder in tests/layers/check.py")
                continue
            if file.suffix in (".hpp", ".cc"):
                complaints.append(f"{path}: headers end in .h here, sources in .cpp")
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                seen += 1
                reason = wrong(path, found[1])
                if reason:
                    complaints.append(f"{path}:{number}: includes {found[1]}: {reason}")
    return complaints, seen


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    complaints, seen = check(sys.argv[1])
    for complaint in complaints:
        print(complaint)
    if seen < 100:
        sys.exit(f"only {seen} includes found below {sys.argv[1]}: is this the root of the sources?")
    print(f"{seen} includes, {len(complaints)} of them wrong")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()

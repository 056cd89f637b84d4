#!/usr/bin/env python3
"""Fails when an #include opens a door between layers the wrong way, or is missing.

    graph <- ops <- engine/runtime <- engine/train <- engine/restore <- engine/report <- engine/cli
    engine/measure stands on engine/train and serves engine/cli.
    engine/image needs graph/error.h only and serves engine/restore; models/ builds on graph and ops.

Headers of oneDNN reach no header outside ops/, and no source outside ops/, engine/runtime/ and engine/measure/; those of
ONNX, protobuf and cairo reach no header at all; those of CLI11 and nlohmann's JSON one source each. That counts for what
an included file includes in turn: a complaint names the file that opens the door, and the way from there to the library.

A source that calls a function of ours reaches a header that declares it: it must compile alone. No lambda captures a
structured binding: clang 14, of Debian 12, refuses it.

usage: check.py ROOT
"""
import posixpath
import re
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

# What each layer may include besides itself; the longest matching folder wins.
MAY_INCLUDE = {
    "graph": [],
    # What ops mean, and the rooms of their kernels.
    "ops": ["graph", "ops/geometry", "ops/memory", "ops/loops", "ops/elementwise", "ops/reduction", "ops/moving",
            "ops/simd", "ops/resampling", "ops/normalization", "ops/convolution", "ops/fused"],
    "ops/geometry": ["graph"],
    "ops/memory": ["graph", "ops/geometry", "ops/kernel.h"],
    "ops/loops": ["graph", "ops/geometry", "ops/memory", "ops/kernel.h"],
    "ops/elementwise": ["graph", "ops/memory", "ops/loops", "ops/kernel.h"],
    "ops/reduction": ["graph", "ops/memory", "ops/loops", "ops/kernel.h"],
    "ops/moving": ["graph", "ops/geometry", "ops/memory", "ops/loops", "ops/kernel.h"],
    # Behind pointers: files of one instruction set share no inline function with the program.
    "ops/simd": ["graph/shape.h", "ops/memory/onednn.h", "ops/memory/scratch_layout.h"],
    "ops/resampling": ["graph", "ops/geometry", "ops/memory", "ops/loops", "ops/simd"],
    "ops/normalization": ["graph", "ops/geometry", "ops/memory", "ops/loops", "ops/simd", "ops/resampling",
                          "ops/kernel.h"],
    "ops/convolution": ["graph", "ops/geometry", "ops/memory", "ops/loops", "ops/simd", "ops/resampling",
                        "ops/normalization", "ops/kernel.h"],
    "ops/fused": ["graph", "ops"],
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


class Library(NamedTuple):
    """Another project, and the folders (or files) whose headers and sources its headers may reach."""
    name: str
    include: re.Pattern
    headers: tuple
    sources: tuple

    def may_reach(self, path):
        return any(path == place or path.startswith(place + "/")
                   for place in (self.headers if path.endswith(".h") else self.sources))

    def where(self, path):
        if path.endswith(".h"):
            return f"{self.name} belongs in no header" + (f" outside {', '.join(self.headers)}" if self.headers else "")
        return f"{self.name} belongs in no source outside {', '.join(self.sources)}"


LIBRARIES = [
    # The program's --version says which oneDNN runs.
    Library("oneDNN", re.compile(r"(oneapi/dnnl/)?dnnl\w*\.h(pp)?$"),
            headers=("ops",), sources=("ops", "engine/runtime", "engine/measure", "engine/cli/version.cpp")),
    Library("ONNX or protobuf", re.compile(r"(onnx|google/protobuf)/|.*\.pb\.h$|onnx[\w.-]*\.h$"),
            headers=(), sources=("graph",)),
    Library("cairo", re.compile(r"(cairo/)?cairo[\w-]*\.h$|fontconfig/"), headers=(), sources=("engine/report",)),
    # More than 100,000 lines each: one source may read them.
    Library("CLI11", re.compile(r"CLI/"), headers=(), sources=("engine/cli/command_line.cpp",)),
    Library("nlohmann's JSON", re.compile(r"nlohmann/"), headers=(), sources=("engine/cli/json.cpp",)),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def layer_of(path):
    """The layer that a path from the root belongs to, or None."""
    matches = [layer for layer in MAY_INCLUDE if path == layer or path.startswith(layer + "/")]
    return max(matches, key=len, default=None)


def wrong_layer(path, include):
    """Why `path` must not include `include`, a path from the root; None when it may."""
    if include.startswith("tests/"):
        return "the library does not know its tests"
    layer, target = layer_of(path), layer_of(include)
    if target is None or target == layer:
        return None
    for allowed in MAY_INCLUDE[layer]:
        if include == allowed or include.startswith(allowed + "/"):
            return None
    return f"{layer}/ may include only {', '.join(MAY_INCLUDE[layer]) or 'itself'}"


def includes_of(path, text, files):
    """[(line number, what is included)], the path from the root where it is a file of ours."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
            found.append((number, beside if beside in files and match[1] not in files else match[1]))
    return found


def way_to(library, start, includes):
    """The shortest way from an included file to a header of the library: [start, ..., header]; None if there is none."""
    queue, seen = deque([[start]]), {start}
    while queue:
        way = queue.popleft()
        if library.include.match(way[-1]):
            return way
        for _, include in includes.get(way[-1], []):
            if include not in seen:
                seen.add(include)
                queue.append(way + [include])
    return None


def wrong_library(library, path, include, includes):
    """Why `path`, by including `include`, opens the library's door where it must stay shut; None when it does not."""
    if library.may_reach(path):
        return None
    # A file of ours that must not reach the library either has a complaint of its own.
    if include in includes and not library.may_reach(include):
        return None
    way = way_to(library, include, includes)
    if way is None:
        return None
    through = f", which includes {', which includes '.join(way[1:])}" if len(way) > 1 else ""
    return f"{include}{through}: {library.where(path)}"


def reached_from(path, includes):
    """The files of ours that `path` includes, and that these include."""
    reached, queue = set(), deque(include for _, include in includes[path])
    while queue:
        file = queue.popleft()
        if file in includes and file not in reached:
            reached.add(file)
            queue.extend(include for _, include in includes[file])
    return reached


def without_prose(text):
    return re.sub(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"', '""', text)


# What stands before a function's name where it is declared.
TYPE = r"(?:\b(?!return\b|throw\b|else\b|case\b)\w+[&*>]*\s+|[&*])"


def undeclared_calls(texts, includes):
    """[(path, function, header)]: calls of a function of ours whose header the source does not reach.

    A source is compiled behind others or behind precompiled headers, which may declare what it forgot to include. This
    goes by words: functions that headers declare at the start of a line, and calls that nothing in the source or in
    what it includes can explain otherwise.
    """
    code = {path: without_prose(text) for path, text in texts.items()}
    words = {path: set(re.findall(r"\w+", text)) for path, text in code.items()}
    declared = {}
    for path, text in code.items():
        if path.endswith(".h"):
            for name in re.findall(r"^(?!return\b|using\b|#)[\w\[][\w:<>,&*\[\] ]*[&*\s](\w+)\(", text, re.MULTILINE):
                declared.setdefault(name, path)
    found = []
    for path, text in code.items():
        reached = reached_from(path, includes)
        calls = set(re.findall(r"(?<![\w.>:~])(\w+)\(", text))
        for name in sorted(calls & declared.keys()):
            own = re.search(rf"{TYPE}{name}\(|\b{name}\b(?!\()", text)
            if not own and path != declared[name] and not any(name in words[file] for file in reached):
                found.append((path, name, declared[name]))
    return found


def end_of(code, start, opening, closing):
    """Where what is opened at `start` is closed."""
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] == opening) - (code[at] == closing)
        if depth == 0:
            return at
    return len(code)


def scope_of(code, start):
    """What follows `start` up to the end of the block that it stands in, or of the loop whose head it stands in."""
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] in "({") - (code[at] in ")}")
        if depth < 0 and code[at] == ")":
            body = re.compile(r"\)\s*\{").match(code, at)
            return code[start:end_of(code, body.end() - 1, "{", "}") if body else code.find(";", at)]
        if depth < 0:
            return code[start:at]
    return code[start:]


def closures_in(code):
    """(captures, parameters and what follows them, body) of the lambdas that capture anything."""
    for begin in re.finditer(r"(?<![\w\])])\[(?=\s*[&=\w])", code):
        captures_end = end_of(code, begin.start(), "[", "]")
        at = captures_end + 1
        parameters = re.compile(r"\s*\(").match(code, at)
        if parameters:
            at = end_of(code, parameters.end() - 1, "(", ")") + 1
        body = re.compile(r"\s*(?:mutable\s*|noexcept\s*)*(?:->[^{;]*)?\{").match(code, at)
        if body:
            yield (code[begin.end():captures_end], code[captures_end + 1:body.end()],
                   code[body.end() - 1:end_of(code, body.end() - 1, "{", "}")])


def captured_bindings(texts):
    """[(path, name)]: structured bindings that a lambda, or a macro of doctest that makes one, uses without an
    initialiser of its own, which clang before 16 refuses although C++20 allows it."""
    found = []
    for path, text in texts.items():
        code = without_prose(text)
        for binding in re.finditer(r"\bauto\s*&{0,2}\s*\[([\w\s,]+)\]", code):
            scope = scope_of(code, binding.end())
            names = re.split(r"\s*,\s*", binding[1].strip())
            for captured in re.finditer(r"\b(?:CAPTURE|INFO)\(([^;]*)\);", scope):
                found += [(path, name) for name in names if re.search(rf"(?<![\w.>]){name}\b", captured[1])]
            for captures, head, body in closures_in(scope):
                for name in names:
                    own = re.search(rf"\b{name}\s*=", captures) or re.search(rf"\b{name}\b", head)
                    if not own and re.search(rf"(?<![\w.>]){name}\b", body):
                        found.append((path, name))
    return sorted(set(found))


def check(root):
    """(complaints, number of includes looked at) for the tree at root."""
    root = Path(root)
    complaints, texts = [], {}
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
            texts[path] = file.read_text(encoding="utf-8")
    includes = {path: includes_of(path, text, texts) for path, text in texts.items()}
    for path, found in includes.items():
        for number, include in found:
            reason = wrong_layer(path, include)
            if reason:
                complaints.append(f"{path}:{number}: includes {include}: {reason}")
                continue
            for library in LIBRARIES:
                reason = wrong_library(library, path, include, includes)
                if reason:
                    complaints.append(f"{path}:{number}: includes {reason}")
    for path, name, header in undeclared_calls(texts, includes):
        complaints.append(f"{path}: calls {name}() and includes nothing that declares it, as {header} does")
    others = {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8")
              for folder in ("tests", "bench") for file in sorted((root / folder).rglob("*.cpp"))}
    for path, name in captured_bindings({**texts, **others}):
        complaints.append(f"{path}: a lambda captures the structured binding {name}, which clang 14 refuses: "
                          f"[{name} = {name}], or a variable of its own")
    return complaints, sum(len(found) for found in includes.values())


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

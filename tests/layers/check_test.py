#!/usr/bin/env python3
"""Shows that check.py finds what it is there to find, and nothing else."""
import tempfile
import unittest
from pathlib import Path

from check import captured_bindings, check

GOOD = {
    "graph/a.cpp": ['"graph/a.h"', "<vector>", "<onnx/onnx_pb.h>"],
    "ops/detail/x.h": ["<dnnl.hpp>", '"graph/graph.h"'],
    "ops/detail/y.h": ['"x.h"'],
    "ops/kernel.h": ['"ops/detail/x.h"'],
    "engine/runtime/plan.h": ['"graph/graph.h"', "<vector>"],
    "engine/runtime/plan.cpp": ['"engine/runtime/plan.h"', '"ops/kernel.h"'],
    "engine/measure/machine.cpp": ["<dnnl.hpp>"],
    "engine/image/jpeg.cpp": ['"graph/error.h"', "<jpeglib.h>"],
    "engine/restore/r.h": ['"engine/image/image.h"', '"engine/train/fit.h"'],
    "engine/report/canvas.cpp": ["<cairo.h>", '"engine/restore/r.h"'],
    "engine/cli/main.cpp": ['"engine/report/chart.h"', '"models/builder.h"', '"engine/restore/r.h"'],
    "engine/cli/command_line.cpp": ["<CLI/CLI.hpp>"],
    "engine/cli/json.cpp": ["<nlohmann/json.hpp>"],
    "models/builder.cpp": ['"graph/graph.h"', '"ops/table.h"'],
}
BAD = [
    ("graph/a.h", '"ops/table.h"'),
    ("graph/a.cpp", '"engine/runtime/plan.h"'),
    ("graph/a.h", "<dnnl.hpp>"),
    ("graph/a.h", "<onnx/onnx_pb.h>"),
    ("graph/a.h", '"onnx.pb.h"'),
    ("graph/onnx.h", "<google/protobuf/message.h>"),
    ("ops/conv.cpp", '"engine/runtime/plan.h"'),
    ("ops/conv.cpp", '"tests/ops/case.h"'),
    ("engine/runtime/plan.cpp", '"engine/train/fit.h"'),
    ("engine/train/fit.h", '"engine/restore/r.h"'),
    ("engine/train/fit.h", "<oneapi/dnnl/dnnl.hpp>"),
    ("engine/image/jpeg.h", '"graph/graph.h"'),
    ("engine/image/jpeg.h", '"engine/restore/r.h"'),
    ("engine/restore/r.cpp", '"engine/cli/options.h"'),
    ("engine/restore/r.h", "<dnnl.h>"),
    ("engine/runtime/plan.h", "<dnnl.hpp>"),
    ("engine/measure/machine.h", "<dnnl.hpp>"),
    ("engine/cli/main.cpp", "<dnnl.hpp>"),
    ("engine/cli/main.cpp", "<cairo.h>"),
    ("models/builder.cpp", "<onnx/onnx_pb.h>"),
    ("engine/cli/options.h", "<CLI/CLI.hpp>"),
    ("engine/cli/output.cpp", "<nlohmann/json.hpp>"),
    ("engine/restore/r.cpp", '"engine/report/chart.h"'),
    ("engine/report/chart.cpp", '"engine/cli/options.h"'),
    ("engine/report/canvas.h", "<cairo-svg.h>"),
    ("models/builder.h", '"engine/runtime/plan.h"'),
    ("engine/new/x.h", "<vector>"),
]


# Structured bindings, and whether a lambda captures one.
BINDINGS = [
    ("void f() { const auto [a, b] = g(); const auto h = [&](int c) { return a + c; }; }", ["a"]),
    ("void f() { for (const auto& [a, b] : g()) { h([&] { return b; }); } }", ["b"]),
    ("void f() { for (const auto& [a, b] : g()) { h([&b = b] { return b; }); } }", []),
    ("void f() { const auto [a, b] = g(); h([a] { return a; }); }", ["a"]),
    ("void f() { const auto [a, b] = g(); h([&a] { return a; }); }", ["a"]),
    ("void f() { const auto [a, b] = g(); h([&](int a) { return a; }); }", []),
    ("void f() { const auto [a, b] = g(); h([] { return 1; }); x([&] { return y.a + z->b; }); }", []),
    ("void f() { for (const auto& [a, b] : g()) { CAPTURE(b); CHECK(a); } }", ["b"]),
    ("void f() { const auto [a, b] = g(); h([&](const F<int(int)>& x) noexcept { return a + x(1); }); }", ["a"]),
    ("void f() { const auto [a, b] = g(); h([&, k = v[0]] { return b + k; }); }", ["b"]),
    ("void f() { const auto [a, b] = g(); h([=]() mutable -> int { return b; }); }", ["b"]),
    ("void f() { { const auto [a, b] = g(); } int a; h([&] { return a; }); }", []),
]

# The same by way of other files: what is changed, the one file that opens the door, and how the complaint ends.
BAD_BY_WAY_OF_OTHERS = [
    ({"engine/runtime/plan.h": ['"ops/kernel.h"']}, "engine/runtime/plan.h",
     "ops/kernel.h, which includes ops/detail/x.h, which includes dnnl.hpp: "),
    ({"engine/train/fit.h": ['"ops/detail/x.h"']}, "engine/train/fit.h", "ops/detail/x.h, which includes dnnl.hpp: "),
    ({"engine/report/chart.cpp": ['"ops/detail/y.h"']}, "engine/report/chart.cpp",
     "ops/detail/y.h, which includes ops/detail/x.h, which includes dnnl.hpp: "),
    # Not by its path from the root, as is the habit here.
    ({"engine/train/fit.h": ['"../../ops/detail/x.h"']}, "engine/train/fit.h",
     "ops/detail/x.h, which includes dnnl.hpp: "),
]


class Check(unittest.TestCase):
    def complaints(self, files, code=None):
        with tempfile.TemporaryDirectory() as root:
            for path, includes in files.items():
                file = Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                text = "".join(f"  # include {include}\n" for include in includes) + (code or {}).get(path, "")
                file.write_text(text, encoding="utf-8")
            return check(root)[0]

    def test_what_is_allowed(self):
        self.assertEqual(self.complaints(GOOD), [])

    def test_what_is_not(self):
        for path, include in BAD:
            with self.subTest(path=path, include=include):
                found = self.complaints({**GOOD, path: [include]})
                self.assertEqual(len(found), 1, found)
                self.assertIn(path, found[0])

    def test_what_is_not_by_way_of_others(self):
        # Who includes the file that opens the door is not named besides.
        readers = {"engine/restore/r.cpp": ['"engine/runtime/plan.h"'], "engine/train/fit.cpp": ['"engine/train/fit.h"'],
                   "engine/cli/profile.h": ['"engine/runtime/plan.h"', '"engine/train/fit.h"']}
        self.assertEqual(self.complaints({**GOOD, **readers}), [])
        for changed, path, end in BAD_BY_WAY_OF_OTHERS:
            with self.subTest(changed=changed):
                found = self.complaints({**GOOD, **readers, **changed})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(path + ":"), found)
                self.assertIn(end, found[0])

    def test_circles_end(self):
        circle = {"ops/a.h": ['"ops/b.h"'], "ops/b.h": ['"ops/a.h"'], "engine/cli/main.cpp": ['"ops/a.h"']}
        self.assertEqual(self.complaints({**GOOD, **circle}), [])

    def test_a_source_reaches_what_declares_the_functions_it_calls(self):
        header, source = "engine/image/file.h", "engine/cli/run.cpp"
        files = {**GOOD, header: ["<string>"], source: ['"engine/cli/run.h"'], "engine/cli/run.h": ["<vector>"]}
        code = {header: "std::string output_name(const std::string& path);\n"}
        call = "bool f() { return output_name(path) == name; }\n"
        found = self.complaints(files, {**code, source: call})
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"{source}: calls output_name()", found[0])
        for included in header, '"engine/cli/more.h"':
            reached = {**files, "engine/cli/more.h": [f'"{header}"'], source: [f'"{included}"'.replace('""', '"')]}
            self.assertEqual(self.complaints(reached, {**code, source: call}), [])
        # Another's, or one of the source's own.
        for other in ("x.output_name(a);", "x->output_name(a);", "other::output_name(a);", "// output_name(a)",
                      'f("output_name(a)");', "int output_name(int a);\nint b = output_name(1);",
                      "const auto output_name = [](int) {};\noutput_name(1);"):
            self.assertEqual(self.complaints(files, {**code, source: other + "\n"}), [], other)

    def test_bindings_that_lambdas_capture(self):
        for code, names in BINDINGS:
            self.assertEqual([name for _, name in captured_bindings({"graph/a.cpp": code})], names, code)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Shows that check.py finds what it is there to find, and nothing else."""
import tempfile
import unittest
from pathlib import Path

from check import check

GOOD = {
    "graph/a.cpp": ['"graph/a.h"', "<vector>", "<onnx/onnx_pb.h>"],
    "ops/detail/x.h": ["<dnnl.hpp>", '"graph/graph.h"'],
    "engine/runtime/plan.h": ["<dnnl.hpp>", '"ops/kernel.h"'],
    "engine/image/jpeg.cpp": ['"graph/error.h"', "<jpeglib.h>"],
    "engine/restore/r.h": ['"engine/image/image.h"', '"engine/train/fit.h"'],
    "engine/report/canvas.cpp": ["<cairo.h>", '"engine/restore/r.h"'],
    "engine/cli/main.cpp": ['"engine/report/chart.h"', '"models/builder.h"', '"engine/restore/r.h"', "<CLI/CLI.hpp>"],
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
    ("engine/restore/r.cpp", '"engine/report/chart.h"'),
    ("engine/report/chart.cpp", '"engine/cli/options.h"'),
    ("engine/report/canvas.h", "<cairo-svg.h>"),
    ("models/builder.h", '"engine/runtime/plan.h"'),
    ("engine/new/x.h", "<vector>"),
]


class Check(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, includes in files.items():
                file = Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("".join(f"  # include {include}\n" for include in includes), encoding="utf-8")
            return check(root)[0]

    def test_what_is_allowed(self):
        self.assertEqual(self.complaints(GOOD), [])

    def test_what_is_not(self):
        for path, include in BAD:
            with self.subTest(path=path, include=include):
                found = self.complaints({**GOOD, path: [include]})
                self.assertEqual(len(found), 1, found)
                self.assertIn(path, found[0])


if __name__ == "__main__":
    unittest.main()

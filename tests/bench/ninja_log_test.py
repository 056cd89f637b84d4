#!/usr/bin/env python3
"""bench/ninja_log.py: what it makes of a log.

usage: ninja_log_test.py ROOT
"""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(sys.argv.pop(1), "bench")))
from ninja_log import OTHER, PRECOMPILED, Job, by_folder, job_of, read_log, report  # noqa: E402

LOG = """# ninja log v5
0\t4000\t17\tCMakeFiles/hourglass_code_ops.dir/cmake_pch.hxx.gch\ta1
4000\t9000\t17\tops/CMakeFiles/hourglass_ops.dir/detail/view.cpp.o\ta2
4000\t5500\t17\tops/CMakeFiles/hourglass_ops.dir/pad.cpp.o\ta3
9000\t9300\t17\tops/libhourglass_ops.a\ta4
9000\t9500\t17\tmodels/embedded.cpp\ta5
9000\t9500\t17\tmodels/embedded.h\ta5
9500\t9600\t17\tops/CMakeFiles/hourglass_ops.dir/pad.cpp.o\ta6
"""


class Log(unittest.TestCase):
    def test_names_of_sources(self):
        for output, name, folder in [
                ("graph/CMakeFiles/hourglass_graph.dir/op.cpp.o", "graph/op.cpp", "graph"),
                ("ops/CMakeFiles/hourglass_ops.dir/detail/view.cpp.o", "ops/detail/view.cpp", "ops/detail"),
                ("tests/graph/CMakeFiles/graph_tests.dir/__/ops/case.cpp.o", "tests/ops/case.cpp", "tests/ops"),
                ("tests/cli/CMakeFiles/cli_tests.dir/__/__/engine/cli/time_left.cpp.o", "engine/cli/time_left.cpp",
                 "engine/cli"),
                ("engine/cli/CMakeFiles/hourglass_cli.dir/Unity/unity_3_cxx.cxx.o", "engine/cli/unity_3_cxx.cxx",
                 "engine/cli"),
                ("CMakeFiles/x.dir/main.cpp.o", "main.cpp", "."),
                ("engine/cli/CMakeFiles/hourglass.dir/cmake_pch.hxx.gch", "hourglass", PRECOMPILED),
                ("ops/libhourglass_ops.a", "ops/libhourglass_ops.a", OTHER),
        ]:
            with self.subTest(output=output):
                self.assertEqual(job_of(output, 1.5), Job(name, folder, 1.5))

    def test_a_log(self):
        jobs = read_log(LOG.splitlines())
        # The second pad.cpp.o took the first one's place; a command with two outputs counts once.
        self.assertEqual(sorted(job.seconds for job in jobs), [0.1, 0.3, 0.5, 4.0, 5.0])
        self.assertEqual(by_folder(jobs), {"ops/detail": (1, 5.0), PRECOMPILED: (1, 4.0), OTHER: (2, 0.8),
                                           "ops": (1, 0.1)})
        self.assertEqual(next(iter(by_folder(jobs))), "ops/detail")

    def test_what_is_said(self):
        text = "\n".join(report(read_log(LOG.splitlines()), slowest=1, limit_percent=45))
        self.assertRegex(text, r"9\.9 +100\.0% +5  in all")
        self.assertRegex(text, r"5\.0 +50\.5%  ops/detail/view\.cpp\n")
        self.assertIn("warning: ops/detail/view.cpp takes 50.5 % of the build, more than 45 %", text)
        self.assertEqual(text.count("warning"), 1)
        self.assertNotIn("pad.cpp", text)

    def test_what_is_no_log(self):
        for lines in ([], ["# ninja log v4"], ["# ninja log v5", "1\t2\tx"], ["# ninja log v5", "a\tb\tc\td\te"]):
            with self.subTest(lines=lines), self.assertRaises(ValueError):
                read_log(lines)


if __name__ == "__main__":
    unittest.main()

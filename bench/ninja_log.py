"""What a build took, source by source, from ninja's own log (.ninja_log).

Its lines are, behind `# ninja log v5`: begin and end of a command in milliseconds since the build began, the output's
time stamp, the output, and a hash of the command, separated by tabs. Of an output that was made more than once the last
line counts.
"""
import re
from typing import NamedTuple


class Job(NamedTuple):
    name: str      # the source from the project's root, or what was made
    folder: str    # the source's, or one of the two below
    seconds: float


PRECOMPILED = "(precompiled headers)"
OTHER = "(archives, links, generated files)"
# ops/CMakeFiles/hourglass_ops.dir/detail/view.cpp.o is made of ops/detail/view.cpp; __ stands for a folder's parent.
# Unity/unity_3_cxx.cxx of some target of a folder includes several of its sources.
TOGETHER = "Unity"
OBJECT = re.compile(r"(?:(?P<folder>.+)/)?CMakeFiles/(?P<target>[^/]+)\.dir/(?P<source>.+\.(?:cpp|cc|cxx|c))\.o$")
HEADERS = re.compile(r"(?:.+/)?CMakeFiles/(?P<target>[^/]+)\.dir/cmake_pch\.")


def job_of(output, seconds):
    """The job that made an output."""
    if headers := HEADERS.match(output):
        return Job(headers["target"], PRECOMPILED, seconds)
    found = OBJECT.match(output)
    if not found:
        return Job(output, OTHER, seconds)
    parts = found["folder"].split("/") if found["folder"] else []
    for part in found["source"].split("/"):
        if part == "__" and parts:
            parts.pop()
        elif part not in ("__", TOGETHER):
            parts.append(part)
    return Job("/".join(parts), "/".join(parts[:-1]) or ".", seconds)


def read_log(lines):
    """The jobs of a log, given as lines. Raises ValueError when it is no log that this understands."""
    lines = iter(lines)
    head = next(lines, "").strip()
    version = re.fullmatch(r"# ninja log v(\d+)", head)
    if not version or not 5 <= int(version[1]) <= 7:
        raise ValueError(f"expected '# ninja log v5' (to v7) in its first line, found '{head}'")
    by_output = {}
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 5:
            raise ValueError(f"line {number}: expected 5 fields, found {len(fields)}")
        begin, end, _, output, command = fields
        by_output[output] = (int(begin), int(end), command)
    # A command with several outputs has a line for each.
    by_command = {}
    for output, key in by_output.items():
        by_command.setdefault(key, output)
    return [job_of(output, (end - begin) / 1000) for (begin, end, _), output in by_command.items()]


def by_folder(jobs):
    """{folder: (number of jobs, seconds)}, the slowest first."""
    sums = {}
    for job in jobs:
        count, seconds = sums.get(job.folder, (0, 0.0))
        sums[job.folder] = (count + 1, seconds + job.seconds)
    return dict(sorted(sums.items(), key=lambda item: -item[1][1]))


def report(jobs, slowest, limit_percent):
    """Lines: seconds by folder, their sum, the slowest jobs with their share, and a warning for each above the limit."""
    total = sum(job.seconds for job in jobs)
    if total == 0:
        return ["nothing was built"]
    lines = [f"{'job-seconds':>11}  {'share':>6}  {'files':>5}  folder"]
    for folder, (count, seconds) in by_folder(jobs).items():
        lines.append(f"{seconds:11.1f}  {100 * seconds / total:5.1f}%  {count:5}  {folder}")
    lines += [f"{total:11.1f}  100.0%  {len(jobs):5}  in all", "", f"{'seconds':>11}  {'share':>6}  slowest"]
    order = sorted(jobs, key=lambda job: -job.seconds)
    for job in order[:slowest]:
        lines.append(f"{job.seconds:11.1f}  {100 * job.seconds / total:5.1f}%  {job.name}")
    for job in order:
        if 100 * job.seconds > limit_percent * total:
            lines.append(f"warning: {job.name} takes {100 * job.seconds / total:.1f} % of the build, more than "
                         f"{limit_percent:g} %: divide it, or compile less in it")
    return lines

#!/usr/bin/env python3
"""Has Slurm restore a folder on two nodes, and takes one of them away in the middle.

A controller and two nodes run on this machine, with all their state in a folder of their own. An array of four tasks
restores twelve small JPEGs. As soon as the second node has one done, it is lost: once with all of its processes, as when
a machine goes down, once its daemon alone, as when a machine is cut off, and what runs there runs on. In the end each
photograph must be restored, by one task alone as the manifests tell, to the bytes that a run without a cluster gives.

usage: slurm_test.py HOURGLASS restore.sbatch [LESSONS]

Exit code 77 where there is no Slurm (scripts/setup cluster).
"""
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import picture

TIMEOUT = 900  # seconds: for a cluster that hangs, not for one that is slow
PARTS, PHOTOS = 4, 12
# So long that a node can be lost meanwhile, and the same bytes wherever it runs.
OPTIONS = ["--lessons", sys.argv[3] if len(sys.argv) > 3 else "40", "--threads", "1"]

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdTimeout=6
MinJobAge=86400
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=main Nodes=ALL Default=YES State=UP
"""


def wait_until(what, reached, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {seconds} s until {what}")
        time.sleep(0.2)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def environment_of(process):
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def processes_of(folder, node=None):
    """The processes of this cluster; of a node's jobs, with the daemons that look after them, where one is named."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        if f"SLURM_CONF={folder}/slurm.conf".encode() not in environment_of(process.name):
            continue
        try:
            children = (process / "task" / process.name / "children").read_text().split()
        except OSError:
            continue
        mark = f"SLURMD_NODENAME={node}".encode()
        if node is None or any(mark in environment_of(one) for one in [process.name, *children]):
            found.append(int(process.name))
    return found


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        self.daemons = {}
        self.environment = dict(os.environ, SLURM_CONF=f"{folder}/slurm.conf")
        for name in ("state", "spool.node1", "spool.node2"):
            (folder / name).mkdir()
        (folder / "slurm.conf").write_text(CONFIGURATION.format(
            folder=folder, host=socket.gethostname().split(".")[0], user=getpass.getuser(), ports=free_ports(3)))
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)

    def __enter__(self):
        self.start("munged", ["munged", "--foreground", "--force", "--num-threads=2"] +
                   [f"--{name}={self.folder}/munge.{name.split('-')[0]}"
                    for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")])
        wait_until("munged is there", (self.folder / "munge.socket").exists)
        self.start("slurmctld", ["slurmctld", "-D"])
        for node in ("node1", "node2"):
            self.start(node, ["slurmd", "-D", "-N", node])
        wait_until("both nodes are idle",
                   lambda: self.ask("sinfo", "--noheader", "--Node", "--format=%T", check=False).split() == ["idle"] * 2)
        return self

    def __exit__(self, kind, *ignored):
        if kind is not None:
            for log in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out")):
                print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-25:], sep="\n")
        self.ask("scancel", "--user", getpass.getuser(), check=False)
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        for process in processes_of(self.folder):
            self.kill(process)

    def start(self, name, command):
        with open(self.folder / f"{name}.out", "ab") as out:
            self.daemons[name] = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                                  stderr=out, cwd=self.folder)

    def ask(self, *command, check=True):
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, text=True,
                              timeout=TIMEOUT)
        if check and done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    @staticmethod
    def kill(process):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def lose(self, node, with_its_processes):
        """The node's daemon goes, and with it, or not, what runs there."""
        jobs = [process for process in processes_of(self.folder, node) if process != self.daemons[node].pid]
        self.daemons[node].kill()
        self.daemons[node].wait()
        for process in jobs if with_its_processes else []:
            self.kill(process)
        return len(jobs)

    def tasks(self):
        """Of the last array: the number of each task, its state, how often it was begun again, and its exit code."""
        tasks = {}
        for line in self.ask("scontrol", "show", "job", "--oneliner", check=False).splitlines():
            values = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if values.get("ArrayTaskId", "").isdigit():
                tasks[int(values["ArrayTaskId"])] = (values["JobState"], int(values["Restarts"]), values["ExitCode"],
                                                     values.get("NodeList", ""))
        return tasks


def lines_of(results):
    lines = []
    for manifest in sorted(results.glob("manifest-*.jsonl")):
        for line in manifest.read_text().splitlines():
            lines.append((manifest.name, json.loads(line)))
    return lines


def restore_on(cluster, program, script, photos, alone, with_its_processes):
    results = cluster.folder / "results"
    cluster.environment["HOURGLASS"] = program
    cluster.ask("sbatch", f"--array=1-{PARTS}", "--output=task-%a.out", script, str(photos), str(results), *OPTIONS)

    def node2_has_some():
        running = [task for task, (state, _, _, node) in cluster.tasks().items() if state == "RUNNING" and node == "node2"]
        return any(name.startswith(f"manifest-{task}-") for task in running for name, _ in lines_of(results))

    wait_until("the second node has done something", node2_has_some)
    begun = len(lines_of(results))
    if cluster.lose("node2", with_its_processes) == 0:
        raise SystemExit("nothing ran on the second node when it was lost")
    if begun >= PHOTOS:
        raise SystemExit("the node was lost too late")
    wait_until("all tasks have ended", lambda: all(
        state in ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL") for state, *_ in cluster.tasks().values()))
    tasks = cluster.tasks()
    wrong = []
    if sorted(tasks) != list(range(1, PARTS + 1)) or any(code != "0:0" or state != "COMPLETED"
                                                         for state, _, code, _ in tasks.values()):
        wrong.append(f"tasks: {tasks}")
    # Where they run on they may end, and say so to the controller, before it takes the node for lost.
    if with_its_processes and sum(restarts for _, restarts, *_ in tasks.values()) == 0:
        wrong.append(f"no task was begun again: {tasks}")
    for task, (_, restarts, *_) in tasks.items():
        own = results / f"manifest-{task}-of-{PARTS}-restart-{restarts}.jsonl"
        if restarts > 0 and not own.exists():
            wrong.append(f"task {task} was begun again and has no manifest of its own, {own.name}")
    wait_until("the cut off node's processes have ended", lambda: not processes_of(cluster.folder, "node2"))

    found = {path.name: path.read_bytes() for path in results.glob("*.png")}
    if found != {path.name: path.read_bytes() for path in alone.iterdir()}:
        wrong.append(f"the results are not those of a run without a cluster: {sorted(found)}")
    done = [line["input"] for _, line in lines_of(results) if line["status"] == "done"]
    told = {line["input"] for _, line in lines_of(results)}
    if len(done) != len(set(done)):
        wrong.append(f"done twice: {sorted(done)}")
    if len(told) != PHOTOS:
        wrong.append(f"the manifests tell of {len(told)} of {PHOTOS} photographs")
    failed = [line for _, line in lines_of(results) if line["status"] == "failed"]
    if failed:
        wrong.append(f"failed: {failed}")
    summary = subprocess.run([program, "report", *map(str, sorted(results.glob("manifest-*.jsonl"))), "-o",
                              str(results / "manifest.jsonl")], capture_output=True, text=True)
    if summary.returncode != 0 or summary.stdout != f"{PHOTOS} files: {PHOTOS} done, 0 failed\n":
        wrong.append(f"hourglass report: {summary.returncode} {summary.stdout}{summary.stderr}")
    if wrong:
        for output in sorted(cluster.folder.glob("task-*.out")):
            print(f"--- {output.name}", output.read_text(errors="replace"), sep="\n")
        raise SystemExit("\n".join(wrong))
    print(f"{'a node' if with_its_processes else 'a daemon'} lost after {begun} of {PHOTOS}: {len(done)} done once, "
          f"{len(told) - len(set(done))} by their result alone; "
          f"{sum(restarts for _, restarts, *_ in tasks.values())} task begun again")


def main():
    program, script = (os.path.abspath(name) for name in sys.argv[1:3])
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if shutil.which(name) is None]
    if missing:
        print(f"skipped: there is no {', '.join(missing)} (scripts/setup cluster)")
        return 77
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="hg-slurm-", dir="/tmp") as top:
        top = Path(top)
        top.chmod(0o755)  # munge's socket is for all users
        photos = top / "photos"
        photos.mkdir()
        for i in range(PHOTOS):
            picture.write_png(top / "image.png", 96 + 8 * i, 96)
            subprocess.run([program, "degrade", top / "image.png", "-o", photos / f"{i}.jpg", "--quality", "15"],
                           check=True, stdout=subprocess.DEVNULL)
        alone = top / "alone"
        subprocess.run([program, "restore", "-r", photos, "--output-dir", alone, *OPTIONS], check=True,
                       stderr=subprocess.DEVNULL)
        for with_its_processes in (True, False):
            folder = top / ("node" if with_its_processes else "daemon")
            folder.mkdir()
            with Cluster(folder) as cluster:
                restore_on(cluster, program, script, photos, alone, with_its_processes)
    return 0


if __name__ == "__main__":
    sys.exit(main())

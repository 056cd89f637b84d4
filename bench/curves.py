"""Compares the course of our fit with that of the same network in PyTorch: PSNR over the iterations, when denoising.

Each image is cut to its middle, noise is added (the same file for both), and for every seed both fit it: ours with
`hourglass denoise`, PyTorch with bench/pytorch_peer.py. The histories are CSV files of the same columns in --out.
What is there is not computed again, and PyTorch's fit goes on from its last save: start the same command again to
continue after a break.

  bench/vs_pytorch --curves --images a.png b.png c.png --seeds 0,1
  bench/vs_pytorch --curves --report                  # the table and the plots of what is there
"""
import argparse
import csv
import math
import os
import statistics
import subprocess
import sys

import png

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS = ["iteration", "seconds", "loss", "psnr_degraded", "psnr_degraded_average", "psnr_original",
           "psnr_original_average"]
CURVES = {"iterate": "psnr_original", "average": "psnr_original_average"}
SAVE_EVERY = 50


def run(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")


def read_history(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [{key: float(value) for key, value in row.items()} for row in rows]


def rows_in(path):
    return len(read_history(path)) if os.path.exists(path) else 0


def write_history(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def prepare(options, image):
    """The clean and the noisy image that both engines get."""
    name = os.path.splitext(os.path.basename(image))[0]
    clean, noisy = (os.path.join(options.out, f"{name}.{kind}.png") for kind in ("clean", "noisy"))
    if not os.path.exists(noisy):
        pixels = png.read(image)
        top, left = ((side - options.size) // 2 for side in pixels.shape[:2])
        if min(top, left) < 0:
            sys.exit(f"{image}: is smaller than {options.size}x{options.size}")
        png.write(clean, pixels[top:top + options.size, left:left + options.size])
        run([options.binary, "degrade", clean, "-o", noisy, "--noise", str(options.sigma), "--force"])
    return name, clean, noisy


def fit_ours(options, clean, noisy, seed, history):
    if rows_in(history) >= options.iterations:
        return
    run([options.binary, "denoise", noisy, "-o", history.replace(".csv", ".png"), "--reference", clean,
         "--history", history, "--model", options.network, "--iterations", str(options.iterations),
         "--stop", "none", "--seed", str(seed), "--precision", options.precision, "--threads", str(options.threads), "--force", "-q"])


def psnr(a, b):
    return -10 * math.log10(float(((a - b) ** 2).mean()))


def fit_pytorch(options, clean, noisy, seed, history):
    done = rows_in(history)
    if done >= options.iterations:
        return
    import time
    import torch
    from pytorch_peer import Peer
    torch.set_num_threads(options.threads)
    original, target = (torch.from_numpy(png.read(path).astype("float32") / 255).permute(2, 0, 1)[None]
                        for path in (clean, noisy))

    def make(channels_last):
        return Peer(options.network, *target.shape[2:], options.precision, channels_last, seed=seed, target=target)

    # The faster one of PyTorch's layouts: which it is depends on the CPU, by up to a factor of two.
    peer = make(min((True, False), key=lambda channels_last: min(make(channels_last).time(2))))
    average, rows, seconds = None, [], 0.0
    saved = history.replace(".csv", ".state")
    if os.path.exists(saved):
        state = torch.load(saved)
        rows, average, seconds = read_history(history)[:state["iteration"]], state["average"], state["seconds"]
        peer.restore(state["peer"])
    while len(rows) < options.iterations:
        start = time.perf_counter()
        loss = peer.step()
        image = peer.image.detach().float()
        average = image.clone() if average is None else 0.99 * average + 0.01 * image
        seconds += time.perf_counter() - start
        values = [len(rows) + 1, seconds, loss, psnr(image, target), psnr(average, target), psnr(image, original),
                  psnr(average, original)]
        rows.append(dict(zip(COLUMNS, [values[0], round(seconds, 3), *(float(f"{value:.6g}") for value in values[2:])])))
        if len(rows) % SAVE_EVERY == 0 or len(rows) == options.iterations:
            write_history(history, rows)
            torch.save({"iteration": len(rows), "average": average, "seconds": seconds, "peer": peer.state()},
                       saved + ".new")
            os.replace(saved + ".new", saved)
    os.remove(saved)


def mean_curve(histories, column):
    length = min(len(rows) for rows in histories)
    return [statistics.fmean(rows[i][column] for rows in histories) for i in range(length)]


def compare(options, name):
    """One row for each curve of an image; None where one of the two engines has no history yet."""
    found = {}
    for engine in ("ours", "pytorch"):
        paths = [os.path.join(options.out, f"{name}-{seed}-{engine}.csv") for seed in options.seeds]
        found[engine] = [read_history(path) for path in paths if rows_in(path) > options.first]
    if not found["ours"] or not found["pytorch"]:
        return None
    rows = []
    for curve, column in CURVES.items():
        ours, peer = (mean_curve(found[engine], column) for engine in ("ours", "pytorch"))
        last = min(options.last, len(ours), len(peer))
        gaps = [a - b for a, b in zip(ours[options.first - 1:last], peer[options.first - 1:last])]
        rows.append({"image": name, "curve": curve, "seeds": [len(found["ours"]), len(found["pytorch"])],
                     "range": (options.first, last), "mean_gap": statistics.fmean(gaps),
                     "mean_distance": statistics.fmean(abs(gap) for gap in gaps),
                     "best": (max(ours[:last]), max(peer[:last])), "curves": (ours, peer)})
    return rows


def plot(path, rows):
    """An SVG of both curves of both engines."""
    width, height, left, bottom = 720, 420, 50, 40
    everything = [value for row in rows for curve in row["curves"] for value in curve[min(100, len(curve) // 10):]]
    low, high = math.floor(min(everything)), math.ceil(max(everything))
    length = max(len(curve) for row in rows for curve in row["curves"])

    def x_of(iteration):
        return left + (width - left - 10) * iteration / length

    def y_of(value):
        return 10 + (height - bottom - 10) * (high - value) / (high - low)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for value in range(low, high + 1):
        parts.append(f'<path d="M{left} {y_of(value):.1f}H{width - 10}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value}</text>')
    for iteration in range(0, length + 1, max(100, length // 6 // 100 * 100)):
        parts.append(f'<text x="{x_of(iteration):.1f}" y="{height - bottom + 18}" text-anchor="middle">{iteration}</text>')
    colors = {("iterate", 0): "#e8a33d", ("iterate", 1): "#8ab4d8", ("average", 0): "#b8500b", ("average", 1): "#1f5a94"}
    label_y = height - bottom - 70
    for row in rows:
        for engine, curve in enumerate(row["curves"]):
            color = colors[row["curve"], engine]
            points = " ".join(f"{x_of(i + 1):.1f},{y_of(max(curve[i], low)):.1f}" for i in range(0, len(curve), 5))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.3"/>'
                         f'<text x="{width - 20}" y="{label_y}" text-anchor="end" fill="{color}">'
                         f'{("hourglass", "PyTorch")[engine]}, {row["curve"]}</text>')
            label_y += 16
    parts.append(f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">iteration; PSNR in dB</text></svg>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


def report(options, names):
    lines = ["| image | curve | seeds (ours, PyTorch) | iterations | mean gap, dB | mean distance, dB | best ours | best PyTorch |",
             "|---|---|---|---|---|---|---|---|"]
    for name in names:
        rows = compare(options, name)
        if rows is None:
            lines.append(f"| {name} | - | not computed yet | | | | | |")
            continue
        for row in rows:
            lines.append(f"| {name} | {row['curve']} | {row['seeds'][0]}, {row['seeds'][1]} | "
                         f"{row['range'][0]}-{row['range'][1]} | {row['mean_gap']:+.3f} | {row['mean_distance']:.3f} | "
                         f"{row['best'][0]:.2f} | {row['best'][1]:.2f} |")
        plot(os.path.join(options.out, f"{name}.svg"), rows)
    text = "\n".join(lines) + "\n"
    with open(os.path.join(options.out, "curves.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")


def main(arguments):
    parser = argparse.ArgumentParser(prog="vs_pytorch --curves", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "hourglass"))
    parser.add_argument("--images", nargs="*", default=[], help="clean photographs (8-bit PNG)")
    parser.add_argument("--seeds", default="0,1", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--network", default="standard")
    parser.add_argument("--iterations", type=int, default=1800)
    parser.add_argument("--size", type=int, default=256, help="of the square that is cut from the middle")
    parser.add_argument("--sigma", type=float, default=25)
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--first", type=int, default=300, help="where the comparison begins")
    parser.add_argument("--last", type=int, default=1800, help="and ends")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "curves"))
    parser.add_argument("--engines", nargs="+", default=["ours", "pytorch"], choices=["ours", "pytorch"],
                        help="compute these alone, for instance where the other one is not installed")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    options = parser.parse_args(arguments)
    os.makedirs(options.out, exist_ok=True)
    if not options.report:
        for seed in options.seeds:
            for image in options.images:
                name, clean, noisy = prepare(options, image)
                for engine, fit in (("ours", fit_ours), ("pytorch", fit_pytorch)):
                    if engine not in options.engines:
                        continue
                    fit(options, clean, noisy, seed, os.path.join(options.out, f"{name}-{seed}-{engine}.csv"))
    suffix = ".clean.png"
    report(options, sorted(file[:-len(suffix)] for file in os.listdir(options.out) if file.endswith(suffix)))

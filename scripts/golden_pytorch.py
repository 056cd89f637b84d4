#!/usr/bin/python3
"""Golden data from PyTorch: the skip hourglass, its loss, every gradient and 20 steps of Adam.

Writes one ONNX file per case, whose initializers are the data (tests/models/golden.h reads them):

    z, target                 input noise and what the output is compared with
    init/P                    parameter P at the start, float32
    loss32, loss64            mean((image - target)^2) at the start, computed in float32 and in float64
    image64                   the network's output at the start
    grad32/P, grad64/P        d loss / d P at the start
    losses32, losses64        the loss before each of the 20 steps of Adam, then after the last
    final32/P, final64/P      the parameters after them

Some gradients are zero but for rounding: a shift that the next normalisation takes out again (every convolution's bias
but the last, and the shift of the normalisation behind a concatenation). Adam divides by the gradient's size, so it walks
such parameters about by rounding errors; compare their final values with nothing.

The parameters have the names that models/builder.cpp gives them. The float64 run starts from the same float32
numbers, so the float32 run's distance from it is what rounding alone does.

    scripts/golden_pytorch.py tests/data/golden              # writes the files
    scripts/golden_pytorch.py --compare tests/data/golden    # runs again, compares with the files; exit code 1 if they
                                                            # differ, 77 without PyTorch
"""
import argparse
import pathlib
import sys

try:
    import numpy as np
    import onnx
    import onnx.helper
    import onnx.numpy_helper
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"{error}; scripts/setup golden installs what this needs")
    sys.exit(77)  # ctest counts this as skipped

STEPS = 20
SLOPE = 0.2
# Where a gradient is near zero, Adam's step is as large as elsewhere and its sign is rounding's; where an activation is
# near leaky ReLU's kink, so is its slope. Such runs part within 20 steps whatever computes them. These seeds were the
# best of 400: float32 stays within 4e-6 of float64, and double runs with weights off by 2e-7 within 5e-3 (2e-2 is usual).
CASES = {
    "skip": dict(channels=[8, 16], skips=[4, 4], depth=3, height=24, width=32, seed=310),
    # No skip at the full size, sizes that are multiples of 4 and of nothing else.
    "skip-0-4": dict(channels=[8, 16], skips=[0, 4], depth=3, height=20, width=28, seed=275),
}


class Parameters:
    """Draws parameters as they are first asked for, float32, in the order of that asking."""

    def __init__(self, random, dtype):
        self.random, self.dtype, self.by_name = random, dtype, {}

    def get(self, name, shape, low, high):
        if name not in self.by_name:
            drawn = self.random.uniform(low, high, shape).astype(np.float32)
            self.by_name[name] = torch.tensor(drawn, dtype=self.dtype, requires_grad=True)
        return self.by_name[name]


def convolution(params, name, x, channels, kernel, stride=1):
    fan_in = x.shape[1] * kernel * kernel
    bound = fan_in ** -0.5
    weight = params.get(f"{name}/conv.weight", (channels, x.shape[1], kernel, kernel), -bound, bound)
    bias = params.get(f"{name}/conv.bias", (channels,), -bound, bound)
    pad = kernel // 2
    if pad:
        x = F.pad(x, (pad, pad, pad, pad), mode="reflect")
    return F.conv2d(x, weight, bias, stride=stride)


def normalisation(params, name, x):
    # Not 1 and 0 as a fit starts: other numbers test more.
    scale = params.get(f"{name}/bn.scale", (x.shape[1],), 0.5, 1.5)
    bias = params.get(f"{name}/bn.bias", (x.shape[1],), -0.5, 0.5)
    return F.batch_norm(x, None, None, scale, bias, training=True, eps=1e-5)


def block(params, name, x, channels, kernel, stride=1):
    x = normalisation(params, name, convolution(params, name, x, channels, kernel, stride))
    return F.leaky_relu(x, SLOPE)


def hourglass(params, z, channels, skips):
    def scale(x, i):
        """What scale i adds to its input: down, all deeper scales, up again."""
        if i == len(channels):
            return x
        skip = block(params, f"s{i}/skip", x, skips[i], 1) if skips[i] else None
        deeper = block(params, f"s{i}/down1", x, channels[i], 3, stride=2)
        deeper = block(params, f"s{i}/down2", deeper, channels[i], 3)
        deeper = scale(deeper, i + 1)
        joined = F.interpolate(deeper, scale_factor=2, mode="bilinear", align_corners=False)
        if skip is not None:
            joined = torch.cat([joined, skip], dim=1)  # deeper first, as in models/builder.cpp
        joined = normalisation(params, f"s{i}/merge", joined)
        joined = block(params, f"s{i}/up", joined, channels[i], 3)
        return block(params, f"s{i}/up1x1", joined, channels[i], 1)

    return torch.sigmoid(convolution(params, "out", scale(z, 0), 3, 1))


def run(case, dtype):
    """The data of one case in one precision, names without their 32 or 64."""
    # RandomState's numbers are the same in every version of numpy.
    random = np.random.RandomState(case["seed"])
    size = (case["height"], case["width"])
    z32 = random.uniform(0, 0.1, (1, case["depth"], *size)).astype(np.float32)
    target32 = random.uniform(0, 1, (1, 3, *size)).astype(np.float32)
    z, target = torch.tensor(z32, dtype=dtype), torch.tensor(target32, dtype=dtype)
    params = Parameters(random, dtype)

    image = hourglass(params, z, case["channels"], case["skips"])
    loss = torch.mean((image - target) ** 2)
    loss.backward()
    data = {"z": z32, "target": target32, "loss": loss.detach().numpy().reshape(1), "image": image.detach().numpy()}
    for name, value in params.by_name.items():
        data[f"init/{name}"] = value.detach().numpy().astype(np.float32)
        data[f"grad/{name}"] = value.grad.numpy().copy()

    optimizer = torch.optim.Adam(params.by_name.values(), lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.mean((hourglass(params, z, case["channels"], case["skips"]) - target) ** 2)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        losses.append(torch.mean((hourglass(params, z, case["channels"], case["skips"]) - target) ** 2).item())
    data["losses"] = np.array(losses, dtype=image.detach().numpy().dtype)
    for name, value in params.by_name.items():
        data[f"final/{name}"] = value.detach().numpy()
    return data


def both_precisions(case):
    single, double = run(case, torch.float32), run(case, torch.float64)
    data = {}
    for name in single:
        if name in ("z", "target") or name.startswith("init/"):
            data[name] = single[name]
        elif name == "image":
            data["image64"] = double[name]
        else:
            head, slash, rest = name.partition("/")
            data[f"{head}32{slash}{rest}"] = single[name]
            data[f"{head}64{slash}{rest}"] = double[name]
    return data


def save(path, data):
    # A valid model, so that any ONNX tool opens it: the one output is the loss.
    tensors = [onnx.numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in data.items()]
    node = onnx.helper.make_node("Identity", ["loss64"], ["loss"])
    output = onnx.helper.make_tensor_value_info("loss", onnx.TensorProto.DOUBLE, [1])
    graph = onnx.helper.make_graph([node], path.stem, [], [output], initializer=tensors)
    model = onnx.helper.make_model(graph, producer_name="scripts/golden_pytorch.py",
                                   opset_imports=[onnx.helper.make_opsetid("", 16)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def load(path):
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}


def differences(stored, now):
    """Names whose double-precision data differ: another PyTorch sums in another order, no more than that."""
    if stored.keys() != now.keys():
        return sorted(stored.keys() ^ now.keys())
    largest = max(np.abs(value).max() for name, value in stored.items() if name.startswith("grad64/"))
    found = []
    for name, value in stored.items():
        head, _, parameter = name.partition("/")
        if name in ("z", "target") or head == "init":
            tolerance, scale = 0, 1
        elif head in ("loss64", "image64"):
            tolerance, scale = 1e-12, np.abs(value).max()
        elif head == "grad64":
            # Gradients that are zero but for rounding are measured against the others.
            tolerance, scale = 1e-10, max(np.abs(value).max(), 1e-3 * largest)
        elif head == "losses64":
            tolerance, scale = 1e-9, np.abs(value).max()
        elif head == "final64" and np.abs(stored[f"grad64/{parameter}"]).max() > 1e-9 * largest:
            tolerance, scale = 1e-7, np.abs(value).max()
        else:
            continue  # single precision, or a shift that the next normalisation takes out: Adam walks it by rounding
        if np.abs(value - now[name]).max() > tolerance * scale:
            found.append(name)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--compare", action="store_true", help="compare with the files instead of writing them")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wrong = False
    for name, case in CASES.items():
        path = args.folder / f"{name}.onnx"
        data = both_precisions(case)
        if not args.compare:
            save(path, data)
            print(f"{path}: {len(data)} tensors, {path.stat().st_size} bytes, "
                  f"loss {data['losses64'][0]:.6f} -> {data['losses64'][-1]:.6f}")
            continue
        found = differences(load(path), data)
        print(f"{path}: {'differs in ' + ', '.join(found) if found else 'agrees'}")
        wrong = wrong or bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Exports networks from PyTorch as their authors would, and trains them there: what hourglass must read and follow.

The networks are small and defined here in our own words; `--list` prints them. Each is exported by torch.onnx.export

    TOPOLOGY-MODE-OPSET-SIZE.onnx   MODE: training, or eval, which folds normalisations into convolutions;
                                    OPSET: 11, 13, 17; SIZE: open (dynamic height and width), or WIDTHxHEIGHT

and trained on the same weights: 50 iterations of Adam at rate 0.003 on mean((image - target)^2), for two sizes. The
losses, computed in float64, stand in

    golden.onnx                     no network: tensors TOPOLOGY-MODE/WIDTHxHEIGHT/losses, and .../rounding: how far off
                                    another computation may be, relative to the loss (curves_of says how it is found)

Input and target are given by a formula (noise_of), not stored. An eval export is followed by a network whose
convolutions have the normalisations folded in as the exporter does it; normalisations that are left use the batch's
statistics, as hourglass does.

    scripts/export_pytorch.py tests/data/pytorch          # the subset that is stored: each topology and mode once
    scripts/export_pytorch.py --all FOLDER                # every mode, opset and size: bench/pytorch_exports trains them

Made with PyTorch 1.13 (Debian 12's python3-torch); needs python3-onnx too. scripts/setup golden installs both.
"""
import argparse
import copy
import math
import pathlib
import sys
import warnings

try:
    import numpy as np
    import onnx
    import torch
    import torch.nn.functional as F
    from onnx import helper, numpy_helper
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval
except ImportError as error:
    print(f"{error}; scripts/setup golden installs what this needs")
    sys.exit(77)  # ctest counts this as skipped

DEPTH = 4  # channels of the input
SIZES = ((32, 40), (37, 29))  # height, width; one of them odd
OPSETS = (11, 13, 17)
MODES = ("training", "eval")
ITERATIONS = 50

ACTIVATIONS = {"leaky": lambda: nn.LeakyReLU(0.2), "swish": nn.SiLU, "elu": nn.ELU, "relu": nn.ReLU}


def conv(cin, cout, kernel, stride=1, padding="reflect"):
    if kernel == 1:
        return [nn.Conv2d(cin, cout, 1, stride)]
    if padding == "zero":
        return [nn.Conv2d(cin, cout, kernel, stride, padding=kernel // 2)]
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(cin, cout, kernel, stride)]


class Lanczos(nn.Module):
    """Halves by a separable Lanczos-2 filter. The filter is a plain tensor: ONNX can't tell a buffer from a weight, so
    an exported buffer would be trained."""

    def __init__(self, channels):
        super().__init__()
        taps = [math.sin(math.pi * x) * math.sin(math.pi * x / 2) / (math.pi * x) ** 2 * 2
                for x in (-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75)]
        taps = torch.tensor(taps) / sum(taps)
        self.filter = torch.outer(taps, taps).expand(channels, 1, 8, 8).clone()
        self.bias = None
        self.pad = nn.ReplicationPad2d(3)

    def forward(self, x):
        return F.conv2d(self.pad(x), self.filter.to(x.dtype), self.bias, stride=2, groups=x.shape[1])


def halved(cin, cout, down, padding, activation):
    """A 3x3 convolution that halves the size, normalised."""
    if down == "stride":
        layers = conv(cin, cout, 3, 2, padding)
    else:
        pool = {"avg": lambda: nn.AvgPool2d(2, 2), "max": lambda: nn.MaxPool2d(2, 2), "lanczos": lambda: Lanczos(cout)}
        layers = conv(cin, cout, 3, 1, padding) + [pool[down]()]
    return nn.Sequential(*layers, nn.BatchNorm2d(cout), ACTIVATIONS[activation]())


def block(cin, cout, kernel=3, padding="reflect", activation="leaky"):
    return nn.Sequential(*conv(cin, cout, kernel, 1, padding), nn.BatchNorm2d(cout), ACTIVATIONS[activation]())


class Up(nn.Module):
    """To the size of `like`: by interpolation, or by a transposed convolution that doubles and is cut."""

    def __init__(self, channels, mode):
        super().__init__()
        self.mode = mode
        if mode == "transposed":
            self.conv = nn.ConvTranspose2d(channels, channels, 4, 2, padding=0)

    def forward(self, x, like):
        if self.mode == "transposed":
            return self.conv(x)[:, :, 1 : like.shape[2] + 1, 1 : like.shape[3] + 1]
        corners = {} if self.mode == "nearest" else {"align_corners": False}
        return F.interpolate(x, size=like.shape[2:], mode=self.mode, **corners)


class Hourglass(nn.Module):
    def __init__(self, padding="reflect", up="bilinear", down="stride", activation="leaky", skip=2, widths=(6, 8)):
        super().__init__()
        here = dict(padding=padding, activation=activation)
        self.scales = nn.ModuleList()
        cin = DEPTH
        for i, width in enumerate(widths):
            scale = nn.Module()
            scale.skip = block(cin, skip, 1, **here) if skip else None
            scale.down = nn.Sequential(halved(cin, width, down, padding, activation), block(width, width, **here))
            scale.up = Up(widths[min(i + 1, len(widths) - 1)], up)
            merged = skip + widths[min(i + 1, len(widths) - 1)]
            scale.norm = nn.BatchNorm2d(merged)
            scale.out = nn.Sequential(block(merged, width, **here), block(width, width, 1, **here))
            self.scales.append(scale)
            cin = width
        self.out = nn.Conv2d(widths[0], 3, 1)

    def scale(self, x, i):
        if i == len(self.scales):
            return x
        s = self.scales[i]
        y = s.up(self.scale(s.down(x), i + 1), x)
        if s.skip is not None:
            y = torch.cat((y, s.skip(x)), 1)
        return s.out(s.norm(y))

    def forward(self, x):
        return torch.sigmoid(self.out(self.scale(x, 0)))


class UNet(nn.Module):
    """A skip at every block; max pooling."""

    def __init__(self, widths=(6, 8, 10)):
        super().__init__()
        here = dict(padding="zero", activation="relu")
        self.encode, self.decode, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for cin, cout in zip((DEPTH,) + widths, widths):
            self.encode.append(nn.Sequential(block(cin, cout, **here), block(cout, cout, **here)))
        for deep, wide in zip(widths[:0:-1], widths[-2::-1]):
            self.up.append(Up(deep, "bilinear"))
            self.decode.append(nn.Sequential(block(deep + wide, wide, **here), block(wide, wide, **here)))
        self.out = nn.Conv2d(widths[0], 3, 1)

    def forward(self, x):
        kept = []
        for i, encode in enumerate(self.encode):
            x = encode(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for up, decode, like in zip(self.up, self.decode, kept[-2::-1]):
            x = decode(torch.cat((like, up(x, like)), 1))
        return torch.sigmoid(self.out(x))


class ResNet(nn.Module):
    def __init__(self, width=8, blocks=3):
        super().__init__()
        self.head = nn.Sequential(*conv(DEPTH, width, 3), nn.LeakyReLU(0.2))
        self.blocks = nn.ModuleList(
            nn.Sequential(block(width, width), *conv(width, width, 3), nn.BatchNorm2d(width)) for _ in range(blocks))
        self.out = nn.Sequential(*conv(width, 3, 3))

    def forward(self, x):
        x = self.head(x)
        for residual in self.blocks:
            x = x + residual(x)
        return torch.sigmoid(self.out(x))


class DeepDecoder(nn.Module):
    """1x1 convolutions and bilinear upsampling only; its small input is the image's, averaged."""

    def __init__(self, width=10, scales=3):
        super().__init__()
        self.scales = scales
        self.layers = nn.ModuleList(nn.Conv2d(DEPTH if i == 0 else width, width, 1, bias=False) for i in range(scales))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(scales))
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        size = x.shape[2:]
        y = F.avg_pool2d(x, 2**self.scales)
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            y = layer(y)
            last = i + 1 == self.scales
            y = F.interpolate(y, size=size if last else None, scale_factor=None if last else 2.0, mode="bilinear",
                              align_corners=False)
            y = norm(F.relu(y))
        return torch.sigmoid(self.out(y))


class Texture(nn.Module):
    """Input at several scales, each joined to what comes up from below."""

    def __init__(self, width=4, scales=3):
        super().__init__()
        here = dict(padding="zero")
        self.inputs = nn.ModuleList(
            nn.Sequential(block(DEPTH, width, **here), block(width, width, 1, **here)) for _ in range(scales))
        self.joined = nn.ModuleList(
            nn.Sequential(block(width * (k + 2), width * (k + 2), **here), block(width * (k + 2), width * (k + 2), 1, **here))
            for k in range(scales - 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width * (k + 1)) for k in range(scales - 1))
        self.up = Up(0, "nearest")
        self.out = nn.Conv2d(width * scales, 3, 1)

    def forward(self, x):
        levels = [x]
        for _ in self.inputs[1:]:
            levels.append(F.avg_pool2d(levels[-1], 2))
        y = self.inputs[-1](levels[-1])
        for k, joined in enumerate(self.joined):
            level = len(levels) - 2 - k
            fresh = self.inputs[level](levels[level])
            y = joined(torch.cat((self.norms[k](self.up(y, fresh)), fresh), 1))
        return torch.sigmoid(self.out(y))


class GroupNormSilu(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            *conv(DEPTH, width, 3), nn.GroupNorm(2, width), nn.SiLU(),
            *conv(width, width, 3), nn.GroupNorm(4, width), nn.SiLU(),
            *conv(width, width, 3), nn.InstanceNorm2d(width, affine=True), nn.GELU(), nn.Conv2d(width, 3, 1))

    def forward(self, x):
        return torch.sigmoid(self.layers(x))


class ShuffleAttention(nn.Module):
    """Half the size and back by pixel shuffle, with attention over channels (squeeze and excitation)."""

    def __init__(self, width=8):
        super().__init__()
        self.down = halved(DEPTH, width, "stride", "zero", "leaky")
        self.body = block(width, width)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4), nn.ReLU(),
                                     nn.Linear(4, width), nn.Sigmoid())
        self.expand = nn.Sequential(nn.Conv2d(width, 12, 1), nn.PixelShuffle(2))

    def forward(self, x):
        y = self.body(self.down(x))
        y = y * self.squeeze(y)[:, :, None, None]
        return torch.sigmoid(self.expand(y)[:, :, : x.shape[2], : x.shape[3]])


class NonLocal(nn.Module):
    """Attention over places, by matrix products and softmax, in a quarter of the size."""

    def __init__(self, width=6):
        super().__init__()
        self.head = nn.Sequential(halved(DEPTH, width, "avg", "zero", "swish"), halved(width, width, "avg", "zero", "swish"))
        self.qkv = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.up = Up(0, "bilinear")
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, x):
        y = self.head(x)
        q, k, v = (layer(y).flatten(2).transpose(1, 2) for layer in self.qkv)
        attention = torch.softmax(q @ k.transpose(1, 2) / 2.0, dim=-1)
        z = self.norm(attention @ v).transpose(1, 2).reshape(y.shape)
        return torch.sigmoid(self.out(self.up(y + z, x)))


TOPOLOGIES = {
    "skip": lambda: Hourglass(),
    "skip-zero-nearest": lambda: Hourglass(padding="zero", up="nearest"),
    "skip-transposed-elu": lambda: Hourglass(up="transposed", activation="elu"),
    "skip-avg-swish": lambda: Hourglass(down="avg", activation="swish"),
    "skip-max": lambda: Hourglass(down="max", up="nearest"),
    "skip-lanczos": lambda: Hourglass(down="lanczos", padding="zero"),
    "encoder-decoder": lambda: Hourglass(skip=0),
    "unet": UNet,
    "resnet": ResNet,
    "deep-decoder": DeepDecoder,
    "texture": Texture,
    "groupnorm-silu": GroupNormSilu,
    "shuffle-attention": ShuffleAttention,
    "non-local": NonLocal,
}


def noise_of(shape, seed):
    """Numbers in [0, 1) that C++ makes alike: the fractions of i * golden ratio^2, scrambled by a multiplication."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed * 1000003)
    bits = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    bits = ((bits ^ (bits >> np.uint64(15))) * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    return ((bits >> np.uint64(8)).astype(np.float64) / 2**24).astype(np.float32).reshape(shape)


# Rounding makes two runs part: where an activation is near its kink, or a gradient near zero, which Adam scales up. With
# these seeds, for the hourglasses the best of 10 that --search found, they part least.
SEEDS = {
    "skip": 3,
    "skip-zero-nearest": 7,
    "skip-transposed-elu": 5,
    "skip-avg-swish": 7,
    "skip-max": 0,
    "skip-lanczos": 7,
    "encoder-decoder": 3,
    "unet": 0,
    "resnet": 0,
    "deep-decoder": 0,
    "texture": 0,
    "groupnorm-silu": 0,
    "shuffle-attention": 0,
    "non-local": 0,
}


def make(topology, seed):
    torch.manual_seed(seed)
    net = TOPOLOGIES[topology]()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)):
                module.weight.uniform_(0.5, 1.5)  # not 1 and 0 as a fit starts: other numbers test more
                module.bias.uniform_(-0.5, 0.5)
    return net


def folded(net):
    """As the exporter folds for evaluation: a BatchNorm2d that follows a convolution goes into it."""
    net = copy.deepcopy(net).eval()
    for module in list(net.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        children = list(module.named_children())
        for (_, first), (name, second) in zip(children, children[1:]):
            if isinstance(first, Lanczos) and isinstance(second, nn.BatchNorm2d):
                scale = second.weight / torch.sqrt(second.running_var + second.eps)
                first.filter = nn.Parameter(first.filter * scale[:, None, None, None])
                first.bias = nn.Parameter(second.bias - second.running_mean * scale)
                setattr(module, name, nn.Identity())
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                fused = fuse_conv_bn_eval(first, second)
                first.weight, first.bias = fused.weight, fused.bias
                setattr(module, name, nn.Identity())
    return net.train()


def losses_of(net, size, dtype, disturbance=0.0):
    """`disturbance`: by how much of itself each weight is off, about."""
    net = copy.deepcopy(net).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 1 + disturbance * torch.randn_like(parameter)
    z = torch.tensor(noise_of((1, DEPTH, *size), 1) * np.float32(0.1), dtype=dtype)
    target = torch.tensor(noise_of((1, 3, *size), 2), dtype=dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for _ in range(ITERATIONS):
        optimizer.zero_grad()
        loss = torch.mean((net(z) - target) ** 2)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return np.array(losses)


def curves_of(net, size):
    """The losses in float64, and how far off rounding may put each: the largest of what single precision, and weights
    that are off by 1e-5, have done up to there, relative to the loss. That is more than single precision's epsilon:
    gradients near zero, which Adam scales up, are off by what is left of larger numbers, and fast convolutions round
    more coarsely. It may bring a dead channel to life, for one iteration a jump of 1 or 2 % of the loss."""
    exact = losses_of(net, size, torch.float64)
    runs = [losses_of(net, size, torch.float32)]
    torch.manual_seed(1)
    runs += [losses_of(net, size, torch.float64, 1e-5) for _ in range(8)]
    apart = np.max([np.abs(run / exact - 1) for run in runs], axis=0)
    return exact, np.maximum.accumulate(apart)


def search(topology):
    """The seed whose networks part least."""
    def apart(seed):
        net = make(topology, seed)
        return max(curves_of(n, size)[1][-1] for n in (net, folded(net)) for size in SIZES)

    return min((apart(seed), seed) for seed in range(10))


def export(net, path, mode, opset, size):
    net = copy.deepcopy(net)
    axes = {2: "height", 3: "width"}
    torch.onnx.export(
        net, torch.tensor(noise_of((1, DEPTH, *(size or SIZES[0])), 1)), path, opset_version=opset,
        training=torch.onnx.TrainingMode.TRAINING if mode == "training" else torch.onnx.TrainingMode.EVAL,
        do_constant_folding=mode == "eval", input_names=["image"], output_names=["restored"],
        dynamic_axes=None if size else {"image": axes, "restored": axes})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("--all", action="store_true", help="every mode, opset and size")
    parser.add_argument("--search", action="store_true", help="print the best seeds")
    parser.add_argument("--list", action="store_true", help="print the topologies' names")
    args = parser.parse_args()
    if args.list or not (args.folder or args.search):
        print("\n".join(TOPOLOGIES))
        return
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.search:
        for topology in TOPOLOGIES:
            apart, seed = search(topology)
            print(f'    "{topology}": {seed},  # {apart:.0e}', flush=True)
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for stale in args.folder.glob("*.onnx"):
        stale.unlink()
    golden = {}
    for turn, topology in enumerate(TOPOLOGIES):
        net = make(topology, SEEDS[topology])
        for mode in MODES:
            reference = folded(net) if mode == "eval" else net
            for size in SIZES:
                key = f"{topology}-{mode}/{size[1]}x{size[0]}"
                losses, apart = curves_of(reference, size)
                golden[f"{key}/losses"], golden[f"{key}/rounding"] = losses, apart
            # Stored: each opset, and both kinds of size, take turns.
            odd = mode == "eval"
            variants = [(OPSETS[(turn + odd) % 3], None if (turn // 3 + odd) % 2 == 0 else SIZES[1])]
            if args.all:
                variants = [(opset, size) for opset in OPSETS for size in (None, *SIZES)]
            for opset, size in variants:
                name = f"{topology}-{mode}-{opset}-{f'{size[1]}x{size[0]}' if size else 'open'}.onnx"
                export(net, args.folder / name, mode, opset, size)
            print(f"{topology}-{mode}: {len(variants)} files, loss {losses[0]:.4f} -> {losses[-1]:.4f}, rounding "
                  f"{apart[-1]:.1e}", flush=True)
    tensors = [numpy_helper.from_array(value, name) for name, value in golden.items()]
    data = helper.make_graph([], "golden", [], [], initializer=tensors)
    onnx.save(helper.make_model(data, producer_name="export_pytorch.py"), str(args.folder / "golden.onnx"))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/data/onnx/*.onnx: a small skip network as PyTorch exports it, with open height and width.

skip_OPSET_MODE.onnx  the network at that opset, exported for training or for evaluation; at opset 9 without the cuts
skip_golden.onnx      no network: the tensors input and output, of the network with batch statistics, computed in
                      double; and plain_input and plain_output, of the one without the cuts

Needs PyTorch (made with 1.13 and Debian 12's python3-torch) and python3-onnx.
usage: golden_exports.py [FOLDER]
"""
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

OPSETS = (9, 11, 13, 17)


def block(cin, cout, kernel, stride=1):
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(cin, cout, kernel, stride),
        nn.BatchNorm2d(cout),
        nn.LeakyReLU(0.2),
    )


class Scale(nn.Module):
    """One scale of the hourglass: a skip beside a way down and up again, cut to the smaller of the two."""

    def __init__(self, channels, width, skip, inner, mode, cut):
        super().__init__()
        self.mode, self.cut = mode, cut
        self.skip = block(channels, skip, 1)
        self.down = nn.Sequential(block(channels, width, 3, stride=2), block(width, width, 3))
        self.inner = inner
        merged = skip + (inner.width if inner is not None else width)
        self.width = width
        self.norm = nn.BatchNorm2d(merged)
        self.up = nn.Sequential(block(merged, width, 3), block(width, width, 1))

    def forward(self, x):
        y = self.down(x)
        if self.inner is not None:
            y = self.inner(y)
        if not self.cut:
            y = F.interpolate(y, scale_factor=2, mode="nearest")
        elif self.mode == "nearest":
            y = F.interpolate(y, size=x.shape[2:], mode="nearest")
        else:
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        s = self.skip(x)
        parts = (s, y)
        if self.cut:
            # An odd extent comes back one larger: take the middle out, with sizes computed in the graph.
            height, width = min(s.shape[2], y.shape[2]), min(s.shape[3], y.shape[3])
            parts = [middle(t, height, width) for t in parts]
        return self.up(self.norm(torch.cat(parts, dim=1)))


def middle(t, height, width):
    top, left = (t.shape[2] - height) // 2, (t.shape[3] - width) // 2
    return t[:, :, top : top + height, left : left + width]


class Skip(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.body = Scale(3, 4, 2, Scale(4, 6, 1, None, "nearest", cut), "bilinear", cut)
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return torch.sigmoid(self.out(self.body(x)))


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests/data/onnx")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    state = {name: value.clone() for name, value in Skip(cut=True).state_dict().items()}
    x = torch.rand(1, 3, 24, 20) * 0.1
    warnings.simplefilter("ignore")
    for opset in OPSETS:
        for mode in (torch.onnx.TrainingMode.EVAL, torch.onnx.TrainingMode.TRAINING):
            net = Skip(cut=opset >= 11)
            net.load_state_dict(state)
            torch.onnx.export(
                net,
                x,
                folder / f"skip_{opset}_{mode.name.lower()}.onnx",
                opset_version=opset,
                training=mode,
                do_constant_folding=mode == torch.onnx.TrainingMode.EVAL,
                input_names=["image"],
                output_names=["restored"],
                dynamic_axes={"image": {2: "height", 3: "width"}, "restored": {2: "height", 3: "width"}},
            )
    golden = {}
    for prefix, cut, size in (("", True, (25, 18)), ("plain_", False, (24, 20))):  # odd, so that the cuts cut
        net = Skip(cut)
        net.load_state_dict(state)
        net.train().double()
        x = (torch.rand(1, 3, *size) * 0.1).double()
        with torch.no_grad():
            golden[prefix + "input"], golden[prefix + "output"] = x, net(x)
    tensors = [numpy_helper.from_array(t.numpy().astype(np.float32), name) for name, t in golden.items()]
    graph = onnx.helper.make_graph([], "golden", [], [], initializer=tensors)
    onnx.save(onnx.helper.make_model(graph, producer_name="golden_exports.py"), str(folder / "skip_golden.onnx"))


if __name__ == "__main__":
    main()

"""The skip hourglass, and the residual U-Net that `--method learn` teaches, in PyTorch, as lean as it allows.

Padding is inside the convolutions (padding_mode="reflect"), activations work in place, convolutions in front of a
BatchNorm have no bias. The layers are those of models/hourglass*.onnx.
"""
import time

import torch
from torch import nn

NETWORKS = {
    "small": dict(channels=[8, 16, 32, 64, 128], skips=[0, 0, 0, 4, 4], depth=3),
    "medium": dict(channels=[32] * 5, skips=[4] * 5, depth=32),
    "standard": dict(channels=[128] * 5, skips=[4] * 5, depth=32),
}


def block(inputs, outputs, kernel, stride=1):
    padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False,
                  padding_mode="reflect" if padding else "zeros"),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2, inplace=True))


class Scale(nn.Module):
    def __init__(self, inputs, channels, skips):
        super().__init__()
        width, deeper = channels[0], channels[1:]
        self.skip = block(inputs, skips[0], 1) if skips[0] else None
        self.down = nn.Sequential(block(inputs, width, 3, 2), block(width, width, 3))
        self.deeper = Scale(width, deeper, skips[1:]) if deeper else None
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        joined = (deeper[0] if deeper else width) + skips[0]
        self.join = nn.Sequential(nn.BatchNorm2d(joined), block(joined, width, 3), block(width, width, 1))

    def forward(self, x):
        y = self.down(x)
        if self.deeper is not None:
            y = self.deeper(y)
        y = self.up(y)
        if self.skip is not None:
            y = torch.cat([y, self.skip(x)], 1)
        return self.join(y)


class Hourglass(nn.Module):
    def __init__(self, channels, skips, depth, outputs=3):
        super().__init__()
        self.body = Scale(depth, channels, skips)
        self.head = nn.Conv2d(channels[0], outputs, 1)

    def forward(self, z):
        return torch.sigmoid(self.head(self.body(z)))


class ResidualUnet(nn.Module):
    """models/leaves.onnx: corrects the first planes of its input by its output times the input's last one."""

    def __init__(self, channels=(24, 48, 64), depth=16, outputs=3):
        super().__init__()
        self.outputs = outputs

        def layer(inputs, width, kernel=3, stride=1):
            return nn.Conv2d(inputs, width, kernel, stride, padding=(kernel - stride) // 2)

        def pair(inputs, width):
            return nn.Sequential(layer(inputs, width), nn.LeakyReLU(0.1, inplace=True),
                                 layer(width, width), nn.LeakyReLU(0.1, inplace=True))

        scales = list(enumerate(channels))
        self.down = nn.ModuleList(layer(channels[i - 1], width, 2, 2) if i else nn.Identity() for i, width in scales)
        self.encode = nn.ModuleList(pair(width if i else depth, width) for i, width in scales)
        self.up = nn.ModuleList(nn.ConvTranspose2d(channels[i + 1], width, 2, 2) for i, width in scales[:-1])
        self.decode = nn.ModuleList(pair(2 * width, width) for _, width in scales[:-1])
        self.out = layer(channels[0], outputs)

    def forward(self, z):
        x, encoded = z, []
        for down, encode in zip(self.down, self.encode):
            x = encode(down(x))
            encoded.append(x)
        for i in reversed(range(len(self.up))):
            x = self.decode[i](torch.cat([self.up[i](x), encoded[i]], 1))
        return z[:, :self.outputs] + self.out(x) * z[:, -1:]


class Peer:
    """One fit; step() is one whole iteration: noise, forward, energy, backward, Adam."""

    def __init__(self, network, height, width, precision, channels_last, seed=0, target=None):
        torch.manual_seed(seed)
        self.precision = precision
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        outputs = 3 if target is None else target.shape[1]
        if network == "leaves":
            net, depth = ResidualUnet(outputs=outputs), 16
        else:
            net, depth = Hourglass(**NETWORKS[network], outputs=outputs), NETWORKS[network]["depth"]
        self.net = net.to(memory_format=self.format)
        self.z = (torch.rand(1, depth, height, width) * 0.1).to(memory_format=self.format)
        self.noise = torch.empty_like(self.z)
        target = torch.rand(1, 3, height, width) if target is None else target
        self.target = target.to(memory_format=self.format)
        self.image = None  # the last step's
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.01)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        z = self.z + self.noise.normal_() * (1 / 30)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            self.image = self.net(z)
        loss = torch.mean((self.image.float() - self.target) ** 2)
        loss.backward()
        self.optimizer.step()
        return float(loss)

    def state(self):
        """What restore() needs to go on as if nothing had happened."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "z": self.z,
                "random": torch.get_rng_state()}

    def restore(self, state):
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.z = state["z"]
        torch.set_rng_state(state["random"])

    def time(self, iterations):
        seconds = []
        for _ in range(iterations):
            start = time.perf_counter()
            self.step()
            seconds.append(time.perf_counter() - start)
        return seconds

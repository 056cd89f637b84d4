"""Pictures for the tests that are written in Python, which has no library for them at hand."""

import struct
import zlib


def write_png(path, width, height, channels=1, depth=8):
    """A PNG of ramps with an edge, in 1 (gray) or 3 channels of 8 or 16 bits."""
    pixel = channels * depth // 8

    def ramp(offset):
        """So many pixels of a row, and those of a period more."""
        return bytes((5 * x + 40 * channel + offset) & 255 for x in range(width + 256) for channel in range(channels)
                     for _ in range(depth // 8))

    # Three more are 103 pixels further: 5 * 103 = 515 = 3 (mod 256).
    lower, upper = ramp(0), ramp(60)
    packer, packed = zlib.compressobj(), []
    for y in range(height):
        first = 103 * y % 256
        edge = first + min(max((2 * width - 3 * y) // 2 + 1, 0), width)
        packed.append(packer.compress(b"\0" + lower[first * pixel:edge * pixel] +
                                      upper[edge * pixel:(first + width) * pixel]))
    packed.append(packer.flush())

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(packed)) +
                   chunk(b"IEND", b""))

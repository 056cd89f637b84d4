"""Pictures for the tests that are written in Python, which has no library for them at hand."""

import struct
import zlib


def write_png(path, width, height, channels=1, depth=8):
    """A PNG of ramps with an edge, in 1 (gray) or 3 channels of 8 or 16 bits."""
    bytes_per_sample = depth // 8
    rows = []
    for y in range(height):
        row = bytearray(b"\0")
        for x in range(width):
            for channel in range(channels):
                value = (5 * x + 3 * y + 40 * channel + (60 if 2 * x + 3 * y > 2 * width else 0)) & 255
                row += bytes([value]) * bytes_per_sample
        rows.append(bytes(row))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) +
                   chunk(b"IEND", b""))

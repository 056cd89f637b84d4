"""8-bit gray and RGB PNG files as numpy arrays, with nothing but zlib: what the scripts here need.

    pixels = read("photo.png")          # uint8, [height, width, channels]
    write("crop.png", pixels[:256, :256])
"""
import struct
import zlib

import numpy

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3}


def chunks(data):
    at = len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8:at + 8 + length]
        at += length + 12


def unfilter(rows, step):
    """PNG (ISO/IEC 15948), clause 9: each row begins with the number of its filter."""
    above = numpy.zeros(rows.shape[1] - 1, numpy.uint8)
    result = []
    for row in rows:
        kind, line = row[0], row[1:].copy()
        if kind == 1:  # Sub: sums along the row, channel by channel
            for channel in range(step):
                line[channel::step] = numpy.cumsum(line[channel::step], dtype=numpy.uint8)
        elif kind == 2:  # Up
            line += above
        elif kind in (3, 4):
            known = line.astype(int).tolist()
            up = above.astype(int).tolist()
            for i, value in enumerate(known):
                left = known[i - step] if i >= step else 0
                if kind == 3:
                    guess = (left + up[i]) // 2
                else:
                    corner = up[i - step] if i >= step else 0
                    guess = min((left, up[i], corner), key=lambda p: abs(left + up[i] - corner - p))
                known[i] = (value + guess) & 255
            line = numpy.array(known, numpy.uint8)
        result.append(line)
        above = line
    return numpy.stack(result)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(SIGNATURE):
        raise ValueError(f"{path}: is no PNG")
    parts = list(chunks(data))
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or color not in CHANNELS or interlaced:
        raise ValueError(f"{path}: only 8-bit gray and RGB without interlacing can be read")
    step = CHANNELS[color]
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    rows = numpy.frombuffer(raw, numpy.uint8).reshape(height, width * step + 1)
    return unfilter(rows, step).reshape(height, width, step)


def write(path, pixels):
    height, width, step = pixels.shape
    rows = numpy.zeros((height, width * step + 1), numpy.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[step], 0, 0, 0)
    with open(path, "wb") as file:
        file.write(SIGNATURE)
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))

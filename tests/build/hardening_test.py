#!/usr/bin/env python3
"""Whether the program is hardened as scripts/cmake/hardening.cmake says, by what its ELF file holds.

usage: hardening_test.py PROGRAM"""

import struct
import sys

PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 2, 3, 0x6474E551, 0x6474E552
DT_STRTAB, DT_STRSZ, DT_FLAGS, DT_FLAGS_1 = 5, 10, 30, 0x6FFFFFFB
ET_DYN, DF_BIND_NOW, DF_1_NOW, DF_1_PIE, PF_X, PT_LOAD = 3, 8, 1, 0x08000000, 1, 1


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        print("skipped: no ELF file of 64 bits")
        return 77
    kind, machine = struct.unpack_from("<HH", data, 16)
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, table + i * size) for i in range(count)]
    of_kind = {segment[0]: segment for segment in segments}

    def offset_of(address):
        for what, _, offset, start, _, length, _, _ in segments:
            if what == PT_LOAD and start <= address < start + length:
                return address - start + offset
        return None

    _, _, at, _, _, length, _, _ = of_kind[PT_DYNAMIC]
    dynamic = dict(struct.iter_unpack("<QQ", data[at:at + length]))
    names = data[offset_of(dynamic[DT_STRTAB]):][:dynamic[DT_STRSZ]].split(b"\0")
    complaints = []

    def expect(holds, what):
        if not holds:
            complaints.append(what)

    expect(kind == ET_DYN and PT_INTERP in of_kind and dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE, "is no PIE")
    expect(PT_GNU_RELRO in of_kind, "has no RELRO")
    expect(dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW or dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW, "binds lazily: RELRO is partial")
    expect(PT_GNU_STACK in of_kind and not of_kind[PT_GNU_STACK][1] & PF_X, "has a stack that can be executed")
    expect(b"__stack_chk_fail" in names, "guards no stack")
    expect(any(name.startswith(b"__") and name.endswith(b"_chk") for name in names), "checks no bounds (_FORTIFY_SOURCE)")
    if machine == 62:  # x86-64
        expect(data.count(b"\xf3\x0f\x1e\xfa") > 1000, "has no landing places of indirect branches (-fcf-protection)")
    for complaint in complaints:
        print(f"{sys.argv[1]}: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Opens the index of a run of 300 files in headless Chromium and uses it: every row shows its pictures, columns sort both
ways, links lead to reports that are there, nothing is fetched, and the console stays silent.

usage: index_in_browser.py HOURGLASS

Exit code 77 where there is no Chromium (apt-get install chromium).
"""
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from urllib.parse import unquote

from report_in_browser import find_chromium, use_page

FILES = 300
USE = """<script>
addEventListener('load', () => {
  const table = document.querySelector('.index'), rows = () => [...table.tBodies[0].rows];
  const column = (index) => rows().map((row) => row.cells[index].dataset.value);
  const press = (index) => table.tHead.rows[0].cells[index].querySelector('button').click();
  const result = {rows: rows().length};
  result.pictures = [...document.images].filter((image) => image.complete && image.naturalWidth).length;
  result.texts = [...document.images].filter((image) => image.alt.trim()).length;
  result.names = column(0);
  press(5);
  result.downwards = column(5);
  result.sorted = table.tHead.rows[0].cells[5].getAttribute('aria-sort');
  press(5);
  result.upwards = column(5);
  press(0);
  result.namesAgain = column(0);
  result.links = [...table.querySelectorAll('.name a')].map((link) => link.getAttribute('href'));
  result.lead = document.querySelector('.lead').textContent;
  result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  result.requests = performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith('data:')).length;
  result.problems = problems;
  const out = document.createElement('pre');
  out.id = 'result';
  out.textContent = JSON.stringify(result);
  document.body.append(out);
});
</script>"""


def make_png(width, height):
    """A gray ramp with a bright square in it."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(240 if 8 <= x < 20 and 8 <= y < 20 else 3 * x + y for x in range(width))
                    for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def make_photos(program, folder):
    """So many small JPEGs of some kinds, one of which is broken; a name needs escaping."""
    image = folder / "image.png"
    image.write_bytes(make_png(48, 32))
    kinds = []
    for quality in (10, 30, 60):
        jpeg = folder / f"{quality}.jpg"
        subprocess.run([program, "degrade", image, "-o", jpeg, "--quality", str(quality)], check=True,
                       stdout=subprocess.DEVNULL)
        kinds.append(jpeg.read_bytes())
    photos = folder / "photos"
    for i in range(FILES - 2):
        place = photos / f"{i % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.jpg").write_bytes(kinds[i % 3])
    (photos / "a <b> & 'c' #1%.jpg").write_bytes(kinds[0])
    (photos / "broken.jpg").write_bytes(kinds[0][:len(kinds[0]) // 2])
    return photos


def check(result, console, reports):
    """What is wrong, as texts."""
    values = [None if value is None else float(value) for value in result["downwards"]]
    known = [value for value in values if value is not None]
    expected = {
        "no problems": not result["problems"],
        "a silent console": not console,
        "a row for each file": result["rows"] == FILES,
        "three pictures for each that was restored": result["pictures"] == result["texts"] == 3 * (FILES - 1),
        "the failure is told, and first": "of which 1 failed" in result["lead"] and "broken" in result["names"][0],
        "numbers fall": known == sorted(known, reverse=True) and len(set(known)) > 1,
        "what is unknown is last": values[-1] is None,
        "that is said": result["sorted"] == "descending",
        "numbers rise": [float(value) for value in result["upwards"][:-1]] == sorted(known),
        "names rise": len(result["namesAgain"]) == FILES and result["namesAgain"] != result["names"],
        "links lead to reports": len(result["links"]) == FILES - 1
                                 and all((reports / unquote(link)).is_file() for link in result["links"]),
        "no sideways scrolling": result["overflow"] <= 0,
        "no requests": result["requests"] == 0,
    }
    return [name for name, holds in expected.items() if not holds]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos, reports = make_photos(sys.argv[1], folder), folder / "reports"
        done = subprocess.run([sys.argv[1], "restore", "-r", photos, "--output-dir", folder / "out", "--fast", "-q",
                               "--report", reports], stderr=subprocess.PIPE, check=False)
        if done.returncode != 3:
            sys.exit(f"exit code {done.returncode}: {done.stderr.decode()}")
        text = (reports / "index.html").read_text(encoding="utf-8")
        failed = not use_page(chromium, text, USE, folder,
                              lambda result, console, dark: check(result, console, reports))
    print("failed" if failed else f"the index of {FILES} files works")
    sys.exit(failed)


if __name__ == "__main__":
    main()

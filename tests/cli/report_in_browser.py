#!/usr/bin/env python3
"""Opens a report in headless Chromium and uses it: it renders, the divider moves by keyboard and pointer, zoom enlarges,
the plots suit light and dark, nothing is fetched, and the console stays silent.

usage: report_in_browser.py HOURGLASS IMAGE

Exit code 77 where there is no Chromium (apt-get install chromium).
"""
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import Page

# Stands before everything else in the copy of the page that is tested.
WATCH = """<script>
window.problems = [];
addEventListener('error', (event) => problems.push('error: ' + (event.message || event.target.tagName)), true);
addEventListener('securitypolicyviolation', (event) => problems.push('fetches ' + event.blockedURI));
</script>"""
# Stands last.
USE = """<script>
addEventListener('load', async () => {
  const pause = () => new Promise((done) => setTimeout(done, 50));
  const after = document.querySelector('.after'), stage = document.querySelector('.stage');
  const view = document.querySelector('.view'), slider = document.getElementById('share');
  const cut = () => parseFloat(getComputedStyle(stage).getPropertyValue('--cut'));
  const drag = (share) => {
    const box = view.getBoundingClientRect();
    const at = {clientX: box.left + share * view.clientWidth, clientY: box.top + 5, pointerId: 1, bubbles: true};
    view.setPointerCapture = () => {};
    for (const kind of ['pointerdown', 'pointermove', 'pointerup']) view.dispatchEvent(new PointerEvent(kind, at));
  };
  const result = {};
  result.images = [...document.images].map((image) => [image.alt, image.complete && image.naturalWidth]);
  result.clip = getComputedStyle(after).clipPath;
  slider.value = 20;
  slider.dispatchEvent(new Event('input'));
  await pause();
  result.cut20 = cut() / stage.clientWidth;
  drag(0.75);
  await pause();
  result.cut75 = cut() / stage.clientWidth;
  result.slider75 = Number(slider.value);
  result.focusable = [slider, view].every((element) => { element.focus(); return document.activeElement === element; });
  const key = (name) => document.dispatchEvent(new KeyboardEvent('keydown', {key: name}));
  // What lies at a point of the view, in pixels of the image.
  const seenAt = (x, y) => [x + view.scrollLeft - stage.offsetLeft, y + view.scrollTop - stage.offsetTop]
      .map((value) => value / stage.clientWidth * after.naturalWidth);
  const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const fit = stage.clientWidth;
  const middle = () => seenAt(view.clientWidth / 2, view.clientHeight / 2);
  const middleBefore = middle();
  document.querySelector('[data-zoom="8"]').click();
  await pause();
  result.zoomed = stage.clientWidth;
  result.middleMoved = apart(middle(), middleBefore);
  // The wheel with Ctrl, as a touch pad's pinch, keeps what is under the pointer.
  const at = {x: 0.3 * view.clientWidth, y: 0.4 * view.clientHeight}, under = seenAt(at.x, at.y);
  const corner = view.getBoundingClientRect();
  view.dispatchEvent(new WheelEvent('wheel', {deltaY: -100, ctrlKey: true, cancelable: true,
                                              clientX: corner.left + at.x, clientY: corner.top + at.y}));
  await pause();
  result.wheelled = stage.clientWidth / result.zoomed;
  result.underMoved = apart(seenAt(at.x, at.y), under);
  // Enlarged, dragging moves the image, but for the divider's surroundings.
  const scrolled = view.scrollLeft;
  view.setPointerCapture = () => {};
  const pointer = (kind, x) => view.dispatchEvent(new PointerEvent(kind, {
    clientX: corner.left + x, clientY: corner.top + 20, pointerId: 1, bubbles: true}));
  pointer('pointerdown', 200);
  pointer('pointermove', 160);
  pointer('pointerup', 160);
  await pause();
  result.panned = view.scrollLeft - scrolled;
  result.panCut = Number(slider.value);
  document.querySelector('[data-zoom="8"]').click();
  await pause();
  // Blinking shows one of the two alone.
  const widthOf = (name) => getComputedStyle(document.querySelector(name)).display;
  key('b');
  await pause();
  result.blinkBefore = widthOf('.stage .after');
  key('b');
  await pause();
  result.blinkAfter = getComputedStyle(after).clipPath + ' ' + widthOf('.stage .after');
  key('Escape');
  await pause();
  result.blinkEnded = getComputedStyle(after).clipPath;
  document.getElementById('against').click();
  await pause();
  result.against = getComputedStyle(document.querySelector('.original')).visibility +
      document.querySelector('.tag.left').textContent;
  document.getElementById('against').click();
  result.role = view.getAttribute('role');
  result.natural = after.naturalWidth;
  view.scrollTo(100, 0);
  view.dispatchEvent(new Event('scroll'));  // its own waits for a frame, and nothing is drawn here
  await pause();
  result.cutScrolled = cut() - 0.75 * view.clientWidth;
  document.querySelector('[data-zoom="fit"]').click();
  await pause();
  result.again = stage.clientWidth - fit;
  result.dark = matchMedia('(prefers-color-scheme: dark)').matches;
  result.paper = getComputedStyle(document.body).backgroundColor;
  const plot = document.querySelector('picture');
  result.plotIsDark = plot.querySelector('img').currentSrc === plot.querySelector('source').srcset;
  document.querySelectorAll('details').forEach((one) => { one.open = true; });
  await pause();
  result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  result.width = innerWidth;
  result.requests = performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith('data:')).length;
  result.problems = problems;
  const out = document.createElement('pre');
  out.id = 'result';
  out.textContent = JSON.stringify(result);
  document.body.append(out);
});
</script>"""


def make_report(program, image, folder):
    """A report with every part in it; its folder and name need escaping."""
    jpeg, report = folder / "a <b> & 'c'.jpg", folder / "report.html"
    subprocess.run([program, "degrade", image, "-o", jpeg, "--quality", "10"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "restore", jpeg, "-o", folder / "out.png", "--iterations", "12", "--reference", image,
                    "--report", report, "--threads", "1", "-q"], check=True)
    return report.read_text(encoding="utf-8")


def open_page(chromium, page, folder, dark, width=1200):
    """(what the page found out about itself, what the console said)"""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={width},900",
               f"--user-data-dir={folder / 'profile'}", "--no-first-run", "--disable-background-networking",
               "--virtual-time-budget=10000", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    done = subprocess.run([chromium, *options, "--dump-dom", page.as_uri()], capture_output=True, text=True,
                          timeout=120, check=False)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    if not found:
        sys.exit(f"the page did not run to its end:\n{done.stdout[-500:]}\n{done.stderr[-3000:]}")
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def find_chromium():
    """Its path; ends the test where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        print("skipped: no Chromium is installed (apt-get install chromium)")
        sys.exit(77)
    return chromium


def use_page(chromium, text, use, folder, check):
    """Opens the page in light and dark, with what watches it and a script that uses it. Whether all is as it should be:
    check(result, console, dark) lists what is not, which is printed."""
    page = folder / "watched.html"
    page.write_text(text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", use + "</body>"), encoding="utf-8")
    all_right = True
    for dark in (False, True):
        result, console = open_page(chromium, page, folder, dark)
        wrong = check(result, console, dark)
        if wrong:
            all_right = False
            print(f"{'dark' if dark else 'light'}: wrong: {', '.join(wrong)}\n{json.dumps(result)[:3000]}", *console,
                  sep="\n")
    return all_right


def check(result, console, dark):
    """What is wrong, as texts."""
    near = lambda a, b, room: abs(a - b) <= room
    expected = {
        "no problems": not result["problems"],
        "a silent console": not console,
        "every image shows": len(result["images"]) >= 5 and all(width for _, width in result["images"]),
        "every image has a text": all(text.strip() for text, _ in result["images"]),
        "the image after is cut": result["clip"].startswith("inset("),
        "the slider moves the divider": near(result["cut20"], 0.2, 0.15),
        "the pointer moves the divider": result["cut75"] > result["cut20"] + 0.3,
        "the slider follows": near(result["slider75"], 75, 1),
        "slider and view take the keyboard": result["focusable"],
        "8x is eight times": near(result["zoomed"], 8 * result["natural"], 1),
        "the divider stays in sight": near(result["cutScrolled"], 100, 2),
        "back to fit": near(result["again"], 0, 1),
        "the colour scheme": result["dark"] == dark and result["plotIsDark"] == dark,
        "paper": result["paper"] == ("rgb(22, 25, 29)" if dark else "rgb(255, 255, 255)"),
        "zoom keeps the middle": result["middleMoved"] < 2,
        "the wheel with Ctrl enlarges": result["wheelled"] > 1.3,
        "the wheel keeps what it points at": result["underMoved"] < 1,
        "an enlarged image is dragged": near(result["panned"], 40, 2) and near(result["panCut"], 75, 1),
        "b shows what was before": result["blinkBefore"] == "none",
        "b again what came after": result["blinkAfter"] == "none block",
        "Escape shows both": result["blinkEnded"].startswith("inset("),
        "against the original": result["against"] == "visibleOriginal",
        "the view is a group": result["role"] == "group",
        "no sideways scrolling": result["overflow"] <= 0,
        "no requests": result["requests"] == 0,
    }
    return [name for name, holds in expected.items() if not holds]


def fits_a_telephone(chromium, folder):
    """Whether the page that use_page() has left needs no sideways scrolling on a narrow screen."""
    result, _ = open_page(chromium, folder / "watched.html", folder, dark=False, width=400)
    if result["width"] > 520 or result["overflow"] > 0:
        print(f"narrow: wrong: {result['overflow']} pixels too wide for {result['width']}")
        return False
    return True


def works_by_keys(chromium, folder):
    """Whether Tab leads to all that can be used, which shows when it has the keyboard, and keys use it."""
    moved = {}
    with Page(chromium, folder / "report.html") as page:
        frame = "const e = document.activeElement, c = e.closest('.compare') || e;"
        for _ in range(40):
            page.press("Tab")
            name = page.value("document.activeElement.id || document.activeElement.className || "
                              "document.activeElement.dataset.zoom || document.activeElement.tagName")
            if name == "BODY":
                break
            moved[name] = page.value(f"(() => {{ {frame} const s = getComputedStyle(c);"
                                     "return s.outlineStyle === 'solid' && parseFloat(s.outlineWidth) >= 2; })()")
            share = page.value("document.getElementById('share').value")
            if name in ("share", "view"):
                page.press("ArrowLeft", 10)
                moved[name + " moves the divider"] = page.value("document.getElementById('share').value") \
                    == str(int(share) - 10)
            if name == "view":
                width = "document.querySelector('.stage').clientWidth"
                place = "document.querySelector('.view').scrollLeft"
                fit = page.value(width)
                page.press("+", 5)
                moved["+ enlarges"] = page.value(width) > 2 * fit
                before = page.value(place)
                page.press("ArrowRight", 3)
                page.value("new Promise((done) => setTimeout(done, 300))")
                moved["an enlarged picture is moved"] = page.value(place) > before
                page.press("-", 5)
                moved["- makes it smaller"] = page.value(width) == fit
                # A picture that is higher than the view, and no wider.
                page.value("document.querySelector('.view').style.maxHeight = '100px'")
                page.press("+")
                page.press("-")
                share = page.value("document.getElementById('share').value")
                page.press("ArrowRight", 5)
                moved["where there is only more below, arrows move the divider"] = \
                    page.value("(() => { const v = document.querySelector('.view');"
                               "return v.scrollHeight > v.clientHeight && v.scrollWidth <= v.clientWidth; })()") and \
                    page.value("document.getElementById('share').value") == str(int(share) + 5)
                page.value("document.querySelector('.view').style.maxHeight = ''")
            if name == "8":
                page.press("Enter")
                moved["a button is pressed"] = page.value("document.activeElement.getAttribute('aria-pressed')") == "true"
                page.press("0")
        page.ask("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
        moved["a narrow plot says that there is more of it"] = page.value(
            "(() => { const plot = document.querySelector('.sideways');"
            "return plot.scrollWidth > plot.clientWidth && "
            "getComputedStyle(document.querySelector('.hint')).display !== 'none'; })()")
    wanted = {"share", "against", "blink", "fit", "1", "2", "4", "8", "view", "copy", "SUMMARY", "A"}
    wrong = sorted(name for name, holds in moved.items() if not holds) + sorted(wanted - set(moved))
    if wrong:
        print(f"by keys: wrong: {', '.join(wrong)}")
    return not wrong


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = make_report(sys.argv[1], sys.argv[2], folder)
        failed = not use_page(chromium, text, USE, folder, check) or not fits_a_telephone(chromium, folder) \
            or not works_by_keys(chromium, folder)
    print("failed" if failed else "the report works in light and dark")
    sys.exit(failed)


if __name__ == "__main__":
    main()

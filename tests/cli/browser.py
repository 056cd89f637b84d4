"""A page in headless Chromium that is used as somebody at the keyboard does: keys go the way that pressed ones go. It is
spoken to in the DevTools protocol, over two pipes."""
import base64
import json
import os
import select
import signal
import subprocess
import tempfile

# What keys are called, and Windows' numbers for them, by which Chromium knows what they do.
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
         "ArrowRight": 39, "ArrowDown": 40, "+": 187, "-": 189}
SHIFT = 8
ANSWERS_WITHIN = 120  # seconds


class Page:
    """with Page(chromium, path, width=400) as page: page.press("Tab"); page.value("document.activeElement.id")"""

    def __init__(self, chromium, path, width=1200, height=900, dark=False):
        # Its processes may write there until the last of them is gone.
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def place():
            # In the child, where 3 and 4 are looked for.
            kept = os.dup(to_read), os.dup(to_write)
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
                   "--disable-background-networking", f"--user-data-dir={self.profile.name}",
                   f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        self.process = subprocess.Popen([chromium, *options], preexec_fn=place, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_read)
        os.close(to_write)
        self.count, self.session, self.rest = 0, None, b""
        try:
            self.open(path, width, height)
        except BaseException:
            self.close()
            raise

    def open(self, path, width, height):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.enable")
        self.ask("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        os.close(self.to)
        os.close(self.back)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # and the processes that it has started
        except ProcessLookupError:
            pass
        self.process.wait()
        self.profile.cleanup()

    def message(self):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], ANSWERS_WITHIN)[0]:
                raise RuntimeError(f"Chromium says nothing for {ANSWERS_WITHIN} s")
            more = os.read(self.back, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has gone")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def wait_for(self, event):
        while self.message().get("method") != event:
            pass

    def ask(self, method, **parameters):
        self.count += 1
        question = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            question["sessionId"] = self.session
        os.write(self.to, json.dumps(question).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def press(self, key, times=1, shift=False):
        for _ in range(times):
            pressed = {"key": key, "code": key if len(key) > 1 else "", "windowsVirtualKeyCode": CODES.get(key, 0),
                       "modifiers": SHIFT if shift else 0}
            if len(key) == 1 or key == "Enter":
                pressed["text"] = "\r" if key == "Enter" else key
            self.ask("Input.dispatchKeyEvent", type="keyDown", **pressed)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def value(self, script):
        """Of an expression, or of what its promise comes to."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, path, whole=False):
        """A screenshot, for those who want to see it."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

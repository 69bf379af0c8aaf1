"""Take the README's picture of a trial: a planned study in Chromium, as `study preview` serves it.

vapbench generate -m vap -m i2v && vapbench study plan -m vap -m i2v
python docs/scripts/study_picture.py studies/mini docs/pictures/study-page.png

Raters' trials differ, this one's as well: taken again it shows another.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1280, 760
BEFORE = 5
"""Trials to answer first: practice, and the first checks."""


def main(study: Path, picture: Path) -> None:
    """Take the picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    command = [sys.executable, "-m", "vapbench", "study", "preview", str(study), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout is not None
        link = next(found[0] for line in server.stdout if (found := re.search(r"http\S+", line)))
        chromium = driver.chromium.launch(executable_path=browser)
        tab = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(link)
        tab.goto(link.partition("/join")[0] + "/study?screen=trial")
        for key in (*("1" * BEFORE), "2"):
            tab.locator("#hint", has_text="Choose").wait_for()
            tab.keyboard.press(key)
            if key == "1":
                # Only practice is commented on.
                practice = tab.locator("#place").inner_text() == "Practice"
                tab.keyboard.press("Enter")
                if practice:
                    tab.locator("#feedback-go").click()
                tab.wait_for_timeout(500)
        # Where an effect has begun.
        tab.keyboard.press("Space")
        tab.locator("#scrub").evaluate("(bar) => { bar.value = 600; bar.dispatchEvent(new Event('input')); }")
        tab.wait_for_timeout(500)
        tab.screenshot(path=picture)
        chromium.close()
        server.terminate()
    # 256 colours are enough for a page, and a third of the bytes.
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

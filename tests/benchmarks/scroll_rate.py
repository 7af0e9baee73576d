"""How many slices a second the viewer shows in a Chromium without a graphics card.

.venv/bin/python -m tests.benchmarks.scroll_rate

A phantom of 128 x 128 x 128 voxels with its labels, a real server, SwiftShader for WebGL2. One slice a frame of the
browser; where WebGL draws, its picture is waited for (gl.readPixels).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

N_VOXELS = 128
N_STEPS = 40

_SCROLL = """
async (host, steps) => {
  const { scene } = await host.viewer;
  const last = scene.dims[2], rate = {};
  for (const [name, software] of [["viewer", scene.software], ["niivue alone", false]]) {
    scene.settle();
    const kept = scene.software;
    scene.software = software;
    const gl = scene.nv.view.gl, pixel = new Uint8Array(4);
    const begun = performance.now();
    for (let n = 0; n < steps; n++) {
      scene.goTo(n % last);
      await new Promise(requestAnimationFrame);
      if (!software) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); // wait until it is drawn
    }
    rate[name] = 1000 * steps / (performance.now() - begun);
    scene.software = kept;
  }
  return { rate, software: scene.software, size: [scene.canvas.width, scene.canvas.height], dims: scene.dims };
}
"""


def main() -> None:
    """Make the study, serve it, scroll."""
    import phantom_study
    from leg_phantom import grid
    from serving import CHROMIUM, serving

    from db.settings import Settings

    phantom_study.phantom_grid = lambda _: grid((N_VOXELS,) * 3, (3.0, 2.0, 3.1))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data")
        phantom_study.fill(settings, Path(folder), (phantom_study.Visit("CUBE"),), noise_hu=8)
        with serving(settings) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            for width in (1400, 1000):
                page = browser.new_page(viewport={"width": width, "height": 1000})
                page.set_default_timeout(300_000)
                page.goto(f"{server.address}/viewer?scan=1")
                host = page.locator(".thighseg-viewer[data-ready]")
                host.wait_for()
                for layout in ("Axial", "All"):
                    page.get_by_role("button", name=layout, exact=True).click()
                    page.wait_for_timeout(3000)
                    said = host.evaluate(_SCROLL, N_STEPS)
                    rates = ", ".join(f"{name} {rate:.0f}/s" for name, rate in said["rate"].items())
                    sys.stdout.write(
                        f"window {width} px, {layout}: {rates}; canvas {said['size']}, volume {said['dims']}, "
                        f"software {said['software']}, load average {os.getloadavg()[0]:.1f}\n"
                    )
                    sys.stdout.flush()
                page.close()
            browser.close()


if __name__ == "__main__":
    main()

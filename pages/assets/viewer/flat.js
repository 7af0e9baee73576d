// A slice drawn by the processor on a plain canvas over NiiVue's axial picture, for the moment of scrolling where there is
// no graphics card: WebGL in software takes many times as long for the same picture.
export class FlatSlice {
  constructor(pane) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "flat";
    this.canvas.hidden = true;
    this.canvas.setAttribute("aria-hidden", "true");
    pane.append(this.canvas);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true }); // stays in main memory
  }

  /** scan: {hu, bitmap, dims}; look: {low, high} in HU, table of RGBA a label, outline; rect: CSS pixels of the slice. */
  draw(k, { hu, bitmap, dims: [nx, ny] }, { low, high, table, outline, rim }, rect) {
    const { canvas } = this;
    if (canvas.width !== nx || canvas.height !== ny || !this.pixels) {
      canvas.width = nx;
      canvas.height = ny;
      this.image = this.context.createImageData(nx, ny);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const scale = 255 / (high - low), from = k * nx * ny, pixels = this.pixels;
    for (let j = 0; j < ny; j++) {
      let source = from + j * nx;
      let target = (ny - 1 - j) * nx + nx - 1; // anterior up, the patient's right on the left
      for (let i = 0; i < nx; i++, source++, target--) {
        let grey = (hu[source] - low) * scale;
        grey = grey < 0 ? 0 : grey > 255 ? 255 : grey;
        const label = bitmap[source], rgba = label ? table[label] : 0;
        if (!rgba) {
          pixels[target] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
          continue;
        }
        const edge = outline && (bitmap[source - 1] !== label || bitmap[source + 1] !== label
          || bitmap[source - nx] !== label || bitmap[source + nx] !== label);
        const share = edge ? rim : outline ? 0 : (rgba >>> 24) / 255;
        const rest = grey * (1 - share);
        pixels[target] = (255 << 24) | ((rest + ((rgba >> 16) & 255) * share) << 16)
          | ((rest + ((rgba >> 8) & 255) * share) << 8) | (rest + (rgba & 255) * share);
      }
    }
    this.context.putImageData(this.image, 0, 0);
    const { style } = canvas;
    style.left = `${rect.left}px`;
    style.top = `${rect.top}px`;
    style.width = `${rect.width}px`;
    style.height = `${rect.height}px`;
    canvas.hidden = false;
  }

  hide() {
    this.canvas.hidden = true;
  }
}

/** Whether WebGL is drawn by the processor. */
export function drawnInSoftware(gl) {
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const renderer = names ? gl.getParameter(names.UNMASKED_RENDERER_WEBGL) : "";
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

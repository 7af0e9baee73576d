// The picture itself: NiiVue with one scan as background and its labels as the drawing layer.
// Everything NiiVue-specific is in this file. Coordinates are voxels of the shown grid: x to the patient's right,
// y to the front, z to the head.
import { drawnInSoftware, FlatSlice } from "./flat.js";
import NiiVue, { DRAG_MODE } from "./niivue.min.js";

const AXIAL = 0, CORONAL = 1, SAGITTAL = 2, MULTIPLANAR = 3, RENDER = 4;
export const LAYOUTS = ["Axial", "Coronal", "Sagittal", "All", "3-D"];
const SLICE_TYPES = { Axial: AXIAL, Coronal: CORONAL, Sagittal: SAGITTAL, All: MULTIPLANAR, "3-D": RENDER };
export const AXIAL_SHARE = 0.7; // of the width, where the coronal view stands beside it
const SETTLE_MS = 180; // after the last slice of a scroll NiiVue draws it
const WIDE_PX = 560; // narrower than this, the axial slice stands alone

export class Scene {
  constructor(canvas, { onSlice, onHover, onStroke }) {
    this.canvas = canvas;
    this.onSlice = onSlice;
    this.onHover = onHover;
    this.onStroke = onStroke;
    this.layout = "Axial";
    this.table = new Uint32Array(256); // label -> RGBA, little endian
    this.opacity = 0.4;
    this.outline = false;
    this.frames = 0;
    this.nv = new NiiVue({
      backgroundColor: [0, 0, 0, 1],
      isRadiological: true,
      azimuth: 180,
      elevation: 10,
      isDragDropEnabled: false,
      isOrientationTextVisible: false,
      isOrientCubeVisible: true,
      is3DCrosshairVisible: false,
      isColorbarVisible: false,
      isRulerVisible: true,
      crosshairWidth: 1,
      crosshairGap: 6,
      crosshairColor: [1, 0.84, 0.04, 0.7],
      fontScale: 0.55,
      primaryDragMode: DRAG_MODE.crosshair,
      secondaryDragMode: DRAG_MODE.windowing,
      sliceType: AXIAL,
      multiplanarType: 2,
      showRender: 1,
      drawRimOpacity: -1,
      logLevel: "error",
    });
    this.nv._flushDrawing = () => this.#flush();
  }

  /** Fetch scan and labels and show them. `labels` may be null. */
  async open(imageUrl, labelsUrl, { centre, width }) {
    await this.nv.attachToCanvas(this.canvas);
    await this.nv.loadVolumes([
      { url: imageUrl, name: "image.nii.gz", colormap: "Gray", calMin: centre - width / 2, calMax: centre + width / 2 },
    ]);
    const volume = this.nv.volumes[0];
    this.dims = volume.dimsRAS.slice(1, 4);
    this.spacing = volume.pixDimsRAS.slice(1, 4);
    this.software = drawnInSoftware(this.nv.view.gl);
    this.flat = new FlatSlice(this.canvas.parentElement);
    this.canvas.parentElement.addEventListener("wheel", (event) => this.#wheel(event), { capture: true, passive: false });
    this.context = this.nv.createExtensionContext();
    this.hu = this.context.backgroundVolume.imgRAS;
    this.nv.createEmptyDrawing();
    this.nv.drawIsEnabled = false;
    if (labelsUrl) await this.loadLabels(labelsUrl);
    this.context.on("slicePointerMove", (event) => this.onHover(this.#voxel(event.detail)));
    this.context.on("slicePointerLeave", () => this.onHover(null));
    this.nv.addEventListener("locationChange", (event) => {
      if (this.pending === undefined) this.onSlice(this.slice());
      if (this.nv.isDragging) this.onHover(event.detail.vox.slice(0, 3).map(Math.round));
    });
    this.nv.addEventListener("drawingChanged", () => {
      this.partial = false;
      this.nv.refreshDrawing();
      this.onStroke();
    });
  }

  /** Put the cross into the thigh bone of a slice, or its middle, so that the other planes show a leg. */
  begin(slice, bones) {
    const [nx, ny, nz] = this.dims;
    const k = Math.min(nz - 1, Math.max(0, slice));
    const plane = this.bitmap.subarray(k * nx * ny, (k + 1) * nx * ny);
    for (const bone of bones) {
      let n = 0, x = 0, y = 0;
      for (let i = 0; i < plane.length; i++) if (plane[i] === bone) { n++; x += i % nx; y += Math.floor(i / nx); }
      if (!n) continue;
      this.nv.crosshairPos = [(x / n + 0.5) / nx, (y / n + 0.5) / ny, (k + 0.5) / nz];
      break;
    }
    this.goTo(k);
  }

  async loadLabels(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error((await answer.json()).error ?? answer.statusText);
    const stream = answer.body.pipeThrough(new DecompressionStream("gzip"));
    const file = new Uint8Array(await new Response(stream).arrayBuffer());
    const offset = new DataView(file.buffer).getFloat32(108, true); // NIfTI-1: vox_offset
    const labels = file.subarray(offset);
    const drawing = this.bitmap;
    if (labels.length !== drawing.length) throw new Error("the labels do not fit the scan; reload the page");
    drawing.set(labels);
    this.original = drawing.slice();
    this.nv.drawUndoBitmaps = [];
    this.nv.currentDrawUndoBitmap = -1;
    this.nv.refreshDrawing();
  }

  get bitmap() {
    return this.context.drawing.bitmap;
  }

  /** HU and label at a voxel; null outside. */
  at([x, y, z]) {
    const [nx, ny, nz] = this.dims;
    if (x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz) return null;
    const index = x + nx * (y + ny * z);
    return { hu: this.hu[index], label: this.bitmap[index] };
  }

  slice() {
    return this.pending ?? Math.min(this.dims[2] - 1, Math.max(0, Math.floor(this.nv.crosshairPos[2] * this.dims[2])));
  }

  goTo(slice) {
    const k = Math.min(this.dims[2] - 1, Math.max(0, slice));
    const rect = this.software && this.#flatRect();
    if (rect) {
      const { calMin: low, calMax: high } = this.nv.volumes[0];
      const { table, outline } = this;
      this.flat.draw(k, this, { low, high, table, outline, rim: Math.max(0.6, this.opacity) }, rect);
      this.pending = k;
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settle(), SETTLE_MS);
    } else {
      this.#cross(k);
    }
    this.onSlice(k);
  }

  /** Let NiiVue draw the slice that was scrolled to. */
  settle() {
    clearTimeout(this.settling);
    if (this.pending === undefined) return;
    const k = this.pending;
    this.pending = undefined;
    this.#cross(k);
    requestAnimationFrame(() => requestAnimationFrame(() => this.pending === undefined && this.flat.hide()));
  }

  #cross(k) {
    const [x, y] = this.nv.crosshairPos;
    this.nv.crosshairPos = [x, y, (k + 0.5) / this.dims[2]];
  }

  /** Where the axial slice lies on the page, in CSS pixels; null where the plain canvas cannot stand in for it. */
  #flatRect() {
    if (this.nv.drawIsEnabled || this.nv.pan2Dxyzmm[3] !== 1) return null;
    const tile = this.nv.view.screenSlices.find((one) => one.axCorSag === AXIAL && one.leftTopWidthHeight);
    if (!tile) return null;
    const scale = this.canvas.clientWidth / this.canvas.width;
    const [left, top, width, height] = tile.leftTopWidthHeight.map((n) => n * scale);
    return { left, top, width, height };
  }

  #wheel(event) {
    const rect = this.software && this.#flatRect();
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    if (!rect || x < rect.left || x > rect.left + rect.width || y < rect.top || y > rect.top + rect.height) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.goTo(this.slice() + (event.deltaY > 0 ? 1 : -1));
  }

  setLayout(layout) {
    this.settle();
    this.layout = layout;
    const wide = this.canvas.clientWidth > WIDE_PX;
    this.canvas.style.height = `${this.#height(wide)}px`;
    // the axial slice large, the whole leg beside it
    this.nv.customLayout = layout === "Axial" && wide
      ? [{ sliceType: AXIAL, position: [0, 0, AXIAL_SHARE, 1] },
        { sliceType: CORONAL, position: [AXIAL_SHARE, 0, 1 - AXIAL_SHARE, 1] }]
      : null;
    this.nv.sliceType = SLICE_TYPES[layout];
    this.besides = layout === "Axial" && wide;
    this.nv.resize();
    this.nv.drawScene();
  }

  /** As high as the picture needs, within reason. */
  #height(wide) {
    const [x, y, z] = this.dims.map((n, axis) => n * this.spacing[axis]);
    const width = this.canvas.clientWidth;
    const needed = { Axial: (wide ? AXIAL_SHARE : 1) * width * y / x, Coronal: width * z / x, Sagittal: width * z / y };
    return Math.round(Math.min(620, Math.max(300, (needed[this.layout] ?? 560) + 24)));
  }

  /** Grey values. In 3-D alone the image is left out: only the labels remain. */
  async setWindow({ centre, width }) {
    const hidden = this.layout === "3-D";
    const range = hidden ? { calMin: 30000, calMax: 32000 } : { calMin: centre - width / 2, calMax: centre + width / 2 };
    const volume = this.nv.volumes[0];
    if (volume.calMin === range.calMin && volume.calMax === range.calMax) return; // it costs a pass over all voxels
    await this.nv.setVolume(0, range);
  }


  /** colours: {label: "#rrggbb"} of what is shown; the rest is transparent. */
  setColours(colours, { opacity, outline }) {
    this.colours = colours;
    this.opacity = opacity;
    this.outline = outline;
    const before = this.table.slice();
    this.table.fill(0);
    const fill = this.layout === "3-D" ? 1 : outline ? 0.004 : opacity;
    for (const [label, colour] of Object.entries(colours)) {
      const n = Number.parseInt(colour.slice(1), 16);
      const alpha = Math.max(1, Math.round(255 * (opacity === 0 ? 0 : fill)));
      this.table[label] = ((alpha << 24) | ((n & 255) << 16) | (((n >> 8) & 255) << 8) | (n >> 16)) >>> 0;
    }
    this.nv.drawRimOpacity = outline ? Math.max(0.6, opacity) : -1;
    if (before.every((rgba, label) => rgba === this.table[label])) return;
    this.partial = false;
    this.nv.refreshDrawing();
  }

  /** Label values to colours and onto the graphics card: one slice while a stroke is drawn, else all. */
  #flush() {
    if (!this.nv.model.drawingVolume || !this.nv.view || !this.dims) return;
    const [nx, ny, nz] = this.dims;
    const bitmap = this.bitmap;
    this.rgba ??= new Uint32Array(bitmap.length);
    const stroke = this.nv._drawPenAxCorSag === AXIAL && this.nv._drawPenLocation[2] >= 0;
    const plane = nx * ny;
    const z = stroke ? this.nv._drawPenLocation[2] : 0;
    const from = stroke && this.partial ? z * plane : 0;
    const to = stroke && this.partial ? from + plane : bitmap.length;
    for (let i = from; i < to; i++) this.rgba[i] = this.table[bitmap[i]];
    const bytes = new Uint8Array(this.rgba.buffer, from * 4, (to - from) * 4);
    if (to - from === plane && stroke) {
      const gl = this.nv.view.gl;
      gl.bindTexture(gl.TEXTURE_3D, this.nv.view.sliceRenderer._drawingTexture);
      gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, z, nx, ny, 1, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
      gl.bindTexture(gl.TEXTURE_3D, null);
    } else {
      this.nv.view.refreshDrawing(bytes, [nx, ny, nz]);
    }
    this.partial = true;
  }

  #voxel(detail) {
    return detail?.voxel ?? null;
  }

  /** Paint with `label` (0 erases); null stops painting. */
  pen(label, { size = 1, filled = false } = {}) {
    this.settle();
    this.nv.drawIsEnabled = label !== null;
    if (label === null) return;
    this.nv.drawPenValue = label;
    this.nv.drawPenSize = size;
    this.nv.drawPenFilled = filled;
    this.nv.drawPenAutoClose = filled;
  }

  undo() {
    this.partial = false;
    this.nv.drawUndo();
  }

  discard() {
    this.bitmap.set(this.original);
    this.nv.drawUndoBitmaps = [];
    this.nv.currentDrawUndoBitmap = -1;
    this.partial = false;
    this.nv.refreshDrawing();
  }

  /** How many voxels differ from what was loaded. */
  changed() {
    let n = 0;
    const bitmap = this.bitmap;
    for (let i = 0; i < bitmap.length; i++) if (bitmap[i] !== this.original[i]) n++;
    return n;
  }

  zoom(factor) {
    const [x, y, z, scale] = this.nv.pan2Dxyzmm;
    const next = Math.min(8, Math.max(1, scale * factor));
    const mm = this.nv.model.scene2mm(this.nv.model.scene.crosshairPos);
    const share = scale - next;
    this.nv.pan2Dxyzmm = next === 1
      ? [0, 0, 0, 1]
      : [x + share * mm[0], y + share * mm[1], z + share * mm[2], next];
  }

  destroy() {
    clearTimeout(this.settling);
    this.context?.dispose();
    this.nv.destroy();
  }
}

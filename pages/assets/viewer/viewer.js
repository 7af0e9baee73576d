// The viewer as a whole: toolbar, picture, slice slider, legend, profile, keyboard. `mount` builds it once, `update`
// takes what the page says now. The picture is loaded anew only when the scan or the result is another one.
import { Brush } from "./brush.js";
import { Profile } from "./profile.js";
import { AXIAL_SHARE, LAYOUTS, Scene } from "./scene.js";
import { chips, choice, make, slider, toggle } from "./toolbar.js";

const REMEMBERED = "thighseg-viewer"; // this browser keeps how the viewer was last set
const KEYS = "↑ ↓ or wheel: slice · Page ↑ ↓: ten slices · Home, End: first, last · 1–5: view · m f b: window · o: outline · "
  + "space: labels on or off · + −: zoom · drag: move the cross · right drag: window · Ctrl Z: undo";

function canDraw() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

class Viewer {
  constructor(host) {
    this.host = host;
    this.look = { layout: "Axial", window: "Muscle", opacity: 40, outline: false, hidden: ["subcutaneous", "other_bone"] };
    try {
      Object.assign(this.look, JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}"));
    } catch { /* no storage: the defaults */ }
    this.visible = true;
  }

  update(component) {
    this.component = component;
    const data = component.data;
    const key = `${data.scan_key} ${data.run_key}`;
    if (key === this.key) {
      this.data = { ...data, image_url: this.data.image_url, labels_url: this.data.labels_url };
      if (this.brush) Object.assign(this.brush.data, { save_url: data.save_url }); // fresh tickets
      return;
    }
    if (data.run_key === this.savedKey && this.key?.split(" ")[0] === data.scan_key && this.scene) {
      // what was just saved from here is on the screen already
      this.key = key;
      this.data = data;
      this.savedKey = null;
      this.correct.setAttribute("aria-pressed", "false");
      this.#correct(false);
      this.#profile();
      this.profile.at(this.scene.slice());
      this.host.dataset.ready = key;
      return;
    }
    const kept = this.key?.split(" ")[0] === data.scan_key ? this.scene?.slice() : undefined;
    this.key = key;
    this.data = data;
    this.#open(kept);
  }

  async #open(slice) {
    this.scene?.destroy();
    this.scene = this.brush = null;
    this.host.replaceChildren();
    if (!canDraw()) {
      this.component.setStateValue("webgl", "no");
      return;
    }
    const { data, look } = this;
    this.canvas = make("canvas", { class: "scan", tabindex: 0, "aria-label": "The scan; arrow keys move through the slices" });
    this.message = make("div", { class: "message", role: "status" }, "Loading the scan…");
    this.line = make("div", { class: "line", role: "status", "aria-live": "off" }, " ");
    this.slices = make("input", {
      type: "range", class: "slices", min: 1, max: data.n_slices, step: 1, value: 1, "aria-label": "Slice, counted from the feet",
      "aria-orientation": "vertical", oninput: () => this.scene?.goTo(Number(this.slices.value) - 1),
    });
    this.places = make("div", { class: "chips", role: "group", "aria-label": "Go to a place along the leg" });
    this.profile = new Profile(make("div", { class: "profile" }), { onPick: (k) => this.scene?.goTo(k) });
    this.layouts = choice("View", LAYOUTS, look.layout, (layout) => this.set({ layout }));
    this.windows = choice("Window", Object.keys(data.windows), look.window, (window) => this.set({ window }));
    this.outline = toggle("Outline", look.outline, (outline) => this.set({ outline }), "Only the edges of the labels");
    this.correct = toggle("Correct…", false, (on) => this.#correct(on), "Paint on the labels and save a new version");
    this.help = make("div", { class: "help", hidden: true }, KEYS);
    const labelled = Boolean(data.labels_url);
    this.bar = make("div", { class: "bar", role: "toolbar", "aria-label": "Viewer" },
      this.layouts, this.windows,
      ...(labelled ? [slider("Opacity", { min: 0, max: 100, step: 5, value: look.opacity }, (opacity) => this.set({ opacity })),
        this.outline] : []),
      ...(data.save_url ? [this.correct] : []),
      toggle("Keys", false, (on) => { this.help.hidden = !on; }, KEYS));
    this.tools = make("div", {});
    const shown = data.classes.filter(({ name }) => !look.hidden.includes(name)).map(({ name }) => name);
    this.marks = ["R", "L"].map((side) => make("span", { class: "side", "aria-hidden": "true" }, side));
    this.stage = make("div", { class: "stage" }, make("div", { class: "pane" }, this.canvas, ...this.marks),
      this.slices, this.message);
    this.host.append(this.bar, this.help, this.tools, this.stage, this.line,
      labelled ? chips(data.classes, shown, (on) => this.set({
        hidden: data.classes.map(({ name }) => name).filter((name) => !on.includes(name)),
      })) : "",
      this.profile.host, this.places);
    this.stage.addEventListener("keydown", (event) => this.#key(event));
    this.scene = new Scene(this.canvas, {
      onSlice: (k) => this.#slice(k), onHover: (voxel) => this.#hover(voxel), onStroke: () => this.brush?.stroke(),
    });
    try {
      const url = (text) => text && new URL(text, document.baseURI).href;
      const [centre, width] = data.windows[look.window] ?? Object.values(data.windows)[0];
      await this.scene.open(url(data.image_url), url(data.labels_url), { centre, width });
      this.slices.max = this.scene.dims[2];
      this.#profile();
      await this.#apply();
      const femur = data.classes.find(({ name }) => name === "femur");
      this.scene.begin(slice ?? data.start_slice, [femur.right, femur.left]);
      this.message.remove();
      this.host.dataset.ready = this.key;
    } catch (error) {
      this.message.textContent = `The scan cannot be shown: ${error.message}`;
    }
  }

  set(change) {
    Object.assign(this.look, change);
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(this.look));
    } catch { /* no storage: forgotten with the page */ }
    return this.#apply();
  }

  async #apply() {
    if (!this.scene?.dims) return;
    const { look, data, scene } = this;
    scene.setLayout(look.layout);
    this.marks.forEach((mark) => { mark.hidden = look.layout !== "Axial" && look.layout !== "Coronal"; });
    this.marks[1].style.right = `${scene.besides ? 100 * (1 - AXIAL_SHARE) + 1.5 : 1.5}%`;
    const colours = {};
    for (const { name, colour, left, right, deep } of data.classes) {
      if (!this.visible || look.hidden.includes(name)) continue;
      if (look.layout === "3-D" && !deep) continue; // fat around the muscles would hide them
      colours[left] = colours[right] = colour;
    }
    scene.setColours(colours, { opacity: look.opacity / 100, outline: look.outline && look.layout !== "3-D" });
    const [centre, width] = data.windows[look.window] ?? Object.values(data.windows)[0];
    await scene.setWindow({ centre, width });
  }

  /** The profile, and a button for each place along the leg. */
  #profile() {
    const { profile } = this.data;
    this.profile.show(profile);
    this.places.replaceChildren(...(profile?.marks ?? []).map(({ slice, text }) =>
      make("button", { type: "button", class: "chip", onclick: () => this.scene.goTo(slice) }, text)));
  }

  #slice(k) {
    this.slices.value = k + 1;
    this.slices.setAttribute("aria-valuetext", `Slice ${k + 1} of ${this.scene.dims[2]}`);
    this.profile.at(k);
    this.#say(k, this.hovered);
  }

  #hover(voxel) {
    this.hovered = voxel;
    this.#say(this.scene.slice(), voxel);
  }

  #say(k, voxel) {
    const { data, scene } = this;
    const parts = [`Slice ${k + 1} of ${scene.dims[2]}`, `z ${data.z_mm[k].toFixed(1)} mm`];
    const mark = data.profile?.marks?.find((one) => one.slice === k);
    if (mark) parts.push(mark.text);
    const found = voxel && scene.at(voxel);
    if (found) {
      const one = data.classes.find(({ left, right }) => found.label && (left === found.label || right === found.label));
      const side = one && one.left !== one.right ? (one.left === found.label ? ", left" : ", right") : "";
      parts.push(`${Math.round(found.hu)} HU`, one ? one.title + side : "no label");
    }
    this.line.textContent = parts.join("  ·  ");
  }

  #correct(on) {
    this.tools.replaceChildren();
    if (!on) {
      this.scene.pen(null);
      this.brush = null;
      return;
    }
    if (this.look.layout === "3-D") {
      this.layouts.mark("Axial");
      this.set({ layout: "Axial" });
    }
    this.brush = new Brush(this.scene, this.data, {
      onSaved: (id, author) => {
        // a reading is no run: the shown result stays what it is
        this.savedKey = this.data.save_url.includes("/correction/") ? `run-${id}` : null;
        this.component.setTriggerValue("saved", { id, author });
      },
      onLeave: () => { this.correct.setAttribute("aria-pressed", "false"); this.#correct(false); },
    });
    this.tools.append(this.brush.node);
    this.brush.apply();
  }

  #key(event) {
    if (event.target instanceof HTMLInputElement && event.target !== this.slices) return;
    const k = this.scene?.slice() ?? 0;
    const last = this.data.n_slices - 1;
    const moves = { ArrowUp: k + 1, ArrowDown: k - 1, PageUp: k + 10, PageDown: k - 10, Home: 0, End: last };
    const windows = Object.fromEntries(Object.keys(this.data.windows).map((name) => [name[0].toLowerCase(), name]));
    if (event.key in moves) this.scene.goTo(moves[event.key]);
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.brush?.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (LAYOUTS[Number(event.key) - 1]) this.#press(this.layouts, "layout", LAYOUTS[Number(event.key) - 1]);
    else if (event.key in windows) this.#press(this.windows, "window", windows[event.key]);
    else if (event.key === "o") this.outline.click();
    else if (event.key === "+" || event.key === "=") this.scene.zoom(1.25);
    else if (event.key === "-") this.scene.zoom(0.8);
    else if (event.key === " ") { this.visible = !this.visible; this.#apply(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #press(group, name, value) {
    group.mark(value);
    this.set({ [name]: value });
  }

  destroy() {
    this.scene?.destroy();
    this.host.replaceChildren();
  }
}

export function mount(host) {
  return new Viewer(host);
}

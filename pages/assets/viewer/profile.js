// Cross-section along the leg: one line a muscle group and side, the current slice as a line across. Click to go there.
const WIDTH = 600, HEIGHT = 120, LEFT = 34, BOTTOM = 18, TOP = 8;

function element(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export class Profile {
  constructor(host, { onPick }) {
    this.host = host;
    this.onPick = onPick;
  }

  /** profile: {lines: [{group, side, colour, title, cm2: [...]}], marks: [{slice, text}], step_mm} from the feet up. */
  show(profile) {
    this.host.replaceChildren();
    this.cursor = null;
    if (!profile || !profile.lines.length) return;
    this.n = profile.lines[0].cm2.length;
    const top = Math.max(1, ...profile.lines.flatMap((line) => line.cm2));
    const svg = element("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none",
      "aria-label": "Cross-sectional area of each muscle group from the feet (left) to the head (right)",
    });
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
    for (const share of [0, 0.5, 1]) {
      svg.append(element("line", { x1: LEFT, x2: WIDTH, y1: y(top * share), y2: y(top * share), class: "grid" }));
    }
    for (const line of profile.lines) {
      const points = line.cm2.map((value, k) => `${this.#x(k).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      const drawn = element("polyline", { points, fill: "none", stroke: line.colour, "stroke-width": 1.8,
        "vector-effect": "non-scaling-stroke", ...(line.side === "right" ? { "stroke-dasharray": "5 3" } : {}) });
      drawn.append(element("title", {}, line.title));
      svg.append(drawn);
    }
    for (const mark of profile.marks ?? []) {
      const x = this.#x(mark.slice);
      const line = element("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "mark" });
      line.append(element("title", {}, mark.text));
      svg.append(line);
    }
    this.cursor = element("line", { y1: 0, y2: HEIGHT - BOTTOM, class: "cursor" });
    svg.append(this.cursor);
    const pick = (event) => {
      const box = svg.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT);
      this.onPick(Math.round(Math.min(1, Math.max(0, share)) * (this.n - 1)));
    };
    svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); pick(event); });
    svg.addEventListener("pointermove", (event) => event.buttons & 1 && pick(event));
    const scale = document.createElement("div");
    scale.className = "scale";
    scale.innerHTML = `<span>${Math.round(top)} cm²</span><span>${Math.round(top / 2)}</span><span>0</span>`;
    const ends = document.createElement("div");
    ends.className = "ends";
    const length = ((this.n - 1) * profile.step_mm / 10).toFixed(0);
    ends.innerHTML = `<span>feet</span><span>${length} cm scanned · solid left, dashed right</span><span>head</span>`;
    this.host.append(scale, svg, ends);
  }

  #x(slice) {
    return LEFT + (slice / Math.max(1, this.n - 1)) * (WIDTH - LEFT);
  }

  at(slice) {
    if (!this.cursor) return;
    const x = this.#x(slice);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }
}

// Correcting labels: which label, which side, how large; undo, discard, and sending what was painted to the server.
import { choice, make, select, slider } from "./toolbar.js";

async function packed(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class Brush {
  /** callbacks: onSaved(run_id), onLeave() */
  constructor(scene, data, { onSaved, onLeave }) {
    this.scene = scene;
    this.data = data;
    this.onSaved = onSaved;
    this.onLeave = onLeave;
    this.tool = "Paint";
    this.size = 3;
    this.group = data.classes[0].name;
    this.side = "left";
    this.status = make("span", { class: "hint", role: "status" }, "Paint on the axial slice.");
    this.author = make("input", {
      type: "text", maxlength: 200, value: data.author ?? "", placeholder: "Your name or initials", "aria-label": "Author",
      onkeydown: (event) => event.stopPropagation(),
    });
    this.save = make("button", { type: "button", class: "primary", disabled: true, onclick: () => this.#send() },
      data.save_label);
    this.sides = choice("Side of the patient", ["left", "right"], this.side, (side) => { this.side = side; this.apply(); });
    this.node = make("div", { class: "bar brush", role: "toolbar", "aria-label": "Correct the labels" },
      choice("Tool", ["Paint", "Fill", "Erase"], this.tool, (tool) => { this.tool = tool; this.apply(); }),
      select("Label", data.classes.map(({ name, title }) => [name, title]), this.group,
        (group) => { this.group = group; this.apply(); }),
      this.sides,
      slider("Size", { min: 1, max: 25, step: 2, value: this.size }, (size) => { this.size = size; this.apply(); }),
      make("button", { type: "button", onclick: () => this.undo() }, "Undo"),
      make("button", { type: "button", onclick: () => this.#discard() }, "Discard"),
      this.author, this.save, this.status);
  }

  get label() {
    if (this.tool === "Erase") return 0;
    const chosen = this.data.classes.find(({ name }) => name === this.group);
    return this.side === "left" ? chosen.left : chosen.right;
  }

  apply() {
    this.scene.pen(this.label, { size: this.size, filled: this.tool === "Fill" });
  }

  undo() {
    this.scene.undo();
    this.stroke();
  }

  /** After a stroke: say how much was changed. */
  stroke() {
    const changed = this.scene.changed();
    this.save.disabled = changed === 0;
    const cm3 = changed * this.data.voxel_cm3;
    this.status.textContent = changed
      ? `${changed.toLocaleString("en")} voxels changed (${cm3.toFixed(cm3 < 1 ? 2 : 1)} cm³)` : "Nothing is changed.";
  }

  #discard() {
    this.scene.discard();
    this.scene.pen(null);
    this.onLeave();
  }

  async #send() {
    if (!this.author.value.trim()) {
      this.status.textContent = "A correction needs its author: give your name or initials.";
      this.author.focus();
      return;
    }
    this.save.disabled = true;
    this.status.textContent = "Saving and measuring…";
    try {
      const answer = await fetch(new URL(this.data.save_url, document.baseURI), {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream", "X-Author": encodeURIComponent(this.author.value.trim()) },
        body: await packed(this.scene.bitmap),
      });
      const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
      if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
      this.scene.original = this.scene.bitmap.slice();
      this.status.textContent = "Saved.";
      this.onSaved(said.id, this.author.value.trim());
    } catch (error) {
      this.status.textContent = `Not saved: ${error.message}`;
      this.save.disabled = false;
    }
  }
}

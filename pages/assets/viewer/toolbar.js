// Buttons of the viewer, built from plain elements: groups of which one is pressed, switches, sliders, coloured chips.

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A group of buttons of which exactly one is pressed. */
export function choice(label, names, chosen, onChoose) {
  const buttons = names.map((name) =>
    make("button", { type: "button", "aria-pressed": String(name === chosen), onclick: () => press(name) }, name));
  function press(name) {
    mark(name);
    onChoose(name);
  }
  function mark(name) {
    buttons.forEach((button, n) => button.setAttribute("aria-pressed", String(names[n] === name)));
  }
  const group = make("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
  group.mark = mark;
  return group;
}

/** A button that stays pressed. */
export function toggle(label, pressed, onChange, title = "") {
  const button = make("button", {
    type: "button", class: "toggle", "aria-pressed": String(pressed), title,
    onclick: () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(now));
      onChange(now);
    },
  }, label);
  return button;
}

/** A slider with its name before it. */
export function slider(label, { min, max, value, step = 1 }, onInput) {
  const input = make("input", {
    type: "range", min, max, step, value, "aria-label": label, oninput: () => onInput(Number(input.value)),
  });
  const node = make("label", { class: "slider" }, make("span", {}, label), input);
  node.input = input;
  return node;
}

/** One chip a label class, with its colour; pressed means shown. */
export function chips(classes, shown, onChange) {
  const on = new Set(shown);
  const buttons = classes.map(({ name, title, colour }) => {
    const button = make("button", {
      type: "button", class: "chip", "aria-pressed": String(on.has(name)),
      onclick: () => {
        if (on.has(name)) on.delete(name);
        else on.add(name);
        button.setAttribute("aria-pressed", String(on.has(name)));
        onChange([...on]);
      },
    }, make("span", { class: "swatch", style: `background:${colour}` }), title);
    return button;
  });
  return make("div", { class: "chips", role: "group", "aria-label": "Labels shown" }, ...buttons);
}

/** A drop-down list. */
export function select(label, options, value, onChange) {
  const node = make("select", { "aria-label": label, onchange: () => onChange(node.value) },
    ...options.map(([key, title]) => make("option", { value: key, selected: key === value }, title)));
  return make("label", { class: "slider" }, make("span", {}, label), node);
}

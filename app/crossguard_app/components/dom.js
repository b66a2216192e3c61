// Small helpers to build elements. Text always goes in as text, never as HTML: names of classes and files
// come from the user's data.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.setAttribute("class", value);
    else if (name === "style" && typeof value === "object") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}

export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const ICONS = {
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  back: "M20 12H5M11 6l-6 6 6 6",
  select: "M5 3l14 8-6.5 1.5L9 19z",
  box: "M4 6h16v12H4z",
  polygon: "M5 9l7-5 8 6-4 9H8z",
  undo: "M9 7L4 12l5 5M4 12h10a5 5 0 0 1 0 10h-2",
  redo: "M15 7l5 5-5 5M20 12H10a5 5 0 0 0 0 10h2",
  hide: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  target: "M12 3v4M12 17v4M3 12h4M17 12h4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8",
  check: "M4 12l5 5L20 6",
  ring: "M4 6h16v12H4zM9 10h6v4H9z",
  wand: "M5 19L15 9M13 5l1-2M18 10l2-1M17 5l2-2M12 12l2 2",
  brush: "M14 4l6 6-7 7H7v-6zM4 20h9",
  eraser: "M8 18l-4-4L13 5l6 6-7 7H8zM12 18h8",
  split: "M4 5h6v14H4zM14 5h6v14h-6zM12 2v20",
  merge: "M4 7h9v9H4zM11 11h9v9h-9z",
  magnet: "M6 4v8a6 6 0 0 0 12 0V4h-4v8a2 2 0 0 1-4 0V4z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  difference: "M9 5a6 6 0 1 0 0 12M15 7a6 6 0 1 1 0 12M9 9h6M9 12h6M9 15h6",
  keys: "M3 7h18v10H3zM7 10h.5M11 10h.5M15 10h.5M8 14h8",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  loop: "M12 4c5 0 9 2.7 9 6s-4 6-9 6-9-2.7-9-6 4-6 9-6M7 15c-2 2-1 4 1 5",
  hand: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
};

export function icon(name) {
  return s(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    s("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.8,
      "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
}

export function button(label, options = {}) {
  const { hint, onclick, name, title, kind = "", disabled, picture } = options;
  return h(
    "button",
    { type: "button", class: `button ${kind}`, "data-action": name, disabled, onclick,
      title: title ?? (hint ? `${label} (${hint})` : label), "aria-label": title ?? label },
    picture && icon(picture),
    label && h("span", { class: "text" }, label),
    hint && h("kbd", { "aria-hidden": "true" }, hint),
  );
}

// Places over a picture, each with its count: to look at.

import { h, s } from "./dom.js";

const instances = new WeakMap();

function draw(root, { image, width, height, layer, picked }) {
  const size = width / 26;
  root.replaceChildren(s("svg", { viewBox: `0 0 ${width} ${height}`, class: "stage still", role: "img", "aria-label": layer.title },
    s("image", { href: image, width, height, preserveAspectRatio: "none" }),
    layer.items.map(({ box: [x1, y1, x2, y2], strength, text }, number) => [
      s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: layer.color, fill: layer.color,
        "fill-opacity": 0.06 + 0.5 * strength, class: `box ${picked === number ? "picked" : ""}` }, s("title", {}, text)),
      s("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2, "font-size": size, class: "count" }, text.split(": ").at(-1))])));
}

export default function mount({ parentElement, data }) {
  let root = instances.get(parentElement);
  if (!root) {
    root = h("div", { class: "scene" });
    parentElement.append(root);
    instances.set(parentElement, root);
  }
  draw(root, data);
  return () => {
    instances.get(parentElement)?.remove();
    instances.delete(parentElement);
  };
}

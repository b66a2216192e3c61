// A grid of pictures with shapes over them: crops, frames, wins and losses. Click opens or selects.

import { h, s } from "./dom.js";

const instances = new WeakMap();

class Gallery {
  constructor(parent) {
    this.root = h("div", { class: "gallery" });
    parent.append(this.root);
    this.chosen = new Set();
  }

  receive(data) {
    this.data = data;
    if (data.token !== this.token) {
      this.token = data.token;
      this.chosen = new Set(data.chosen ?? []);
    }
    this.root.style.setProperty("--wide", `${data.size}px`);
    this.root.replaceChildren(...data.cards.map((card) => this.card(card)));
  }

  card(card) {
    const pictures = card.pictures.map((picture) => this.picture(picture));
    const marks = [card.badge && h("span", { class: `badge ${card.tone ?? ""}` }, card.badge)];
    const select = this.data.mode === "select";
    const chosen = this.chosen.has(card.key);
    return h(this.data.mode === "show" ? "div" : "button",
      { class: "card", type: "button", "data-key": card.key, "aria-pressed": select ? String(chosen) : null,
        title: card.title, onclick: () => this.click(card.key) },
      h("div", { class: "pictures" }, pictures, marks),
      h("div", { class: "words" }, h("b", {}, card.title), card.note && h("span", {}, card.note)));
  }

  picture({ url, width, height, shapes, caption }) {
    return h("figure", {}, s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" },
      s("image", { href: url, width, height, preserveAspectRatio: "none" }),
      (shapes ?? []).map(({ box: [x1, y1, x2, y2], color, dashed, text }) => [
        s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: color,
          class: dashed ? "dashed" : "" }),
        text && s("title", {}, text)])),
    caption && h("figcaption", {}, caption));
  }

  click(key) {
    if (this.data.mode === "show") return;
    if (this.data.mode === "open") {
      this.open(key);
      return;
    }
    if (this.chosen.has(key)) this.chosen.delete(key);
    else this.chosen.add(key);
    for (const node of this.root.querySelectorAll(".card")) {
      node.setAttribute("aria-pressed", String(this.chosen.has(node.dataset.key)));
    }
    this.choose([...this.chosen]);
  }
}

export default function mount({ parentElement, data, setStateValue, setTriggerValue }) {
  let gallery = instances.get(parentElement);
  if (!gallery) {
    gallery = new Gallery(parentElement);
    instances.set(parentElement, gallery);
  }
  gallery.choose = (keys) => setStateValue("chosen", { token: data.token, keys });
  gallery.open = (key) => setTriggerValue("opened", key);
  gallery.receive(data);
  return () => {
    instances.get(parentElement)?.root.remove();
    instances.delete(parentElement);
  };
}

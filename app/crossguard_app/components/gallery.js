// A grid of pictures with shapes over them: crops, frames, wins and losses. Click opens or selects. One stop for Tab:
// arrows, Home and End go through the pictures, Page Up and Page Down turn the page.

import { h, s } from "./dom.js";

const instances = new WeakMap();
const WAYS = { ArrowLeft: -1, ArrowRight: 1 };

// Whether the focus stands where nobody works: on nothing, or on the link that led here.
function isIdle() {
  const { activeElement } = document;
  return !activeElement || activeElement === document.body || activeElement.matches('nav a, [data-testid="stSidebar"] a');
}

class Gallery {
  constructor(parent) {
    this.root = h("div", { class: "gallery" });
    parent.append(this.root);
    this.chosen = new Set();
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focusin", ({ target }) => target.dataset.key && this.stand(target));
  }

  receive(data) {
    const focus = this.root.contains(this.root.getRootNode().activeElement);
    const other = data.token !== this.token;
    this.data = data;
    if (data.token !== this.token) {
      this.token = data.token;
      this.chosen = new Set(data.chosen ?? []);
    }
    this.root.style.setProperty("--wide", `${data.size}px`);
    this.root.replaceChildren(...data.cards.map((card) => this.card(card)));
    if (data.mode === "show") return;
    const nodes = this.nodes();
    if (other && this.turned) this.at = (this.turned < 0 ? nodes.at(-1) : nodes[0])?.dataset.key;
    else if (other) this.at = data.focus;
    if (other) this.turned = 0;
    const start = nodes.find((node) => node.dataset.key === this.at) ?? nodes[0];
    if (!start) return;
    this.stand(start);
    if (focus || (data.takes_focus && isIdle())) start.focus({ preventScroll: start === nodes[0] });
  }

  nodes() {
    return [...this.root.querySelectorAll("button.card")];
  }

  // The one picture that Tab leads to.
  stand(node) {
    this.at = node.dataset.key;
    for (const other of this.nodes()) other.tabIndex = other === node ? 0 : -1;
  }

  key(event) {
    const nodes = this.nodes();
    const at = nodes.findIndex((node) => node.dataset.key === this.at);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const across = Math.max(1, nodes.filter((node) => node.offsetTop === nodes[0].offsetTop).length);
    const way = WAYS[event.key] ?? { ArrowUp: -across, ArrowDown: across }[event.key];
    const page = { PageUp: -1, PageDown: 1 }[event.key];
    const to = { Home: 0, End: nodes.length - 1 }[event.key] ?? (way && at + way);
    if (to === undefined && !page) return;
    event.preventDefault();
    event.stopPropagation();
    const turn = page ?? (nodes[to] ? 0 : Math.sign(way));
    if (!turn) {
      nodes[to].focus();
      return;
    }
    const last = nodes[turn < 0 ? 0 : nodes.length - 1];
    if (this.data.turns.includes(turn)) {
      this.turned = turn;
      this.turn(turn);
    } else last.focus();
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
  gallery.turn = (way) => setTriggerValue("turned", way);
  gallery.receive(data);
  return () => {
    instances.get(parentElement)?.root.remove();
    instances.delete(parentElement);
  };
}

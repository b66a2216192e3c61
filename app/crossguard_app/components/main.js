// Entry of the component. Streamlit calls it again with every change of the data, and now and then puts it into
// a new place of the page; the instance lives on over both. Where two runs of the page's script overtake each
// other it also takes back a mount that another one has followed in the same place: what counts is whether the
// place is still in the page.

import { Workbench } from "./workbench.js";

const PARKED_MS = 4000;
const live = new Map(); // name of the instance -> {workbench, parent, timer}

function entry(data) {
  let found = live.get(data.instance);
  if (!found) {
    found = { workbench: new Workbench(data), parent: null, timer: null };
    live.set(data.instance, found);
  }
  clearTimeout(found.timer);
  return found;
}

function settle(found, parent) {
  if (found.parent === parent) return;
  if (found.parent) found.workbench.detach();
  found.parent = parent;
  found.workbench.attach(parent);
}

function leave(name, parent) {
  const found = live.get(name);
  if (!found || found.parent !== parent || parent.isConnected) return;
  found.workbench.send = null;
  found.workbench.detach();
  found.parent = null;
  found.timer = setTimeout(() => {
    live.delete(name);
    found.workbench.destroy();
  }, PARKED_MS);
}

export default function mount({ parentElement, data, setStateValue, setTriggerValue }) {
  const found = entry(data);
  settle(found, parentElement);
  found.workbench.send = (value) => setStateValue("sync", value);
  found.workbench.leave = () => setTriggerValue("leave", true);
  found.workbench.receive(data);
  // The place is taken out of the page after this call, or not at all.
  return () => setTimeout(() => leave(data.instance, parentElement));
}

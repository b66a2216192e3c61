// Entry of the component. Streamlit calls it again with every change of the data, and now and then puts it into
// a new place of the page; the instance lives on over both.

import { Workbench } from "./workbench.js";

const PARKED_MS = 4000;
const instances = new WeakMap();
const parked = new Map();

function instance(data) {
  const waiting = parked.get(data.instance);
  if (!waiting) return new Workbench(data);
  clearTimeout(waiting.timer);
  parked.delete(data.instance);
  return waiting.workbench;
}

function park(parent) {
  const workbench = instances.get(parent);
  if (!workbench) return;
  instances.delete(parent);
  workbench.send = null;
  workbench.detach();
  const timer = setTimeout(() => {
    parked.delete(workbench.data.instance);
    workbench.destroy();
  }, PARKED_MS);
  parked.set(workbench.data.instance, { workbench, timer });
}

export default function mount({ parentElement, data, setStateValue }) {
  let workbench = instances.get(parentElement);
  if (!workbench) {
    workbench = instance(data);
    instances.set(parentElement, workbench);
    workbench.attach(parentElement);
  }
  workbench.send = (value) => setStateValue("sync", value);
  workbench.receive(data);
  return () => park(parentElement);
}

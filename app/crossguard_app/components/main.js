// Entry of the component. Streamlit calls it again with every change of the data; the instance lives on.

import { Workbench } from "./workbench.js";

const instances = new WeakMap();

export default function mount({ parentElement, data, setStateValue }) {
  let workbench = instances.get(parentElement);
  if (!workbench) {
    workbench = new Workbench(parentElement, data);
    instances.set(parentElement, workbench);
  }
  workbench.send = (value) => setStateValue("sync", value);
  workbench.receive(data);
  return () => {
    instances.get(parentElement)?.destroy();
    instances.delete(parentElement);
  };
}

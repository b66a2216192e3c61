// What one operation does to a frame, as a pure function: the picture on the screen is the server's frame with
// all operations replayed that the server has not acknowledged yet.

const without = (labels, id) => labels.filter((label) => label.id !== id);

// A changed label remembers the revision that the server told last, and which change of this page it stands on now.
const moved = (label, fields, operation) => ({ ...fields, revision: label.revision + 1,
  told: label.told ?? label.revision, last: operation.id });

function change(labels, id, fields, operation) {
  return labels.map((label) => (label.id === id ? { ...label, ...moved(label, fields, operation) } : label));
}

// No polygon at all takes a mask away.
const maskOf = ({ mask }) => (mask ? { mask: mask.polygons?.length === 0 ? null : mask } : {});

const given = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

function propose(frame, operation) {
  const proposal = operation.proposal;
  if (!proposal) return frame;
  const target = operation.target;
  switch (proposal.kind) {
    case "edit":
      return { ...frame, labels: change(frame.labels, target,
        { ...given({ bbox_xyxy: proposal.bbox_xyxy }), mask: proposal.mask ?? null }, operation) };
    case "relabel":
      return { ...frame, labels: change(frame.labels, target, { label: proposal.label }, operation) };
    case "delete_label":
      return { ...frame, labels: without(frame.labels, target) };
    case "add":
      return { ...frame, labels: [...frame.labels, created(operation, proposal)] };
    case "exclude_frame":
      return { ...frame, excluded: true };
    default:
      return frame;
  }
}

function created(operation, shape) {
  return { id: operation.annotation_id ?? `new-${operation.id}`, label: shape.label, bbox_xyxy: shape.bbox_xyxy,
    mask: shape.mask ?? null, revision: 0, told: 0, last: operation.id, ...given({ track_id: operation.track_id }),
    ...(operation.flags ?? {}) };
}

function restore(frame, operation) {
  let labels = frame.labels;
  for (const entry of operation.restore ?? []) {
    if (entry.label === null) labels = without(labels, entry.id);
    else if (labels.some((label) => label.id === entry.id)) {
      labels = labels.map((label) =>
        (label.id === entry.id ? { ...entry.label, ...moved(label, {}, operation) } : label));
    } else {
      const old = entry.label;
      labels = [...labels, { ...old, ...moved(old, {}, operation), revision: old.revision + 2 }];
    }
  }
  return { ...frame, labels, excluded: operation.restoreExcluded ?? frame.excluded };
}

export function reduce(frame, operation) {
  if (!frame || operation.frame_id !== frame.id) return frame;
  const id = operation.annotation_id ?? operation.target;
  switch (operation.kind) {
    case "apply":
      return propose(frame, operation);
    case "edit":
      return { ...frame, labels: change(frame.labels, id,
        { ...given({ label: operation.label, bbox_xyxy: operation.bbox_xyxy, track_id: operation.track_id,
          ...(operation.flags ?? {}) }), ...maskOf(operation) }, operation) };
    case "relabel":
      return { ...frame, labels: change(frame.labels, id, { label: operation.label }, operation) };
    case "delete_label":
      return { ...frame, labels: without(frame.labels, id) };
    case "add":
      return { ...frame, labels: [...frame.labels, created(operation, operation)] };
    case "exclude_frame":
      return { ...frame, excluded: true };
    case "seen":
      return { ...frame, seen: true };
    case "unseen":
      return { ...frame, seen: false };
    case "undo":
      return restore(frame, operation);
    default:
      return frame; // keep, skip: no label changes
  }
}

// What an undo must put back: the labels that differ, as they were before.
export function difference(before, after) {
  const old = new Map(before.labels.map((label) => [label.id, label]));
  const now = new Map(after.labels.map((label) => [label.id, label]));
  const entries = [];
  for (const [id, label] of old) if (now.get(id) !== label) entries.push({ id, label });
  for (const id of now.keys()) if (!old.has(id)) entries.push({ id, label: null });
  return { restore: entries, restoreExcluded: before.excluded };
}

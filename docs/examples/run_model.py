"""Runs an exported Crossguard detector without torch: python run_model.py FOLDER IMAGE... (prints JSON)."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
signature = json.loads((folder / "signature.json").read_text())
session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
entry = signature["inputs"][0]
box = entry["letterbox"]
size = (box["content_width"], box["content_height"])
scale = np.array([box["scale_x"], box["scale_y"]] * 2)


def shrink(path: Path) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), size)


canvas = np.zeros((len(sys.argv) - 2, *entry["shape"][1:]), np.uint8)
for target, name in zip(canvas, sys.argv[2:], strict=True):
    target[: size[1], : size[0], :3] = image = shrink(Path(name))
    if difference := entry.get("difference"):  # only where the detector looks at the background, too
        both = np.stack([image, shrink(folder / difference["plate"])]).astype(np.float32)
        change = np.abs(np.subtract(*np.log(both + difference["offset"])))
        change = (change - np.median(change, axis=(0, 1))) * difference["levels"]
        target[: size[1], : size[0], 3:] = np.clip(change, 0, 255)
limits = signature["thresholds"]["score"], signature["suppression"]["iou"]
found = []
for name, boxes, scores in zip(sys.argv[2:], *session.run(None, {entry["name"]: canvas}), strict=True):
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()
    for label, own in zip(signature["classes"], scores.T, strict=True):
        for best in cv2.dnn.NMSBoxes(corners, own.tolist(), *limits):
            row = {"image": name, "class": label, "score": float(own[best])}
            found.append(row | {"box": (boxes[best] / scale).round(2).tolist()})
print(json.dumps(found, indent=1))

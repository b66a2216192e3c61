"""Runs an exported detector without torch: python run_model.py FOLDER IMAGE... (prints JSON, draws IMAGE.found.png)."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
signature = json.loads((folder / "signature.json").read_text())
session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
entry, lowest = signature["inputs"][0], np.float32([signature["thresholds"]["score"]])
width, height = entry["letterbox"]["content_width"], entry["letterbox"]["content_height"]
for name in map(Path, sys.argv[2:]):
    picture, canvas = cv2.imread(str(name)), np.zeros((1, *entry["shape"][1:]), np.uint8)
    canvas[0, :height, :width, :3] = image = cv2.resize(picture, (width, height))[..., ::-1]
    if extra := entry.get("difference"):  # only where the detector looks at the background, too
        plate = cv2.resize(cv2.imread(str(folder / extra["plate"])), (width, height))[..., ::-1]
        change = np.abs(np.subtract(*np.log(np.float32([image, plate]) + extra["offset"]))) * extra["levels"]
        canvas[0, :height, :width, 3:] = np.clip(change - np.median(change, (0, 1)), 0, 255)
    _, *values = session.run(None, {"canvas": canvas, "score": lowest})
    for box, score, label, *mask in zip(*values, strict=True):
        x1, y1, x2, y2 = (int(side) for side in (*np.floor(box[:2]), *np.ceil(box[2:])))
        print(json.dumps([str(name), signature["classes"][label], float(score), box.tolist()]))
        for share in mask:  # where it draws masks: 28 x 28 probabilities over the box
            picture[y1:y2, x1:x2][cv2.resize(share, (x2 - x1, y2 - y1)) >= 0.5] //= 2
        cv2.rectangle(picture, (x1, y1), (x2, y2), (0, 255, 0), 2)
    cv2.imwrite(str(name.with_suffix(".found.png")), picture)

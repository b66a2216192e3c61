"""Runs an exported detector without torch: python run_model.py FOLDER IMAGE... (prints JSON, draws IMAGE.found.png)."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

folder, names = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
signature = json.loads((folder / "signature.json").read_text())
session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
entry, outputs = signature["inputs"][0], [output["name"] for output in signature["outputs"]]
size = entry["letterbox"]["content_width"], entry["letterbox"]["content_height"]


def shrink(path: Path) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), size)


def stretch(mask: np.ndarray, box: np.ndarray, picture: np.ndarray) -> np.ndarray:
    (width, height), (x, y) = (box[2:] - box[:2]) / mask.shape[0], box[:2] - 0.5
    move = np.array([[width, 0, x + width / 2], [0, height, y + height / 2]])
    whole = cv2.warpAffine(mask, move, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE) >= 0.5
    (x1, y1), (x2, y2) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    inside = np.zeros_like(whole)
    inside[y1:y2, x1:x2] = whole[y1:y2, x1:x2]
    return inside


canvas = np.zeros((len(names), *entry["shape"][1:]), np.uint8)
for target, name in zip(canvas, names, strict=True):
    target[: size[1], : size[0], :3] = image = shrink(name)
    if difference := entry.get("difference"):  # only where the detector looks at the background, too
        both = np.stack([image, shrink(folder / difference["plate"])]).astype(np.float32)
        change = np.abs(np.subtract(*np.log(both + difference["offset"])))
        change = (change - np.median(change, axis=(0, 1))) * difference["levels"]
        target[: size[1], : size[0], 3:] = np.clip(change, 0, 255)
lowest = np.array([signature["thresholds"]["score"]], np.float32)
values = dict(zip(outputs, session.run(None, {"canvas": canvas, "score": lowest}), strict=True))
found = []
for index, name in enumerate(names):
    picture = cv2.imread(str(name))
    for at in np.flatnonzero(values["image"] == index):
        box, label = values["boxes"][at], signature["classes"][values["classes"][at]]
        found.append(
            {"image": str(name), "class": label, "score": float(values["scores"][at]), "box": box.tolist()}
        )
        if "masks" in values:
            mask = stretch(values["masks"][at], box, picture)
            found[-1]["pixels"] = int(mask.sum())
            picture[mask] = picture[mask] // 2 + np.array([0, 128, 0], np.uint8)
        cv2.rectangle(picture, box[:2].astype(int).tolist(), box[2:].astype(int).tolist(), (0, 255, 0), 2)
    cv2.imwrite(str(name.with_suffix(".found.png")), picture)
print(json.dumps(found, indent=1))

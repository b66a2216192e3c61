"""The commented site.yaml that `curate init` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence

__all__ = ["site_template"]


def site_template(site: str, classes: Sequence[str], camera: str) -> str:
    """A site.yaml in which everything but names and classes is a comment that shows the default."""
    quoted = ", ".join(json.dumps(name, ensure_ascii=False) for name in classes)
    return f"""\
# What this camera looks at and how its detector is made. Only `classes` is needed: every commented line
# shows the default. `curate init --help` and docs/site-yaml.md explain the keys.

site: {json.dumps(site, ensure_ascii=False)}
camera: {json.dumps(camera, ensure_ascii=False)}
classes: [{quoted}]

# database: null            # default: SQLite in .crossguard/; or postgresql+psycopg://user@host/name

# frames:                   # how frames are taken from recordings
#   every_seconds: 0.5      # one frame in so many seconds (by time) ...
#   every_n: null           # ... or every n-th frame; when given it takes precedence
#   jpeg_quality: 95        # video frames are stored as JPEG
#   max_pixels: 64000000    # larger images are refused (decompression bombs)
#   url: null               # where pictures lie; null: .crossguard/frames; or s3://bucket/prefix (any fsspec URL)
#   cache_mb: 2000          # copies of remote pictures on this machine, at most

# privacy:                  # done at ingest, before anything is stored; says nothing about what is stored already
#   blur: none              # none | heads_and_plates | people_and_vehicles. Where the bundled detector sees people and
#                           # vehicles; whom it misses stays clear, and it knows no faces. See docs/security.md

# labels:
#   working: cheap          # the label source that is curated and trained on
#   prelabel_score: 0.3    # `curate prelabel` keeps the generic detector's boxes above this score

# policy:                   # what the labels hold; what they leave out is ignored in scoring, loss and metric
#   min_height: 8           # smaller objects (pixels) are not labelled
#   min_area: 40            # square pixels
#   occluded: label         # label | ignore: objects flagged as occluded
#   far_zone: []            # polygons [[x, y], ...] in which nobody labels: too far away
#   ignore_regions: []      # polygons in which nobody can tell: reflections, screens, a hedge

# slices: []                # named subsets, scored on their own, for example
#   - {{name: crossing, region: [[100, 200], [400, 200], [400, 300], [100, 300]]}}
#   - {{name: far people, label: person, max_height: 50}}

# split:
#   block_seconds: 5        # neighbouring frames are near-duplicates: folds and intervals go by time block
#   gap_seconds: 1          # frames this close to another fold's block are left out of its training
#   folds: 2                # out-of-fold detectors that judge labels they have not seen
#   gold_share: 0.25        # share of the footage that `curate gold create` sets aside

# model:
#   recipe: auto            # auto | cpu | gpu | maskrcnn: decides what is null below and under train
#   weights: null           # maskrcnn only: coco | bundled | a .safetensors, .pt or .pth file
#   pyramid: null           # weights: bundled only: channels of its feature pyramid (256)
#   input_size: null        # long side of the detector's input, a multiple of 32 (cpu: 512, gpu: the frames' own)
#   background_channels: false  # feed the difference to the empty scene as well
#   mask_head: true

# train:
#   steps: null             # fixed, so that before and after are comparable (cpu: 120, gpu: 600)
#   fold_steps: 80          # for the out-of-fold detectors of a scan
#   folds_at_once: null     # of those, and seeds, at once; null: what fits on a GPU (at most 4), 1 on a processor
#   batch_size: null        # cut into parts where memory is short (cpu: 4, gpu: 16)
#   freeze: null            # the backbone's first 1 ... 5 parts keep their weights: quicker steps (0: all are trained)
#   learning_rate: null     # cpu: 0.0003, gpu: 0.0006
#   ema: null               # decay of the average of the weights that becomes the detector; 0: the last weights
#   mirror: null            # show half of the frames mirrored
#   zoom: null              # largest change of scale, as a share
#   shift: null             # largest shift, as a share of the frame
#   balance: 0.1            # frames with a class that fewer frames than this share hold are shown more often; 0: off
#   weather: 0.0            # share of the training frames that get haze, rain or a dark evening
#   paste: 0.0              # objects copied into each training frame, on average, where such were seen
#   precision: auto         # auto (bfloat16 on GPUs that multiply it) | float32 | bfloat16
#   compile: auto           # auto (torch.compile on CUDA, from 2,000 steps on) | on | off
#   deterministic: false    # the same bits twice on a GPU, too; slower there
#   warm_share: 0.25        # after few fixes, retrain takes this share of the steps from the last run; 0: never
#   seed: 0
#   device: auto            # auto | cpu | cuda

# scan:
#   neighbours: 10          # crops compared with each label
#   retrain_share: 0.1      # judges are trained anew when more of their labels than this have changed
#   min_probability: 0.05   # less likely errors do not enter the queue
#   max_issues_per_type: 100000

# evaluation:
#   score: 0.3              # operating point of the precision
#   recalls: [0.85, 0.9, 0.92]  # false alarms per frame are told at these
#   alarms_per_hour: [60, 600]  # the recall is told at so many false alarms an hour of footage
#   resamples: 2000         # of the 95 % interval
"""

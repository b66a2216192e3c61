"""Every way to make and change a shape, by mouse and by keyboard; what is stored to 0.01 pixels."""

from __future__ import annotations

import numpy as np
import pytest

from crossguard_app.routes import asset_url
from curate.annotations import Annotation
from tests.app.drawn import box_of, exterior, near, pixels
from tests.app.sample_site import SIZE

pytestmark = pytest.mark.browser


def test_boxes_by_mouse(editor) -> None:
    editor.open("000.jpg")
    before = editor.labels()
    editor.button("box")
    drawn = box = box_of(*editor.drag((200, 20), (240, 60)))
    label = editor.new(before)
    assert near(label.bbox_xyxy, box)

    editor.button("box")  # two clicks do as well
    known = editor.labels()
    first, second = editor.click(60, 200), editor.click(90, 230)
    assert near(editor.new(known).bbox_xyxy, box_of(first, second))
    editor.button("delete")
    assert editor.labels().keys() == known.keys()

    editor.select(label.id)
    start, end = editor.drag((220, 40), (231, 47))
    dx, dy = end[0] - start[0], end[1] - start[1]
    box = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
    assert near(editor.labels()[label.id].bbox_xyxy, box)
    _, (right, _) = editor.drag((box[2], (box[1] + box[3]) / 2), (262, 50))
    box = (*box[:2], right, box[3])
    assert near(editor.labels()[label.id].bbox_xyxy, box)
    _, corner = editor.drag(box[:2], (206, 12))
    box = (*corner, *box[2:])
    assert near(editor.labels()[label.id].bbox_xyxy, box)

    editor.shot("editor-box")
    editor.button("class-1")
    for flag in ("occluded", "difficult", "ignore"):
        editor.button(flag)
    stored = editor.labels()[label.id]
    assert (stored.label, stored.occluded, stored.difficult, stored.ignore) == ("bicycle", True, True, True)
    for _ in range(7):
        editor.button("undo")
    assert near(editor.labels()[label.id].bbox_xyxy, drawn)
    for _ in range(3):
        editor.button("undo")
    assert editor.labels() == before
    for _ in range(10):
        editor.button("redo")
    again = editor.labels()[label.id]
    assert near(again.bbox_xyxy, box)
    assert (again.label, again.ignore) == ("bicycle", True)


def test_boxes_by_keyboard(editor) -> None:
    editor.open("001.jpg")
    before = editor.labels()
    editor.tool("w")
    editor.cross(200, 20)
    editor.press("Enter")
    editor.cross(241, 63)
    editor.press("Enter")
    label = editor.new(before)
    assert near(label.bbox_xyxy, (200, 20, 241, 63))
    editor.press("Control+ArrowRight", "Control+ArrowDown", times=3)
    editor.press("Control+Shift+ArrowRight", "Control+Shift+ArrowUp", times=2)
    assert near(editor.labels()[label.id].bbox_xyxy, (203, 23, 246, 64))
    editor.press("v", "Control+ArrowLeft", "Control+ArrowUp")  # the upper left corner
    assert near(editor.labels()[label.id].bbox_xyxy, (202, 22, 246, 64))
    editor.press("v", "v", "v", "Control+ArrowRight", "Control+ArrowDown")  # the right edge
    assert near(editor.labels()[label.id].bbox_xyxy, (202, 22, 247, 64))
    editor.press("Shift+V", "Control+ArrowUp")  # the upper right corner
    assert near(editor.labels()[label.id].bbox_xyxy, (202, 21, 247, 64))
    editor.press("2", "q", "Shift+Q", "i")
    stored = editor.labels()[label.id]
    assert (stored.label, stored.occluded, stored.difficult, stored.ignore) == ("bicycle", True, True, True)
    editor.press("x")
    assert editor.labels().keys() == before.keys()
    editor.press("Control+z")
    assert near(editor.labels()[label.id].bbox_xyxy, (202, 21, 247, 64))
    editor.press("Escape", "Tab", "Shift+Tab", "Delete")
    assert len(editor.labels()) == len(before)
    editor.press("Control+z", times=21)
    assert {a.bbox_xyxy for a in editor.labels().values()} == {a.bbox_xyxy for a in before.values()}
    editor.press("Control+Shift+Z", times=18)
    assert near(editor.labels()[label.id].bbox_xyxy, (202, 21, 247, 64))


def test_polygons_by_mouse(editor) -> None:
    editor.open("002.jpg")
    before = editor.labels()
    editor.button("polygon")
    ring = [editor.click(*point) for point in ((180, 20), (260, 20), (260, 100), (180, 100))]
    editor.click(180, 20)  # the first point closes it
    label = editor.new(before)
    assert near(exterior(label), ring)
    assert near(label.bbox_xyxy, box_of(*ring))

    _, ring[2] = editor.drag(ring[2], (275, 111))  # a point
    assert near(exterior(editor.labels()[label.id]), ring)
    middle = ((ring[0][0] + ring[1][0]) / 2, ring[0][1])
    _, fresh = editor.drag(middle, (220, 8))  # the dot between two
    ring.insert(1, fresh)
    assert near(exterior(editor.labels()[label.id]), ring)
    editor.page.mouse.click(*editor.at(*fresh), button="right")
    ring.remove(fresh)
    assert near(exterior(editor.labels()[label.id]), ring)

    editor.button("ring")
    hole = [editor.click(*point) for point in ((200, 40), (230, 40), (230, 70))]
    editor.press("Enter")
    (part,) = editor.labels()[label.id].mask
    assert near(part.holes[0], hole)
    _, hole[1] = editor.drag(hole[1], (238, 36))  # a point of the hole
    assert near(editor.labels()[label.id].mask[0].holes[0], hole)
    editor.button("ring")
    more = [editor.click(*point) for point in ((290, 30), (310, 30), (300, 50))]
    editor.click(290, 30)
    assert near(exterior(editor.labels()[label.id], 1), more)

    editor.shot("editor-polygon")
    editor.button("split")
    known = editor.labels()
    (ax, _), (bx, _) = editor.drag((215, 5), (215, 120))
    assert ax == bx
    other = editor.new(known)
    halves = [editor.labels()[label.id], other]
    left = min(halves, key=lambda half: half.bbox_xyxy[0])
    right = max(halves, key=lambda half: half.bbox_xyxy[0])
    assert near((left.bbox_xyxy[0], left.bbox_xyxy[2]), (ring[0][0], ax))
    assert near(right.bbox_xyxy[0], ax)
    editor.shot("editor-split")
    whole, parts = known[label.id], [half.mask for half in halves]
    assert sum(area(mask) for mask in parts) == pytest.approx(area(whole.mask), abs=0.5)

    editor.select(label.id)
    editor.button("merge")
    editor.click(*inside(other))
    editor.says("merged into")
    merged = editor.labels()
    assert other.id not in merged
    assert near(merged[label.id].bbox_xyxy, whole.bbox_xyxy)
    editor.press("Control+z")  # both halves of a merge in one step
    assert editor.labels().keys() == {*known, other.id}
    editor.button("redo")
    assert editor.labels().keys() == known.keys()
    editor.button("simplify")
    editor.saved()


def area(mask) -> float:
    from curate.geometry.polygons import polygons_area

    return polygons_area(mask)


def inside(label: Annotation) -> tuple[float, float]:
    import shapely

    point = shapely.Polygon(label.mask[0].exterior, label.mask[0].holes).representative_point()
    return point.x, point.y


def test_polygons_by_keyboard(editor) -> None:
    editor.open("003.jpg")
    before = editor.labels()
    editor.tool("p")
    for point in ((180, 20), (260, 20), (270, 90), (220, 110), (180, 100)):
        editor.cross(*point)
        editor.press("Enter")
    editor.shot("editor-keyboard")
    editor.press("Backspace")  # the last point back
    editor.press("Control+Enter")
    label = editor.new(before)
    ring = [(180, 20), (260, 20), (270, 90), (220, 110)]
    assert near(exterior(label), ring)
    editor.press("v", "v", "Control+ArrowRight", "Control+ArrowUp")
    ring[1] = (261, 19)
    assert near(exterior(editor.labels()[label.id]), ring)
    editor.press("Insert", "Control+ArrowRight")
    ring.insert(2, (266.5, 54.5))
    assert near(exterior(editor.labels()[label.id]), ring)
    editor.press("x")  # the active point, not the label
    del ring[2]
    assert near(exterior(editor.labels()[label.id]), ring)
    editor.tool("Shift+P")
    for point in ((200, 40), (230, 40), (230, 70)):
        editor.cross(*point)
        editor.press("Enter")
    editor.press("Control+Enter")
    assert near(editor.labels()[label.id].mask[0].holes[0], [(200, 40), (230, 40), (230, 70)])

    known = editor.labels()
    editor.tool("k")
    editor.cross(215, 5)
    editor.press("Enter")
    editor.cross(215, 119)
    editor.press("Enter")
    other = editor.new(known)
    assert near(other.bbox_xyxy[0], 215) or near(other.bbox_xyxy[2], 215)
    editor.press("m")
    shown = editor.page.locator(".labels .row")
    names = [shown.nth(n).get_attribute("data-label") for n in range(shown.count())]
    steps = (names.index(other.id) - names.index(label.id)) % len(names)
    editor.press("Tab", times=steps)
    editor.press("Enter")
    editor.says("merged into")
    assert editor.labels().keys() == known.keys()
    assert near(editor.labels()[label.id].bbox_xyxy, known[label.id].bbox_xyxy)
    editor.press("Shift+J")
    editor.saved()
    editor.press("Control+z", times=2)
    assert other.id in editor.labels()

    editor.press("Escape", "Escape")
    known = editor.labels()
    editor.tool("i")  # nothing selected: an ignore region is drawn
    for point in ((20, 200), (60, 200), (60, 230)):
        editor.cross(*point)
        editor.press("Enter")
    editor.press("Control+Enter")
    region = editor.new(known)
    assert region.ignore
    assert near(exterior(region), [(20, 200), (60, 200), (60, 230)])


def capsule(ax: float, ay: float, bx: float, by: float, radius: float):
    """Pixels whose centres lie within the radius of the way."""
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    dx, dy = bx - ax, by - ay
    share = np.clip(((xs - ax) * dx + (ys - ay) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    return (xs - ax - share * dx) ** 2 + (ys - ay - share * dy) ** 2 <= radius**2


def test_brush_and_eraser_to_the_pixel(editor) -> None:
    editor.open("004.jpg")
    before = editor.labels()
    editor.press("Escape")
    editor.button("brush")
    (ax, ay), (bx, by) = editor.drag((180, 40), (230, 40))
    label = editor.new(before)
    truth = capsule(ax, ay, bx, by, 6)
    assert (pixels(label) == truth).all()
    editor.button("brushLarger")
    (ax, ay), (bx, by) = editor.drag((205, 30), (205, 70))
    truth |= capsule(ax, ay, bx, by, 8)
    assert (pixels(editor.labels()[label.id]) == truth).all()
    editor.button("eraser")
    editor.button("brushSmaller")
    editor.button("brushSmaller")
    x, y = editor.click(205, 40)
    truth &= ~capsule(x, y, x, y, 4)
    stored = editor.labels()[label.id]
    assert (pixels(stored) == truth).all()
    assert len(stored.mask[0].holes) == 1, "a hole in the middle"
    editor.shot("editor-brush")

    editor.press("Escape", "Escape")
    known = editor.labels()
    editor.tool("e")
    editor.press("]")
    editor.cross(60, 200)
    editor.press("Enter")
    editor.cross(90, 210)
    editor.press("Shift+Enter")
    painted = editor.new(known)
    truth = capsule(60, 200, 60, 200, 6) | capsule(60, 200, 90, 210, 6)
    assert (pixels(painted) == truth).all()
    editor.press("Shift+E", "[")
    editor._cross = None
    editor.cross(75, 205)
    editor.press("Enter")
    truth &= ~capsule(75, 205, 75, 205, 4)
    assert (pixels(editor.labels()[painted.id]) == truth).all()
    editor.press("Escape", "Control+z", "Control+z", "Control+z")
    assert editor.labels().keys() == known.keys()


ROUND_TRIPS = """
async ([raster, rings]) => {
  const { Raster } = await import(raster);
  const { cut } = await import(rings);
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const area = (mask) => {
    const size = (ring) => Math.abs(ring.reduce((sum, [x, y], i) => {
      const [nx, ny] = ring[(i + 1) % ring.length];
      return sum + x * ny - nx * y;
    }, 0)) / 2;
    return mask.polygons.reduce((sum, { exterior, holes }) =>
      sum + size(exterior) - (holes ?? []).reduce((part, hole) => part + size(hole), 0), 0);
  };
  const wrong = [];
  for (let round = 0; round < 1500; round += 1) {
    const first = new Raster(2 + (round % 11), 2 + (round % 8));
    first.data.forEach((_, i) => { first.data[i] = random() < 0.55 ? 1 : 0; });
    const mask = first.trace();
    const again = new Raster(first.width, first.height);
    again.fill(mask);
    if (again.data.join() !== first.data.join()) wrong.push(`pixels of round ${round}`);
    const halves = cut(mask, [random() * 8, -1], [random() * 8, 20]);
    const parts = halves && area(halves[0]) + area(halves[1]);
    // Slivers of less than half a pixel beside the line are left out, one at most on each side of a part.
    const slack = mask.polygons.length * 0.5 + 0.3;
    if (parts && Math.abs(parts - area(mask)) > slack) wrong.push(`area of round ${round}`);
  }
  return wrong.slice(0, 5);
}
"""


def test_traced_masks_keep_their_pixels_and_cut_ones_their_area(editor) -> None:
    editor.open("006.jpg")
    urls = [asset_url(name) for name in ("raster.js", "rings.js")]
    assert editor.page.evaluate(ROUND_TRIPS, urls) == []

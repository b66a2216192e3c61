"""What the editor does beside drawing, by mouse and by keyboard: clicks to masks, copies over time, the view."""

from __future__ import annotations

import pytest

from curate.annotations import Annotation, Polygon
from curate.store import JobState
from curate.workflows.coverage import looked_at
from tests.app.drawn import box_of, exterior, near, overlap, pixels

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_click_to_mask(editor) -> None:
    frame = editor.open("005.jpg")
    ready = editor.page.locator('.stage-badge[data-state="ready"]')
    before = editor.labels()
    box = before["cheap-5-0"].bbox_xyxy
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    editor.button("segment")
    editor.page.locator('.stage-badge[data-state="reading"], .stage-badge[data-state="ready"]').wait_for()
    ready.wait_for()
    draft = editor.page.locator(".draft .suggestion")
    editor.drag((box[0] - 2, box[1] - 2), (box[2] + 2, box[3] + 2))  # a box
    draft.wait_for()
    editor.click(x, y)  # this
    with editor.page.expect_response(
        lambda answer: "[true,false]" in (answer.request.post_data or "")
    ) as both:
        editor.click(x + 60, y, button="right")  # not this
    both.value.finished()
    editor.page.locator(".draft .no").wait_for()
    editor.page.evaluate("() => new Promise((painted) => requestAnimationFrame(painted))")
    shown = draft.get_attribute("d")
    editor.shot("editor-click-to-mask")
    editor.press("Enter")
    label = editor.new(before)
    assert near(label.bbox_xyxy, box_of(*label.mask[0].exterior))
    assert all(f"{px:g} {py:g}" in shown for px, py in label.mask[0].exterior)
    truth = Annotation("t", frame.id, "person", box, mask=square(box))
    assert overlap(label, truth) > 0.6

    editor.press("Control+z")
    editor.tool("s")
    editor.cross(round(x), round(y))
    editor.press("Enter")
    draft.wait_for()
    editor.press("Shift+Enter", "Backspace")  # not this; no, that was wrong
    editor.page.locator(".draft .no").wait_for(state="detached")
    editor.page.wait_for_load_state("networkidle")
    editor.press("Control+Enter")
    clicked = editor.new(before)
    assert pixels(clicked)[round(y), round(x)]

    editor.select("cheap-5-1")
    editor.press("Shift+S")
    editor.page.locator('.row[data-label="cheap-5-1"]', has_text="mask").wait_for()
    outlined = editor.labels()["cheap-5-1"]
    assert overlap(outlined, Annotation("t", frame.id, "person", box, mask=square(people_box(5)))) > 0.5


def square(box):
    x1, y1, x2, y2 = box
    return (Polygon(((x1, y1), (x2, y1), (x2, y2), (x1, y2))),)


def people_box(index: int):
    right = 270 - 8 * index
    return (right, 110, right + 30, 200)


def test_copies_over_time(editor, editor_site) -> None:
    store = editor_site.store
    frames = sorted(store.frames(), key=lambda frame: frame.name)
    editor.open("010.jpg")
    editor.tool("w")
    editor.cross(150, 20)
    editor.press("Enter")
    editor.cross(170, 40)
    editor.press("Enter")
    first = next(a for a in editor.labels().values() if a.bbox_xyxy == (150, 20, 170, 40))
    editor.press("Control+c", "f", "f", "f")
    editor.on(frames[13].id)
    editor.press("Control+v")
    editor.press("Control+ArrowRight", times=9)
    editor.button("interpolate")
    editor.says("Filled in on 2 frames")
    editor.saved()
    between = track(store, frames, 10, 14)
    assert [a.bbox_xyxy for a in between] == [(150 + 3 * n, 20, 170 + 3 * n, 40) for n in range(4)]
    assert len({a.track_id for a in between}) == 1
    editor.press("Control+z")
    editor.saved()
    assert len(track(store, frames, 10, 14)) == 2
    editor.press("y")
    editor.until(lambda: len(track(store, frames, 10, 14)) == 4)
    editor.saved()

    editor.page.locator('[data-action="ahead"]').fill("3")
    editor.page.locator('[data-action="ahead"]').press("Enter")
    editor.page.locator(".stage").focus()
    editor.press("Control+b")
    editor.says("On the next 3 frames now")
    editor.shot("editor-propagate")
    editor.saved()
    assert len(track(store, frames, 10, 17)) == 7
    editor.press("Control+z")
    editor.saved()
    assert len(track(store, frames, 10, 17)) == 4
    editor.button("propagate")
    editor.saved()
    assert len(track(store, frames, 10, 17)) == 7

    editor.press("d", "d", "d")
    editor.on(frames[10].id)
    editor.press("f")
    editor.on(frames[11].id)
    # Undo goes back over the frames: propagate, fill, nine steps and the paste on frame 13, the box on frame 10.
    editor.press("Control+z")
    editor.on(frames[13].id)
    editor.press("Control+z", times=12)
    editor.on(frames[10].id)
    editor.saved()
    assert first.id not in editor.labels()
    assert track(store, frames, 10, 17) == []

    # What stands still is carried over; the walkers walk, so a patch that never changes is labelled.
    editor.open("018.jpg")
    editor.button("carryOver")
    editor.page.locator(".message", has_text="last labelled frame").wait_for()


def track(store, frames, start: int, end: int):
    found = store.annotations("cheap", [frame.id for frame in frames[start:end]])
    place = {frame.id: number for number, frame in enumerate(frames)}
    return sorted((a for a in found if a.track_id), key=lambda a: place[a.frame_id])


def test_the_view(editor) -> None:
    editor.open("006.jpg")
    left, top, scale = editor.view()
    spot = editor.at(100, 80)
    editor.page.mouse.move(*spot)
    editor.page.mouse.wheel(0, -400)
    editor.page.wait_for_timeout(100)
    nleft, ntop, nscale = editor.view()
    assert nscale > scale * 1.5
    assert (spot[0] - nleft) / nscale == pytest.approx((spot[0] - left) / scale, abs=0.6)
    assert (spot[1] - ntop) / nscale == pytest.approx((spot[1] - top) / scale, abs=0.6)
    for how in ("left", "middle"):
        nleft, ntop, _ = editor.view()
        editor.drag((150, 20), (158, 26), button=how)
        moved = editor.view()
        assert moved[0] > nleft
    nleft = editor.view()[0]
    editor.press("Shift+ArrowRight")
    assert editor.view()[0] == pytest.approx(nleft - 60, abs=1)
    editor.press("0")
    assert editor.view() == pytest.approx((left, top, scale), abs=1)
    editor.select("cheap-6-0")
    editor.press("z")
    assert editor.view()[2] > scale * 1.2
    editor.button("fit")
    editor.button("zoomIn")
    editor.press("+", "-")
    editor.button("zoomOut")
    assert editor.view()[2] == pytest.approx(scale, rel=0.02)
    editor.button("zoomPlace")
    assert editor.view()[2] > scale * 1.2

    slot = editor.page.locator(".slot")
    editor.button("light")
    editor.page.locator('[data-light="brightness"]').fill("1.5")
    editor.page.locator('[data-light="contrast"]').fill("0.8")
    assert slot.evaluate("n => n.style.filter") == "brightness(1.5) contrast(0.8)"
    editor.page.locator('[data-action="plainLight"]').click()
    editor.page.locator('[data-light="contrast"]').focus()
    editor.press("Escape")
    editor.page.locator('[data-light="contrast"]').wait_for(state="hidden")
    editor.press(">", "{")
    assert slot.evaluate("n => n.style.filter") == "brightness(1.15) contrast(0.85)"
    editor.press("<", "}")
    assert slot.evaluate("n => n.style.filter") == ""
    editor.press("u")
    editor.page.locator(".difference:not([hidden])").wait_for()
    editor.shot("editor-difference")
    editor.button("difference")
    editor.page.locator(".difference").wait_for(state="hidden")
    editor.press("h")
    assert editor.page.locator(".label").count() == 0
    editor.button("hide")
    assert editor.page.locator(".label").count() == 2


def test_snapping_to_a_neighbour(editor) -> None:
    editor.open("007.jpg")
    neighbour = editor.labels()["cheap-7-0"].bbox_xyxy
    before = editor.labels()
    editor.button("snap")
    editor.button("box")
    _, (bottom_x, _) = editor.drag(
        (neighbour[2] + 1.5, neighbour[1] - 1), (neighbour[2] + 50, neighbour[3] + 20)
    )
    label = editor.new(before)
    assert near(label.bbox_xyxy[:2], (neighbour[2], neighbour[1]))
    editor.drag((label.bbox_xyxy[2] - 20, label.bbox_xyxy[3]), (label.bbox_xyxy[2] - 20, neighbour[3] + 2))
    assert near(editor.labels()[label.id].bbox_xyxy, (neighbour[2], neighbour[1], bottom_x, neighbour[3]))
    editor.press("Shift+N")  # off again
    editor.tool("p")
    for x, y in (
        (round(neighbour[2]) + 1, 30),
        (round(neighbour[2]) + 20, 30),
        (round(neighbour[2]) + 20, 50),
    ):
        editor.cross(x, y)
        editor.press("Enter")
    editor.press("Escape", "Shift+N")
    known = editor.labels()
    editor.tool("p")
    for x, y in ((150, 30), (180, 30), (round(neighbour[0]) + 1, round(neighbour[1]) + 1)):
        editor.cross(x, y)
        editor.press("Enter")
    editor.press("Control+Enter")
    assert near(exterior(editor.new(known))[2], neighbour[:2])


def test_keys_can_be_changed_and_stay_changed(editor) -> None:
    editor.open("009.jpg")
    pressed = editor.page.locator('.rail [data-action="box"][aria-pressed="true"]')
    editor.press("F1")
    editor.page.get_by_role("dialog", name="Keys").wait_for()
    editor.press("Shift+Tab", "Tab", "Tab")  # Tab goes round inside
    inside = editor.page.locator('[role="dialog"] :focus')
    assert inside.count() == 1
    # What does not fit on the screen is reached by keys, too, and the way out stays in sight.
    size = editor.page.viewport_size
    editor.page.set_viewport_size({"width": 1280, "height": 500})
    sheet = editor.page.locator(".sheet")
    ends = "sheet => [sheet.scrollTop, sheet.scrollHeight - sheet.clientHeight - sheet.scrollTop].map(Math.round)"
    for key, end in (("End", 1), ("Home", 0), ("PageDown", None), ("ArrowUp", None)):
        before = sheet.evaluate(ends)
        editor.press(key)
        after = sheet.evaluate(ends)
        assert after != before, key
        assert end is None or after[end] == 0, key
        assert editor.page.locator('[data-action="close-help"]').bounding_box()["y"] < 250
    editor.page.set_viewport_size(size)
    editor.page.locator('[data-key="box"]').click()
    editor.press("k")
    editor.page.get_by_text("was taken from").wait_for()
    editor.shot("editor-keys")
    editor.press("Escape", "k")
    pressed.wait_for()
    editor.press("Escape", "w")
    assert pressed.count() == 0
    editor.page.reload()
    editor.on(editor.frame.id)
    assert "(K)" in editor.page.locator('.rail [data-action="box"]').get_attribute("title")
    editor.button("help")
    editor.page.locator('[data-action="reset-keys"]').click()
    editor.page.locator('[data-action="close-help"]').click()
    editor.press("w")
    pressed.wait_for()


def test_frames_chosen_to_be_labelled_next(editor, editor_site) -> None:
    store = editor_site.store
    frames = sorted(store.frames(), key=lambda frame: frame.name)
    chosen = [[frames[16].id, "Unlike all others."], [frames[12].id, "The detectors disagree."]]
    job = store.create_job("label_next", {"count": 2})
    store.claim_job(job.id, pid=1)
    store.finish_job(job.id, JobState.DONE, result={"frames": chosen})
    page = editor.page
    page.goto(f"{editor.url}/frames")
    page.get_by_text("Label next: frames that would teach most").click()
    page.get_by_role("button", name="Go through 2 frames").click()
    editor.on(frames[16].id)
    page.get_by_text("Unlike all others.").wait_for()
    editor.shot("editor-label-next")
    assert page.locator('[data-action="layer"]').is_checked(), "what a detector sees is suggested at once"
    editor.press("Space")  # all is right here
    editor.on(frames[12].id)
    page.get_by_text("The detectors disagree.").wait_for()
    editor.saved()
    assert frames[16].id in looked_at(editor_site, "cheap", [frames[16].id])
    editor.press("Control+z")
    editor.on(frames[16].id)
    editor.saved()
    assert looked_at(editor_site, "cheap", [frames[16].id]) == set()
    editor.press("l")


CONTRAST = """
() => {
  const root = [...document.querySelectorAll('*')].map((n) => n.shadowRoot).find((r) => r?.querySelector('.workbench'))
    ?? document;
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((v, i) => (i === 3 ? v / 255 : v));
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
    const v = c[i] / 255;
    return sum + w * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const bad = [];
  const texts = 'button, h4, p, dt, dd, summary, small, output, .status, .message';
  for (const node of root.querySelector('.workbench').querySelectorAll(texts)) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    const text = own || node.querySelector('.text');
    if (!text || node.disabled || !node.checkVisibility()) continue;
    const chain = [];
    for (let n = node; n; n = n.parentElement ?? n.getRootNode().host) chain.push(n);
    let ground = [255, 255, 255, 1];
    for (const n of chain.reverse()) ground = over(rgba(getComputedStyle(n).backgroundColor), ground);
    const ink = over(rgba(getComputedStyle(node).color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${node.className || node.tagName} ${node.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  const mute = [...root.querySelectorAll('.workbench button, .workbench input, .workbench select')]
    .filter((n) => !(n.getAttribute('aria-label') || n.textContent.trim() || n.closest('label')?.textContent.trim()))
    .map((n) => n.outerHTML.slice(0, 120));
  return { bad, mute };
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_and_heard(editor, scheme: str) -> None:
    editor.page.emulate_media(color_scheme=scheme)
    editor.open("011.jpg")
    editor.press("Tab")
    spoken = editor.page.locator(".spoken[aria-live]")
    assert "person, 28 × 80, 1 of 2" in spoken.inner_text()
    editor.shot(f"editor-{scheme}")
    found = editor.page.evaluate(CONTRAST)
    assert found == {"bad": [], "mute": []}
    editor.page.locator('.rail [data-action="box"]').focus()
    editor.press("Enter")
    assert editor.page.locator('.rail [data-action="box"]').get_attribute("aria-pressed") == "true"
    outline = editor.page.locator('.rail [data-action="box"]').evaluate(
        "n => getComputedStyle(n).outlineStyle"
    )
    assert outline == "solid"

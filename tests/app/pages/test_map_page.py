"""The embedding map in a real browser."""

from __future__ import annotations

import re

import pytest

from tests.app.pages_site import choose_all, loop, settled

pytestmark = [pytest.mark.browser]


def test_a_group_is_drawn_around_relabelled_and_taken_back(browser_page, app, site) -> None:
    page, count = browser_page, len(site.store.annotations(source="cheap"))
    page.goto(f"{app.url}/map")
    stage = page.locator(".map .stage")
    page.locator(".map[data-paints]").wait_for()
    choose_all(page, stage)
    page.get_by_role("heading", name=f"{count} labels chosen").wait_for()
    assert f"{count} of {count} labels chosen" in page.locator(".map .foot").inner_text()
    # A loop takes what is inside; with Alt it gives that back.
    loop(page, stage, 0.5, 0.5, 0.49)
    inside = int(page.locator(".map .foot b").inner_text().split()[0])
    assert 0 < inside <= count
    loop(page, stage, 0.5, 0.5, 0.49, key="Alt")
    page.get_by_text("Nothing chosen").wait_for()
    # What is hidden is not chosen, and one picture is left out by hand.
    page.locator('[data-layer="issue"]').click()
    page.locator('.entry[data-entry="No open issue"]').click()
    choose_all(page, stage)
    page.get_by_text("labels chosen").first.wait_for()
    first = page.locator(".gallery .card").first
    left_out = first.get_attribute("data-key")
    first.click()
    page.get_by_text("1 left out").wait_for()
    chosen = [c.get_attribute("data-key") for c in page.locator('.card[aria-pressed="true"]').all()]
    assert "colour=issue" in page.url
    before = {key: site.store.annotation(key).label for key in [*chosen, left_out]}
    page.get_by_role("button", name="Delete").click()
    page.get_by_text(f"{len(chosen)} labels deleted").wait_for()
    left = {a.id for a in site.store.annotations(source="cheap")}
    assert not left & set(chosen)
    assert left_out in left
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(f"{len(chosen)} labels deleted").wait_for(state="detached")
    assert {key: site.store.annotation(key).label for key in before} == before

    choose_all(page, stage)
    page.get_by_role("button", name="To the queue").click()
    page.get_by_text("sent to the top of the queue").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("sent to the top of the queue").wait_for(state="detached")


def test_a_loop_is_relabelled_and_taken_back(browser_page, app, site) -> None:
    page = browser_page
    before = {label.id: label.label for label in site.store.annotations(source="cheap")}
    page.goto(f"{app.url}/map")
    page.locator(".map[data-paints]").wait_for()
    loop(page, page.locator(".map .stage"), 0.5, 0.5, 0.49)
    page.get_by_text("labels chosen").first.wait_for()
    cards = page.locator('.gallery .card[aria-pressed="true"]')
    cards.first.wait_for()
    chosen = {card.get_attribute("data-key") for card in cards.all()}
    page.get_by_label("New class").click()
    page.get_by_role("option", name="bicycle").click()
    settled(page)
    page.get_by_role("button", name="Relabel").click()
    page.get_by_text("now bicycle").first.wait_for()
    now = {label.id: label.label for label in site.store.annotations(source="cheap")}
    assert chosen
    assert now == before | dict.fromkeys(chosen, "bicycle")
    assert now != before
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("now bicycle").first.wait_for(state="detached")
    assert {label.id: label.label for label in site.store.annotations(source="cheap")} == before


def test_each_colouring_shows_its_own_names_and_colours(browser_page, app, site) -> None:
    page, labels = browser_page, site.store.annotations(source="cheap")
    page.goto(f"{app.url}/map")
    page.locator(".map[data-paints]").wait_for()
    seen = {}
    for key in ("label", "issue", "source", "fold", "score"):
        page.locator(f'[data-layer="{key}"]').click()
        page.locator(f'[data-layer="{key}"][aria-pressed="true"]').wait_for()
        names = page.locator(".legend .entry span").all_inner_texts()
        counts = [int(text) for text in page.locator(".legend .entry b").all_inner_texts()]
        if counts:
            assert sum(counts) == len(labels), key
        page.wait_for_timeout(60)  # one frame, in which it is painted
        seen[key] = (names, page.locator(".map canvas").evaluate("canvas => canvas.toDataURL()"))
    assert set(seen["label"][0]) == {label.label for label in labels}
    assert seen["source"][0] == ["cheap"]
    assert seen["fold"][0] == ["Fold 1", "Fold 2", "In no fold"]
    assert seen["fold"][1] != seen["label"][1]


def test_while_a_map_is_fetched_it_tells_how_far_it_is(browser_page, app) -> None:
    page = browser_page
    # The real points, a quarter at a time, as a slow line brings them.
    page.add_init_script("""
        const real = window.fetch;
        window.fetch = async (...request) => {
          const answer = await real(...request);
          if (!String(request[0]).includes("/cloud/")) return answer;
          const bytes = new Uint8Array(await answer.arrayBuffer());
          const part = Math.ceil(bytes.length / 4);
          const stream = new ReadableStream({ async start(out) {
            for (let at = 0; at < bytes.length; at += part) {
              await new Promise((go) => setTimeout(go, 400));
              out.enqueue(bytes.slice(at, at + part));
            }
            out.close();
          } });
          return new Response(stream, { headers: { "content-length": bytes.length } });
        };
    """)
    page.goto(f"{app.url}/map")
    foot = page.locator(".map .foot")
    foot.wait_for()
    told = []
    while not page.locator(".map[data-paints]").count():
        told.append((foot.get_attribute("aria-busy"), foot.text_content()))
    words = [text for busy, text in dict.fromkeys(told) if busy == "true"]
    assert re.fullmatch(r"Fetching \d+ labels: asked for", words[0]), words
    shares = [found for text in words if (found := re.search(r": (\d+) %, about (\d+) s left", text))]
    assert [int(found[1]) // 10 for found in shares] == [2, 5, 7], words
    assert foot.get_attribute("aria-busy") == "false"


def test_frames_are_taken_out_on_their_map(browser_page, app, site) -> None:
    page = browser_page
    page.goto(f"{app.url}/map?of=frames")
    page.locator(".map[data-paints]").wait_for()
    stage = page.locator(".map .stage")
    choose_all(page, stage)
    page.get_by_text("frames chosen").first.wait_for()
    page.get_by_role("button", name="Exclude").click()
    page.get_by_text("frames excluded").wait_for()
    assert sum(frame.excluded for frame in site.store.frames()) > 10
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("frames excluded").wait_for(state="detached")
    assert not any(frame.excluded for frame in site.store.frames())

"""Runs and versions in a real browser: curves, results, frame by frame."""

from __future__ import annotations

import pytest

from tests.app.pages_site import settled

pytestmark = [pytest.mark.browser]


def test_runs_side_by_side(browser_page, app) -> None:
    page = browser_page
    page.goto(f"{app.url}/runs?filter=total&smooth=0.9&log=1")
    page.get_by_text("loss/total").wait_for()
    assert page.get_by_text("learning_rate").count() == 0
    page.locator("canvas, svg.marks").first.wait_for()
    page.get_by_role("textbox", name="Filter").fill("(")
    page.keyboard.press("Enter")
    page.get_by_text("is no regular expression").wait_for()
    page.get_by_text("Results on gold").click()
    page.get_by_text("Kinds of error").wait_for()
    page.get_by_text("Where it fails").wait_for()
    page.get_by_text("Frame by frame").click()
    page.get_by_text("fewer errors on 6, more on 0").wait_for()
    badges = page.locator(".gallery .badge")
    badges.first.wait_for()
    assert badges.first.inner_text() == "-1 errors"
    assert "view=frames" in page.url
    page.goto(f"{app.url}/versions?figure=recall")
    page.get_by_text("Quality over the versions").wait_for()
    settled(page)
    page.locator('[data-testid="stVegaLiteChart"]').first.wait_for()
    assert "figure=recall" in page.url


def drawn(page) -> tuple[list[str], list[str]]:
    """Words and numbers at the axes, and the lines, of the only chart on the page."""
    chart = page.locator('[data-testid="stVegaLiteChart"] svg.marks')
    chart.wait_for()
    lines = chart.locator('.mark-line path[aria-roledescription="line mark"]')
    return chart.locator("text").all_text_contents(), [line.get_attribute("d") for line in lines.all()]


def top(chart: tuple[list[str], list[str]]) -> float:
    """The largest number at the axis of values: numbers at the axis of steps come before."""
    numbers = [text.replace(",", "") for text in chart[0]]
    return max(float(text) for text in numbers[numbers.index("Step") + 1 :] if text)


def until_other(page, before: tuple[list[str], list[str]] | None) -> tuple[list[str], list[str]]:
    """The chart once it is drawn anew and has come to rest."""
    last = before
    for _ in range(100):
        settled(page)
        now = drawn(page)
        if now == last != before and now[1]:
            return now
        last = now
        page.wait_for_timeout(150)
    raise AssertionError("the chart stays as it was")


def test_learning_curves_by_axis_scale_and_smoothing(browser_page, app) -> None:
    page = browser_page
    page.goto(f"{app.url}/runs")
    page.get_by_text("learning_rate").wait_for()
    page.get_by_role("textbox", name="Filter").fill("^loss/")
    page.keyboard.press("Enter")
    page.get_by_text("learning_rate").wait_for(state="detached")
    settled(page)
    step = until_other(page, None)
    assert "Step" in step[0]
    assert len(step[1]) == 4, "what was written and the running mean of two runs"

    page.get_by_role("radio", name="Relative").click()
    relative = until_other(page, step)
    assert "Seconds of training" in relative[0]
    page.get_by_role("radio", name="Clock").click()
    wall = until_other(page, relative)
    assert "Time (UTC)" in wall[0]
    page.get_by_role("radio", name="Step").click()
    assert until_other(page, wall) == step

    page.get_by_role("slider", name="Smoothing").press("End")
    smooth = until_other(page, step)
    assert len(set(step[1]) & set(smooth[1])) < 4
    assert len(set(smooth[1])) == 4

    page.get_by_text("Leave outliers out").click()
    whole = until_other(page, smooth)
    assert top(smooth) < 5 < 30 < top(whole), "the leap to 40 is in sight now"
    page.get_by_text("Log scale").click()
    log = until_other(page, whole)
    assert log[0] != whole[0]
    for part in ("filter=%5Eloss%2F", "smooth=0.99", "log=1", "outliers=shown"):
        assert part in page.url

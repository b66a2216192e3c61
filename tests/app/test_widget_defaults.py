"""A control begins with what the address says, on every run: a browser may never have drawn the first one."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest


def _curves() -> None:
    from crossguard_app.views.run_curves import _options

    _options()


def test_learning_curves_tell_their_defaults_on_every_run() -> None:
    page = AppTest.from_function(_curves)
    page.query_params.update({"smooth": "0.8", "axis": "wall", "log": "1", "filter": "^loss"})
    for _ in range(3):
        page.run()
        assert not page.exception
        assert page.slider[0].proto.default == [0.8]
        assert [toggle.proto.default for toggle in page.toggle] == [True, True]
        assert page.text_input[0].proto.default == "^loss"
        assert list(page.button_group[0].proto.default) == [2]


@pytest.mark.parametrize(
    ("said", "meant"), [("nan", 0.6), ("inf", 0.6), ("five", 0.6), ("-3", 0.0), ("7", 0.99)]
)
def test_a_smoothing_that_is_none_is_the_usual_one(said, meant) -> None:
    page = AppTest.from_function(_curves)
    page.query_params["smooth"] = said
    page.run()
    assert not page.exception
    assert page.slider[0].value == meant


def test_what_was_changed_stays_and_the_default_follows() -> None:
    page = AppTest.from_function(_curves).run()
    page.slider[0].set_value(0.3).run()
    page.toggle[1].set_value(False).run()
    page.run()
    assert (page.slider[0].value, page.toggle[1].value) == (0.3, False)
    assert page.query_params["smooth"] == "0.3"
    assert page.query_params["outliers"] == "shown"


def _read() -> None:
    import streamlit as st

    from crossguard_app.state import among, several, whole

    st.json([among("a", ("x", "y"), "y"), several("b", ("x", "y")), whole(st.query_params.get("c"), 1, 1000)])


@pytest.mark.parametrize(
    ("address", "means"),
    [
        ({}, ["y", [], None]),
        ({"a": "x", "b": "x,y", "c": "7"}, ["x", ["x", "y"], 7]),
        ({"a": "<b>", "b": "y,y,nothing,", "c": "1001"}, ["y", ["y"], None]),
        ({"c": "²"}, ["y", [], None]),
        ({"c": "9" * 5000}, ["y", [], None]),
        ({"c": "-1"}, ["y", [], None]),
    ],
)
def test_an_address_that_nobody_here_wrote_means_what_it_can_and_nothing_else(address, means) -> None:
    page = AppTest.from_function(_read)
    page.query_params.update(address)
    page.run()
    assert not page.exception
    assert json.loads(page.json[0].value) == means

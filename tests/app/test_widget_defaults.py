"""A control begins with what the address says, on every run: a browser may never have drawn the first one."""

from __future__ import annotations

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


def test_what_was_changed_stays_and_the_default_follows() -> None:
    page = AppTest.from_function(_curves).run()
    page.slider[0].set_value(0.3).run()
    page.toggle[1].set_value(False).run()
    page.run()
    assert (page.slider[0].value, page.toggle[1].value) == (0.3, False)
    assert page.query_params["smooth"] == "0.3"
    assert page.query_params["outliers"] == "shown"

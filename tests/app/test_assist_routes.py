"""The editor's POST route: only signed frames, only JSON, short enough; errors are words."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from crossguard_app.resources import assist_token

pytestmark = pytest.mark.browser  # it needs the shared server


@pytest.fixture
def ask(editor_server, editor_site):
    frame = sorted(editor_site.store.frames(), key=lambda entry: entry.name)[14]

    def post(body=None, *, kind: str = "application/json", raw: bytes | None = None, **fields):
        signed = {"frame": frame.id, "token": assist_token(editor_site, frame.id), **fields}
        data = raw if raw is not None else json.dumps(signed if body is None else body).encode()
        request = urllib.request.Request(
            f"{editor_server.url}/crossguard/assist", data, {"Content-Type": kind}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return post


def test_what_the_app_did_not_sign_is_refused(ask) -> None:
    assert ask(op="layer", source="other", token="0" * 40)[0] == 403
    assert ask(op="layer", source="other", token=None)[0] == 403
    assert ask(op="layer", source="other", frame="0" * 32)[0] == 403
    assert ask(op="layer", source="other", kind="text/plain")[0] == 415, "no form of another page can send it"
    assert ask(raw=b"{")[0] == 400
    assert ask(body=[])[0] == 400
    assert ask(raw=b" " * 3_000_000)[0] == 413
    assert ask(op="erase") == (422, {"error": "no such operation: 'erase'"})


def test_shapes_are_put_together_and_another_sources_labels_come(ask) -> None:
    def square(x: float) -> dict:
        return {"polygons": [{"exterior": [[x, 0], [x + 4, 0], [x + 4, 4], [x, 4]]}]}

    status, answer = ask(op="combine", how="unite", first=square(0), second=square(4))
    assert status == 200
    (part,) = answer["mask"]["polygons"]
    assert sorted(map(tuple, part["exterior"])) == [(0, 0), (0, 4), (8, 0), (8, 4)]
    assert ask(op="combine", how="subtract", first=square(0), second=square(0))[1] == {
        "mask": {"polygons": []}
    }
    assert ask(op="combine", how="shuffle", first=square(0), second=square(4))[0] == 422
    assert (
        ask(op="combine", how="unite", first={"polygons": [{"exterior": [[0, 0]]}]}, second=square(4))[0]
        == 422
    )
    shapes = ask(op="layer", source="other")[1]["shapes"]
    assert [shape["score"] for shape in shapes] == [0.9, 0.6, 0.2]
    assert ask(op="layer", source="gold")[0] == 422, "nobody copies from the test"
    assert ask(op="interpolate", label="other-15-0")[0] == 422, "it is on another frame"
    status, answer = ask(op="interpolate", label="other-14-0")
    assert (status, "belongs to no track" in answer["error"]) == (422, True)

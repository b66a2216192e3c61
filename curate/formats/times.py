"""When a picture was taken, from its EXIF block or from its file name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_zone

__all__ = ["time_from_exif", "time_from_name"]

_DATETIME_ORIGINAL, _OFFSET_ORIGINAL, _SUBSEC_ORIGINAL = 0x9003, 0x9011, 0x9291

# 2019-07-02_09-01-45.122302, 2019.07.02 09:01:45, 2019-07-02T090145: the date is split by - . or _
_SPLIT = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d\d)[-._](?P<m>\d\d)[-._](?P<d>\d\d)"
    r"[-_ T.]+(?P<H>\d\d)[-.:_]?(?P<M>\d\d)[-.:_]?(?P<S>\d\d)(?:[.,](?P<f>\d{1,6}))?(?!\d)"
)
# 20190702090145, 20190702_090145, 20190702T090145123 (milliseconds)
_COMPACT = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)[-_ T]?"
    r"(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?:[.,_]?(?P<f>\d{3}))?(?!\d)"
)


def time_from_name(stem: str) -> float | None:
    """Unix time written in a file name without its extension, or None.

    A camera's name carries no time zone, so that it is read as UTC: differences are right, and the result
    does not depend on the machine.
    """
    for pattern in (_SPLIT, _COMPACT):
        for match in pattern.finditer(stem):
            parts = match.groupdict()
            try:
                moment = datetime(
                    *(int(parts[key]) for key in "ymdHMS"),  # type: ignore[misc, arg-type]
                    tzinfo=UTC,
                )
            except ValueError:  # the 40th of a month: some other number
                continue
            return moment.timestamp() + float(f"0.{parts['f'] or 0}")
    return None


def time_from_exif(exif: Mapping[int, str]) -> float | None:
    """Unix time of DateTimeOriginal (UTC unless OffsetTimeOriginal says otherwise), or None."""
    try:
        moment = datetime.strptime(exif[_DATETIME_ORIGINAL], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None
    offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", exif.get(_OFFSET_ORIGINAL, ""))
    if offset:
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if shift < timedelta(hours=24):
            moment = moment.replace(tzinfo=fixed_zone(-shift if offset[1] == "-" else shift))
    subsec = exif.get(_SUBSEC_ORIGINAL, "")
    fraction = float(f"0.{subsec}") if subsec.isascii() and subsec.isdigit() else 0.0
    return moment.timestamp() + fraction

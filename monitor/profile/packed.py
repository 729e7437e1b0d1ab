"""A table of counts as bytes: small, checked, and readable after the configuration changed.

    zstd( msgpack { version, signals: [[name, fingerprint, cells]], segments, narrow, counts: [few, many], tails } )

Arrays are [dtype, bytes]. Segments marked in ``narrow``, a bit each, have no count above 255 and stand in ``few``, the others in
``many``: so a few large segments, ALL among them, do not make the many small ones wider, which takes a fifth off. In version 1
``counts`` was one array of all segments.

Closed panes are kept in this form in memory too: most counts of a pane are small or zero, and a tenth of
the size is what lets a day of panes stay within its bound.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from monitor.profile.layout import Layout
from monitor.profile.table import CountTable

_VERSION = 2
_MAX_BYTES = 4 << 30


def pack_table(table: CountTable) -> bytes:
    """Bytes of a table; ``unpack_table`` gives it back."""
    layout = table.layout
    narrow = table.counts.max(axis=1, initial=0) < 256
    counts = _narrowed(table.counts)
    content = {
        "version": _VERSION,
        "signals": [[signal.name, signal.fingerprint, signal.cells] for signal in layout.signals],
        "segments": list(table.segments),
        "narrow": np.packbits(narrow).tobytes(),
        "counts": [pack_array(counts[narrow]), pack_array(counts[~narrow])],
        "tails": pack_array(table.tails),
    }
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(content))


def unpack_table(data: bytes, layout: Layout) -> CountTable:
    """The table, in cells of ``layout``. A signal whose cells are defined otherwise now starts from zero.

    Raises ``ValueError`` for bytes that are no packed table.
    """
    try:
        content = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_BYTES))
        if content["version"] not in (1, _VERSION):
            raise ValueError(f"expected counts of version 1 or {_VERSION}, got {content['version']!r}")
        segments, signals = tuple(content["segments"]), content["signals"]
        cells = sum(signal[2] for signal in signals)
        counts = np.empty((len(segments), cells), np.int64)
        if content["version"] == 1:
            counts[:] = unpack_array(content["counts"]).reshape(counts.shape)
        else:
            narrow = np.unpackbits(np.frombuffer(content["narrow"], np.uint8), count=len(segments)).astype(np.bool_)
            for rows, packed in zip((narrow, ~narrow), content["counts"], strict=True):
                counts[rows] = unpack_array(packed).reshape(np.count_nonzero(rows), cells)
        tails = unpack_array(content["tails"]).reshape(len(segments), len(signals), 2)
    except (zstandard.ZstdError, msgspec.DecodeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"expected packed counts, got {len(data)} bytes that are none: {error}") from error
    if [signal[1] for signal in signals] == [signal.fingerprint for signal in layout.signals]:
        return CountTable(layout, segments, counts, tails.astype(np.int64))
    return _moved(layout, segments, signals, counts, tails)


def _moved(layout: Layout, segments: tuple[str, ...], signals: list[Any], counts: NDArray[Any], tails: NDArray[Any]) -> CountTable:
    ends = np.cumsum([signal[2] for signal in signals])
    old = {signal[1]: (index, slice(int(end) - signal[2], int(end))) for index, (signal, end) in enumerate(zip(signals, ends, strict=True))}
    table = CountTable(
        layout,
        segments,
        np.zeros((len(segments), layout.cells), np.int64),
        np.zeros((len(segments), len(layout.signals), 2), np.int64),
    )
    for index, signal in enumerate(layout.signals):
        if signal.fingerprint in old:
            was, cells = old[signal.fingerprint]
            table.counts[:, layout.span(index)] = counts[:, cells]
            table.tails[:, index] = tails[:, was]
    return table


def pack_array(array: NDArray[np.integer[Any]]) -> list[Any]:
    """[dtype, bytes] in the narrowest little-endian type that holds every value."""
    narrowed = _narrowed(array)
    return [narrowed.dtype.str, narrowed.tobytes()]


def _narrowed(array: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    # A negative number makes numpy look for a signed type, which must hold the largest too.
    return array.astype(np.min_scalar_type(min(low, -high - 1) if low < 0 else high).newbyteorder("<"))


def unpack_array(packed: list[Any]) -> NDArray[Any]:
    """The flat array of ``pack_array``. Raises ``ValueError`` for another than an integer type."""
    kind = np.dtype(packed[0])
    if kind.kind not in "iu":
        raise ValueError(f"expected an integer type, got {packed[0]!r}")
    return np.frombuffer(packed[1], kind)

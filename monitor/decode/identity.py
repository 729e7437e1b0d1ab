"""Ids: the text of an id, and 128 bits that stand for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from monitor.batch import RejectReason
from monitor.decode.refusal import Refusal, kind_of
from monitor.decode.scalar import Scalar, text_of

MAX_ID_LENGTH = 512

_digest = xxhash.xxh3_128_digest
_WORDS = np.dtype("<u8")  # the words of a digest are the same on every machine


def id_hash(text: str) -> tuple[int, int]:
    """The two words of an id's hash, as in ``Batch.ids``: XXH3-128 of its UTF-8.

    A lone surrogate, which JSON can write and UTF-8 cannot, is encoded as if it could.
    """
    low, high = np.frombuffer(_digest(_encoded(text)), _WORDS).tolist()
    return low, high


def hash_ids(column: Sequence[Scalar], path: str) -> tuple[NDArray[np.uint64], Sequence[str], dict[int, Refusal]]:
    """[n, 2] hashes of ids, [n] their texts, and why some are no ids; hash and text of those mean nothing.

    In a text a lone surrogate, which has no UTF-8, is a question mark.
    """
    column = list(column)  # looked at twice
    if _plain(column):
        try:
            return _hashes(map(str.encode, column)), column, {}  # type: ignore[arg-type,return-value]
        except UnicodeEncodeError:
            pass  # a lone surrogate among them
    texts = [_id_text(value, path) for value in column]
    known = ["" if isinstance(text, Refusal) else text for text in texts]
    return _hashes(map(_encoded, known)), [text.encode("utf-8", "replace").decode() for text in known], _refused(texts)


def check_ids(column: Sequence[Scalar], path: str) -> dict[int, Refusal]:
    """Why some are no ids: what ``hash_ids`` says, without the hashes."""
    return {} if _plain(column) else _refused([_id_text(value, path) for value in column])


def _plain(column: Sequence[Scalar]) -> bool:
    """Whether all are texts that are ids: what has a length is text."""
    try:
        lengths = set(map(len, column))  # type: ignore[arg-type]
    except TypeError:
        return False
    return 0 not in lengths and max(lengths, default=1) <= MAX_ID_LENGTH


def _refused(texts: Sequence[str | Refusal]) -> dict[int, Refusal]:
    return {row: text for row, text in enumerate(texts) if isinstance(text, Refusal)}


def _id_text(value: Scalar, path: str) -> str | Refusal:
    if value is None or value == "":
        return Refusal(RejectReason.NO_ID, f"expected an id at {path}, got {'nothing' if value is None else 'an empty text'}")
    text = text_of(value)
    # 1.0 is the integer 1; but neither 1.5 nor a whole float too large to be exact can tell predictions apart.
    exact = not isinstance(value, bool | float) or (text or "").lstrip("-").isdigit()
    if text is not None and exact and len(text) <= MAX_ID_LENGTH:
        return text
    got = f"{len(text)} characters" if text is not None and len(text) > MAX_ID_LENGTH else kind_of(value)
    return Refusal(RejectReason.BAD_ID, f"expected text of at most {MAX_ID_LENGTH} characters or a whole number at {path}, got {got}")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _hashes(encoded: Iterable[bytes]) -> NDArray[np.uint64]:
    words = np.frombuffer(b"".join(map(_digest, encoded)), _WORDS)
    return words.reshape(-1, 2).astype(np.uint64, copy=False)

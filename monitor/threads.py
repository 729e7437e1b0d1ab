"""How many threads arithmetic may use: one."""

from __future__ import annotations

import sys


def one_thread() -> None:
    """Keep linear algebra to the calling thread, for as long as the process lives; nothing happens where numpy is not loaded.

    Products here are of a few thousand numbers: the library's other threads gain nothing, but spin while they wait for the next
    one, which cost five times the processor time of the product itself. How it cuts a product into threads also
    moves the last bit of a sum, so that one log would give other verdicts on a machine with more processors.
    """
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")

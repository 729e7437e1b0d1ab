"""Arithmetic stays on one thread."""

import os
import subprocess
import sys

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from monitor.threads import one_thread


def threads_of_linear_algebra() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_linear_algebra_keeps_to_one_thread_from_then_on():
    with threadpool_limits(2, user_api="blas"):
        assert threads_of_linear_algebra() == [2] * len(threads_of_linear_algebra()), np.__version__
        one_thread()
        assert set(threads_of_linear_algebra()) <= {1}


def test_a_command_that_computes_asks_for_it():
    """What a process of two threads reports once a command has run in it."""
    program = (
        "import numpy\nfrom threadpoolctl import threadpool_info, threadpool_limits\nfrom monitor.__main__ import main\n"
        "threadpool_limits(2, user_api='blas')\nmain(['schema'])\n"
        "print(max([p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas'], default=1))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert out.stdout.splitlines()[-1] == "1"

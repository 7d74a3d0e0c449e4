"""What a server keeps of large blocks that it takes for a moment."""

import platform
import subprocess
import sys

import pytest

# As a server does: pictures in float for a moment, one picture of each person for long, from a thread of its own.
STEPS = """
import threading
import psutil, torch
from armillary.core import to_disk
from armillary.serve.heap import return_large_blocks

torch.set_num_threads(1)
return_large_blocks()

def play():
    process, kept = psutil.Process(), []
    before = process.memory_info().rss
    for step in range(150):
        drawn = torch.full((64, 3, 64, 64), 0.5)
        pictures = to_disk(drawn)
        messages = [bytes(2000 + person) for person in range(64)]
        kept += [picture.copy() for picture in pictures]
        del drawn, pictures
    print((process.memory_info().rss - before) / sum(one.nbytes for one in kept))

thread = threading.Thread(target=play)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_holds_little_more_than_it_keeps():
    held = float(subprocess.check_output([sys.executable, "-c", STEPS], text=True))
    assert held < 1.3  # 2.4 without the call

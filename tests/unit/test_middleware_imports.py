"""The middleware costs an app nothing but the standard library, and of Weighbridge only itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import weighbridge

SCRIPT = """
import json, sys
import {module}
print(json.dumps(sorted(sys.modules)))
"""
OWN = {"weighbridge", "weighbridge.asgi", "weighbridge.wsgi"}


@pytest.mark.parametrize("module", ["weighbridge.asgi", "weighbridge.wsgi"])
def test_only_the_standard_library_is_imported(module):
    source = str(Path(weighbridge.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT.format(module=module)],  # -S: what is installed cannot be imported at all
        env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    of_weighbridge = {name for name in loaded if name.partition(".")[0] == "weighbridge"}
    assert module in of_weighbridge
    assert {name for name in of_weighbridge - OWN if not name.startswith("weighbridge.reporter")} == set()
    others = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"weighbridge", "__main__"}
    assert others == set()

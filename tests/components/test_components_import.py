"""Every child pays for `import components.client`: nothing heavy may come with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pandas", "pyarrow", "click", "rich", "structlog", "psutil")
CODE = "import sys; import {module}; print(*sorted(m for m in sys.modules if m.split('.')[0] in {heavy!r}))"


@pytest.mark.parametrize("module", ["components.client", "components", "components.thinkers.quad_ma"])
def test_importing_the_sdk_loads_nothing_heavy(module: str) -> None:
    code = CODE.format(module=module, heavy=HEAVY)
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert found.stdout.split() == []


def test_of_the_orchestrator_only_messages_and_errors_are_loaded() -> None:
    code = CODE.format(module="components.client", heavy=("orchestrator",))
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert found.stdout.split() == ["orchestrator", "orchestrator.errors", "orchestrator.protocol"]

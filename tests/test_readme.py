"""The README's Python runs as it stands, on the demo's clip."""

import re
from pathlib import Path

import numpy as np
import pytest

from ivs_jax.data.demo_clip import write_demo_clip

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.slow
def test_every_python_block_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    write_demo_clip("clip.mp4", frames=13)
    scope: dict[str, object] = {"pixels": np.zeros((320, 480, 3), np.uint8)}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    labels = scope["labels"]
    assert isinstance(labels, np.ndarray) and labels.shape == (320, 480)
    assert Path("session.json").exists()

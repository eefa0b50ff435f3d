"""docs/kernels.md and the registry."""

from __future__ import annotations

import keyword
import subprocess
import sys

from udfs import KERNELS, docs


def test_the_page_is_what_the_registry_says():
    done = subprocess.run([sys.executable, "-m", "udfs.docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(docs, "PAGE", tmp_path / "kernels.md")
    assert docs.main(["--check"]) == 1
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    docs.PAGE.write_text(docs.PAGE.read_text() + "x")
    assert docs.main(["--check"]) == 1
    assert "python -m udfs.docs" in capsys.readouterr().err


def test_names_are_unique_and_plain():
    names = [kernel.name for kernel in KERNELS]
    assert len(set(names)) == len(names)
    for kernel in KERNELS:
        for name in (kernel.name, *kernel.arguments):
            assert name.isidentifier()
            assert name == name.lower()
            assert not keyword.iskeyword(name)


def test_every_kernel_is_on_the_page():
    page = docs.PAGE.read_text()
    for kernel in KERNELS:
        assert f"## {kernel.name}\n" in page
        assert kernel.example in page

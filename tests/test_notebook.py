"""The notebook of the examples: what it holds, and that it runs from top to bottom."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sweeping import ROOT, rows_of
from tests.test_readme import blocks

NOTEBOOK = ROOT / "examples" / "grading.ipynb"

SMALL = {"patients = 205": "patients = 40", "epochs = 60": "epochs = 2"}


def notebook() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return content


def code_cells() -> list[str]:
    return ["".join(cell["source"]) for cell in notebook()["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_has_no_outputs() -> None:
    content = notebook()
    assert content["nbformat"] == 4
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert "not a medical device" in "".join(cells[0]["source"])


def test_the_code_of_the_notebook_compiles() -> None:
    cells = code_cells()
    assert len(cells) > 5
    for cell in cells:
        # Lines for the shell and for IPython are no Python.
        python = re.sub(r"^( *)[!%](.*\\\n)*.*$", r"\1pass", cell, flags=re.M)
        compile(python, "cell", "exec")


def test_the_readme_has_the_cells_of_the_notebook() -> None:
    (colab,) = [block for block in blocks("README.md") if "google.colab" in block]
    lines = {line.strip() for cell in code_cells() for line in cell.splitlines()}
    assert [line for line in colab.splitlines() if line not in lines] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
def test_the_notebook_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="djd[notebook] is not installed")
    nbclient = pytest.importorskip("nbclient", reason="djd[notebook] is not installed")
    pytest.importorskip("ipykernel", reason="djd[notebook] is not installed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "my work"
    text = NOTEBOOK.read_text(encoding="utf-8")
    for whole, small in {**SMALL, "outputs/notebook": str(work)}.items():
        assert whole in text
        text = text.replace(whole, small)
    read = nbformat.reads(text, as_version=4)
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    done = nbclient.NotebookClient(read, timeout=300, resources=place).execute()
    said = json.dumps(done["cells"])
    assert "Traceback" not in said
    assert "PHANTOM" in said
    assert "image/png" in said
    rows = rows_of(work / "grades" / "predictions.csv")
    assert len(rows) == 6
    assert {row["error"] for row in rows} == {""}
    assert len(rows_of(work / "sweep" / "settings.csv")) == 5

"""`ablate audit`: what it audits, how it ends, and what bad input gets."""

import sys

import pytest
from click.testing import CliRunner

from ablate.cli import main

MODULE = """
from torch import nn

def stock():
    return nn.LSTM(4, 8, dropout=0.0)

def none():
    return None

def raises():
    raise ValueError("no weights here")

def always():
    class Always(nn.LSTM):
        def forward(self, x, state):
            return super().forward(nn.functional.dropout(x, 0.3), state)
    return Always(4, 8)
"""


@pytest.fixture
def module(tmp_path):
    """A file with factories."""
    path = tmp_path / "model.py"
    path.write_text(MODULE)
    return path


def audit(*arguments):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)], env={"COLUMNS": "100"})


def test_a_module_that_is_the_strategy_ends_with_0(module, tmp_path):
    """And its page says the same as the terminal."""
    page = tmp_path / "audit.html"
    ran = audit("none", "--module", f"{module}:stock", "--page", page)
    assert ran.exit_code == 0
    assert "no mask acts" in ran.output
    assert "the module does what the placement says" in ran.output
    text = page.read_text(encoding="utf-8")
    assert "The module does what the placement says" in text
    assert "evaluation samples nothing" in text
    assert "http" not in text


def test_a_page_that_cannot_be_written_costs_no_audit(module, tmp_path):
    """What was found is printed before."""
    ran = audit("none", "--module", f"{module}:stock", "--page", tmp_path)
    assert ran.exit_code == 2
    assert "the module does what the placement says" in ran.output
    assert "Is a directory" in ran.output or "is a directory" in ran.output


def test_a_broken_law_ends_with_1(module):
    """Dropout that does not know of evaluation, with no strategy named."""
    ran = audit("--module", f"{module}:always")
    assert ran.exit_code == 1
    assert "1 law is broken:" in ran.output
    assert "two calls in evaluation mode differ" in ran.output


def test_a_file_may_hold_dataclasses_and_import_its_neighbours(tmp_path, monkeypatch):
    """It is loaded as Python loads a file of a project."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "layers_beside.py").write_text("from torch import nn\nWIDTH = 8\n")
    (tmp_path / "model.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from layers_beside import WIDTH, nn\n"
        "@dataclass\nclass Config:\n    width: int = WIDTH\n"
        "def make():\n    return nn.LSTM(4, Config().width)\n"
    )
    assert audit("none", "--module", f"{tmp_path / 'model.py'}:make").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["gall2016"], id="strategy"),
        pytest.param(["none", "--module", "model.py"], id="spec"),
        pytest.param(["--module", "nowhere.py:make"], id="file"),
        pytest.param(["--module", "{}:stok"], id="factory"),
        pytest.param(["--module", "{}:none"], id="returns"),
        pytest.param(["--module", "{}:raises"], id="raises"),
        pytest.param(["--module", "{}:stock", "--layers", 3], id="layers"),
        pytest.param(["gal2016", "--layers", 100_000], id="many-layers"),
        pytest.param(["--module", "{}:stock", "--set", "rate=.5"], id="set"),
        pytest.param(["none", "--page", "nowhere/page.html"], id="page"),
    ],
)
def test_bad_input_is_one_sentence_and_2(arguments, module, wording):
    """No traceback, and nothing is audited first."""
    ran = audit(*(str(argument).format(module) for argument in arguments))
    assert ran.exit_code == 2
    wording(ran.output)
    assert "holds" not in ran.output


HOME = """
from torch import nn

class Apart(nn.Module):
    def __init__(self):
        super().__init__()
        self.p, self.q = nn.Linear(5, 32), nn.Linear(8, 32)

    def forward(self, x, state):
        h, c = state
        ys = []
        for step in x.unbind(1):
            i, f, g, o = (self.p(step) + self.q(h)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            ys.append(h)
        import torch
        return torch.stack(ys, 1), (h, c)

def apart():
    return Apart()

def drops():
    return nn.Dropout1d(0.5)

def norm():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.norm, self.drop = nn.LSTM(4, 8), nn.LayerNorm(8), nn.Dropout(0.5)
        def forward(self, x, state):
            y, state = self.lstm(x, state)
            return self.drop(self.norm(y)), state
    return Normed()
"""


@pytest.fixture
def homemade(tmp_path):
    """A file with modules of other shapes."""
    path = tmp_path / "home.py"
    path.write_text(HOME)
    return path


def test_options_tell_what_looking_does_not(homemade):
    """Parameters by name, the layout, and the edge of a layer that only drops."""
    kinds = ("weight_ih_l0=p.weight", "weight_hh_l0=q.weight", "bias_ih_l0=p.bias")
    told = [part for kind in kinds for part in ("--name", kind)]
    assert audit("none", "--module", f"{homemade}:apart", "--batch-first", *told).exit_code == 0
    ran = audit("none", "--module", f"{homemade}:apart", "--time-first", *told)
    assert ran.exit_code == 2
    assert "(batch_first=False)" in ran.output
    ran = audit("zaremba2014", "--module", f"{homemade}:drops")
    assert (ran.exit_code, "--edge INPUT" in ran.output) == (2, True)
    ran = audit("zaremba2014", "--module", f"{homemade}:drops", "--edge", "output")
    assert "OUTPUT" in ran.output


def test_what_is_not_decided_is_said_and_ends_with_0(homemade, tmp_path):
    """On the terminal, and on the page."""
    page = tmp_path / "audit.html"
    ran = audit("none", "--module", f"{homemade}:norm", "--page", page)
    assert ran.exit_code == 0
    assert "not measured" in ran.output
    assert "nothing that was seen differs from the placement" in ran.output
    assert "Not decided" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--edge", "OUTPT"], id="edge"),
        pytest.param(["--name", "weight_ih_l0"], id="name"),
        pytest.param(["--name", "w=p.weight"], id="key"),
        pytest.param(["--name", "weight_ih_l0=p.wait"], id="parameter"),
    ],
)
def test_a_wrong_adapter_is_one_sentence_and_2(arguments, homemade, wording):
    """What the options take is said."""
    ran = audit("none", "--module", f"{homemade}:apart", *arguments)
    assert ran.exit_code == 2
    wording(ran.output)

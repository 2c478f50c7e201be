"""Under `python -OO` there are no docstrings; strategies have their help all the same."""

import json
import os
import subprocess
import sys

from ablate.docstrings import docstring
from ablate.strategies import all_strategies

PLUGIN = """
from ablate.placement import Placement
from ablate.strategies import strategy


@strategy()
def mine() -> Placement:
    {docstring}
    return Placement()
"""

LISTED = """
import json, sys
from pathlib import Path
from ablate.errors import AblateError
from ablate.strategies import all_strategies
from ablate.strategies.plugins import load_file

try:
    load_file(Path(sys.argv[1]))
except AblateError as error:
    print(json.dumps(str(error)))
else:
    print(json.dumps({each.name: each.doc for each in all_strategies()}))
"""


def listed(path, docstring):
    """What a process without docstrings says of every strategy and of a plugin's."""
    path.write_text(PLUGIN.format(docstring=docstring))
    environment = os.environ | {"PYTHONOPTIMIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", LISTED, str(path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_is_the_same_without_docstrings(tmp_path):
    """The text of every built-in strategy, and that of a plugin."""
    found = listed(tmp_path / "mine.py", '"""Drop nothing.\n\n    At all.\n    """')
    assert found.pop("mine") == "Drop nothing.\n\nAt all."
    # Other tests register strategies of their own.
    assert found == {each.name: each.doc for each in all_strategies() if each.name in found}
    assert len(found) == 26


def test_a_strategy_that_has_none_is_refused_there_too(tmp_path):
    """A function without help is its author's mistake under either flag."""
    assert "'mine' needs a docstring" in listed(tmp_path / "mine.py", "pass")


def test_a_strategy_whose_source_is_gone_is_not_refused(monkeypatch):
    """Nothing can tell whether it had a docstring: no reason to refuse what runs elsewhere."""
    made = {}
    exec(compile("def mine():\n    'Drop.'", "gone.py", "exec", optimize=2), made)
    assert docstring(made["mine"]) == ""
    docstring.cache_clear()
    monkeypatch.setattr("ablate.docstrings.sys.flags", type("Flags", (), {"optimize": 2}))
    assert docstring(made["mine"]) is None

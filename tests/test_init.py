"""What `import ablate` offers, and when it is imported."""

import subprocess
import sys

import pytest

import ablate
from ablate import drops, edges, placement
from ablate.model import embedding, gru, lstm, module, rnn


def test_the_language_needs_no_torch():
    """Names are found where they are defined, on first use."""
    code = (
        "import sys, ablate; dir(ablate); "
        "ablate.Placement({ablate.Edge.OUTPUT: ablate.Drop(0.5, ablate.VARIATIONAL)}); "
        "print({'torch', 'pandas', 'numpy', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_names_are_those_of_their_modules():
    """One object under two names."""
    assert (ablate.LSTM, ablate.GRU, ablate.RNN) == (lstm.LSTM, gru.GRU, rnn.RNN)
    assert ablate.Embedding is embedding.Embedding
    assert ablate.LanguageModel is module.LanguageModel
    assert (ablate.Placement, ablate.Edge) == (placement.Placement, edges.Edge)
    for name in ("Drop", "Sharing", "Fill", "Scale", "ALL", "PER_STEP", "VARIATIONAL"):
        assert getattr(ablate, name) is getattr(drops, name)


def test_every_name_is_listed():
    """For completion, and for `from ablate import *`."""
    assert set(ablate.__all__) <= set(dir(ablate))
    assert all(getattr(ablate, name) is not None for name in ablate.__all__)


@pytest.mark.parametrize(
    "code",
    [
        "ablate.strategies.get('gal2016').place()",
        "ablate.Placement({ablate.Edge.INPUT: ablate.Drop(0.1)}, ablate.schedules.CURRICULUM)",
        "ablate.Drop(0.1, noise=ablate.noise.GAUSSIAN)",
        "ablate.strategies.get('everywhere').place(ablate.cells.GRU)",
        "ablate.strategy(dial='rate'), ablate.Rate, ablate.Range, ablate.Noise, ablate.Schedule",
        "issubclass(ablate.AblateWarning, UserWarning) or 1 / 0",
    ],
)
def test_what_messages_name_is_there_after_import_ablate(code):
    """In a process that has imported nothing else, and without torch."""
    code = f"import ablate, sys; {code}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_name_is_an_attribute_error():
    """As for any module."""
    with pytest.raises(AttributeError, match="QRNN"):
        ablate.QRNN  # noqa: B018

"""Where, how often and how should dropout be placed in a recurrent network? Evidence, not opinion.

import ablate
lstm = ablate.LSTM(10, 20, placement=ablate.Placement({ablate.Edge.RECURRENT: ablate.Drop(0.25)}))
frame = ablate.results("placement")     # one row a trial, perplexities derived
"""

import lazy_loader

from ablate.version import __version__ as __version__

# Lazy imports: `ablate --help` and the language load neither torch nor pandas.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

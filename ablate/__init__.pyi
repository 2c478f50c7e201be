# The public face: what `import ablate` offers and where it is defined, for readers, type checkers
# and `lazy_loader`, which imports each name on first use.
# `as` says that a name is offered.

from . import cells as cells
from . import noise as noise
from . import schedules as schedules
from . import strategies as strategies
from .auditing import audit as audit
from .drops import ALL as ALL
from .drops import BOTTOM as BOTTOM
from .drops import GROWING as GROWING
from .drops import PER_STEP as PER_STEP
from .drops import TOP as TOP
from .drops import VARIATIONAL as VARIATIONAL
from .drops import Drop as Drop
from .drops import Fill as Fill
from .drops import Layers as Layers
from .drops import Scale as Scale
from .drops import Sharing as Sharing
from .edges import Edge as Edge
from .errors import AblateError as AblateError
from .errors import AblateWarning as AblateWarning
from .model.embedding import Embedding as Embedding
from .model.gru import GRU as GRU
from .model.lstm import LSTM as LSTM
from .model.module import LanguageModel as LanguageModel
from .model.rnn import RNN as RNN
from .noise import BERNOULLI as BERNOULLI
from .noise import GAUSSIAN as GAUSSIAN
from .noise import Noise as Noise
from .placement import Placement as Placement
from .report.frame import results as results
from .running import run as run
from .schedules import ANNEALED as ANNEALED
from .schedules import CURRICULUM as CURRICULUM
from .schedules import Schedule as Schedule
from .strategies import Range as Range
from .strategies import Rate as Rate
from .strategies import strategy as strategy

__version__: str
__all__: list[str]
__all__: list[str]

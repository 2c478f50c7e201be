"""Where bugs are planted: the functions that the masks, the values and the loss of a net pass.

Most are one for all paths of the engine, so that no comparison of paths sees a bug there; what does
are the papers' equations (law 2), differences of values (law 1) and the trainer by hand (law 8).
"""

from typing import Final

from mutants.mutant import Seam

from ablate.engine import step
from ablate.engine.layers import library, looped, reference
from ablate.engine.layers.direction import Direction
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.masks import acting, means, net
from ablate.engine.masks.net import NetMasks
from ablate.engine.masks.table import Clock, MaskTable
from ablate.engine.step import KernelSpec, Multiply
from ablate.engine.window import Window
from ablate.masks import Coordinates
from ablate.training import softmax
from ablate.training.evaluation import Evaluation
from ablate.training.update import TrialPlan

# What a mask is: who shares it, when it changes, at which rate and scale.
COORDINATES_OF: Final = Seam(Coordinates, "of")
COORDINATES_GIVEN: Final = Seam(Coordinates, "given")
CLOCK_ADVANCE: Final = Seam(Clock, "advance")
TABLE_OF: Final = Seam(MaskTable, "of")
TABLE_DRAW: Final = Seam(MaskTable, "draw")
MEAN_FACTOR: Final = Seam(acting, "mean_factor")
MEAN_MASKS: Final = Seam(means, "mean_masks")

# What a net multiplies by, and at which slot of which layer.
NET_OF: Final = Seam(NetMasks, "of")
NET_FACTORS: Final = Seam(NetMasks, "factors")
NET_WORDS: Final = Seam(NetMasks, "drop_words")
NET_OUTPUT: Final = Seam(NetMasks, "drop_output")

# Where a factor meets a value, on every path: a whole sequence, a weight, a value within a step.
DROPPED: Final = Seam(net, "_dropped")
MASKED: Final = Seam(reference, "masked")
STEP: Final = Seam(step, "step")
MULTIPLY_TIMES: Final = Seam(Multiply, "times")
MULTIPLY_HELD: Final = Seam(Multiply, "held")

# The same on one path alone.
READ_INPUT: Final = Seam(looped, "_read_input")
KIND_READ: Final = Seam(KernelSpec, "read")
KERNELS: Final = Seam(step, "kernels")
LIBRARY_LAYER: Final = Seam(library, "library_layer")

# What cells, directions and rows that end add.
BIASES: Final = Seam(LayerWeights, "biases")
DIRECTION_FACTORS: Final = Seam(Direction, "factors")
DIRECTION_TURNED: Final = Seam(Direction, "turned")
WINDOW_ADDRESS: Final = Seam(Window, "address")

# What training and evaluation make of a net.
TASK_WINDOW: Final = Seam(TrialPlan, "window")
LOSSES: Final = Seam(softmax, "losses_and_gradients")
EVALUATE: Final = Seam(Evaluation, "__call__")

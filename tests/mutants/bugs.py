"""Eighteen dropout bugs that shipped in libraries, papers' code and ports, and what catches each.

Beside them stand mistakes that are nobody's in particular, in what cells, directions and rows of
different length add.

A mutant names the seam where it is planted, and the law tests that are run on it as they are: each
of them must fail.
"""

from mutants import seams, wrong_cells, wrong_engine, wrong_masks, wrong_training
from mutants.mutant import Mutant, bug


def _tests(path: str, name: str, *ids: str) -> tuple[str, ...]:
    return tuple(f"tests/{path}::{name}[{each}]" for each in ids)


def _law1(name: str, *ids: str) -> tuple[str, ...]:
    return _tests("engine/test_law1.py", name, *ids)


def _every_edge(*edges: str) -> tuple[str, ...]:
    ids = (f"{edge}-T7-float64-training" for edge in edges)
    return _law1("test_every_edge_alone", *ids)


def _derived(*edges: str) -> tuple[str, ...]:
    ids = (f"{edge}-training" for edge in edges)
    return _law1("test_gradients_are_derivatives", *ids)


def _trained(*papers: str) -> tuple[str, ...]:
    return _tests("test_law2.py", "test_training_is_the_papers_placement", *papers)


def _evaluated(*papers: str) -> tuple[str, ...]:
    return _tests("test_law2.py", "test_evaluation_is_the_papers", *papers)


def _law5(name: str, *ids: str) -> tuple[str, ...]:
    return _tests("engine/test_law5.py", name, *ids)


def _law8(name: str, *ids: str) -> tuple[str, ...]:
    return _tests("training/test_law8.py", name, *ids)


def _specified(name: str, *ids: str) -> tuple[str, ...]:
    return _tests("training/test_specification.py", name, *ids)


_FOLLOWED = "test_updates_follow_it"
_A_WORD = "test_a_dropped_word_is_dropped_wherever_it_stands"
_COORDINATES = "test_every_coordinate_of_a_window_changes_its_masks"
_SILENT = "test_what_keeps_its_scale_in_training_is_silent_in_evaluation"
_PERPLEXITY = "test_perplexity_is_a_token_by_token_sum"

BUGS = (
    bug(
        1,
        "A locked mask is broadcast over the wrong axis: fresh at each step, one for the batch",
        "awd-lstm-lm (pull request 5), PyTorch-NLP (issue 71)",
        Mutant(
            "sharing over time and over the batch exchanged",
            seams.COORDINATES_OF,
            wrong_masks.time_and_batch_exchanged,
            _trained("locked", "gal2016-tied"),
        ),
    ),
    bug(
        2,
        "Weight drop stays on in evaluation",
        "awd-lstm-lm (issue 72)",
        Mutant(
            "WEIGHT's coins sampled in evaluation",
            seams.NET_OF,
            wrong_engine.weights_dropped_in_evaluation,
            _law5("test_evaluation_samples_nothing", "WEIGHT") + _evaluated("merity2017"),
        ),
        Mutant(
            "a text scored in training's mode",
            seams.TASK_WINDOW,
            wrong_training.training_in_evaluation,
            _specified("test_an_evaluation_follows_it", "merity2017", "zoneout"),
        ),
    ),
    bug(
        3,
        "Weights are overwritten by their masked copy and decay to zero for good",
        "Better_LSTM_PyTorch (issue 7)",
        Mutant(
            "the masked weight written over the weight",
            seams.MASKED,
            wrong_engine.overwritten,
            _law1("test_a_path_leaves_its_inputs_alone", "reference", "looped", "fused")
            + _trained("merity2017"),
        ),
    ),
    bug(
        4,
        "The mask is applied through `.data`: the backward pass does not see it",
        "lstms.pth",
        Mutant(
            "weights masked behind autograd's back, on every path",
            seams.MASKED,
            wrong_engine.unseen_by_backward(at=0),
            _derived("WEIGHT", "INPUT"),
        ),
        Mutant(
            "whole sequences masked behind autograd's back, on every path",
            seams.DROPPED,
            wrong_engine.unseen_by_backward(at=0),
            _derived("EMBEDDING", "OUTPUT"),
        ),
        Mutant(
            "values within a step masked behind autograd's back, on every path",
            seams.MULTIPLY_TIMES,
            wrong_engine.unseen_by_backward(at=2),
            _derived("HIDDEN", "UPDATE", "CELL"),
        ),
        Mutant(
            "the mean of new and old taken behind autograd's back, on every path",
            seams.MULTIPLY_HELD,
            wrong_engine.unseen_by_backward(at=2),
            _derived("CELL", "CARRY"),
        ),
        Mutant(
            "the looped path's input masked behind autograd's back",
            seams.READ_INPUT,
            wrong_engine.input_unseen,
            _every_edge("INPUT", "INTERLAYER"),
        ),
        Mutant(
            "what the looped path's products read of the state masked behind autograd's back",
            seams.KIND_READ,
            wrong_engine.state_unseen,
            _every_edge("RECURRENT"),
        ),
        Mutant(
            "the looped path's derived backward pass without masks",
            seams.KERNELS,
            wrong_engine.derived_without_masks,
            _every_edge("RECURRENT", "HIDDEN", "UPDATE", "CELL"),
        ),
    ),
    bug(
        5,
        "Gal's recurrent mask also hits the h that goes upward",
        "lstms.pth, AllenNLP (issue 2320)",
        Mutant(
            "RECURRENT's factor in the slot of HIDDEN",
            seams.NET_FACTORS,
            wrong_engine.recurrent_goes_up,
            _trained("gal2016-tied", "naive"),
        ),
    ),
    bug(
        6,
        "One mask for the whole batch where one a sequence was meant",
        "DyNet (pull request 812), lstms.pth",
        Mutant(
            "the row of the batch left out of a mask's address",
            seams.COORDINATES_OF,
            wrong_masks.one_for_the_batch,
            _trained("locked", "gal2016-tied", "moon2015"),
        ),
    ),
    bug(
        7,
        "Recurrent dropout turns the input's mask from tied to one for each gate",
        "Keras",
        Mutant(
            "INPUT and INTERLAYER with gates apart beside RECURRENT",
            seams.NET_OF,
            wrong_engine.inputs_apart_beside_recurrent,
            _trained("gal2016-tied", "naive"),
        ),
    ),
    bug(
        8,
        "A fixed seed makes masks repeat that should be fresh",
        "TensorFlow (issue 2789)",
        Mutant(
            "the step left out of a mask's address",
            seams.COORDINATES_OF,
            wrong_masks.the_same_each_step,
            _trained("zaremba2014", "semeniuta2016-step", "zoneout-upward"),
        ),
        Mutant(
            "the update left out of a mask's address",
            seams.COORDINATES_GIVEN,
            wrong_masks.the_same_each_window,
            _trained("locked") + _tests("engine/test_stack.py", _COORDINATES, "update"),
        ),
        Mutant(
            "the clock of the masks stands still from update to update",
            seams.CLOCK_ADVANCE,
            wrong_training.standing_still,
            _specified(_FOLLOWED, "gal2016", "zoneout", "merity2017", "morerio2017"),
        ),
    ),
    bug(
        9,
        "Word masks are not tied between equal words",
        "BayesianRNN (issue 4)",
        Mutant(
            "EMBEDDING decided by place instead of by word",
            seams.TABLE_DRAW,
            wrong_masks.by_position,
            _trained("gal2016-tied", "merity2017")
            + _tests("engine/test_factors.py", _A_WORD, "1", "ALL"),
        ),
        Mutant(
            "EMBEDDING given each word's place in training and evaluation",
            seams.NET_WORDS,
            wrong_training.words_of_places,
            _specified(_FOLLOWED, "gal2016", "merity2017"),
        ),
    ),
    bug(
        10,
        "The recurrent mask also hits the cell: Moon instead of Gal",
        "MXNet (pull request 7067)",
        Mutant(
            "RECURRENT's factor on c as well",
            seams.NET_FACTORS,
            wrong_engine.recurrent_hits_the_cell,
            _trained("gal2016-tied", "gal2016-apart", "naive"),
        ),
    ),
    bug(
        11,
        "The rate is taken for the probability of keeping",
        "zoneout's own code, DyNet (pull request 182)",
        Mutant(
            "coins of 1 - p in training",
            seams.TABLE_OF,
            wrong_masks.by_keeping,
            _trained("zoneout-upward", "zoneout-state-only", "moon2015"),
        ),
        Mutant(
            "HOLD mixes (1 - p) old + p new in evaluation",
            seams.MEAN_MASKS,
            wrong_masks.mixed_by_keeping,
            _evaluated("zoneout-upward", "zoneout-state-only")
            + _law5("test_one_step_of_the_deterministic_evaluation", "CARRY-hold"),
        ),
        Mutant(
            "HOLD mixes (1 - p) old + p new in both",
            seams.MULTIPLY_HELD,
            wrong_engine.new_and_old_exchanged,
            _trained("zoneout-upward", "zoneout-state-only")
            + _evaluated("zoneout-upward", "zoneout-state-only"),
        ),
    ),
    bug(
        12,
        "Zoneout's output is not the h of the state where the held h is meant to go up",
        "MXNet (issue 18669), RETURNN (issue 1313)",
        Mutant(
            "HIDDEN's hold in the slot of the state",
            seams.NET_FACTORS,
            wrong_engine.held_below_only,
            _trained("zoneout-upward") + _evaluated("zoneout-upward"),
        ),
        Mutant(
            "a step that hands the new h upward, on every path",
            seams.STEP,
            wrong_engine.new_goes_up,
            _trained("zoneout-upward") + _evaluated("zoneout-upward"),
        ),
    ),
    bug(
        13,
        "Dropout without the inverted scale, or scaled twice; the top mask missing",
        "TensorFlow's PTB tutorial in cuDNN mode (the top mask)",
        Mutant(
            "no division by 1 - p",
            seams.TABLE_OF,
            wrong_masks.never_scaled,
            _trained("zaremba2014", "merity2017"),
        ),
        Mutant(
            "divided by 1 - p twice",
            seams.TABLE_DRAW,
            wrong_masks.scaled_twice,
            _trained("zaremba2014", "merity2017"),
        ),
        Mutant(
            "divided in training and multiplied in evaluation",
            seams.MEAN_FACTOR,
            wrong_masks.scaled_in_evaluation_too,
            _evaluated("zaremba2014") + _law5(_SILENT, "INPUT-looped", "OUTPUT-looped"),
        ),
        Mutant(
            "OUTPUT's mask missing",
            seams.NET_OUTPUT,
            wrong_engine.without_the_top,
            _trained("zaremba2014", "locked"),
        ),
        Mutant(
            "the library's own LSTM without the masks of its input",
            seams.LIBRARY_LAYER,
            wrong_engine.without_inputs_masks,
            _every_edge("INPUT", "INTERLAYER"),
        ),
    ),
    bug(
        14,
        "The loss is multiplied by the batch instead of the unroll: a smaller learning rate",
        "a popular PyTorch port of Zaremba's trainer",
        Mutant(
            "gradients of B / T their size",
            seams.LOSSES,
            wrong_training.batch_for_unroll,
            _law8("test_an_epoch_equals_zarembas_by_hand", "B3-T7-N67", "B7-T3-N89-clipped"),
        ),
    ),
    bug(
        15,
        "Perplexity is divided by a chunk count that is not whole, or is of truncated batches",
        "PyTorch's word language model example (issue 214), ports of Zaremba's trainer",
        Mutant(
            "divided by whole chunks though the last is a part of one",
            seams.EVALUATE,
            wrong_training.by_whole_chunks,
            _law8(_PERPLEXITY, "1", "3", "20"),
        ),
        Mutant(
            "what does not fill a window left out",
            seams.EVALUATE,
            wrong_training.full_windows_only,
            _law8(_PERPLEXITY, "1", "3"),
        ),
    ),
    bug(
        16,
        "The input's dropout stays on in evaluation where a faster kernel runs",
        "Keras 3.4.0 to 3.8.0 on TensorFlow with cuDNN (pull requests 19645, 20983)",
        Mutant(
            "INPUT's and INTERLAYER's coins sampled in evaluation",
            seams.NET_OF,
            wrong_engine.inputs_dropped_in_evaluation,
            _law5("test_evaluation_samples_nothing", "INPUT", "INTERLAYER")
            + _evaluated("locked", "gal2016-tied"),
        ),
    ),
    bug(
        17,
        "An update of the library turns the recurrent mask from tied to one for each gate",
        "Keras 3.8.0 (pull request 20663)",
        Mutant(
            "RECURRENT with gates apart",
            seams.NET_OF,
            wrong_engine.recurrent_apart,
            _trained("gal2016-tied", "naive"),
        ),
    ),
    bug(
        18,
        "Masks are kept from the first call on and never sampled anew",
        "TensorFlow 2.0 before its release, 1.14's layers of 2.0 (issue 29391)",
        Mutant(
            "a table's first masks in every window",
            seams.TABLE_DRAW,
            wrong_masks.never_again,
            _specified(_FOLLOWED, "gal2016", "zoneout"),
        ),
    ),
)

_ROWS = "test_each_row_is_that_row_alone"
_TWO_MASKS = "test_the_masks_of_two_directions_differ"


def _directions(name: str, *ids: str) -> tuple[str, ...]:
    return _tests("engine/test_directions.py", name, *ids)


CELLS = {
    "gru": Mutant(
        "a GRU's recurrent bias outside the reset gate",
        seams.BIASES,
        wrong_cells.recurrent_bias_outside,
        _tests("test_law2.py", "test_a_silent_placement_is_torchs_module", "gru-bias-1")
        + _trained("gru-zaremba2014", "gru-gal2016-apart"),
    ),
    "padding": Mutant(
        "a state that goes on over the padding of a row that has ended",
        seams.DIRECTION_FACTORS,
        wrong_cells.going_on_in_padding,
        _directions(_ROWS, "lstm-1-training-reference", "gru-1-training-looped")
        + _directions("test_silent_it_is_torchs_module", "rnn-1"),
    ),
    "turned": Mutant(
        "a row turned around together with its padding",
        seams.DIRECTION_TURNED,
        wrong_cells.turned_with_its_padding,
        _directions(_ROWS, "lstm-2-training-reference", "rnn-2-training-looped")
        + _directions("test_silent_it_is_torchs_module", "gru-2"),
    ),
    "directions": Mutant(
        "one mask for both directions",
        seams.WINDOW_ADDRESS,
        wrong_cells.one_for_both_directions,
        _directions(_TWO_MASKS, "INPUT", "WEIGHT", "RECURRENT"),
    ),
}

MUTANTS = {name: mutant for each in BUGS for name, mutant in each.named()} | CELLS


def rows() -> list[tuple[str, str, str, str]]:
    """The README's table: number, bug, where it shipped, which law tests catch it."""
    return [
        (str(each.number), each.title, each.shipped_in, "; ".join(each.tests())) for each in BUGS
    ]

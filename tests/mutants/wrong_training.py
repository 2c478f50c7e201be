"""The bugs of the field in what is done with the net: its updates, its loss, its perplexity."""

from functools import wraps

import torch
from mutants.mutant import Function


def training_in_evaluation(window: Function) -> Function:
    """Forget to say that this is evaluation."""

    @wraps(window)
    def wrong(self, time, batch, like, *, update=0, **mode):
        return window(self, time, batch, like, update=update)

    return wrong


def standing_still(advance: Function) -> Function:
    """Leave the clock of the masks where it is after an update."""

    @wraps(advance)
    def wrong(self):
        return None

    return wrong


def words_of_places(drop_words: Function) -> Function:
    """Give the masks the number of each word's place instead of the word's own."""

    @wraps(drop_words)
    def wrong(self, x_KTBD, tokens_TB):
        return drop_words(self, x_KTBD, torch.arange(tokens_TB.numel()).view_as(tokens_TB))

    return wrong


def batch_for_unroll(losses_and_gradients: Function) -> Function:
    """Take the mean over all targets times the batch: gradients are B / T of the paper's."""

    @wraps(losses_and_gradients)
    def wrong(y_KNH, weights_WP, targets_N, scale, words):
        # The shipped scale is 1 / B, so that N times it is the unroll.
        unroll = len(targets_N) * scale
        return losses_and_gradients(y_KNH, weights_WP, targets_N, 1.0 / unroll, words)

    return wrong


def by_whole_chunks(call: Function) -> Function:
    """Divide by the number of chunks, rounded down, though the last of them is a part of one."""

    @wraps(call)
    def wrong(self, tokens_N, *, streams, unroll, **options):
        found = call(self, tokens_N, streams=streams, unroll=unroll, **options)
        chunk = streams * unroll
        divisor = max(1, len(tokens_N) // chunk) * chunk

        class Chunked(type(found[0])):
            @property
            def nll(self):
                return -float(self.log_probs_N.sum()) / divisor

        return [Chunked(*own) for own in found]

    return wrong


def full_windows_only(call: Function) -> Function:
    """Leave out what does not fill a window in every stream."""

    @wraps(call)
    def wrong(self, tokens_N, *, streams, unroll, **options):
        chunk = streams * unroll
        whole = max(1, len(tokens_N) // chunk) * chunk
        return call(self, tokens_N[:whole], streams=streams, unroll=unroll, **options)

    return wrong

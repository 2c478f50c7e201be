"""The bugs of the field in what is done with the net: its loss, its perplexity."""

from functools import wraps

from mutants.mutant import Function


def batch_for_unroll(losses_and_gradients: Function) -> Function:
    """Take the mean over all targets times the batch: gradients are B / T of the paper's."""

    @wraps(losses_and_gradients)
    def wrong(y_KNH, weights_WP, targets_N, scale, words):
        # The shipped scale is 1 / B, so that N times it is the unroll.
        unroll = len(targets_N) * scale
        return losses_and_gradients(y_KNH, weights_WP, targets_N, 1.0 / unroll, words)

    return wrong


def by_whole_chunks(evaluate_cohort: Function) -> Function:
    """Divide by the number of chunks, rounded down, though the last of them is a part of one."""

    @wraps(evaluate_cohort)
    def wrong(parameters, tokens_N, tasks, *, streams, unroll, **options):
        found = evaluate_cohort(
            parameters, tokens_N, tasks, streams=streams, unroll=unroll, **options
        )
        chunk = streams * unroll
        divisor = max(1, len(tokens_N) // chunk) * chunk

        class Chunked(type(found[0])):
            @property
            def nll(self):
                return -float(self.log_probs_N.sum()) / divisor

        return [Chunked(*own) for own in found]

    return wrong


def full_windows_only(evaluate_cohort: Function) -> Function:
    """Leave out what does not fill a window in every stream."""

    @wraps(evaluate_cohort)
    def wrong(parameters, tokens_N, tasks, *, streams, unroll, **options):
        chunk = streams * unroll
        whole = max(1, len(tokens_N) // chunk) * chunk
        return evaluate_cohort(
            parameters, tokens_N[:whole], tasks, streams=streams, unroll=unroll, **options
        )

    return wrong

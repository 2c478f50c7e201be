"""The bugs of the field in what is done with the net: its loss, its perplexity."""

from functools import wraps

from mutants.mutant import Function


def batch_for_unroll(train_update: Function) -> Function:
    """Take the mean over all targets times the batch, so that gradients are B / T of the paper's.

    Clipping gradients of B / T the size at `clip` is clipping whole ones at T / B of it.
    """

    @wraps(train_update)
    def wrong(parameters, x_TB, *rest, learning_rate, clip, **options):
        unroll, batch = x_TB.shape
        size = batch / unroll
        done = train_update(
            parameters, x_TB, *rest, learning_rate=learning_rate * size, clip=clip / size, **options
        )
        return done._replace(norm=done.norm * size)

    return wrong


def by_whole_chunks(evaluate: Function) -> Function:
    """Divide by the number of chunks, rounded down, though the last of them is a part of one."""

    @wraps(evaluate)
    def wrong(parameters, tokens_N, task, *, streams, unroll, **options):
        found = evaluate(parameters, tokens_N, task, streams=streams, unroll=unroll, **options)
        chunk = streams * unroll
        divisor = max(1, len(tokens_N) // chunk) * chunk

        class Chunked(type(found)):
            @property
            def nll(self):
                return -float(self.log_probs_N.sum()) / divisor

        return Chunked(*found)

    return wrong


def full_windows_only(evaluate: Function) -> Function:
    """Leave out what does not fill a window in every stream."""

    @wraps(evaluate)
    def wrong(parameters, tokens_N, task, *, streams, unroll, **options):
        chunk = streams * unroll
        whole = max(1, len(tokens_N) // chunk) * chunk
        return evaluate(
            parameters, tokens_N[:whole], task, streams=streams, unroll=unroll, **options
        )

    return wrong

"""`python -m bench`, from the folder `benchmarks`; `make bench ARGS="..."` from the checkout."""

import sys
from pathlib import Path

import click

from ablate.console import one_sentence, print_text, say_error
from ablate.errors import AblateError
from bench import files, run, show
from bench.options import check_target, read_options


@click.command()
@click.option("--shapes", metavar="A,B", help="small, medium, large; by default small,medium.")
@click.option("--strategies", metavar="A,B", help="Only these; by default every one.")
@click.option("--precision", metavar="WORD", help="fp32, bf16, auto, or both, the default.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:0.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="By default one a core.")
@click.option(
    "--repeat", type=click.IntRange(1), metavar="N", help="Timed calls of each case; by default 9."
)
@click.option("--quick", is_flag=True, help="The small shape, four strategies: about two minutes.")
@click.option(
    "--parts", is_flag=True, help="In place of whole updates their parts, each in several ways."
)
@click.option(
    "--json", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write all facts."
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show what --json wrote, and measure nothing.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables in Markdown.")
def main(
    shapes: str | None,
    strategies: str | None,
    precision: str | None,
    device: str,
    threads: int | None,
    repeat: int | None,
    quick: bool,
    parts: bool,
    target: Path | None,
    source: Path | None,
    as_markdown: bool,
) -> None:
    """Measure what an update costs on this machine, beside a stock PyTorch trainer.

    Updates and evaluations of every strategy, masks, cohorts, peak memory, time against tokens, the
    machine's ceilings and the fraction of them that is reached: ratios first. 7 minutes with
    --repeat 3 on 2 cores; the first run also compiles. Nothing else should run meanwhile.
    """
    with one_sentence():
        if source is not None:
            given = (shapes, strategies, precision, threads, repeat, target, quick or None)
            if parts or any(value is not None for value in given):
                raise AblateError(
                    "--from shows an earlier bench and measures nothing: only --markdown"
                )
            report = files.read(source)
        else:
            check_target("--json", target)
            options = read_options(
                shapes=shapes,
                strategies=strategies,
                precision=precision or "both",
                device=device,
                threads=threads,
                repeat=repeat,
                quick=quick,
            )
            measure = run.run_parts if parts else run.run
            report = measure(options, say_error, command=["python", "-m", "bench", *sys.argv[1:]])
            if target is not None:
                files.write(report, target)
        print_text(show.markdown(report) if as_markdown else show.text(report))


if __name__ == "__main__":
    main()

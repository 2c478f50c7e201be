"""The command line: what each command says."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import pyarrow.parquet as pq
import pytest
from tiny import ablate, run, write_study

from ablate.cli import main
from ablate.store import Store, overview
from ablate.training.fastest_precision import Measured

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow beside other work, and here there is none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablate.study.job.cores", lambda: 1)
        yield


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file without results."""
    return write_study(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file with results of all its trials."""
    study = write_study(tmp_path_factory.mktemp("finished"))
    assert run(study).exit_code == 0
    return study


COMMANDS = [pytest.param(name, command, id=name) for name, command in main.commands.items()]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    """`--help` of a command says what it does, and what each of its options does."""
    result = ablate(name, "--help")
    assert result.exit_code == 0
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[0] in result.output


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_and_option_stands_in_the_readme(name: str, command: click.Command) -> None:
    """The README or a page of docs documents each, as a separate word."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    readme = "\n".join(page.read_text() for page in pages)
    assert f"`ablate {name}" in readme
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            option = parameter.opts[0]
            assert re.search(rf"`([^`\n]* )?{option}[` ]", readme), option


def test_help_needs_no_torch() -> None:
    """The help answers at once: nothing heavy is imported for it."""
    script = (
        "import sys; from ablate.cli import main; main(['--help'], standalone_mode=False); "
        "print({'torch', 'pandas', 'optuna', 'pyarrow', 'rich'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout.splitlines()[-1] == "set()"


def test_a_checkout_has_a_script_of_its_own() -> None:
    """`python cli.py` is the same command line."""
    command = [sys.executable, str(ROOT / "cli.py"), "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("ablate, version ")


def test_run_names_what_it_took_and_what_comes_next(study: Path) -> None:
    """It says which file, profile, corpus, precision and folder, and how to see the report."""
    first = run(study, "--strategies", "none").output
    results = study.parent / "results"
    assert f"study tiny from {study}, profile quick" in first
    assert "\nprecision: fp32\nin this process on cpu, 1 thread(s) each\n" in first
    assert f"1 trials: 0 done, 1 to run; results in {results}/tiny/quick" in first
    assert "[1/1] none, seed 1: finished in" in first
    assert "1 trial(s) trained\n" in first
    assert f"next: `ablate report --study tiny --profile quick --results {results}`" in first

    second = run(study, "--strategies", "none,zaremba2014 .5").output
    assert "2 trials: 1 done, 1 to run" in second
    assert "1 trial(s) trained\n" in second
    third = run(study, "--seeds", 2, "--set", "recipe.epochs=1", "--strategies", "none").output
    assert "2 trials: 0 done, 2 to run" in third


def test_a_machine_settles_the_precision(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is said and stored; the other precision is another trial and table."""
    monkeypatch.setattr("ablate.study.job.fastest_precision", lambda *_: Measured("bf16", 6.12))
    study.write_text(study.read_text().replace('precision = "fp32"\n', ""))
    first = run(study, "--strategies", "none").output
    assert (
        "\nprecision: bf16 (auto: bfloat16 products measured 6.1 times as fast as float32 here)\n"
        in first
    )
    second = run(study, "--strategies", "none", "--set", "precision=fp32").output
    assert "\nprecision: fp32\n" in second
    assert "1 trials: 0 done, 1 to run" in second

    results = study.parent / "results"
    rows = pq.read_table(results / "tiny/quick/trials").to_pylist()
    assert {row["precision"] for row in rows} == {"fp32", "bf16"}
    assert len({row["pair_key"] for row in rows}) == 1
    status = ablate("status", "--results", results).output
    assert status.splitlines()[1].split() == ["tiny", "quick", "2", "0", "0", "0", "0", "0", "2"]
    report = ablate("report", "--results", results)
    assert report.exit_code == 0, report.output
    titles = re.findall(r"LSTM 1 . 4, (\w+)", report.output)
    assert set(titles) == {"fp32", "bf16"}


def test_a_store_settles_the_precision(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that would choose otherwise by now trains no second matrix of a resumed study."""
    study.write_text(study.read_text().replace('precision = "fp32"\n', ""))
    monkeypatch.setattr("ablate.study.job.fastest_precision", lambda *_: Measured("bf16", 1.51))
    assert run(study, "--strategies", "none").exit_code == 0

    monkeypatch.setattr("ablate.study.job.fastest_precision", lambda *_: Measured("fp32", 1.49))
    again = run(study, "--strategies", "none").output
    assert "\nprecision: bf16 (auto: the one trial of this store has it)\n" in again
    assert "1 trials: 1 done, 0 to run" in again
    more = run(study, "--set", "recipe.epochs=1", "--dry-run").output
    assert (
        "\nprecision: bf16 (auto: the one trial of this store, at other settings, has it)" in more
    )
    elsewhere = run(study, "--dry-run", "--results", study.parent / "new").output
    assert "\nprecision: fp32 (auto: bfloat16 products measured 1.5 times" in elsewhere

    run(study, "--set", "precision=fp32")
    most = run(study, "--dry-run").output
    assert "\nprecision: fp32 (auto: 3 of the 4 trials of this store have it)\n" in most


def test_a_store_knows_its_study_file(study: Path) -> None:
    """Its question and its path lie beside the results, whatever else has its name."""
    run(study, "--strategies", "none")
    about = Store.of(study.parent / "results", "tiny", "quick").about()
    assert about is not None
    assert (about.question, about.path, about.shipped) == (
        "Does dropout help?",
        str(study.resolve()),
        False,
    )


def test_what_joins_by_strategies_is_not_asked_by_the_file(study: Path) -> None:
    """It is flagged, and behind the file's points; whoever the file lists later is asked for."""
    run(study, "--strategies", "zaremba2014 .5,naive")
    store = Store.of(study.parent / "results", "tiny", "quick")

    def asked() -> dict[str, tuple[bool, int]]:
        return {r["label"]: (r["asked"], r["position"]) for r in store.cells().to_pylist()}

    assert asked() == {"zaremba2014 .5": (True, 2), "naive .25": (False, 4)}
    study.write_text(study.read_text().replace("[0.25, 0.5]}]", '0.25}, {name = "naive"}]'))
    run(study, "--strategies", "none")
    assert asked() == {
        "none": (True, 0),
        "zaremba2014 .5": (False, 5),
        "naive .25": (True, 2),
    }


def test_commands_in_messages_are_quoted(tmp_path: Path) -> None:
    """What follows "next:" can be pasted, whatever the folders are called."""
    folder = tmp_path / "my results; $HOME"
    folder.mkdir()
    study = write_study(folder)
    output = run(study, "--strategies", "none").output
    (line,) = re.findall(r"next: `(.*)`", output)
    assert shlex.split(line)[-2:] == ["--results", str(folder / "results")]
    assert ablate(*shlex.split(line)[1:]).exit_code == 0


def test_a_cohort_can_be_pinned(study: Path) -> None:
    """Its trials share a worker's windows, and have the results that they have alone."""
    output = run(study, "--cohort", 3).output
    assert "\ncohorts: 3 trial(s) at once in each slot, as asked\n" in output
    trials = pq.read_table(study.parent / "results/tiny/quick/trials").to_pylist()
    assert [row["cohort"] for row in trials] == [3, 3, 3]

    alone = run(study, "--cohort", 1, "--results", study.parent / "alone")
    assert alone.exit_code == 0
    others = pq.read_table(study.parent / "alone/tiny/quick/trials").to_pylist()
    assert {row["cohort"] for row in others} == {1}
    found, expected = (
        {row["key"]: row["test_nll_last"] for row in rows} for rows in (trials, others)
    )
    assert found == expected


def test_plans_that_are_alike_are_shown_once(study: Path) -> None:
    """Under all their labels; where evaluation is alike for most, they are all others."""
    study.write_text(study.read_text().replace("[0.25, 0.5]}", '[0.25, 0.5]}, {name = "zoneout"}'))
    output = run(study, "--dry-run", "--cohort", 1).output
    training, evaluation = output.partition("\ntraining\n")[2].split("\nevaluation\n")
    assert re.findall(r"^  ([^:]*): (\w+)\.", training, re.M) == [
        ("none", "fused"),
        ("zaremba2014 .25, zaremba2014 .5", "fused"),
        ("zoneout .5", "looped"),
    ]
    assert re.findall(r"^  ([^:]*): (\w+)\.", evaluation, re.M) == [
        ("none", "fused"),
        ("zoneout .5", "looped"),
        ("all others", "fused"),
    ]


def test_the_longest_shipped_study_fits_a_screen() -> None:
    """Fourteen placements with their matrix, plans and estimate are less than 50 lines."""
    given = ("--set", "corpus=toy", "--set", "net.hidden=8", "--set", "precision=fp32")
    output = ablate(
        "run", "--study", "placement", "--dry-run", "--cohort", 1, "--slots", 0, "--device", "cpu",
        *given,
    ).output  # fmt: skip
    assert "about" in output.splitlines()[-1]
    assert len(output.splitlines()) < 50


def test_dry_run_trains_nothing(study: Path) -> None:
    """It shows the matrix, each placement's plan with its reasons, and an estimate."""
    run(study, "--strategies", "none")
    output = run(study, "--dry-run").output
    assert re.search(r"^none +1 +- *$", output, re.MULTILINE)
    assert re.search(r"^zaremba2014 \.25 +- +1 *$", output, re.MULTILINE)
    assert "zaremba2014 .25, zaremba2014 .5: fused." in output
    assert re.search(r" INPUT(, INTERLAYER: each)? acts on the layer's whole input\.", output)
    assert re.search(r"^cohorts: \d at once of 2 trial\(s\) such as 'zaremba2014", output, re.M)
    assert re.search(r"about \d+ s on 1 slot\(s\): [\d.]+ ms an update and trial", output)
    assert len(list((study.parent / "results/tiny/quick/trials").iterdir())) == 1


def test_dry_run_writes_nothing(study: Path) -> None:
    """Not even the results folder comes of it."""
    assert run(study, "--dry-run").exit_code == 0
    assert not (study.parent / "results").exists()


def test_a_gpu_and_another_net_are_told_of(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a GPU is found, one line names the next profile of another corpus or net."""
    quick = study.read_text()
    again = quick.partition("\n\n")[2]
    wide = again.replace(".quick", ".full").replace("hidden = 4", "hidden = 5")
    study.write_text(quick + again.replace(".quick", ".more") + wide)
    assert "a GPU was found" not in run(study, "--dry-run").output

    monkeypatch.setattr("ablate.study.messages.gpus", lambda: 1)
    again = f"`ablate run --study {study} --profile full --results {study.parent}/results`"
    assert f"a GPU was found: {again} is this study on" in run(study, "--dry-run").output
    assert "a GPU was found" not in run(study, "--dry-run", "--profile", "full").output


def test_report_prints_the_table_and_names_the_page(finished: Path) -> None:
    """What `make run` ends with."""
    result = ablate("report", "--results", finished.parent / "results")
    assert result.exit_code == 0, result.output
    assert re.search(r"zaremba2014 +\.5 ", result.stdout)
    page = re.search(r"page: (.*)", result.stdout)
    assert page
    assert "</html>" in Path(page[1]).read_text()


def test_status_counts(finished: Path) -> None:
    """One row a profile: trials by how they ended."""
    result = ablate("status", "--results", finished.parent / "results", "--study", "tiny")
    assert result.output.splitlines()[1].split() == [
        "tiny",
        "quick",
        "3",
        "0",
        "0",
        "0",
        "0",
        "0",
        "3",
    ]


def test_status_for_scripts(finished: Path) -> None:
    """One line of JSON; where nothing runs a watch ends at once, with what there is."""
    where = ("status", "--results", finished.parent / "results", "--study", "tiny")
    result = ablate(*where, "--json")
    (store,) = json.loads(result.stdout)["stores"]
    assert (store["study"], store["profile"], store["running"]) == ("tiny", "quick", False)
    assert (store["trials"]["ok"], store["trials"]["total"]) == (3, 3)
    assert result.stdout.count("\n") == 1
    assert ablate(*where, "--json", "--watch").stdout == result.stdout
    watched = ablate(*where, "--watch", 0.5)
    assert (watched.exit_code, watched.stdout) == (0, ablate(*where).stdout)


def test_ctrl_c_ends_a_watch_with_130(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something runs it goes on, until it is stopped."""

    def interrupted(seconds: float) -> None:
        assert seconds == 5.0
        raise KeyboardInterrupt

    looks = partial(overview.looks, sleep=interrupted, clock=lambda: 0.0)
    monkeypatch.setattr(overview, "looks", looks)
    results = finished.parent / "results"
    with Store(results / "tiny" / "quick").lock():
        result = ablate("status", "--results", results, "--watch")
    assert result.exit_code == 130
    assert "tiny quick: held by process" in result.stdout
    assert result.stderr == "ablate: stopped\n"


def test_studies_are_listed() -> None:
    """The shipped ones, with question, profiles and file."""
    output = ablate("studies").output
    assert "placement\n    Where, how often and how should dropout be placed" in output
    profiles = "quick (default), tenth, tuned, factorial, without, map, edges, medium, full"
    assert f"profiles: {profiles}; file: " in " ".join(output.split())


def test_strategies_are_listed() -> None:
    """Each with its sentence, paper, dial, default point and origin."""
    output = ablate("strategies").output
    entry = output.partition("zaremba2014\n")[2]
    for fact in ("paper: arXiv:1409.2329", "dial: rate", "default: rate=0.5", "origin: ablate"):
        assert fact in entry


def test_explain_takes_arguments() -> None:
    """A strategy is drawn at the point that is asked for."""
    output = ablate("explain", "zaremba2014", "--set", "rate=.25", "--layers", 3).output
    assert "zaremba2014(rate=0.25)" in output
    assert "fewest 4: " in output


PLUGIN = """
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies import Rate, strategy


@strategy(dial="rate")
def mine(rate: Rate = 0.2) -> Placement:
    "Drop what is written."
    return Placement({Edge.UPDATE: Drop(rate)})
"""


@pytest.fixture
def plugin(tmp_path: Path, own_strategies: None) -> Path:
    """A file with a strategy of one's own, which is gone after the test."""
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def test_a_plugin_file_is_known_to_every_command(study: Path, plugin: Path) -> None:
    """Where a strategy may be named, `--plugin` brings those of a file."""
    listed = ablate("strategies", "--plugin", plugin).output
    assert re.search(r"mine\n    Drop what is written\.\n.*origin: mine\.py [0-9a-f]{8}", listed)
    assert (
        "mine(rate=0.3)" in ablate("explain", "mine", "--set", "rate=.3", "--plugin", plugin).output
    )
    ran = run(study, "--plugin", plugin, "--strategies", "mine").output
    assert f"from {plugin}: mine\n" in ran
    assert "[1/1] mine .2, seed 1: finished in" in ran
    (row,) = pq.read_table(study.parent / "results/tiny/quick/trials").to_pylist()
    assert re.fullmatch(r"mine\.py [0-9a-f]{8}", row["plugin"])


def test_cite_prints_a_bibliography(study: Path, plugin: Path) -> None:
    """BibTeX on standard output, and nothing else; a plugin's strategy is named."""
    result = ablate("cite", "--study", study, "--profile", "quick")
    assert result.exit_code == 0
    assert "\n% strategy zaremba2014\n" in result.stdout
    assert "\n@article{zaremba2014recurrent,\n" in result.stdout
    study.write_text(study.read_text().replace('"none"}', '"none"}, {name = "mine"}'))
    cited = ablate("cite", "--study", study, "--plugin", plugin).output
    assert re.search(r"% without an entry of its own: strategy mine \(mine\.py \w{8}\)\n", cited)


def test_a_truncated_file_is_named_and_costs_one_trial(study: Path) -> None:
    """A report says so and moves nothing; the next run sets it aside and trains what it held."""
    run(study, "--strategies", "none", "--seeds", 2)
    trials = study.parent / "results/tiny/quick/trials"
    broken = sorted(trials.iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:-100])

    report = ablate("report", "--results", study.parent / "results")
    assert f"trials/{broken.name} (attempt 1 at '" in report.output
    assert broken.exists()
    again = run(study, "--strategies", "none", "--seeds", 2).output
    assert "2 trials: 1 done, 1 to run" in again
    assert "1 damaged file(s), now set aside in " in again
    assert "1 trial(s) trained\n" in again


def test_a_damaged_file_is_mended_by_the_run_that_finds_it(study: Path) -> None:
    """Tokens, which no count of trials reads, are checked too, and their trial is trained again."""
    run(study, "--strategies", "none")
    (tokens,) = (study.parent / "results/tiny/quick/tokens").iterdir()
    tokens.write_bytes(b"")
    output = run(study).output
    assert f"tokens/{tokens.name} (attempt 1 at 'none', seed 1)" in output
    assert "none, seed 1: started on cpu, 1 thread(s), attempt 2" in output
    assert "3 trial(s) trained\n" in output


def test_a_log_has_a_clock_and_no_silence(study: Path) -> None:
    """Each line of a run begins with the time of day, and the first says what is begun."""
    lines = run(study).output.splitlines()
    clocked = [line[9:] for line in lines if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert clocked[0].startswith("timing a few updates of each kind of trial")
    assert clocked[1].startswith("training in this process; where kernels are compiled")
    assert len(clocked) == 2 + 3 * (1 + 2 + 1)
    again = run(study).output
    assert not re.search(r"^\d\d:\d\d:\d\d ", again, re.M)


def test_no_names_are_no_strategies(study: Path) -> None:
    """A comma too many is passed over."""
    assert "1 trials: " in run(study, "--strategies", "none,", "--dry-run").output

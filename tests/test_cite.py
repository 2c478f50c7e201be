"""The bibliography of a study: whole, valid, each entry once, and silent about nothing."""

import re
from pathlib import Path
from typing import Any

import pytest

from ablate import __version__
from ablate.cite import ABLATE, Use, bibliography, used_by
from ablate.errors import WrongValue
from ablate.noise import BERNOULLI, GAUSSIAN, Bernoulli
from ablate.schedules import ANNEALED, CURRICULUM
from ablate.strategies import all_strategies
from ablate.study.file import Study, find_study, parse_study

ROOT = Path(__file__).parents[1]


def study(*strategies: dict[str, Any], **changes: Any) -> Study:
    own = {"corpus": "toy", "preset": "zaremba-small", "seeds": 1, "strategies": [*strategies]}
    table = {"question": "?", "profiles": {"quick": own | changes}}
    return parse_study(table, name="mine", where="here")


def entries(text: str) -> dict[str, str]:
    """The entries by key: from an @ at a line's start to its matching brace."""
    found = {}
    for start in (match.start() for match in re.finditer(r"^@", text, re.MULTILINE)):
        end, depth = start, 0
        for end in range(text.index("{", start), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if not depth:
                break
        entry = text[start : end + 1]
        key = re.match(r"@\w+\{([^,\s]+),", entry)
        assert key, entry
        assert key[1] not in found, key[1]
        found[key[1]] = entry
    return found


def comments(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("% ")]


@pytest.mark.parametrize("name", ["placement", "smoke", "zaremba2014"])
def test_a_shipped_studys_bibliography_is_valid(name: str) -> None:
    """Unique keys, balanced braces, an author, a title and a year each, and nothing between."""
    text = bibliography(used_by(find_study(name)[0]))
    found = entries(text)
    for key, entry in found.items():
        for field in ("author", "title", "year"):
            assert re.search(rf"^  {field} +=", entry, re.MULTILINE), (key, field)
    rest = text
    for entry in found.values():
        rest = rest.replace(entry, "")
    assert all(line.startswith("% ") for line in rest.splitlines() if line)
    assert not any("@" in line for line in rest.splitlines())
    assert bibliography(used_by(find_study(name)[0])) == text


def test_everything_that_a_study_used_is_cited() -> None:
    """Its papers' strategies, noise, corpus, recipe, masks, searches, designs, and ablate."""
    text = bibliography(used_by(find_study("placement")[0]))
    assert set(entries(text)) == {
        "ablate",
        "akiba2019optuna",
        "gal2016theoretically",
        "krueger2017zoneout",
        "lourie2024show",
        "marcus1993building",
        "melis2018state",
        "merity2018regularizing",
        "mikolov2010recurrent",
        "moon2015rnndrop",
        "morerio2017curriculum",
        "salmon2011parallel",
        "seabold2010statsmodels",
        "semeniuta2016recurrent",
        "srivastava2014dropout",
        "zaremba2014recurrent",
    }
    # Where nothing is searched, nothing of it is cited.
    quick = entries(bibliography(used_by(find_study("placement")[0], "quick")))
    assert not {"akiba2019optuna", "lourie2024show", "seabold2010statsmodels"} & set(quick)
    said = comments(text)
    assert "schedule CURRICULUM" in said
    assert "preset zaremba-medium: net and recipe, by Zaremba's trainer" in said
    assert "without an entry of its own: strategy bursts" in said


def test_one_profile_is_cited_alone(refused) -> None:
    """What only another profile uses is left out; an unknown one is refused."""
    found, _ = find_study("placement")
    quick = bibliography(used_by(found, "quick"))
    assert "morerio2017curriculum" not in entries(quick)
    assert "corpus ptb-tenth: the Penn Treebank" in comments(quick)
    assert "corpus ptb: the Penn Treebank" not in comments(quick)
    with refused():
        used_by(found, "quik")


def test_what_has_no_entry_is_named() -> None:
    """A strategy of ours with the papers that its description names, and a folder of text."""
    used = used_by(study({"name": "hidden"}, {"name": "everywhere"}, corpus=str(ROOT)))
    said = comments(bibliography(used))
    own = "without an entry of its own: "
    assert f"{own}strategy hidden; its description names arXiv:1606.01305" in said
    assert f"{own}strategy everywhere" in said
    assert f"{own}corpus {ROOT}: a folder of text; cite its source yourself" in said


def test_equal_entries_are_one_and_equal_keys_are_two() -> None:
    """An entry is printed once under all that it is for; another text under its key is renamed."""
    one, other = "@misc{a,\n  title = {one}\n}", "@misc{a,\n  title = {a, other}\n}"
    text = bibliography([Use("x", one), Use("y", other), Use("z", f"\n{one}\n"), Use("b@c")])
    assert text == (
        "% x\n% z\n@misc{a,\n  title = {one}\n}\n\n"
        "% y\n@misc{a-2,\n  title = {a, other}\n}\n\n"
        "% without an entry of its own: b at c\n"
    )


def test_a_noise_that_brings_no_bibtex_for_its_source_is_refused(refused, monkeypatch) -> None:
    """A plugin's class may have anything there."""
    monkeypatch.setattr(Bernoulli, "bibtex", ["@misc{a, title = {x}}"])
    with refused(WrongValue, name="the bibtex of noise BERNOULLI"):
        used_by(study({"name": "zaremba2014"}))


def test_bibtex_is_where_a_paper_is() -> None:
    """Each built-in with a paper brings its entry, schedules and noises too."""
    assert all(each.bibtex for each in all_strategies() if each.paper)
    assert all(schedule.paper and schedule.bibtex for schedule in (CURRICULUM, ANNEALED))
    assert BERNOULLI.bibtex == GAUSSIAN.bibtex
    assert "srivastava2014dropout" in BERNOULLI.bibtex


def test_ablate_is_cited_as_its_citation_file_says() -> None:
    """Title, authors, version and year stand in both."""
    stated = (ROOT / "CITATION.cff").read_text()
    title = re.search(r'^title: "(.*)"$', stated, re.MULTILINE)
    author = re.search(r"^  - name: (.*)$", stated, re.MULTILINE)
    year = re.search(r"^date-released: (\d{4})", stated, re.MULTILINE)
    assert title
    assert author
    assert year
    for words in (title[1], author[1], year[1], __version__):
        assert f"{{{words}}}" in ABLATE
    assert f"version: {__version__}" in stated

"""The wording of what users are told: one snapshot, `tests/wording.json`, renewed by a command.

A test asserts what a refusal is about (its class, `given`, `allowed`); how it is said stands in the
snapshot, by the test's name. `make wording` writes it anew: read the diff as the prose that it is.
`pytest FILE --renew-wording` renews that file's alone.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from ablate.errors import AblateError

FILE: Final = Path(__file__).with_suffix(".json")
RENEW: Final = "--renew-wording"
# What tests said in this process, by test.
_SAID: Final = pytest.StashKey[dict[str, list[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(RENEW, action="store_true", help="write tests/wording.json anew")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SAID] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption(RENEW):
        items[:] = [item for item in items if "wording" in getattr(item, "fixturenames", ())]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption(RENEW) and not session.testsfailed:
        others = {} if _whole(session.config) else _kept()
        said = others | session.config.stash[_SAID]
        FILE.write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


@pytest.fixture
def wording(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Hold a text to what the snapshot has for this test; a temporary folder is written `TMP`.

    A test that says less than the snapshot has fails too.
    """
    config, name = request.config, request.node.nodeid
    kept = [] if config.getoption(RENEW) else _kept().get(name, [])
    said = config.stash[_SAID].setdefault(name, [])

    def hold(text: str) -> None:
        if "tmp_path" in request.fixturenames:
            text = text.replace(str(request.getfixturevalue("tmp_path")), "TMP")
        said.append(text)
        if not config.getoption(RENEW):
            assert said == kept[: len(said)], "if the new words are right: make wording"

    yield hold
    assert len(said) >= len(kept), "the snapshot has more words than this test heard: make wording"


@pytest.fixture
def refused(wording):
    """`with refused(UnknownName, given="gall2016"):` one refusal, with these fields, in its words.

    Yields what `pytest.raises` yields.
    """

    @contextlib.contextmanager
    def hold(
        kind: type[AblateError] = AblateError, /, **fields: object
    ) -> Iterator[pytest.ExceptionInfo[AblateError]]:
        with pytest.raises(kind) as raised:
            yield raised
        error = raised.value
        assert {name: getattr(error, name) for name in fields} == fields
        wording(str(error))

    return hold


def _whole(config: pytest.Config) -> bool:
    """Whether all tests run; what a part of them does not say is said elsewhere."""
    part = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    return not part


@functools.cache
def _kept() -> dict[str, list[str]]:
    return json.loads(FILE.read_text())

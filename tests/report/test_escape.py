"""Names as text of LaTeX and Markdown: whatever a label holds, a file holds it as text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ablate.report.escape import markdown, tex

SIGNS = (
    "\\&%$#_{}~^<>|[]*`\"' \n"
    "\N{MINUS SIGN}\N{PLUS-MINUS SIGN}\N{MULTIPLICATION SIGN}\N{EN DASH}ab1…"
)
LABELS = st.text(st.sampled_from(SIGNS), max_size=30)

# What LaTeX makes of each command that an escaped text may hold.
SET = {
    r"\textbackslash{}": "\\", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_",
    r"\{": "{", r"\}": "}", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", "$<$": "<",
    "$>$": ">", r"\textbar{}": "|", "{[}": "[", "{*}": "*", "$-$": "\N{MINUS SIGN}",
    r"$\pm$": "\N{PLUS-MINUS SIGN}", r"$\times$": "\N{MULTIPLICATION SIGN}", "--": "\N{EN DASH}",
    r"\dots{}": "…",
}  # fmt: skip
_COMMANDS = re.compile("|".join(map(re.escape, sorted(SET, key=len, reverse=True))))


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@given(LABELS)
def test_latex_sets_the_label(label: str):
    """Read back command by command the text is the label, and no sign is left to be read as one."""
    text = tex(label)
    assert _COMMANDS.sub(lambda found: SET[found[0]], text) == one_line(label)
    assert not set(_COMMANDS.sub("", text)) & set("\\&%$#_{}~^<>|[*\n")


def test_a_command_in_a_label_is_text():
    """What one sign becomes is not escaped by the next."""
    assert tex(r"\alpha_{2} & 50 %") == r"\textbackslash{}alpha\_\{2\} \& 50 \%"


def test_hyphens_are_no_dash():
    """However many stand in a row, LaTeX joins none of them."""
    assert tex("--set a-b") == "-{}-set a-b"
    assert tex("a---b") == "a-{}-{}-b"
    assert tex("a----b") == "a-{}-{}-{}-b"


@given(LABELS)
def test_a_markdown_row_keeps_its_entries(label: str):
    """No label ends its entry, and each escaped sign read back is the label."""
    text = markdown(label)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", text)
    assert re.sub(r"\\(.)", r"\1", text) == one_line(label)


def test_numbers_and_names_of_arguments_stay_as_they_are():
    """A p-value and an argument's name are no markup."""
    assert markdown("< .001 min_count") == "< .001 min_count"
    assert markdown("_a_ <b>") == r"\_a\_ \<b>"


def test_underscores_are_no_emphasis():
    """At the ends of a word, one or two; within it they are."""
    assert markdown("__init__ a_b") == r"\_\_init\_\_ a_b"
    assert markdown("a__b") == r"a\_\_b"

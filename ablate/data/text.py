"""How the texts of a corpus become words: what a study file calls `text`."""

import unicodedata
from typing import Any, Final, Literal

from pydantic import BaseModel, Field


class Text(BaseModel, frozen=True, strict=True, extra="forbid"):
    """Which words a vocabulary takes in; the defaults leave a text as it is.

    A training word that occurs less than `min_count` times, or that is not among the `size` most
    frequent types (`<eos>` and `<unk>` counted), is `<unk>` in every split, so that `<unk>` is a
    training target. `lowercase` and then `normalize` (a Unicode form) change the text before it is
    split into words.
    """

    min_count: int = Field(default=1, ge=1)
    size: int | None = Field(default=None, ge=2)
    lowercase: bool = False
    normalize: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None

    def changed(self) -> dict[str, Any]:
        """The options that are not their defaults, which is what a digest and a report show."""
        return self.model_dump(exclude_defaults=True)

    def spell(self, text: str) -> str:
        """Return `text` in the letters that these options ask for."""
        text = text.lower() if self.lowercase else text
        return unicodedata.normalize(self.normalize, text) if self.normalize else text


#: A text as it is.
PLAIN: Final = Text()

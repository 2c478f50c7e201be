"""How the texts of a corpus become words: the `text` of a study file."""

import unicodedata
from typing import Any, Final, Literal

from pydantic import BaseModel, Field


class Text(BaseModel, frozen=True, strict=True, extra="forbid"):
    """Which words enter the vocabulary; the defaults leave a text unchanged.

    A training word that occurs less than `min_count` times, or is not among the `size` most
    frequent types (`<eos>` and `<unk>` counted), is `<unk>` in every split, which makes `<unk>` a
    training target. `lowercase` and then `normalize` (a Unicode form) change the text before it is
    split into words.
    """

    min_count: int = Field(default=1, ge=1)
    size: int | None = Field(default=None, ge=2)
    lowercase: bool = False
    normalize: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults; digests and reports show them."""
        return self.model_dump(exclude_defaults=True)

    def spell(self, text: str) -> str:
        """Return `text` in the case and Unicode form of these options."""
        text = text.lower() if self.lowercase else text
        return unicodedata.normalize(self.normalize, text) if self.normalize else text


#: The unchanged text.
PLAIN: Final = Text()

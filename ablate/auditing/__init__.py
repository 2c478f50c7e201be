"""Proof that masks are where they say: a black-box audit of any module that drops.

`ablate.audit(module, placement)` finds out from the running module where its masks act; README.md
beside this file says how, and what it cannot see.
"""

from ablate.auditing.audit import audit
from ablate.auditing.findings import Finding
from ablate.auditing.result import Audit

__all__ = ["Audit", "Finding", "audit"]

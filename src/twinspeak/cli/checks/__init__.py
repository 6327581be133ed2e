"""What `twinspeak doctor` looks at; each check gives findings and changes nothing that stays."""

from enum import Enum

import msgspec


class Verdict(Enum):
    """How a finding is meant: only a problem makes the doctor fail."""

    GOOD = "good"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's report; `remedy` says what to do where something is wrong."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""

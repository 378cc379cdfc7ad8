"""What a reply that was asked for a yes or a no says."""

import re

_VERDICT = re.compile(r"verdict\s*:?[\s*]*(yes|no)\b", re.IGNORECASE)
_BARE = re.compile(r"\W*(yes|no)\W*", re.IGNORECASE)


def parse(reply: str) -> bool | None:
    """The last verdict after the thought, or a reply that is nothing but "yes" or "no"; None where it is neither."""
    said = reply.rpartition("</think>")[2]
    found = _VERDICT.findall(said) or (_BARE.findall(said) if _BARE.fullmatch(said) else [])
    return found[-1].lower() == "yes" if found else None

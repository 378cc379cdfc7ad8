"""The stage: one small file per component. Reads components/; what counts as reached and what as a change is core/fingerprint.py's."""

from components.core.fingerprint import Codebase
from components.core.runner import In, Metrics, Out, write_json


def code(*, components: In, out: Out) -> Metrics:
    """Writes the fingerprint of each component, and the digests behind it."""
    found = Codebase(components)
    for name in found.components:
        value, files = found.fingerprint(name)
        write_json(out / f"{name}.json", {"fingerprint": value, "files": files})
    found.remember()
    return {"components": len(found.components)}

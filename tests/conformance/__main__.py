"""`python -m tests.conformance`: what we make of the published vectors, file by file.

The vectors are in the folder that AUTHZ_VECTORS names. Ends with 1 if any case is judged wrongly.
"""

from __future__ import annotations

import sys

from tests.conformance.report import rows, table
from tests.conftest import VECTORS


def main() -> int:
    if not VECTORS.is_dir():
        sys.stderr.write(f"no test vectors at {VECTORS}; AUTHZ_VECTORS names their folder\n")
        return 2
    found = rows(VECTORS)
    sys.stdout.write(table(found))
    wrong = [f"{row.name}: {', '.join(row.wrong)}" for row in found if row.wrong]
    sys.stderr.write("".join(f"judged wrongly: {line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

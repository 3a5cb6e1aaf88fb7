"""`sudo python experiments/failover.py` works with any python sudo finds: this hands over to the right one.

Standard library only, and old syntax on purpose: the interpreter that reads this file may be any.
"""

import os
import sys


def hand_over(verb):  # type: ignore[no-untyped-def]
    """Replace this process by the project's interpreter running `verb`, same arguments; never returns."""
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    python = os.path.join(checkout, ".venv", "bin", "python")  # noqa: PTH118
    if not os.path.exists(os.path.join(checkout, ".venv", "ready")):  # noqa: PTH110, PTH118
        launcher = os.path.join(checkout, "testbed")  # noqa: PTH118
        sys.stderr.write("%s: this checkout is not set up yet; run: sudo %s setup\n" % (verb, launcher))  # noqa: UP031
        sys.exit(3)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # root leaves no caches in a student's checkout
    os.execv(python, [python, "-P", "-m", "experiments", verb] + sys.argv[1:])  # noqa: RUF005

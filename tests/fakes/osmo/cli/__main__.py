"""The ``osmo`` command: what it prints, how it exits, and where its flags bite.

Run as ``python cli RELEASE ARGUMENTS...``; it reads the service's address from ``login.yaml`` like the real one.
"""

from __future__ import annotations

import json
import sys

from arguments import parser
from service import Failure, Service


def main() -> int:
    release, *words = sys.argv[1:]
    args = parser(release).parse_args(words)
    args.release = release
    try:
        args.func(Service(), args)
    except Failure as problem:
        if getattr(args, "format_type", "text") == "json":
            print(json.dumps({"message": str(problem), "code": problem.code}, indent=2))
        else:
            print("Error message:", problem)
            print("Error code:", problem.code)
        return problem.rc
    except KeyboardInterrupt:
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

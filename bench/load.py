"""Many readers at once on the real server: do they ever see each other's images, and how long do they wait?

    python bench/load.py --home HOME --sessions 20 --films 50
    python bench/load.py --home HOME --sessions 32 --minutes 10 --pause 20

HOME is a folder with a default model (`CXR_HOME`). Prints counts, waits for a film, and the server's memory; exits with
1 where a session saw an image or prediction of another, or something failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from tests.support.concurrent_readers import Load, run_load  # noqa: E402
from tests.support.server import serving  # noqa: E402


def main() -> None:
    """Runs the load that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--films", type=int, default=50, help="each")
    parser.add_argument("--minutes", type=float, default=0.0, help="instead of a number of films")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between a reader's films")
    args = parser.parse_args()
    with serving(args.home.resolve()) as server:
        tally = asyncio.run(run_load(server, Load(args.sessions, args.films, args.minutes, args.pause)))
    print(json.dumps(tally.as_dict(), indent=2))
    sys.exit(not tally.sound)


if __name__ == "__main__":
    main()

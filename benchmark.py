"""RnB's driver: parse, load the config, check, plan, start, wait, report.

             filename queue          frame queues: one, one per GPU, or by group
client.py ──────────────────▶ runner.py ───────────────▶ runner.py ──▶ … ──▶ logs/
plays the schedule           step 0: the loader        steps 1…n: the network, in parts
"""

import sys
from collections.abc import Sequence

from rnb import console
from rnb.arguments import parse_args

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INVALID = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    console.configure(quiet=args.quiet, json=args.json)
    # Imported here because every spawned process imports this file, and the client needs no torch.
    from rnb.driver import UsageError, prepare
    from rnb.find_peak import find_peak
    from rnb.plan import describe
    from rnb.repeat import repeat
    from rnb.self_check import SelfCheckError, self_check

    try:
        if args.self_check:
            return EXIT_OK if self_check(args.logs) else EXIT_INVALID
        if args.find_peak and not args.check:
            return find_peak(args)
        if args.repeat is not None and not args.check:
            return repeat(args)
        benchmark = prepare(args)
        if args.check:
            print(describe(benchmark.plan))
            return EXIT_OK
        result = benchmark.run()
        console.emit(result.to_json())
        if not result.is_success:
            return EXIT_FAILED
        return EXIT_OK if result.verdict.is_valid else EXIT_INVALID
    except UsageError as error:
        print(f"benchmark.py: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:  # between two runs: while one plays, it ends by itself
        print("benchmark.py: interrupted", file=sys.stderr)
        return EXIT_FAILED
    except SelfCheckError as error:
        print(f"benchmark.py: {error}", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.benchmarks TOPIC [options]``: run the benchmark of one topic."""

from __future__ import annotations

import importlib
import pkgutil
import sys

from tests import benchmarks


def main(argv: list[str]) -> int:
    """Hand the arguments to the topic's own ``main``; without a known topic, list them."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    topics = sorted(name for name in names if not name.startswith("_"))
    if not argv or argv[0] not in topics:
        print(f"usage: python -m tests.benchmarks TOPIC [options]; topics: {', '.join(topics)}")
        return 2
    importlib.import_module(f"tests.benchmarks.{argv[0]}").main(argv[1:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

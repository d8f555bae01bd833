"""Benchmarks: ``python -m tests.bench add [--sizes 1000,10000]``, ``answer``, ``burst``,
``latency``, ``compress``, ``metadata``, ``s3``, ``http``, ``hosts``.

Each prints a Markdown table, with ratios against the peers of the same run, and the machine.
"""

import argparse
import platform
from pathlib import Path

from tests.bench import add, answer, burst, compress, hostrollout, hosts, http, latency, metadata, s3


def machine() -> str:
    """One line that names the machine."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    return f"{model}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def arguments_of() -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    adding = kinds.add_parser("add", help="one package added to a repository of N")
    adding.add_argument("--sizes", default="1000,10000,50000")
    adding.add_argument("--rounds", type=int, default=7)
    answering = kinds.add_parser("answer", help="/metrics and /healthz while the daemon works at its hardest")
    answering.add_argument("--packages", type=int, default=50000)
    answering.add_argument("--drops", type=int, default=200)
    bursting = kinds.add_parser("burst", help="N packages dropped at once, against rpmsign and createrepo_c")
    bursting.add_argument("--packages", type=int, default=1000)
    waiting = kinds.add_parser("latency", help="from drop to visible in a fresh repomd.xml")
    waiting.add_argument("--drops", type=int, default=100)
    packing = kinds.add_parser("compress", help="libraries, levels and lengths of segments, against createrepo_c")
    packing.add_argument("--packages", type=int, default=5000)
    making = kinds.add_parser("metadata", help="documents at any size, format against format, and the physical floor")
    making.add_argument("--sizes", default="1000,10000,30000,50000,100000")
    making.add_argument("--rounds", type=int, default=7)
    making.add_argument("--forms", default=",".join(metadata.FORMS))
    storing = kinds.add_parser("s3", help="one package added to a repository of N in a bucket; several daemons on one")
    storing.add_argument("--sizes", default="1000,10000,50000")
    storing.add_argument("--rounds", type=int, default=7)
    storing.add_argument("--daemons", default="1,2,4")
    storing.add_argument("--packages", type=int, default=500, help="that come in while daemons are measured")
    serving = kinds.add_parser("http", help="repositories served, against nginx; answers while packages come in")
    serving.add_argument("--sizes", default="10000", help="long form: 10000,50000")
    serving.add_argument("--seconds", type=int, default=5, help="for each file and number of connections")
    serving.add_argument("--watch", type=float, default=30.0, help="seconds of load")
    reaching = kinds.add_parser("hosts", help="hosts asked over SSH, against Fabric and Ansible")
    reaching.add_argument("--hosts", type=int, default=500, help="that are asked; 0: none")
    reaching.add_argument("--updated", type=int, default=48, help="hosts that a package is brought to; 0: none")
    reaching.add_argument("--only", default="", help="clients whose names begin so")
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of()
    print(f"machine: {machine()}\n")
    if arguments.kind == "add":
        add.run([int(size) for size in arguments.sizes.split(",")], arguments.rounds)
    elif arguments.kind == "answer":
        answer.run(arguments.packages, arguments.drops)
    elif arguments.kind == "burst":
        burst.run(arguments.packages)
    elif arguments.kind == "compress":
        compress.run(arguments.packages)
    elif arguments.kind == "metadata":
        sizes = [int(size) for size in arguments.sizes.split(",")]
        metadata.run(sizes, arguments.rounds, arguments.forms.split(","))
    elif arguments.kind == "s3":
        sizes, daemons = ([int(one) for one in text.split(",") if one] for text in (arguments.sizes, arguments.daemons))
        s3.run(sizes, arguments.rounds, daemons, arguments.packages)
    elif arguments.kind == "http":
        http.run([int(size) for size in arguments.sizes.split(",") if size], arguments.seconds, arguments.watch)
    elif arguments.kind == "hosts":
        _hosts(arguments)
    else:
        latency.run(arguments.drops)


def _hosts(arguments: argparse.Namespace) -> None:
    if arguments.hosts:
        hosts.run(arguments.hosts, arguments.only)
    if arguments.updated:
        hostrollout.run(arguments.updated)


main()

"""serve.py: puts a pipeline behind HTTP and gRPC, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnb.command_line.exit_status import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from rnb.command_line.flags import some
from rnb.command_line.serve_flags import PROGRAM, parse_args, settings_of
from rnb.command_line.signals import SIGNALS
from rnb.contract.termination import UsageError
from rnb.show import console

if TYPE_CHECKING:
    from rnb.live.asking import LivePipeline
    from rnb.serving.server import Server
    from rnb.serving.settings import Settings
    from rnb.spec import RunSpec

LOOKS_S = 0.5
"""How often it is seen whether the pipeline will still serve."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status."""
    args = parse_args(argv)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is said in a line of our own
    console.configure(program=PROGRAM, quiet=args.quiet)
    try:
        import uvloop

        import rnb.serving.server  # noqa: F401 (to see whether all is there)
    except ModuleNotFoundError as error:
        console.complain(f"error: {error.name} is not installed: pip install 'rnb[serve]'")
        return EXIT_USAGE
    # Imported here because every spawned process imports this file, and needs none of it.
    from rnb.live.driver import StartFailed
    from rnb.processes.child import resume_garbage_collection

    resume_garbage_collection()
    try:
        return uvloop.run(_serve(args))
    except UsageError as error:
        console.complain(f"error: {error}")
        return EXIT_USAGE
    except StartFailed as error:
        console.complain(str(error))
        return EXIT_FAILED


def spec_of(args: argparse.Namespace) -> RunSpec:
    """The pipeline that the flags describe; reads the config. Raises UsageError."""
    from rnb.load.load import Load
    from rnb.pipeline.config import read_config
    from rnb.spec import Placement, RunSpec

    return RunSpec(
        config=read_config(args.config_file_path),
        load=Load(data=args.data, seed=args.seed),
        placement=some(args, Placement),
        observe=(),
    )


async def _serve(args: argparse.Namespace) -> int:
    """From the checks that need no process to the end; returns the exit status. Raises UsageError."""
    from rnb.command_line.play_command import announce_weights
    from rnb.live.pipeline import Pipeline
    from rnb.live.settings import Serving
    from rnb.serving.interface import interface_of
    from rnb.serving.ports import check_ports
    from rnb.serving.request_log import RequestLog
    from rnb.serving.server import Server
    from rnb.spec import serving_plan_of

    told = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    telling = asyncio.ensure_future(told.wait())
    spec, settings = spec_of(args), settings_of(args)
    plan = serving_plan_of(spec, most_pending=args.max_pending)
    interface = interface_of(spec, plan)
    check_ports(settings)
    if settings.otlp is not None:
        from rnb.serving.spans import check_collector

        check_collector(settings.otlp)
    log = RequestLog(settings.request_log)
    announce_weights(plan, args.seed)
    starting = asyncio.ensure_future(Pipeline.start(spec, some(args, Serving), warn=console.complain))
    await asyncio.wait({starting, telling}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        console.complain("interrupted")
        return EXIT_FAILED
    pipeline = starting.result()
    return await _answer(pipeline, Server(pipeline, interface, settings, log), settings, telling)


async def _answer(
    pipeline: LivePipeline, server: Server, settings: Settings, telling: asyncio.Future[Any]
) -> int:
    """Until it is told to end, or the pipeline has failed."""
    try:
        http_port, grpc_port = await server.start()
    except BaseException:
        await pipeline.drain(0)
        raise
    scheme = "https" if settings.tls_cert else "http"
    url = f"{scheme}://{settings.host}:{http_port}"
    console.say(f"{pipeline.name} is served: {url}, gRPC on port {grpc_port}")
    while not (telling.done() or pipeline.failure):
        await asyncio.wait({telling}, timeout=LOOKS_S)
    is_told = telling.done()
    if not is_told:
        console.complain(pipeline.failure)
    in_time = await server.drain()
    if not in_time:
        console.complain("--grace was not enough: some requests have no answer")
    return EXIT_OK if is_told and in_time else EXIT_FAILED

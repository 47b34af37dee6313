"""A client process that plays its share of the load to a server, and never waits for its answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from rnb.contract.request import Request
from rnb.contract.sequence import END, ID, START
from rnb.contract.termination import Termination, UsageError
from rnb.processes.child import run_child
from rnb.processes.client_task import ClientTask, pass_start_barrier, wake_on_time
from rnb.remote.address import Address
from rnb.remote.asking import ASK_TIMEOUT_S
from rnb.remote.http_message import HttpRequests
from rnb.remote.http_transport import HttpTransport
from rnb.remote.inputs import Input
from rnb.remote.outbox import CHECK_S, Outbox, ServerGone, Transport
from rnb.remote.payloads import Payloads
from rnb.remote.precise_loop import precise_loop
from rnb.spec import Server
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Stopped

MOST_IN_A_ROW = 32
"""So many late requests go out before answers are looked at again."""


@dataclass(frozen=True, kw_only=True)
class RemoteTask(ClientTask):
    """All that a client process of a server is told."""

    address: Address
    server: Server
    inputs: Sequence[Input]
    outputs: Sequence[str]
    is_binary: bool
    """Whether tensors go as they are over HTTP."""
    paths: Sequence[str]
    """The different files that requests are about."""
    data: str
    seed: int


def run_remote_client(task: RemoteTask) -> None:
    """The main function of a client process."""
    run_child(
        task.line,
        lambda: _run(task),
        full=Termination.FILENAME_QUEUE_FULL,
        environment=task.environment,
    )


def _run(task: RemoteTask) -> None:
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        try:
            runner.run(_play(task))
        except (ServerGone, UsageError) as error:  # where it happened says nothing more
            task.line.tell("failed", (str(error), ""))
            task.stop.raise_flag(Termination.PROCESS_FAILED)
            raise Stopped from None


async def _play(task: RemoteTask) -> None:
    if task.source.arrivals_ns.any():
        wake_on_time()
    payloads = Payloads(task.inputs, seed=task.seed, data=task.data)
    payloads.read(task.paths)
    outbox = Outbox(task.table, place=str(task.address), in_flight=task.server.in_flight)
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: outbox.note_bug(context.get("exception"))
    )
    outbox.transport = _transport(task, outbox, payloads, _with_number(task.address))
    due_ns = pass_start_barrier(task).tolist()
    next_check_ns = num_in_a_row = 0
    for request, deadline_ns in zip(task.source, due_ns, strict=True):
        while (left_ns := deadline_ns - now_ns()) > 0 or num_in_a_row >= MOST_IN_A_ROW:
            num_in_a_row = 0
            await asyncio.sleep(min(max(left_ns, 0) / 1e9, CHECK_S))
            if now_ns() > next_check_ns:
                next_check_ns = now_ns() + int(CHECK_S * 1e9)
                outbox.check(task.stop)
        num_in_a_row += 1
        outbox.post(_as_sent(request))
    await outbox.wait_until_empty(task.stop)
    outbox.transport.close()


def _as_sent(request: Request) -> Request:
    """Sequences begin with 1 here: to the protocol, 0 is none."""
    told = request.parameters
    if not told:
        return request
    parameters = {ID: told[ID] + 1, START: told[START], END: told[END]}
    return request._replace(parameters=parameters)


def _with_number(address: Address) -> Address:
    """That which answers for the host's name now, so that no connection has to look it up again."""
    try:
        with socket.create_connection((address.host, address.port), timeout=ASK_TIMEOUT_S) as probe:
            return address._replace(host=probe.getpeername()[0])
    except OSError:  # the requests will say so
        return address


def _transport(task: RemoteTask, outbox: Outbox, payloads: Payloads, place: Address) -> Transport:
    """`place`: where to connect to."""
    server = task.server
    if task.address.protocol == "http":
        http = HttpRequests(
            address=task.address,
            model=server.model,
            inputs=task.inputs,
            outputs=task.outputs,
            payloads=payloads,
            is_binary=task.is_binary,
        )
        return HttpTransport(
            outbox,
            http,
            address=place,
            timeout_ms=server.timeout,
            keep_results=server.keep_results,
        )
    from rnb.remote.grpc_message import GrpcRequests
    from rnb.remote.grpc_transport import GrpcTransport

    return GrpcTransport(
        outbox,
        GrpcRequests(model=server.model, inputs=task.inputs, payloads=payloads),
        address=place,
        authority=task.address.netloc,
        timeout_ms=server.timeout,
        keep_results=server.keep_results,
    )

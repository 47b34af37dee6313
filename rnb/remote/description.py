"""What would be sent to a server, for --check."""

from __future__ import annotations

import math

from rnb.remote.served import Served


def describe_server(served: Served) -> str:
    """The server, its model, and the inputs of a request."""
    about = served.spec.config.data["server"]
    load, clients = served.spec.load, served.spec.load.clients
    inputs = [
        f"  {one.name}: {'x'.join(map(str, one.shape))} {one.datatype}, {one.how}"
        f" ({math.prod(one.shape):,} elements)"
        for one in served.inputs
    ]
    composing = served.models[1:]
    return "\n".join(
        [
            f"server: {about['name']} {about['version']} at {about['url']}",
            f"model: {about['model']}, version {about['model_version'] or 'not told'}",
            *([f"  made of: {', '.join(composing)}"] if composing else []),
            f"extensions: {', '.join(about['extensions']) or 'none'}",
            "inputs:",
            *(inputs or ["  none"]),
            f"outputs: {', '.join(served.outputs) or 'none'}",
            f"processes: 1 driver, {'1 client' if clients == 1 else f'{clients} clients'}, each with up to"
            f" {served.flags.in_flight} requests under way",
            *([f"files: of {load.data}"] if served.flags.sends_files else []),
        ]
    )

"""A Jupyter kernel, the usual stateful interpreter, as the sandbox's peer. Knows only ipykernel and jupyter-client.

Reads orders line by line and prints the milliseconds that each took: `start`, a kernel from nothing to the output of `print(1)`; `cell`,
`print(1)` in one that runs already. Leaves no kernel behind, however it ends. Writes nothing else.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel


@contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client: BlockingKernelClient) -> None:
    """Until the kernel has printed and is idle again."""
    asked, printed = client.execute("print(1)"), ""
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "stream":
            printed += message["content"]["text"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    assert printed == "1\n", printed


def main() -> None:
    with kernel() as kept:
        cell(kept)
        for order in sys.stdin:
            started = time.perf_counter()
            if order.strip() == "start":
                with kernel() as fresh:
                    cell(fresh)
                    say(time.perf_counter() - started)
            else:
                cell(kept)
                say(time.perf_counter() - started)


def say(took_s: float) -> None:
    print(1e3 * took_s, flush=True)


if __name__ == "__main__":
    main()

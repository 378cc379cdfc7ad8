"""A Jupyter kernel, the usual stateful interpreter, as the sandbox's peer. Knows only ipykernel and jupyter-client.

Reads orders line by line and prints the milliseconds that each took: `start`, a kernel from nothing to the output of `print(1)`; `cell`,
`print(1)` in one that runs already. Writes nothing else.
"""

import sys
import time

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel


def kernel() -> tuple[KernelManager, BlockingKernelClient]:
    return start_new_kernel(extra_arguments=["--log-level=ERROR"])


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


def end(manager: KernelManager, client: BlockingKernelClient) -> None:
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def main() -> None:
    kept = kernel()
    cell(kept[1])
    for order in sys.stdin:
        started = time.perf_counter()
        if order.strip() == "start":
            fresh = kernel()
            cell(fresh[1])
        else:
            cell(kept[1])
        print(1e3 * (time.perf_counter() - started), flush=True)
        if order.strip() == "start":
            end(*fresh)
    end(*kept)


if __name__ == "__main__":
    main()

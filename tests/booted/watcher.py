#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""watcher.py: asks the demo for /ping every 10 ms, each time on a new connection, until SIGTERM;
then says how many requests were answered, and how long the slowest had to wait."""

import asyncio
import signal
import sys
import time

GAP_SEC = 0.01
LIMIT_SEC = 30


async def ask(tally):
    begin = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", 9180)
        writer.write(b"GET /ping HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), LIMIT_SEC)
        writer.close()
    except (OSError, asyncio.TimeoutError) as error:
        answer = repr(error).encode()
    tally.append((answer.startswith(b"HTTP/1.1 200 "), time.monotonic() - begin))


async def main():
    tally, under_way, end = [], set(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    while not end.is_set():
        task = asyncio.create_task(ask(tally))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        await asyncio.sleep(GAP_SEC)
    await asyncio.gather(*under_way)
    answered = sum(ok for ok, _ in tally)
    slowest = max(seconds for _, seconds in tally)
    print(f"{answered} of {len(tally)} requests were answered, the slowest after {slowest * 1000:.0f} ms")
    return answered != len(tally)


sys.exit(asyncio.run(main()))

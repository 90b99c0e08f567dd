#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""probe.py COUNT PATH: probes the demo every 2 ms, each on a connection of its own, and tells
how many were answered with 200 and the longest time that one had to wait. Fails if not all were."""

import asyncio
import sys
import time


async def probe(path, after, failures):
    await asyncio.sleep(after)
    begin = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", 9180)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        status = answer.split(b"\r\n")[0].decode()
    except (OSError, asyncio.TimeoutError) as error:
        status = repr(error)
    if status != "HTTP/1.1 200 OK":
        failures.append(f"{after:.3f} s: {status!r}")
    return time.monotonic() - begin


async def main(count, path):
    failures = []
    waits = await asyncio.gather(*(probe(path, i * 0.002, failures) for i in range(count)))
    print(f"{count - len(failures)} of {count} answered, the slowest after {max(waits) * 1e3:.0f} ms")
    print("\n".join(failures[:10]))
    return bool(failures)


sys.exit(asyncio.run(main(int(sys.argv[1]), sys.argv[2])))

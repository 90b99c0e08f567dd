#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fill-journal.py: sends to a journald that does not read, until not one more message fits."""

import socket

while True:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)
    sender.connect("/run/systemd/journal/socket")
    sent = 0
    try:
        while True:  # until this sender's own buffer, or journald's queue, is full
            sender.send(b"MESSAGE=x\nPRIORITY=7\n")
            sent += 1
    except BlockingIOError:
        if sent == 0:
            break
print("the journal's socket is full")

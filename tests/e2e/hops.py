"""Thousands of next hops on one port: every address of 127.0.0.0/8 is one, and answers by its kind.

    with Hops({"127.9.0.1": Tarpit(), "127.9.0.2": Slow(0.2)}) as hops: ...

    Good        takes everything at once; so does an address that is not named
    Slow(s)     takes a mail in s seconds
    Tarpit()    a byte of its greeting now and one a minute later
    Hang()      says nothing, ever
    Busy(n)     421 to more than n connections at once
    Shut()      closes each connection at once

mails: [(address, recipient, seconds)]; most[address]: connections at once; opened[address]: ever.
"""
import asyncio
import collections
import re
import threading
import time


class Good:
    seconds = 0


class Slow:
    def __init__(self, seconds):
        self.seconds = seconds


class Busy(Slow):
    def __init__(self, most, seconds=0.0):
        super().__init__(seconds)
        self.most = most


class Tarpit:
    pass


class Hang:
    pass


class Shut:
    pass


class Hops:
    def __init__(self, kinds=None):
        self.kinds, self.mails = dict(kinds or {}), []
        self.open, self.most = collections.Counter(), collections.Counter()
        self.opened, self.refused = collections.Counter(), collections.Counter()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "0.0.0.0", 0, backlog=4096))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.server.close()

    def to(self, recipient):
        return [m for m in self.mails if m[1] == recipient]

    async def _serve(self, reader, writer):
        address = writer.get_extra_info("sockname")[0]
        kind = self.kinds.get(address) or Good()
        self.opened[address] += 1
        self.open[address] += 1
        self.most[address] = max(self.most[address], self.open[address])
        try:
            if isinstance(kind, Shut):
                return
            if isinstance(kind, (Tarpit, Hang)):
                await self._stall(kind, reader, writer)
            elif isinstance(kind, Busy) and self.open[address] > kind.most:
                self.refused[address] += 1
                writer.write(b"421 4.7.0 too many connections\r\n")
                await writer.drain()
            else:
                await self._talk(address, kind, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open[address] -= 1
            writer.close()

    @staticmethod
    async def _stall(kind, reader, writer):
        if isinstance(kind, Tarpit):
            writer.write(b"2")
        while await reader.read(1000):  # ends when the other side gives up
            pass

    async def _talk(self, address, kind, reader, writer):
        writer.write(b"220 hop ESMTP\r\n")
        recipients = []
        while True:
            line = await reader.readuntil(b"\n")
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-hop\r\n250 PIPELINING\r\n")
            elif verb == b"RCPT":
                recipients.append(re.search(rb"<(.*?)>", line)[1].decode())
                writer.write(b"250 ok\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(kind.seconds)
                self.mails += [(address, r, time.time()) for r in recipients]
                recipients = []
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")

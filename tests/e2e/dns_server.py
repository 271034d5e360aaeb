"""A tiny authoritative DNS server over UDP and TCP, for MX, A, AAAA, TXT, CNAME and failures.

zones = {"ext.example": {"MX": [(10, "mx1.ext.example")]}, "mx1.ext.example": {"A": ["127.0.0.2"]},
         "null.example": {"MX": [(0, "")]}, "broken.example": "SERVFAIL", "mute.example": "DROP",
         "alias.example": {"CNAME": ["ext.example"]}, "odd.example": lambda query, tcp: b"..."}

A name that is not there, nor above one that is, is NXDOMAIN. A function makes the answer as it goes
on the wire, from the bytes of the query (reply() helps); None is no answer. The dict may be changed
at any time. asked: (name, type) of every query.
"""
import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
CODES = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
NAMES = {number: name for name, number in TYPES.items()}
TRUNCATED = 0x0200
UDP_BYTES = 1232


def name_bytes(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def read_name(packet, at):
    labels = []
    while packet[at]:
        length = packet[at]
        labels.append(packet[at + 1:at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def data_of(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return struct.pack(">H", value[0]) + name_bytes(value[1])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return name_bytes(value)


def record(name, kind, data, ttl):
    return name_bytes(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


def question_of(query):
    """(name, type, end of the question)"""
    name, at = read_name(query, 12)
    return name, NAMES.get(struct.unpack(">H", query[at:at + 2])[0]), at + 4


def reply(query, answers=b"", count=0, code=0, flags=0, authority=b""):
    """An answer to the query; the question's name is at 12."""
    number, asked = struct.unpack(">HH", query[:4])
    return struct.pack(">HHHHHH", number, 0x8480 | (asked & 0x0100) | code | flags, 1, count,
                       1 if authority else 0, 0) + \
        query[12:question_of(query)[2]] + answers + authority


class Dns:
    """with Dns(zones) as dns: Gateway(resolver=dns.address)"""

    def __init__(self, zones=None, ttl=1):
        self.zones, self.ttl, self.asked = dict(zones or {}), ttl, []
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                packet, sock = self.request
                answer = outer.answer(packet, False)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(head := self.rfile.read(2)) == 2:
                    answer = outer.answer(self.rfile.read(struct.unpack(">H", head)[0]), True)
                    if not answer:
                        return
                    self.wfile.write(struct.pack(">H", len(answer)) + answer)

        for _ in range(20):  # the same port must be free for both
            self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            self.udp.daemon_threads = True
            try:
                self.tcp = socketserver.ThreadingTCPServer(self.udp.server_address, Tcp)
                break
            except OSError:
                self.udp.server_close()
        self.tcp.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.udp.server_address[1]
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    def answer(self, query, tcp):
        name, kind, _ = question_of(query)
        self.asked.append((name, kind))
        zone = self.zones.get(name)
        if zone == "DROP":
            return None
        if callable(zone):
            return zone(query, tcp)
        code, records = self.look_up(name, kind, zone)
        authority = b"" if records or code == "SERVFAIL" else record(
            name.split(".")[-1], "SOA",
            name_bytes("ns.invalid") + name_bytes("dns.invalid") +
            struct.pack(">IIIII", 1, 60, 60, 60, self.ttl), self.ttl)
        answer = reply(query, b"".join(records), len(records), CODES[code], authority=authority)
        if not tcp and len(answer) > UDP_BYTES:
            return reply(query, flags=TRUNCATED)
        return answer

    def look_up(self, name, kind, zone):
        if isinstance(zone, str):
            return zone, []
        if zone is None:
            below = any(other.endswith("." + name) for other in self.zones) or not name
            return ("NOERROR" if below else "NXDOMAIN"), []
        if kind not in zone and "CNAME" in zone:
            kind = "CNAME"
        values = zone.get(kind, [])
        return "NOERROR", [record(name, kind, data_of(kind, v), self.ttl) for v in values]

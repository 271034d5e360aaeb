"""What a worker says to the extractor, and what it hears: the format of shards/inspect.h."""
import collections
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

READABLE, ENCRYPTED, UNREADABLE = range(3)
CONTAINER, IS_ENCRYPTED, IS_UNREADABLE, OPAQUE, LINK, HIDDEN, MACROS, RAW, ODD, CUT, MESSAGE = (
    1 << n for n in range(11))

Member = collections.namedtuple("Member", "index parent depth flags bytes name type")


def reasons():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "shards", "inspect.def"), encoding="utf-8") as f:
        return [line.split("(")[1].split(",")[0] for line in f if line.startswith("REASON(")]


REASONS = reasons()
LIMITS = {"bytes": 64 << 20, "expanded": 256 << 20, "text": 16 << 20, "members": 2000, "depth": 8,
          "ratio": 200, "time_ms": 20000}


class Answer:
    def __init__(self):
        self.members, self.texts, self.verdict, self.reason = [], {}, None, None
        self.flags, self.detail, self.told, self.why = 0, "", {}, {}

    def text(self, index=0):
        """Of a member, decoded; what has no charset is taken as UTF-8."""
        return "".join(piece.decode(charset or "utf-8", "replace")
                       for charset, piece in self.texts.get(index, []))

    def everything(self):
        return "".join(self.text(m.index) for m in self.members)

    def find(self, name):
        return next(m for m in self.members if m.name == name)

    def __repr__(self):
        return (f"<verdict {self.verdict} {self.reason} {self.detail!r} flags {self.flags:x} "
                f"{[(m.name, m.type, hex(m.flags)) for m in self.members[:9]]}>")


def string(b):
    return struct.pack(">I", len(b)) + b


def message(kind, payload=b""):
    return kind + struct.pack(">I", len(payload)) + payload


def begin(name=b"x", declared=b"", **limits):
    v = {**LIMITS, **limits}
    payload = struct.pack(">BQQQIIII", 1, v["bytes"], v["expanded"], v["text"], v["members"],
                          v["depth"], v["ratio"], v["time_ms"])
    return message(b"B", payload + b"\1" + string(name) + string(declared))


def pieces(data, size=65536):
    return b"".join(message(b"D", data[i:i + size]) for i in range(0, len(data), size))


def take_string(b, at):
    n, = struct.unpack_from(">I", b, at)
    return b[at + 4:at + 4 + n], at + 4 + n


def hear(answer, kind, b):
    if kind == b"M":
        index, parent, depth, flags, size = struct.unpack_from(">IIBIQ", b)
        name, at = take_string(b, 21)
        true, _ = take_string(b, at)
        answer.members.append(Member(index, parent, depth, flags, size,
                                     name.decode("utf-8", "replace"), true.decode()))
    elif kind == b"T":
        member, _form = struct.unpack_from(">IB", b)
        charset, at = take_string(b, 5)
        said = answer.texts.setdefault(member, [])
        if said and said[-1][0] == charset.decode():
            said[-1] = (said[-1][0], said[-1][1] + b[at:])
        else:
            said.append((charset.decode(), b[at:]))
    elif kind == b"F":
        member, flags, reason = struct.unpack_from(">IIB", b)
        answer.told[member] = answer.told.get(member, 0) | flags
        if reason:
            answer.why.setdefault(member, REASONS[reason])
    else:
        answer.verdict, reason, answer.flags = struct.unpack_from(">BBI", b)
        answer.reason = REASONS[reason]
        answer.detail = take_string(b, 6)[0].decode("utf-8", "replace")


def read_answer(s):
    """None: it hung up without a verdict."""
    held, answer = b"", Answer()
    while answer.verdict is None:
        try:
            got = s.recv(1 << 20)
        except ConnectionResetError:
            return None
        if not got:
            return None
        held += got
        while len(held) >= 5:
            n, = struct.unpack_from(">I", held, 1)
            if len(held) < 5 + n:
                break
            hear(answer, held[:1], held[5:5 + n])
            held = held[5 + n:]
    return answer


class Extractor:
    def __init__(self, build, *options):
        self.dir = tempfile.mkdtemp(prefix="extractor.")
        self.path = os.path.join(self.dir, "s")
        self.process = subprocess.Popen(
            [os.path.join(build, "sekimori-extractor"), "--listen", self.path, *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the extractor does not start: %r" % self.process.stderr.read())

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        try:
            s.connect(self.path)
        except OSError:
            s.close()
            raise
        return s

    def ask(self, data, name=b"x", **limits):
        with self.connect() as s:
            try:
                s.sendall(begin(name, **limits) + pieces(data) + message(b"E"))
            except BrokenPipeError:
                return None
            return read_answer(s)

    def rooms(self):
        """Process ids of the rooms, and of what they started."""
        found, parents = [], {self.process.pid}
        for _ in range(3):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                        fields = f.read().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[1]) in parents and fields[0] != "Z" and int(pid) not in found:
                    found.append(int(pid))
            parents |= set(found)
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stderr.close()
        os.unlink(self.path)
        os.rmdir(self.dir)

"""Receiving servers: Sink is the C program (fast, with a ledger); ScriptSink is Python and says and
does whatever a test wants at each stage."""
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

VERBS = {b"EHLO": "ehlo", b"HELO": "helo", b"STAR": "starttls", b"MAIL": "mail", b"RCPT": "rcpt",
         b"DATA": "data", b"RSET": "rset", b"QUIT": "quit"}


class Sink:
    """sekimori-sink: `with Sink("--delay-dot", "300") as s: Gateway(route=s.address)`.
    ledger(): rows (verdict, token, recipient, time, sha256, bytes, code); content(): see README."""

    def __init__(self, *options, listen="127.0.0.1:0", content=False, build=None):
        self.dir = tempfile.mkdtemp(prefix="sink.")
        self.ledger_path = os.path.join(self.dir, "ledger")
        self.content_dir = os.path.join(self.dir, "content")
        command = [program("sekimori-sink", build), "--listen", listen,
                   "--ledger", self.ledger_path, *options]
        if content:
            os.mkdir(self.content_dir)
            command += ["--content", self.content_dir]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline().split()
        if not first or first[0] != "listening":
            raise RuntimeError("sekimori-sink does not start")
        self.address = first[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ledger(self, verdict=None):
        if not os.path.exists(self.ledger_path):
            return []
        with open(self.ledger_path, encoding="utf-8", errors="replace") as f:
            rows = [tuple(line.split()) for line in f if line.endswith("\n")]
        return [row for row in rows if verdict in (None, row[0])]

    def content(self):
        """[(content, envelope text)] in order of arrival."""
        names = sorted(n for n in os.listdir(self.content_dir) if n.isdigit())
        return [tuple(read(os.path.join(self.content_dir, n + end)) for end in ("", ".envelope"))
                for n in names]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def program(name, build=None):
    return os.path.join(build or os.environ["SEKIMORI_BUILD"], name)


class Drop(Exception):
    """An action: close the connection (FIN) after sending `bytes`."""

    def __init__(self, data=b"", rst=False):
        super().__init__()
        self.data, self.rst = data, rst


class Received:
    """One transaction that reached its dot. `wire` is the content with its dots still stuffed."""

    def __init__(self, session):
        self.sender, self.recipients = session.sender, list(session.recipients)
        self.mail_line, self.tls, self.connection = session.mail_line, session.tls, session.number
        self.wire, self.content, self.verdict, self.at = b"", b"", None, time.time()


class ScriptSink:
    """script: {stage: action}; stages are banner, other and those of VERBS. An action is bytes
    (sent as they are), None (the honest answer), a Drop, a number (seconds to wait before the
    honest answer), a function (session, line) -> action, or a list, of which the n-th goes to the
    n-th time and the last to all later ones.

    received: every transaction whose final dot came; got(): those that were answered 2xx.
    transcript: (connection, line) of every command, in order; peers: whence each connection is."""

    def __init__(self, script=None, listen=("127.0.0.1", 0), features=("PIPELINING", "8BITMIME"),
                 tls=None):
        self.script, self.features, self.tls = dict(script or {}), tuple(features), tls
        self.received, self.transcript, self.sessions, self.times = [], [], [], {}
        self.peers = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(listen, backlog=64)
        self.host, self.port = self.listener.getsockname()[:2]
        self.address = f"{self.host}:{self.port}"
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.open = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in list(self.sessions):
            session.abort()

    def got(self, recipient=None):
        return [m for m in self.received if m.verdict and m.verdict.startswith(b"2") and
                recipient in (None, *m.recipients)]

    def commands(self, verb):
        return [line for _, line in self.transcript if line.upper().startswith(verb.encode())]

    def _accept(self):
        while self.open:
            try:
                peer, address = self.listener.accept()
            except OSError:
                return
            self.peers.append(address[0])
            session = Session(self, peer, len(self.sessions) + 1)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def action(self, stage, session, line):
        action = self.script.get(stage)
        with self.lock:
            nth = self.times[stage] = self.times.get(stage, 0) + 1
        if isinstance(action, list):
            action = action[min(nth, len(action)) - 1]
        return action(session, line) if callable(action) else action


class Session:
    def __init__(self, sink, peer, number):
        self.sink, self.socket, self.number = sink, peer, number
        self.pending, self.tls = b"", False
        self.forget()

    def forget(self):
        self.sender, self.recipients, self.mail_line = None, [], b""

    def abort(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            if self.say("banner", b"", b"220 sink.example ESMTP\r\n"):
                while self.serve():
                    pass
        except Drop as drop:
            self.end(drop)
        except (OSError, ssl.SSLError, EOFError):
            pass
        finally:
            self.socket.close()

    def end(self, drop):
        try:
            self.socket.sendall(drop.data)
            if drop.rst:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        except OSError:
            pass

    def say(self, stage, line, honest):
        """What was said, after it was said."""
        action = self.sink.action(stage, self, line)
        if isinstance(action, Drop):
            raise action
        if isinstance(action, (int, float)):
            time.sleep(action)
            action = None
        answer = honest if action is None else action
        self.socket.sendall(answer)
        return answer

    def line(self):
        while b"\n" not in self.pending:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"

    def serve(self):
        line = self.line()
        self.sink.transcript.append((self.number, line.rstrip(b"\r\n")))
        stage = VERBS.get(line[:4].upper(), "other")
        honest = {"quit": b"221 bye\r\n", "other": b"250 ok\r\n", "data": b"354 go on\r\n",
                  "starttls": b"220 go on\r\n", "ehlo": self.ehlo()}.get(stage, b"250 ok\r\n")
        if stage in ("mail", "rset", "ehlo", "helo"):
            self.forget()
        answer = self.say(stage, line, honest)
        if answer[:1] == b"2":
            path = re.search(rb"<(.*?)>", line)
            if stage == "mail":
                self.sender, self.mail_line = path[1].decode(), line.rstrip()
            elif stage == "rcpt":
                self.recipients.append(path[1].decode())
            elif stage == "starttls":
                self.handshake()
        if stage == "data" and answer[:3] == b"354":
            self.take_data()
        return stage != "quit"

    def ehlo(self):
        words = ["sink.example", *self.sink.features]
        if self.sink.tls and not self.tls:
            words.append("STARTTLS")
        lines = [f"250-{w}" for w in words[:-1]] + [f"250 {words[-1]}"]
        return "".join(line + "\r\n" for line in lines).encode()

    def handshake(self):
        self.pending = b""
        self.socket = self.sink.tls.wrap_socket(self.socket, server_side=True)
        self.tls = True

    def take_data(self):
        mail = Received(self)
        while not (self.pending.startswith(b".\r\n") or b"\r\n.\r\n" in self.pending):
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError
            self.pending += more
        at = 0 if self.pending.startswith(b".\r\n") else self.pending.index(b"\r\n.\r\n") + 2
        mail.wire, self.pending = self.pending[:at], self.pending[at + 3:]
        mail.content = re.sub(rb"(^|\r\n)\.", rb"\1", mail.wire)
        self.forget()
        self.sink.received.append(mail)
        mail.verdict = self.say("dot", b"", b"250 taken\r\n")


def server_tls(directory):
    """A context with a fresh self-signed certificate, its PEM files left in `directory`."""
    pem = os.path.join(directory, "sink.pem")
    if not os.path.exists(pem):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        "/CN=sink.example", "-keyout", pem + ".key", "-out", pem],
                       check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem + ".key")
    return context

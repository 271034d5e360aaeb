"""A raw SMTP client: it sends exactly the bytes it is given and reads replies strictly."""
import base64
import hashlib
import hmac
import os
import re
import socket
import ssl
import struct
import zlib

REPLY_LINE = re.compile(rb"([2-5][0-9]{2})([ -])([\t\x20-\x7e]*)\r\n")
POLICY_LINE = re.compile(rb"(550)( )(5\.7\.1 [\x20-\x7e\x80-\xff]*)\r\n")  # a rule's words
LINE_BYTES_MAX = 512  # RFC 5321 4.5.3.1.5


class Closed(Exception):
    """The peer ended the connection where a reply was expected."""


class BadReply(AssertionError):
    """The peer said something that is no SMTP reply."""


class Reply:
    def __init__(self, code, lines):
        self.code, self.lines = code, lines

    @property
    def text(self):
        return "\n".join(self.lines)

    def __repr__(self):
        return f"<{self.code} {self.text!r}>"


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Client:
    """Client(gateway.relay); `tls=True` speaks TLS from the first byte. Reads the greeting unless
    `greet` is False, and says EHLO when `ehlo` is a name. `session`: a TLS session to resume."""

    def __init__(self, address, tls=False, greet=True, ehlo=None, timeout=20, context=None,
                 session=None):
        self.timeout, self.session = timeout, session
        self.context = context or ssl._create_unverified_context()
        self.socket = socket.create_connection(endpoint(address), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        if tls:
            self._wrap()
        self.greeting = self.reply() if greet else None
        if ehlo:
            self.ehlo(ehlo)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wrap(self):
        self.socket = self.context.wrap_socket(self.socket, server_hostname="localhost",
                                               session=self.session)

    # --- bytes ---------------------------------------------------------------------------------
    def send(self, *segments):
        """Each argument is one write, and with TCP_NODELAY one segment."""
        try:
            for segment in segments:
                if segment:
                    self.socket.sendall(segment)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as e:
            raise Closed(str(e)) from None

    def reply(self, timeout=None):
        """One whole reply, checked against RFC 5321 4.2; Closed at the end of the stream."""
        lines, code = [], None
        while True:
            line = self._line(timeout)
            m = REPLY_LINE.fullmatch(line) or POLICY_LINE.fullmatch(line)
            if not m or len(line) > LINE_BYTES_MAX:
                raise BadReply(f"not a reply line: {line[:100]!r}")
            if code not in (None, int(m[1])):
                raise BadReply(f"codes differ within a reply: {code}, {line!r}")
            code = int(m[1])
            lines.append(m[3].decode())
            if m[2] == b" ":
                return Reply(code, lines)

    def _line(self, timeout):
        while b"\n" not in self.pending:
            self.socket.settimeout(timeout or self.timeout)
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLError) as e:
                if isinstance(e, ssl.SSLWantReadError):
                    continue
                raise Closed(str(e)) from None
            if not more:
                if self.pending:
                    raise BadReply(f"the stream ends within a line: {self.pending!r}")
                raise Closed("end of stream")
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"

    def replies_until_close(self, timeout=None):
        """All replies up to the end of the stream; a socket timeout if it does not end."""
        replies = []
        while True:
            try:
                replies.append(self.reply(timeout))
            except Closed:
                return replies

    def silent(self, seconds):
        """True if nothing arrives for so long; an end of the stream is no silence."""
        if self.pending:
            return False
        self.socket.settimeout(seconds)
        try:
            self.pending += self.socket.recv(65536)
            return False
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        except ConnectionResetError:
            return False

    # --- commands ------------------------------------------------------------------------------
    def command(self, text, timeout=None):
        self.send(text.encode() + b"\r\n" if isinstance(text, str) else text)
        return self.reply(timeout)

    def expect(self, text, code):
        """Send a line and demand a code, whole (250) or its first digit (2)."""
        reply = self.command(text)
        if code not in (reply.code, reply.code // 100):
            raise AssertionError(f"{text!r} was answered {reply}, expected {code}")
        return reply

    def ehlo(self, name="src.example"):
        self.features = {}
        for line in self.expect(f"EHLO {name}", 250).lines[1:]:
            word, _, rest = line.partition(" ")
            self.features[word.upper()] = rest
        return self.features

    def starttls(self, ehlo="src.example"):
        self.expect("STARTTLS", 220)
        if self.pending:
            raise BadReply(f"bytes after the reply to STARTTLS: {self.pending!r}")
        self._wrap()
        return self.ehlo(ehlo) if ehlo else None

    def auth(self, user, password, mechanism="PLAIN"):
        """The last reply; 235 is success."""
        b64 = lambda text: base64.b64encode(text.encode()).decode()
        if mechanism == "PLAIN":
            return self.command("AUTH PLAIN " + b64(f"\0{user}\0{password}"))
        if mechanism == "SCRAM-SHA-256":
            return self.scram(user, password)
        reply = self.command("AUTH LOGIN")
        for text in (user, password):
            if reply.code != 334:
                return reply
            reply = self.command(b64(text))
        return reply

    def scram(self, user, password):
        """RFC 5802, by Python's own hashes; what the server says last is checked."""
        b64, nonce = base64.b64encode, base64.b64encode(os.urandom(18)).decode()
        mac = lambda key, text: hmac.digest(key, text, "sha256")
        bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        reply = self.command("AUTH SCRAM-SHA-256 " + b64(f"n,,{bare}".encode()).decode())
        if reply.code != 334:
            return reply
        first = base64.b64decode(reply.text, validate=True).decode()
        got = dict(part.split("=", 1) for part in first.split(","))
        self.scram_first = got
        if list(got) != ["r", "s", "i"] or not got["r"].startswith(nonce) or got["r"] == nonce:
            raise BadReply(f"not a first message of SCRAM: {first!r}")
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(),
                                     base64.b64decode(got["s"], validate=True), int(got["i"]))
        client_key = mac(salted, b"Client Key")
        final = f"c=biws,r={got['r']}"
        whole = f"{bare},{first},{final}".encode()
        signature = mac(hashlib.sha256(client_key).digest(), whole)
        proof = b64(bytes(x ^ y for x, y in zip(client_key, signature))).decode()
        reply = self.command(b64(f"{final},p={proof}".encode()).decode())
        if reply.code != 334:
            return reply
        want = b"v=" + b64(mac(mac(salted, b"Server Key"), whole))
        if base64.b64decode(reply.text, validate=True) != want:
            raise AssertionError(f"the server does not know the password either: {reply}")
        return self.command("")

    def envelope(self, sender, recipients, parameters=""):
        self.expect(f"MAIL FROM:<{sender}>{parameters}", 250)
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            self.expect(f"RCPT TO:<{recipient}>", 250)

    def mail(self, sender, recipients, content, parameters=""):
        """A whole transaction; the reply to the final dot. `content` has CRLF lines; dots are
        stuffed here."""
        self.envelope(sender, recipients, parameters)
        self.expect("DATA", 354)
        self.send(stuffed(content) + b".\r\n")
        return self.reply()

    # --- ends ----------------------------------------------------------------------------------
    def quit(self):
        self.expect("QUIT", 221)
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """End with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def stuffed(content):
    content = re.sub(rb"(^|\r\n)\.", rb"\1..", content)
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def simple_mail(sender, recipients, subject="test", body="Hello.\r\n", extra=""):
    """Bytes of a plain mail; `extra` are more header lines, each with its CRLF."""
    to = recipients if isinstance(recipients, str) else ", ".join(recipients)
    number = zlib.crc32(repr((sender, to, subject, body)).encode())
    return (f"From: <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\n"
            f"Date: Tue, 24 Nov 2026 05:00:00 +0900\r\n"
            f"Message-ID: <{number:08x}@src.example>\r\n"
            f"{extra}\r\n{body}").encode()

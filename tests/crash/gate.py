"""A gateway for crash tests: started once by tools/sandbox, which writes its configuration and
imports the policy, and from then on directly, because a run of 2,000 kills cannot wait for Python
and openssl each time.

    gate = Gate(build, policy=..., settings=...)          stopped; gate.data is its queue
    gate.start({"SEKIMORI_KILL_AT": "after-sync:3"})      or NotStarted, with what it said
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from harness import (Gateway, Sink, tenths_policy as policy,  # noqa: E402  pylint: disable=C0413
                     wait_until)

__all__ = ["Control", "Gate", "Load", "NotStarted", "Sender", "Sink", "policy", "sender_token",
           "wait_until"]

START_SECONDS = 60
# One partition of small segments, so that segments fill up and are reclaimed within seconds.
SMALL = {"segment_bytes": "4MiB", "journal_ready": "0", "disk_reserve": "0", "retry_first": "1s",
         "retry_longest": "2s", "notices": "off"}


def sender_token(row):
    """Mails of sekimori-load are told apart by their sender, PREFIX-NUMBER@int.example."""
    prefix, _, number = row["sender"].partition("@")[0].rpartition("-")
    return f"{prefix}-{int(number):012d}" if prefix and number.isdigit() else None


class NotStarted(AssertionError):
    """The daemon ended before it was ready. status, text."""

    def __init__(self, status, text):
        super().__init__(f"the daemon ended with {status} before it was ready: "
                         f"{text.strip()[-600:]}")
        self.status, self.text = status, text


class Gate(Gateway):
    def __init__(self, build, route=None, settings=None, shards=1, policy=None, directory=None):
        super().__init__(route=route, build=build, settings={**SMALL, **(settings or {})},
                         shards=shards, policy=policy, directory=directory)
        self.stop()
        self.data = os.path.join(self.dir, "data")
        self.daemon = None
        self.started_at = self.spawned_at = 0.0

    # Gateway's start() is the sandbox's, and needed once.
    def start(self, env=None, settings=None):
        if not hasattr(self, "data"):
            return super().start()
        # while it was down, somebody's outgoing connection may have taken its port
        for _ in range(20):
            try:
                return self._start(env, settings)
            except NotStarted as no:
                if "EADDRINUSE" not in no.text:
                    raise
                time.sleep(1)
        return self._start(env, settings)

    def _start(self, env, settings):
        command = [os.path.join(self.build, "sekimori"), "--config",
                   os.path.join(self.dir, "sekimori.yaml")]
        chosen = {**self.settings, "directory": self.data, **(settings or {})}
        if self.route:
            chosen["route"] = self.route
        for key, value in chosen.items():
            command += ["--set", f"{key}={value}"]
        path = os.path.join(self.dir, "notify.sock")
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(os.path.join(self.dir, "daemon.err"), "w+", encoding="utf-8") as err:
            notify.bind(path)
            self.spawned_at = time.time()
            self.daemon = subprocess.Popen(command, env={**os.environ, **(env or {}),
                                                         "NOTIFY_SOCKET": path},
                                           stdin=subprocess.DEVNULL, stdout=err, stderr=err)
            self.pid = self.daemon.pid
            if not self._ready(notify):
                self.kill()
                err.seek(0)
                raise NotStarted(self.daemon_status, err.read())
        self.started_at = time.time()
        return self

    def _ready(self, notify):
        notify.settimeout(0.05)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if b"READY=1" in notify.recv(4096):
                    return True
            except socket.timeout:
                if self.daemon.poll() is not None:
                    return False
        return False

    def kill(self):
        if not getattr(self, "data", None):
            return super().kill()
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGKILL)
        self.daemon_status = self.daemon.wait(20)
        self.daemon = None
        return self.daemon_status

    def ended(self, seconds=0.0):
        """Did the daemon end by itself within this time?"""
        try:
            self.daemon.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def stop(self, seconds=30):
        if not getattr(self, "data", None):
            return super().stop(seconds)
        if not self.daemon:
            return 0
        self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not stop in {seconds} s") from None
        self.daemon = None
        return status

    def close(self):
        if getattr(self, "daemon", None):
            self.kill()
        self.pid = None
        super().close()

    def new_log(self):
        """Forget the log so far."""
        path = os.path.join(self.dir, "sekimori.log")
        if os.path.exists(path):
            os.unlink(path)

    def copy_data(self, to):
        """A copy of the stopped gateway's data, holes kept."""
        shutil.rmtree(to, ignore_errors=True)
        subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", self.data, to], check=True)


class Control:
    """The control socket, one request after another. ConnectionError when the gateway is away."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def ask(self, verb, **arguments):
        """(rows, exit status)"""
        self.socket.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
        found = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the gateway went away")
            answer = json.loads(line)
            if "end" in answer:
                return found, answer["end"]["exit"]
            if "row" in answer:
                found.append(answer["row"])

    def close(self):
        self.file.close()
        self.socket.close()


class Load:
    """sekimori-load in the background."""

    def __init__(self, gate, prefix, recipients, mix, rate, seconds, ledger, connections=8, seed=1):
        command = [os.path.join(gate.build, "sekimori-load"), "--to", gate.relay, "--reconnect",
                   "--seconds", str(seconds), "--grace", "6", "--rate", str(rate),
                   "--connections", str(connections), "--mix", mix, "--ledger", ledger,
                   "--token-prefix", prefix, "--from", f"{prefix}-%d@int.example",
                   "--rcpts", str(len(recipients)), "--seed", str(seed), "--json"]
        for r in recipients:
            command += ["--rcpt", r]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=60):
        out, _ = self.process.communicate(timeout=seconds)
        return json.loads(out) if out else {}

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Sender:
    """One connection of a client that is told what to send. Replies are (code, text); a connection
    that is gone answers 0."""

    def __init__(self, address, timeout=20):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        if self.greeting[0] == 220:
            self.say(b"EHLO crash.example\r\n")

    def reply(self):
        while True:
            try:
                line = self.file.readline()
            except OSError:
                line = b""
            if not line.endswith(b"\n"):
                return 0, "closed"
            if line[3:4] != b"-":
                return int(line[:3]), line.decode("ascii", "replace").strip()

    def say(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            return 0, "closed"
        return self.reply()

    def send(self, token, recipients, size=1000):
        """(reply, whether the final dot had left). The sender is TOKEN@int.example."""
        lines = [f"MAIL FROM:<{token}@int.example>"] + [f"RCPT TO:<{r}>" for r in recipients]
        for line in lines + ["DATA"]:
            answer = self.say(line.encode() + b"\r\n")
            if answer[0] not in (250, 354):
                return answer, False
        head = f"From: {token}@int.example\r\nSubject: {token}\r\nX-Token: {token}\r\n\r\n"
        body = (f"{token} " + "x" * 64)[:70] + "\r\n"
        text = head + body * max(1, (size - len(head)) // len(body))
        return self.say(text.encode() + b".\r\n"), True

    def close(self):
        self.file.close()
        self.socket.close()


def in_background(work, *arguments):
    """A thread whose exception join() raises."""
    box = []

    def guarded():
        try:
            work(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            box.append(error)
    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def join(seconds=60):
        thread.join(seconds)
        if thread.is_alive():
            raise AssertionError("a thread of the test does not end")
        if box:
            raise box[0]
    return join

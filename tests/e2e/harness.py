"""What the end-to-end tests share: Gateway, Sink, ScriptSink, Dns, Client, wait_until.

    with Sink() as sink, Gateway(route=sink.address) as gate:
        with Client(gate.relay, ehlo="src.example") as c:
            c.mail("alice@int.example", "x@ext.example", simple_mail(...))
        rows, status = gate.ctl("list")

The build directory is SEKIMORI_BUILD, which tests/e2e/run sets from --build; it must hold sekimori,
sekictl, sekimori-load and sekimori-sink. Files go below $TMPDIR.
"""
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from dns_server import Dns
from sink import Drop, ScriptSink, Sink, program, server_tls
from smtp_client import BadReply, Client, Closed, Reply, endpoint, simple_mail, stuffed

__all__ = ["BadReply", "Client", "Closed", "Dns", "Drop", "Gateway", "PASSWORD", "Reply", "ROOT",
           "ScriptSink", "Sink", "Refused", "demo_policy", "endpoint", "load", "program",
           "sanitized", "server_tls", "simple_mail", "stuffed",
           "tenths_policy", "wait_until"]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("SEKIMORI_BUILD", os.path.join(ROOT, "build"))
PASSWORD = "barrier-gate-demo"
START_SECONDS = 60
STOP_SECONDS = 20
# So that a test writes megabytes, not gigabytes, and waits for nothing that is not its subject.
LIGHT = {"segment_bytes": "8MiB", "journal_ready": "0", "disk_reserve": "0", "auth_delay": "10ms"}
LOG_FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')


class Refused(AssertionError):
    """sekictl ended with a status that the test did not allow."""


def wait_until(predicate, seconds=10, what="the condition", every=0.02):
    """The first true value of predicate(); an AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        time.sleep(every)


def sanitized():
    """Is it a build with sanitizers? Its memory and speed say nothing."""
    return os.environ.get("SEKIMORI_SANITIZED") == "1"


class Gateway:
    """A gateway of tools/sandbox. settings: config file settings, over LIGHT. policy: text of an
    organisation, see demo_policy(). env: more environment of the daemon (LD_PRELOAD of clock
    tests). directory: state to open again; else a fresh one that goes at the end. A test may kill()
    and restart() it, and find its ports unchanged."""

    def __init__(self, route=None, resolver=None, policy=None, settings=None, shards=2, env=None,
                 directory=None, build=None, start=True):
        self.build = build or os.environ["SEKIMORI_BUILD"]
        self.route, self.resolver, self.policy, self.shards = route, resolver, policy, shards
        self.settings = {**LIGHT, **(settings or {})}
        self.env, self.owned = dict(env or {}), directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="gate.")
        self.sandbox = self.pid = None
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and not issubclass(kind, unittest_skip()):
            self.print_tail()
        self.close()

    # --- life ----------------------------------------------------------------------------------
    def command(self):
        words = [sys.executable, os.path.join(ROOT, "tools", "sandbox"), "--dir", self.dir,
                 "--build", self.build]
        for option, value in (("--route", self.route), ("--resolver", self.resolver),
                              ("--policy", self.policy_file()), ("--shards", self.shards)):
            if value:
                words += [option, str(value)]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return words

    def policy_file(self):
        if not self.policy:
            return None
        path = os.path.join(self.dir, "policy.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.policy)
        return path

    def start(self):
        with open(os.path.join(self.dir, "sandbox.err"), "ab") as err:
            self.sandbox = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=err,
                                            text=True, env={**os.environ, **self.env})
        line = self._first_line()
        if not line:
            status = self.sandbox.wait()
            self.sandbox.stdout.close()
            self.sandbox = None
            self.print_tail()
            self.close()
            raise AssertionError(f"the gateway did not start (status {status}): "
                                 f"{shlex.join(self.command())}")
        self.line = json.loads(line)
        self.pid = self.line["pid"]
        self.relay, self.submission = self.line["relay"], self.line["submission"]
        self.submissions, self.control = self.line["submissions"], self.line["control"]
        self.ca = self.line["ca"]
        return self

    def _first_line(self):
        lines = queue.Queue()
        threading.Thread(target=lambda f: lines.put(f.readline()), args=(self.sandbox.stdout,),
                         daemon=True).start()
        try:
            return lines.get(timeout=START_SECONDS + 10)
        except queue.Empty:
            self.sandbox.send_signal(signal.SIGTERM)
            return ""

    def kill(self):
        """A crash: SIGKILL to the daemon."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self.sandbox.wait(STOP_SECONDS)
        self.sandbox.stdout.close()
        self.sandbox = None
        return status

    def stop(self, seconds=STOP_SECONDS):
        """A clean stop; its exit status."""
        if not self.sandbox:
            return 0
        self.sandbox.send_signal(signal.SIGTERM)
        try:
            status = self.sandbox.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not stop in {seconds} s") from None
        self.sandbox.stdout.close()
        self.sandbox = None
        return status

    def restart(self, kill=False):
        if self.sandbox:
            self.kill() if kill else self.stop()
        return self.start()

    def is_running(self):
        try:
            os.kill(self.pid, 0)
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
                return f.read().rpartition(")")[2].split()[0] != "Z"
        except (ProcessLookupError, FileNotFoundError):
            return False

    def close(self):
        try:
            status = self.stop()
            if status:
                self.print_tail()
                raise AssertionError(f"the gateway died, or did not stop cleanly: status {status}")
        finally:
            if self.pid and self.is_running():
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"the daemon {self.pid} outlived its sandbox")
            if self.owned:
                shutil.rmtree(self.dir, ignore_errors=True)

    # --- looking and asking --------------------------------------------------------------------
    def run_ctl(self, *words, json_output=True, stdin=None):
        """The finished process."""
        command = [program("sekictl", self.build), "--socket", self.control, *map(str, words)]
        if json_output:
            command.append("--json")
        return subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin)

    def ctl(self, *words, json=True, allow=(0,)):
        """(rows, status); rows are dicts with json, else lines. A status not in `allow` fails; None
        allows all."""
        done = self.run_ctl(*words, json_output=json)
        if allow is not None and done.returncode not in allow:
            raise Refused(f"sekictl {shlex.join(map(str, words))} ended with {done.returncode}: "
                          f"{done.stderr.strip()}")
        lines = done.stdout.splitlines()
        return [parse_row(line) for line in lines] if json else lines, done.returncode

    def list(self, *words):
        return self.ctl("list", *words)[0]

    def show(self, mail_id):
        return self.ctl("show", mail_id)[0][0]

    def mail_with(self, subject, seconds=5):
        """The one mail with this subject, finished or not."""
        found = lambda: [m for m in self.list("--all") if m["subject"] == subject]
        rows = wait_until(found, seconds, f"a mail with subject {subject!r}")
        if len(rows) != 1:
            raise AssertionError(f"{len(rows)} mails with subject {subject!r}")
        return rows[0]

    def states(self, mail_id):
        return {r["address"]: r["state"] for r in self.show(mail_id)["recipients"]}

    def wait_states(self, mail_id, states, seconds=10):
        """states: {address: state}, or one state for all."""
        def there():
            now = self.states(mail_id)
            return now == (states if isinstance(states, dict) else dict.fromkeys(now, states))
        try:
            wait_until(there, seconds)
        except AssertionError:
            last = [r.get("last") for r in self.show(mail_id)["recipients"]]
            raise AssertionError(f"{mail_id} has states {self.states(mail_id)}, not {states}, "
                                 f"after {seconds} s; last: {last}") from None

    def log(self, event=None):
        """Lines of the daemon's log as dicts."""
        path = os.path.join(self.dir, "sekimori.log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as f:
            rows = [{k: v.strip('"') for k, v in LOG_FIELD.findall(line)} for line in f]
        return [row for row in rows if event in (None, row.get("event"))]

    def print_tail(self):
        for name, lines in (("sandbox.err", 150), ("sekimori.log", 30)):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    tail = f.readlines()[-lines:]
                print(f"--- {path}\n{''.join(tail)}", file=sys.stderr, flush=True)

    def memory_peak(self):
        """VmHWM of the daemon, in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1]) * 1024

    # --- clients -------------------------------------------------------------------------------
    def client(self, service="relay", user="alice@int.example", password=PASSWORD):
        """A client that said EHLO, and on the submission services also AUTH."""
        if service == "relay":
            return Client(self.relay, ehlo="src.example")
        if service == "submissions":
            c = Client(self.submissions, tls=True, ehlo="src.example")
        else:
            c = Client(self.submission, ehlo="src.example")
            c.starttls()
        if user:
            reply = c.auth(user, password)
            if reply.code != 235:
                raise AssertionError(f"AUTH of {user} was answered {reply}")
        return c

    def send(self, recipients, subject="test", sender="alice@int.example", service="relay",
             content=None, **kind):
        """One mail, accepted; the reply to its dot."""
        with self.client(service) as c:
            reply = c.mail(sender, recipients,
                           content or simple_mail(sender, recipients, subject, **kind))
            if reply.code != 250:
                raise AssertionError(f"the mail was answered {reply}")
            return reply


def demo_policy(hold="300s", rules=None):
    """Text of the demo organisation with another standard hold and, if given, other rules (lines of
    YAML, indented by two)."""
    with open(os.path.join(ROOT, "tools", "demo.yaml"), encoding="utf-8") as f:
        text = f.read()
    text = text.replace("hold: 300s", f"hold: {hold}")
    if rules is None:
        return text
    head, _, tail = text.partition("rules:\n")
    return head + (f"rules:\n{rules}" if rules else "") + tail[tail.index("defaults:"):]


def tenths_policy(holds):
    """Domain hN.example is held N tenths of a second."""
    lines = ["organisation: demo", "plan: self", "domains: [int.example]",
             "networks: [127.0.0.0/8]", "users: [{address: alice@int.example}]", "rules:"]
    for tenths in holds:
        lines.append(f"  - {{name: h{tenths}, when: {{recipient: {{domain: h{tenths}.example}}}}, "
                     f"then: {{hold: {tenths * 100}ms}}}}")
    return "\n".join(lines + ["defaults: {hold: 0s}", ""])


def parse_row(line):
    try:
        return json.loads(line)
    except ValueError:
        raise AssertionError(f"sekictl --json printed {line!r}") from None


def unittest_skip():
    import unittest
    return unittest.SkipTest


def load(*options, build=None, allow=(0,), timeout=240):
    """Run sekimori-load; its JSON summary."""
    done = subprocess.run([program("sekimori-load", build), "--json", *map(str, options)],
                          capture_output=True, text=True, timeout=timeout)
    if done.returncode not in allow:
        raise AssertionError(f"sekimori-load ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)

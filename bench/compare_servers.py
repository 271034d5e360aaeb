"""The programs that compare starts and stops: Postfix, Sekimori, the sink, the load."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from compare_host import ROOT, Accounting, output

HERE = os.path.join(ROOT, "bench")
START_SECONDS = 90
STOP_SECONDS = 60
READY_SECONDS = 120


class Failure(Exception):
    """A measurement that cannot be taken; the others go on."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.settimeout(5)
            good = s.recv(512).startswith(b"220")
            s.sendall(b"QUIT\r\n")
            return good
    except OSError:
        return False


def wait_for(what, seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise Failure(f"{what}: not within {seconds} s")


def stop_process(process, number=signal.SIGTERM):
    """True if it ended by itself."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(timeout=STOP_SECONDS)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def find_program(build, name):
    for path in (os.path.join(build, "bench", name), os.path.join(build, name)):
        if os.access(path, os.X_OK):
            return path
    sys.exit(f"compare: no {name} in {build}: build it first (see --help)")


# --- Postfix ----------------------------------------------------------------------------------


def install_postfix():
    if shutil.which("postfix"):
        return
    print("compare: installing postfix", file=sys.stderr)
    subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "postfix"],
                   env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=True,
                   stdout=sys.stderr)
    # its own instance is not wanted: the package starts one where there is an init
    subprocess.run(["postfix", "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=False)


def is_finished(path):
    """Postfix sets the x bit of a queue file when all of it is written and synced."""
    try:
        return os.stat(path).st_mode & 0o100 != 0
    except FileNotFoundError:  # delivered meanwhile
        return False


class Postfix:
    """An instance of its own, from bench/postfix/, in the foreground, without init and chroot."""

    name = "postfix"
    CASES = {  # what a case adds to main.cf
        # HOLD is what Postfix has for "accept, deliver nothing"; the queue manager is not woken.
        # --postfix-defer takes defer_transports instead, which also writes a defer log for each.
        "hold": ["smtpd_client_restrictions = check_client_access static:HOLD"],
        "defer": ["defer_transports = smtp"],
        "deliver": [],
        "tls": ["smtpd_client_restrictions = check_client_access static:HOLD",
                "smtpd_tls_security_level = may", "smtpd_tls_chain_files = @RUN@/tls.pem",
                "smtpd_tls_loglevel = 0", "smtpd_tls_received_header = no"],
    }

    def __init__(self, directory, case, sink_port=0, **_):
        self.dir = directory
        self.port = free_port()
        self.accounting = Accounting(self.name)
        self.write_config(case, sink_port)
        if case == "tls":
            self.write_certificate()
        command = ["postfix", "-c", self.path("config"), "start-fg"]
        self.log = open(self.path("start.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(self.accounting.wrap(command), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        self.accounting.root = self.process.pid
        try:
            wait_for("start of Postfix", START_SECONDS, lambda: greets(self.port))
        except Failure:
            self.stop()
            raise

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write_config(self, case, sink_port):
        for name in ("config", "queue", "data"):
            os.makedirs(self.path(name))
        shutil.chown(self.path("data"), "postfix")
        values = {"@RUN@": self.dir, "@PORT@": str(self.port), "@CONNECTIONS@": "64",
                  "@SINK@": f"[127.0.0.1]:{sink_port or 1}"}
        for name in ("main.cf", "master.cf"):
            with open(os.path.join(HERE, "postfix", name), encoding="utf-8") as f:
                text = f.read()
            if name == "main.cf":
                text += f"\n# The case: {case}\n" + "\n".join(self.CASES[case]) + "\n"
            for key, value in values.items():
                text = text.replace(key, value)
            with open(self.path("config", name), "w", encoding="utf-8") as f:
                f.write(text)
        self.settings = output("postconf", "-c", self.path("config"), "-n").splitlines()

    def write_certificate(self):
        """P-256 as Sekimori's in the sandbox; key and certificate in one file."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-keyout", self.path("key"), "-out", self.path("cert")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.path("tls.pem"), "w", encoding="ascii") as f:
            for name in ("key", "cert"):
                with open(self.path(name), encoding="ascii") as part:
                    f.write(part.read())

    def queued(self):
        """Mails that are in the queue, finished files only."""
        count = 0
        for name in ("incoming", "active", "deferred", "hold"):
            for folder, _, files in os.walk(self.path("queue", name)):
                count += sum(map(is_finished, (os.path.join(folder, f) for f in files)))
        return count

    def stop(self):
        try:
            with open(self.path("queue", "pid", "master.pid"), encoding="ascii") as f:
                master = int(f.read())
            if master in self.accounting.processes():
                os.kill(master, signal.SIGTERM)
        except (OSError, ValueError):
            pass
        stop_process(self.process)
        end = time.monotonic() + 10
        while self.accounting.path and self.accounting.processes() and time.monotonic() < end:
            time.sleep(0.05)
        if self.accounting.path:
            for pid in self.accounting.processes():  # ours: nothing else is in this cgroup
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        self.accounting.drop()
        self.log.close()


# --- Sekimori ---------------------------------------------------------------------------------

POLICY = """organisation: bench
plan: self
language: ja
time_zone: Asia/Tokyo
domains: [int.example]
networks: [127.0.0.0/8]
hosts: [smtp.int.example]
{rules}defaults: {{hold: {hold}}}
"""


def rule(name, domain, hold):
    return (f"  - name: {name}\n    when: {{recipient: {{domain: {domain}}}}}\n"
            f"    then: {{hold: {hold}}}\n")


class Sekimori:
    """The shipped binary with its shipped settings, as tools/sandbox starts it."""

    name = "sekimori"
    HOLDS = {"hold": "1h", "defer": "1h", "tls": "1h", "deliver": "0s"}

    def __init__(self, directory, case, sink_port=0, build="", shards=0, settings=(), rules="",
                 ready_mib=0, **_):
        os.makedirs(directory, exist_ok=True)
        self.dir, self.build = directory, build
        policy = os.path.join(directory, "policy.yaml")
        with open(policy, "w", encoding="utf-8") as f:
            f.write(POLICY.format(hold=self.HOLDS.get(case, case),
                                  rules="rules:\n" + rules if rules else ""))
        command = [os.path.join(ROOT, "tools", "sandbox"), "--dir", directory, "--build", build,
                   "--policy", policy]
        if sink_port:
            command += ["--route", f"127.0.0.1:{sink_port}"]
        if shards:
            command += ["--shards", str(shards)]
        self.ready_bytes = ready_mib << 20
        if ready_mib:
            command += ["--set", f"journal_ready={ready_mib // (shards or os.cpu_count())}MiB"]
        for text in settings:
            command += ["--set", text]
        self.settings = command[1:]
        self.accounting = Accounting(self.name)
        self.log = open(os.path.join(directory, "start.log"), "a", encoding="utf-8")
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.accounting.wrap(command), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        start_new_session=True)
        self.accounting.root = self.process.pid
        self.pid = self.port = 0

    def wait(self):
        line = self.process.stdout.readline()  # the sandbox itself gives up after 60 s
        if not line:
            self.stop()
            raise Failure(f"Sekimori did not start, see {self.dir}/start.log, sekimori.log")
        told = json.loads(line)
        self.pid = told["pid"]
        self.port = int(told["relay"].rpartition(":")[2])
        return self

    def wait_ready(self):
        """Until it has nothing to write ahead any more."""
        end, before = time.monotonic() + READY_SECONDS, -1
        while time.monotonic() < end:
            ready = sum(p["ready_bytes"] for p in self.status()["partitions"])
            if ready == before and ready >= self.ready_bytes:
                return self
            before = ready
            time.sleep(0.5)
        raise Failure(f"Sekimori: {before >> 20} MiB of its journal are ready, no more")

    def control(self, *words, timeout=60):
        done = subprocess.run([os.path.join(self.build, "sekictl"), "--socket",
                               os.path.join(self.dir, "control.sock"), *words, "--json"],
                              capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise Failure(f"sekictl {' '.join(words)}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def status(self):
        return self.control("status")[0]

    def queued(self):
        return sum(p["messages"] for p in self.status()["partitions"])

    def memory(self):
        """KiB: VmRSS, and of it what is anonymous."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as f:
            found = dict(re.findall(r"^(\w+):\s+(\d+) kB", f.read(), re.M))
        return {k: int(found[v]) for k, v in
                (("rss", "Rss"), ("pss", "Pss"), ("anonymous", "Anonymous"))}

    def crash(self):
        """kill -9 of the daemon; the queue stays."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_SECONDS)
        self.finish()

    def stop(self):
        if not stop_process(self.process) and self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.finish()

    def finish(self):
        self.process.stdout.close()
        time.sleep(0.05)
        self.accounting.drop()
        self.log.close()


def start(server, directory, case, **options):
    s = server(directory, case, **options)
    return s.wait().wait_ready() if server is Sekimori else s


# --- sink and load ----------------------------------------------------------------------------


class Sink:
    def __init__(self, build, ledger=None, words=()):
        command = [find_program(build, "sekimori-sink"), "--listen", "127.0.0.1:0", *words]
        if ledger:
            command += ["--ledger", ledger]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline().split()[1].rpartition(":")[2])

    def stop(self):
        """Its summary."""
        stop_process(self.process)
        line = self.process.stdout.read().strip()
        self.process.stdout.close()
        return json.loads(line) if line else {}


class Load:
    """sekimori-load at a server. `run` is start and result in one."""

    def __init__(self, build, port, *words):
        command = [find_program(build, "sekimori-load"), "--to", f"127.0.0.1:{port}", "--json",
                   "--from", "sender@int.example", *words]
        if "--rcpt" not in words:
            command += ["--rcpt", "user%d@d%100m.example"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True)

    def result(self, timeout):
        try:
            text, said = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            stop_process(self.process)
            raise Failure(f"sekimori-load did not end within {timeout} s") from None
        if not text:
            raise Failure(f"sekimori-load: {said.strip()}")
        return json.loads(text)

    def stop(self):
        stop_process(self.process)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()


def run_load(build, port, *words, timeout):
    load = Load(build, port, *words)
    try:
        return load.result(timeout)
    finally:
        if load.process.poll() is None:
            load.stop()

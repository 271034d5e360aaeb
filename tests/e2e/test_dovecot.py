"""Dovecot as the source of credentials (auth_socket): the real one, and one that misbehaves."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import PASSWORD, Gateway, ScriptSink, simple_mail, wait_until

SENDER, RECIPIENT = "alice@int.example", "x@ext.example"
SECRET = "only dovecot knows"
HELLO = ("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\n"
         "COOKIE\t00\nDONE\n")


class Dovecot:
    """Debian's, with a password file, without an init system, in a folder of its own."""

    def __init__(self, mechanisms="plain login scram-sha-256"):
        self.dir = tempfile.mkdtemp(prefix="dovecot.")
        self.socket = os.path.join(self.dir, "auth")
        self.mechanisms, self.process = mechanisms, None
        users = {SENDER: SECRET, "bob@int.example": "bob's, too", "stranger@int.example": SECRET}
        with open(os.path.join(self.dir, "users"), "w", encoding="ascii") as f:
            f.writelines(f"{user}:{{PLAIN}}{password}\n" for user, password in users.items())
        os.chmod(self.dir, 0o755)
        self.start()

    def start(self):
        config = os.path.join(self.dir, "dovecot.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols =
ssl = no
auth_mechanisms = {self.mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = username_format=%u {self.dir}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0  # no waiting that grows with each failure of one address
  }}
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
""")
        with open(os.path.join(self.dir, "out"), "ab") as out:
            self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", config],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True)
        try:
            wait_until(lambda: os.path.exists(self.socket), 20, "Dovecot's socket")
        except AssertionError as e:
            with open(os.path.join(self.dir, "out"), encoding="utf-8") as f:
                text = f.read()
            self.__exit__()
            raise AssertionError(f"{e}: {text}") from None

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            try:  # its auth process serves whom it has even when the master is gone
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Fake:
    """A socket whose server says what `script(line)` returns for each line that it hears; None: it
    hangs up. `hello` may be any bytes."""

    def __init__(self, script, hello=HELLO):
        self.dir = tempfile.mkdtemp(prefix="dovecot.")
        self.path = os.path.join(self.dir, "auth")
        self.script, self.hello, self.heard = script, hello, []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            with s, s.makefile("rw", newline="\n") as f:
                f.write(self.hello)
                f.flush()
                for line in f:
                    self.heard.append(line.rstrip("\n"))
                    answer = self.script(line.rstrip("\n").split("\t"))
                    if answer is None:
                        return
                    f.write(answer)
                    f.flush()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # else accept() may go on elsewhere
        self.listener.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def gateway(path, shards=2, **settings):
    return Gateway(route="127.0.0.1:1", settings={"auth_socket": path, **settings}, shards=shards)


def up(gate, count=2):
    wait_until(lambda: len(gate.log("auth_socket_up")) >= count, 20, "the authentication socket")


def try_auth(gate, user=SENDER, password=SECRET, mechanism="PLAIN"):
    with gate.client("submissions", user=None) as c:
        return c.auth(user, password, mechanism).code


@unittest.skipUnless(os.path.exists("/usr/sbin/dovecot") and os.geteuid() == 0,
                     "dovecot-core and root are needed")
class Real(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dovecot = cls.enterClassContext(Dovecot())
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(
            Gateway(route=cls.sink.address, settings={"auth_socket": cls.dovecot.socket}))
        up(cls.gate)

    def test_all_mechanisms(self):
        for service in ("submission", "submissions"):
            for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                with self.subTest(service=service, mechanism=mechanism), \
                        self.gate.client(service, user=None) as c:
                    self.assertEqual(c.features["AUTH"], "PLAIN LOGIN SCRAM-SHA-256")
                    self.assertEqual(c.auth(SENDER, PASSWORD, mechanism).code, 535)
                    self.assertEqual(c.auth(SENDER, SECRET, mechanism).code, 235)
                    c.expect("MAIL FROM:<bob@int.example>", 550)
                    subject = f"dovecot {service} {mechanism}"
                    mail = simple_mail(SENDER, "bob@int.example", subject)
                    self.assertEqual(c.mail(SENDER, "bob@int.example", mail).code, 250)
                    self.gate.wait_states(self.gate.mail_with(subject)["id"], "delivered")

    def test_who_is_no_user_of_ours_is_nobody(self):
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            self.assertEqual(try_auth(self.gate, "stranger@int.example", SECRET, mechanism), 535)
            self.assertEqual(try_auth(self.gate, "nobody@int.example", SECRET, mechanism), 535)
            self.assertEqual(try_auth(self.gate, "admin@int.example", PASSWORD, mechanism), 535)
        self.assertIn("not a user of an organisation",
                      {row["why"] for row in self.gate.log("auth_failed")})

    def test_broken_and_cancelled_exchanges_leave_it_working(self):
        for _ in range(5):
            with self.gate.client("submissions", user=None) as c:
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hbGljZUBpbnQuZXhhbXBsZSxyPWE=", 334)
                c.expect("*", 501)
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hbGljZUBpbnQuZXhhbXBsZSxyPWE=", 334)
                c.expect("eA==", 535)
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hbGljZUBpbnQuZXhhbXBsZSxyPWE=", 334)
                # and hangs up in the middle
            self.assertEqual(try_auth(self.gate, SENDER, "x" * 2000), 535)
            self.assertEqual(try_auth(self.gate), 235)
        self.assertFalse(self.gate.log("auth_socket_lost"))

    def test_many_at_once(self):
        codes = []
        threads = [threading.Thread(target=lambda n=n: codes.append(try_auth(
            self.gate, password=SECRET if n % 2 else "wrong",
            mechanism=("PLAIN", "LOGIN", "SCRAM-SHA-256")[n % 3]))) for n in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(codes), [235] * 12 + [535] * 12)


@unittest.skipUnless(os.path.exists("/usr/sbin/dovecot") and os.geteuid() == 0,
                     "dovecot-core and root are needed")
class Gone(unittest.TestCase):
    def test_TLSIN_08_it_stops_and_comes_back(self):
        with Dovecot("plain") as dovecot, gateway(dovecot.socket) as gate:
            up(gate)
            with gate.client("submissions", user=None) as c:
                self.assertEqual(c.features["AUTH"], "PLAIN")
                c.expect("AUTH LOGIN", 504)
                dovecot.stop()
                wait_until(lambda: len(gate.log("auth_socket_lost")) == 2, 10, "the loss is told")
                self.assertEqual(c.auth(SENDER, SECRET).code, 454)
                c.expect(f"MAIL FROM:<{SENDER}>", 530)
                dovecot.start()
                up(gate, 4)
                self.assertEqual(c.auth(SENDER, SECRET).code, 235)
            self.assertEqual(len(gate.log("auth_socket_lost")), 2)

    def test_a_reload_takes_and_leaves_it(self):
        with Dovecot() as dovecot, Gateway(route="127.0.0.1:1") as gate:
            self.assertEqual(try_auth(gate, password=PASSWORD), 235)
            config = os.path.join(gate.dir, "sekimori.yaml")
            with open(config, encoding="utf-8") as f:
                text = f.read()
            for more, good, bad in ((f"auth_socket: {dovecot.socket}\n", SECRET, PASSWORD),
                                    ("", PASSWORD, SECRET)):
                with open(config, "w", encoding="utf-8") as f:
                    f.write(text + more)
                gate.ctl("config", "reload", json=False)
                if more:
                    up(gate)
                wait_until(lambda good=good: try_auth(gate, password=good) == 235, 20)
                self.assertEqual(try_auth(gate, password=bad), 535)


class Misbehaving(unittest.TestCase):
    """TLSIN-08: whatever it says but a proper OK, nobody is let in."""

    def attempt(self, script, hello=HELLO, wait_up=True, code=454, **settings):
        with Fake(script, hello) as fake, gateway(fake.path, **settings) as gate:
            if wait_up:
                up(gate)
            with gate.client("submissions", user=None) as c:
                start = time.monotonic()
                self.assertEqual(c.auth(SENDER, PASSWORD).code, code)
                took = time.monotonic() - start
                if code != 235:
                    c.expect(f"MAIL FROM:<{SENDER}>", 530)
            return fake, took

    @staticmethod
    def answering(text):
        """`text` for AUTH, with the id in place of ID."""
        return lambda words: text.replace("ID", words[1]) if words[0] == "AUTH" else ""

    def test_TLSIN_08_a_proper_ok(self):
        self.attempt(self.answering(f"OK\tID\tuser={SENDER}\n"), code=235)

    def test_TLSIN_08_answers_that_are_none(self):
        rows = {"OK\tID\n": 454, "OK\tID\tuser=\n": 454, f"OK\t999\tuser={SENDER}\nFAIL\tID\n": 535,
                f"ok\tID\tuser={SENDER}\nFAIL\tID\n": 535, "OK\n": 454, "FAIL\tID\ttemp\n": 454,
                f"OK\tx\tuser={SENDER}\n": 454, "\0\0\0\n\n\nFAIL\tID\n": 535, "CONT\tID\t=\n": 454,
                "CONT\tID\teA==\n": 454, "x" * 100000: 454, "OK\tID\tuser=nobody@x.example\n": 535,
                f"FAIL\tID\nOK\tID\tuser={SENDER}\n": 535}
        with Fake(lambda words: "") as fake, gateway(fake.path, shards=1) as gate:
            for text, code in rows.items():
                with self.subTest(text=text[:40]):
                    fake.script = self.answering(text)
                    ups, losses = (f"auth_socket_{what}" for what in ("up", "lost"))
                    wait_until(lambda: len(gate.log(ups)) > len(gate.log(losses)), 20, "it is up")
                    with gate.client("submissions", user=None) as c:
                        self.assertEqual(c.auth(SENDER, PASSWORD).code, code)
                        c.expect(f"MAIL FROM:<{SENDER}>", 530)

    def test_TLSIN_08_it_hangs_up(self):
        self.attempt(lambda words: None if words[0] == "AUTH" else "")

    def test_TLSIN_08_it_says_nothing(self):
        fake, took = self.attempt(lambda words: "", auth_timeout="1s")
        self.assertGreaterEqual(took, 1)
        self.assertLess(took, 8)
        self.assertTrue(any(line.startswith("CANCEL\t") for line in fake.heard), fake.heard)

    def test_TLSIN_08_it_answers_too_late(self):
        def script(words):
            if words[0] == "AUTH":
                script.id = words[1]
                return ""
            return f"OK\t{script.id}\tuser={SENDER}\n" if words[0] == "CANCEL" else ""
        self.attempt(script, auth_timeout="500ms")

    def test_TLSIN_08_no_greeting(self):
        self.attempt(lambda words: "", hello="", wait_up=False, auth_timeout="500ms")

    def test_TLSIN_08_another_protocol(self):
        self.attempt(lambda words: "", hello="* OK IMAP4rev1 ready\r\n", wait_up=False)

    def test_TLSIN_08_nothing_is_there(self):
        with gateway("/nonexistent/auth") as gate:
            with gate.client("submissions", user=None) as c:
                self.assertEqual(c.features["AUTH"], "PLAIN LOGIN")
                self.assertEqual(c.auth(SENDER, PASSWORD).code, 454)
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==", 504)
            wait_until(lambda: gate.log("auth_socket_lost"), 5)
            time.sleep(3)
            self.assertLessEqual(len(gate.log("auth_socket_lost")), 2, "told once, by each worker")
            counters = gate.ctl("status")[0][0]["counters"]
            self.assertEqual(counters["smtpd_auth_unavailable"], 1)


if __name__ == "__main__":
    unittest.main()

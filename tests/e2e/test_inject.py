"""What clients put into names, addresses and subjects is text, wherever it is shown, stored or
looked up (attacks.md 4)."""
import base64
import email
import email.policy
import json
import os
import re
import socket
import subprocess
import unicodedata
import unittest

from harness import Gateway, ScriptSink, program, sanitized, simple_mail, wait_until

SENDER = "alice@int.example"
HOSTILE = {  # what a terminal or a spreadsheet would run, and a line of our own list
    "clear": "\x1b[2J\x1b]0;title\x07 clear",
    "c1": "\u009b2J\u0085 c1",
    "bidi": "gnp\u202eexe.\u2066 bidi",
    "lines": "a\r\nBcc: x@ext.example\r\n00000001 lines",
    "hyperlink": '=HYPERLINK("http://evil.example","x")',
    "command": "+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|x",
    "tab": "\t=1+1\ttab",
    "bell": "\x07\x7f\x08\x0e bell",
}
LOCAL_PARTS = ["|touch", "a;id", "`id`", "$(id)", "../../etc/passwd", "-oQ/tmp/x", "-f", "a&b",
               "a<b", "a'b", "%s%n", "~root", "*", "a/../b", "CON", ".."]


def encoded(text):
    """As encoded words of at most 75 characters."""
    pieces, piece = [], ""
    for c in text:
        if len(base64.b64encode((piece + c).encode())) > 60:
            pieces.append(piece)
            piece = ""
        piece += c
    return "\r\n ".join("=?UTF-8?B?" + base64.b64encode(p.encode()).decode() + "?="
                        for p in pieces + [piece])


def is_plain(c):
    """Nothing that a terminal takes for an order, or that turns a line around."""
    return c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs")


def address(local):
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    is_plain_one = re.fullmatch(rf"{atom}(\.{atom})*", local)
    return f"{local}@ext.example" if is_plain_one else f'"{local}"@ext.example'


class Injected(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(
            Gateway(route=cls.sink.address, settings={"notices": "on"}))
        for name, subject in HOSTILE.items():
            cls.gate.send(f"{name}@ext.example", encoded(subject))

    def row_to(self, recipient):
        return wait_until(lambda: [m for m in self.gate.list("--all") if
                                   recipient in [r["address"] for r in m["recipients"]]],
                          5, f"a mail to {recipient}")[0]

    def test_INJ_09_lists_for_people(self):
        """list, show and explain: a line a mail, and no byte that a terminal would obey."""
        count = len(self.gate.list("--all"))
        lines, _ = self.gate.ctl("list", "--all", json=False)
        self.assertEqual(len(lines), count + 1, "a mail is a line, below one title")
        texts = ["\n".join(lines)]
        for name in HOSTILE:
            mail = self.row_to(f"{name}@ext.example")["id"]
            for verb in ("show", "explain"):
                texts.append("\n".join(self.gate.ctl(verb, mail, json=False)[0]))
        for text in texts:
            odd = {hex(ord(c)) for c in text if not is_plain(c)}
            self.assertEqual(odd, set())
            self.assertFalse([line for line in text.splitlines() if line.startswith("Bcc:")])

    def test_INJ_09_json(self):
        """--json: one value a line, quoted; what a terminal would run is escaped, and nothing is
        lost. There is no list for spreadsheets yet."""
        done = self.gate.run_ctl("list", "--all")
        self.assertEqual({hex(ord(c)) for c in done.stdout if not is_plain(c)}, set())
        subjects = {json.loads(line)["subject"] for line in done.stdout.splitlines()}
        for name in ("hyperlink", "command", "at"):
            self.assertIn(HOSTILE[name], subjects)

    def test_INJ_02_names_of_files(self):
        """An RFC 2231 file name is content: it goes out as it came, adds no field to it, and none
        to the notice. Lists do not show file names yet."""
        subject = "names of files"
        content = (f"From: <{SENDER}>\r\nTo: <file@ext.example>\r\nSubject: {subject}\r\n"
                   "MIME-Version: 1.0\r\nContent-Type: application/octet-stream;"
                   " name*=utf-8''b%0d%0aX-Evil:%202\r\nContent-Disposition: attachment;\r\n"
                   " filename*0*=utf-8''a%0d%0aX-Ev; filename*1=\"il: 1\"\r\n\r\nx\r\n").encode()
        with self.gate.client() as c:
            self.assertEqual(c.mail(SENDER, ["file@ext.example"], content).code, 250)
        row = self.row_to("file@ext.example")
        self.assertNotIn("X-Evil", json.dumps(row))

        def mine(subject_has):
            parsed = [email.message_from_bytes(m.content, policy=email.policy.default)
                      for m in list(self.sink.got())]
            return [m for m in parsed if subject_has in (m["Subject"] or "")]
        notice = wait_until(lambda: [m for m in mine(subject) if m["Auto-Submitted"]], 10, "notice")
        self.gate.ctl("release", row["id"])
        self.gate.wait_states(row["id"], "delivered")
        for m in notice + mine(subject):
            self.assertIsNone(m["X-Evil"])
        raw = [m for m in self.sink.got() if m.recipients == ["file@ext.example"]][0].content
        self.assertTrue(raw.endswith(content), "changed on the way")

    def test_INJ_07_counters(self):
        """What is counted has the names of counter.def, whoever comes."""
        before = self.gate.ctl("status")[0][0]
        with self.gate.client("submission", user=None) as c:
            for user in ('evil"} 1', "evil\n}", "evil{x=\"y\"}@int.example"):
                c.auth(user, "wrong")
        with self.gate.client() as c:
            for n in range(300):
                c.mail(SENDER, [f"evil@evil{n}.example"], simple_mail(SENDER, ["x"], "evil"))
        after = self.gate.ctl("status")[0][0]
        self.assertEqual(list(before["counters"]), list(after["counters"]))
        for name, value in after["counters"].items():
            self.assertRegex(name, "^[a-z][a-z_]*$")
            self.assertIsInstance(value, int)
        self.assertNotIn("evil", json.dumps(after))
        self.assertGreaterEqual(after["counters"]["smtpd_accepted"],
                                before["counters"]["smtpd_accepted"] + 300)

    def test_INJ_08_local_parts(self):
        """Whatever an address holds: it arrives as it is, no file has its name, no process runs."""
        known = re.compile(r"(journal|body)-\d+|\d{6,}\.(sst|log|dbtmp)|MANIFEST-\d+|OPTIONS-\d+.*|"
                           r"CURRENT|IDENTITY|LOCK|LOG.*|identity|lock|index(\..*)?")
        before = {os.path.join(d, f) for d, _, files in os.walk(self.gate.dir) for f in files}
        told = []
        with self.gate.client() as c:
            for local in LOCAL_PARTS:
                to = address(local)
                c.command("RSET")
                if c.command(f"MAIL FROM:<{to.replace('ext.', 'int.')}>").code // 100 != 2:
                    c.expect(f"MAIL FROM:<{SENDER}>", 250)
                c.expect(f"RCPT TO:<{to}>", 250)
                c.expect("DATA", 354)
                c.send(f"From: <{SENDER}>\r\nTo: <{SENDER}>\r\nSubject: local part\r\n\r\nx\r\n"
                       ".\r\n".encode())
                self.assertEqual(c.reply().code, 250, to)
                told.append(to)
        for to in told:
            row = self.row_to(to)
            self.gate.ctl("release", row["id"])
        wait_until(lambda: set(told) <= {r for m in list(self.sink.got()) for r in m.recipients},
                   15, "each at the sink, as it was")
        for task in os.listdir(f"/proc/{self.gate.pid}/task"):
            with open(f"/proc/{self.gate.pid}/task/{task}/children", encoding="ascii") as f:
                self.assertEqual(f.read(), "", "the daemon has a child")
        now = {os.path.join(d, f) for d, _, files in os.walk(self.gate.dir) for f in files}
        self.assertEqual([p for p in now - before if not known.fullmatch(os.path.basename(p))], [])

    @unittest.skipIf(sanitized(), "the runtime of a sanitizer starts its symbolizer")
    def test_INJ_08_nothing_is_ever_run(self):
        """The daemon has no way to start a program: its own code asks for none of these."""
        for name in ("sekimori", "sekictl"):
            done = subprocess.run(["nm", "-D", "--undefined-only", program(name)], text=True,
                                  capture_output=True, check=True)
            wanted = {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines()}
            self.assertIn("openat" if name == "sekimori" else "socket", wanted | {"open"})
            bad = {w for w in wanted if re.fullmatch(r"system|popen|exec[vl]\w*|fexecve|fork|vfork|"
                                                     r"posix_spawnp?|wordexp|dlopen", w)}
            self.assertEqual(bad, set(), name)

    def test_INJ_11_who_logs_in(self):
        for user in ("alice'@int.example", "*@int.example", "alice@int.example)(uid=*",
                     "alice@int.example' OR '1'='1", "alice@int.example\x00", "alice@int.exampl",
                     "alice@int.example/", "alice@int.example ", "\x00alice@int.example", "%",
                     "alice@int.example\x00bob@int.example", "demo/alice@int.example"):
            with self.subTest(user=user), self.gate.client("submission", user=None) as c:
                self.assertEqual(c.auth(user, "barrier-gate-demo").code // 100, 5)
        with self.gate.client("submission") as c:
            c.expect("NOOP", 250)

    def test_INJ_11_what_is_looked_up(self):
        """Filters, ids, organisations and tokens: the whole value, or nothing."""
        mail = self.row_to("clear@ext.example")["id"]
        for words in ("from:alice'@int.example", "from:\"alice@int.example' OR '1'='1\"",
                      "from:alice", "from:*", "from:%@int.example", "to:clear@ext",
                      "from:int.exampl",
                      "org:demo'", "org:dem", "org:demo/"):
            rows, _ = self.gate.ctl("list", "--all", words, allow=None)
            self.assertEqual(rows, [], words)
        self.assertTrue(self.gate.list("--all", "from:alice@int.example"))
        for wrong in (mail + "0", mail[:-1], mail + "'", "../" + mail, mail + "/"):
            self.assertNotEqual(self.gate.run_ctl("show", wrong).returncode, 0, wrong)
        for wrong in ("demo'", "dem", "demo/", "demo/users", "*", "", "../demo", "demo\u3000"):
            self.assertNotEqual(self.gate.run_ctl("org", "export", wrong).returncode, 0, wrong)
        self.assertEqual(self.gate.run_ctl("org", "export", "demo").returncode, 0)

    def test_INJ_11_NUL_over_the_socket(self):
        for verb, key, value in (("org export", "name", "demo\x00"),
                                 ("list", "filter", "org:demo\x00"),
                                 ("org export", "name", "\x00demo"),
                                 ("list", "filter", "from:alice@int.example\x00x")):
            with self.subTest(value=value), socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(self.gate.control)
                s.sendall(json.dumps({"verb": verb, key: value}).encode() + b"\n")
                got = s.makefile("rb").readline()
                self.assertNotIn(b'"row"', got)
                self.assertNotIn(b'"exit":0', got)

    def test_INJ_11_tokens_of_notices(self):
        """A token is found whole, or not at all: 5xx, or where it cannot be one an address like any
        other. The mail stays as it is."""
        mail = self.row_to("bell@ext.example")["id"]
        notices = wait_until(lambda: [m for m in map(
            lambda m: email.message_from_bytes(m.content, policy=email.policy.default),
            list(self.sink.got())) if m["Auto-Submitted"] and "bell" in (m["Subject"] or "")],
            10, "the notice")
        token = re.match(r"gate\+(.+)@", notices[0]["Reply-To"].addresses[0].addr_spec)[1]
        self.assertGreaterEqual(len(token), 16)
        for wrong in (token[:-1], token + "A", token + "'", token[:-1] + "*", "*", "%", "A" * 22,
                      token.swapcase(), f"{token}+{token}", f"../{token}"):
            with self.gate.client("submission") as c:
                c.expect(f"MAIL FROM:<{SENDER}>", 250)
                reply = c.command(f"RCPT TO:<gate+{wrong}@gate.example>")
                if reply.code == 250:
                    c.expect("DATA", 354)
                    c.send(b"Subject: x\r\n\r\ncancel\r\n.\r\n")
                    reply = c.reply()
                if wrong.isalnum():
                    self.assertEqual(reply.code // 100, 5, wrong)
        self.assertEqual(self.gate.states(mail)["bell@ext.example"], "waiting")


if __name__ == "__main__":
    unittest.main()

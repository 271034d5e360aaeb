"""A disk that is slow, full or gone: the worker says so at MAIL, before the content comes, goes on
with everything else, and ends it by itself where it can (promises.md 4; core/base/overload)."""
import os
import random
import signal
import time

from disk import HELD, Bench, One, Trial, recipients_of
from gate import Sender, in_background, wait_until


class Asker:
    """Clients that ask whether a mail may come, and send none."""

    def __init__(self, gate):
        self.gate = gate

    def mail(self):
        """The reply to MAIL, as text. A connection each: refusals are counted by connection."""
        begin = time.monotonic()
        sender = Sender(self.gate.relay)
        text = sender.say(b"MAIL FROM:<asker@int.example>\r\n")[1]
        assert sender.say(b"RSET\r\n")[0] == 250, f"RSET after {text}"
        sender.close()
        assert time.monotonic() - begin < 2, f"the worker waited: {text}"
        return text

    def wait(self, words, seconds=10):
        wait_until(lambda: self.mail().startswith(words), seconds, f"MAIL answered {words}",
                   every=0.1)

    def status(self, causes, seconds=5):
        def said():
            row = self.gate.ctl("status", allow=None)[0][0]
            return row["workers"][0]["overload"] == causes and row
        return wait_until(said, seconds, f"status with overload of {causes}")


def said(gate, event, cause):
    return [row for row in gate.log(event) if row["of"] == cause]


def hanging(build, seed, top):
    """The disk does not answer for a while: whoever comes is told so at MAIL, whoever waits gets
    his 250 late, and the worker talks to everybody meanwhile."""
    with Bench(build, top, {"commit_slow": "300ms"}) as bench:
        trial, gate = Trial(bench, random.Random(seed)), bench.gate
        with bench.disk() as disk:
            gate.start()
            assert One(trial).send(1000)[0] == 250, "no good start"
            asker, token = Asker(gate), f"d{trial.mark}-{500:012d}"
            late = Sender(gate.relay, timeout=60)
            os.kill(disk.process.pid, signal.SIGSTOP)
            try:
                wait = in_background(
                    lambda: trial.note(token, *late.send(token, recipients_of(token))))
                asker.wait("452 4.3.2")
                asker.status(["commit"])
                assert token not in trial.history.acked, "a 250 without a disk"
                shed = gate.ctl("status", allow=None)[0][0]["counters"]["smtpd_shed"]
                assert shed > 0, "not counted"
            finally:
                os.kill(disk.process.pid, signal.SIGCONT)
            wait()
            assert token in trial.history.acked, f"not accepted late: {trial.history.failed}"
            asker.wait("250 ")
            asker.status([])
            assert said(gate, "overload", "commit") and said(gate, "overload_over", "commit")
            assert not gate.log("partition_failed"), "a slow disk made the partition fail"
            trial.crash()
        trial.recover(disk.backing)
        return f"{shed} refused at MAIL"


def full(build, seed, top):
    """452 4.3.1 at MAIL while there is no room, 250 when there is some again."""
    with Bench(build, top, {"disk_reserve": "12MiB"}) as bench:
        trial, gate = Trial(bench, random.Random(seed)), bench.gate
        with bench.disk() as disk:
            gate.start()
            client, asker = One(trial), Asker(gate)
            assert client.send(1000)[0] == 250, "no good start"
            for room in ("8388608", "0"):
                disk.say(f"space {room}")
                asker.wait("452 4.3.1")
                asker.status(["disk"])
                disk.say("space off")
                asker.wait("250 ")
                asker.status([])
                assert client.send(1000)[0] == 250, "refused with room"
            assert len(said(gate, "overload", "disk")) == 2, "not twice in the log"
            trial.crash()
        trial.recover(disk.backing)
        return f"{len(trial.history.acked)} acked"


def failed(build, seed, top):
    """A partition that failed takes no MAIL and no DATA any more: 451 4.3.0, until a restart."""
    with Bench(build, top) as bench:
        trial, gate = Trial(bench, random.Random(seed)), bench.gate
        with bench.disk() as disk:
            gate.start()
            client, asker = One(trial), Asker(gate)
            assert client.send(1000)[0] == 250 and asker.mail().startswith("250 "), "no good start"
            begun = Sender(gate.relay)
            for line in ("MAIL FROM:<begun@int.example>", f"RCPT TO:<{HELD[0]}>"):
                assert begun.say(line.encode() + b"\r\n")[0] == 250, line
            disk.say("fail fsync EIO 1 1 partition-0/journal-")
            answer = client.send(1000)
            assert answer[1].startswith("451 4.3.0"), f"answered {answer}"
            for _ in range(3):
                text = asker.mail()
                assert text.startswith("451 4.3.0"), f"MAIL answered {text}"
            text = begun.say(b"DATA\r\n")[1]
            assert text.startswith("451 4.3.0"), f"DATA of a mail begun before answered {text}"
            row = asker.status(["storage"])
            assert row["partitions"][0]["state"] == "failed", row["partitions"]
            assert said(gate, "overload", "storage"), "not in the log"
            trial.crash()
            disk.say("fail clear")
            gate.start()
            Asker(gate).wait("250 ")
            trial.crash()
        trial.recover(disk.backing)
        return f"{len(trial.history.acked)} acked"

"""Who may open the directory (CRASH-12): one process, on a file system that can be written."""
import os
import random
import shutil
import subprocess

from disk import Bench, One, Trial
from gate import NotStarted


def refused(gate, words, settings=None):
    """The start is refused, with a text that has all these words."""
    kept = gate.daemon, gate.pid
    try:
        gate.start(settings=settings)
    except NotStarted as no:
        assert no.status > 0, f"it died: {no.status}"
        missing = [w for w in words if w not in no.text]
        assert not missing, f"{missing} is missing in {no.text!r}"
        return no.text.strip()
    else:
        gate.kill()
        raise AssertionError("it started")
    finally:
        gate.daemon, gate.pid = kept


def second(build, seed, top):
    with Bench(build, top) as bench:
        gate = bench.gate
        gate.data = os.path.join(top, "data")
        shutil.copytree(bench.template, gate.data)
        gate.start()
        client = One(Trial(bench, random.Random(seed)))
        assert client.send(1000)[0] == 250
        # with ports and a control socket of its own, so that only the directory is in its way
        other = {"control_socket": os.path.join(top, "other.sock"), "relay_listen": "127.0.0.1:0",
                 "submission_listen": "127.0.0.1:0", "submissions_listen": "127.0.0.1:0"}
        text = refused(gate, [gate.data, "partition-0"], other)
        assert client.send(1000)[0] == 250, "the first one was disturbed"
        assert len(gate.list()) == 2
        # and while it is stopped in the middle of its life, as by a debugger
        gate.daemon.send_signal(19)
        refused(gate, [gate.data], other)
        gate.daemon.send_signal(18)
        assert client.send(1000)[0] == 250, "the first one was disturbed"
        gate.kill()
        # a lock that a dead process left is no lock
        assert os.path.exists(os.path.join(gate.data, "partition-0", "lock"))
        gate.start()
        assert len(gate.list()) == 3
        assert gate.stop() == 0
        return text


def read_only(build, seed, top):
    """A file system that became read-only, and one that says EACCES."""
    with Bench(build, top) as bench:
        gate, texts = bench.gate, []
        for rule in ("open EROFS 1 forever", "open EACCES 1 forever", "create EROFS 1 forever"):
            with bench.disk() as disk:
                disk.say("fail " + rule)
                texts.append(refused(gate, [gate.data]))
                disk.say("fail clear")
        copy = os.path.join(bench.memory, "backing")
        mount = os.path.join(top, "mnt")
        os.mkdir(mount)
        subprocess.run(["mount", "--bind", copy, mount], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", mount], check=True)
            gate.data = mount
            texts.append(refused(gate, [mount]))
        finally:
            subprocess.run(["umount", mount], check=True)
        gate.data = copy
        gate.start()
        assert gate.stop() == 0
        return " | ".join(texts)

#!/usr/bin/env python3
"""Self-test of sekimori-faultfs: is the disk that fails when told to a sane disk?

    test_faultfs.py [PATH_OF_sekimori-faultfs] [NAME_OF_TEST...]

Needs root and /dev/fuse; exit status 77 where there is none.
The class Disk is also for the crash tests:

    with Disk(binary, backing) as d:
        ...start the daemon on d.at...
        d.say("cut 7 mix 1")
        ...load until it fails, kill the daemon...
    # now `backing` is what the disk holds: start again from there
"""
import errno
import mmap
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

SECTOR = 512


class Disk:
    """A faultfs mounted at self.at over `backing`, settled and gone at the end of the block."""

    def __init__(self, binary, backing, dir_loss=False):
        self.backing = backing
        self.at = tempfile.mkdtemp(prefix="faultfs.")
        self.control_path = self.at + ".control"
        self.process = subprocess.Popen(
            [binary, backing, self.at, "-f", "--control", self.control_path,
             "--dir-loss", "on" if dir_loss else "off"])
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self):
        # Once the socket listens, the mount is there.
        deadline = time.monotonic() + 10
        while True:
            self.control = socket.socket(socket.AF_UNIX)
            self.control.settimeout(60)
            try:
                self.control.connect(self.control_path)
                break
            except OSError:
                self.control.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("sekimori-faultfs does not start") from None
                time.sleep(0.005)
        self.counts()

    def say(self, command):
        """Send one command, return the answer without "ok", raise what begins with "error"."""
        self.control.sendall(command.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            got = self.control.recv(4096)
            if not got:
                raise RuntimeError("sekimori-faultfs went away at: " + command)
            answer += got
        text = answer.decode().strip()
        if not text.startswith("ok"):
            raise ValueError(f"{command}: {text}")
        return text[3:]

    def counts(self, part=""):
        pairs = (pair.split("=") for pair in self.say("counts " + part).split())
        return {key: int(value) if value.isdigit() else value for key, value in pairs}

    def close(self):
        if getattr(self, "control", None):
            self.control.close()
        # Plain umount first: it writes back dirty mappings. SIGTERM if somebody holds on.
        if subprocess.run(["umount", self.at], stderr=subprocess.DEVNULL, check=False).returncode:
            self.process.terminate()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if status:  # it did not come to unmount itself
            subprocess.run(["umount", "-l", self.at], stderr=subprocess.DEVNULL, check=False)
        os.rmdir(self.at)
        if os.path.exists(self.control_path):
            os.unlink(self.control_path)
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        status = self.close()
        if kind is None and status:
            raise RuntimeError(f"sekimori-faultfs ended with status {status}")


def write_file(path, data, sync=True, at=0, flags=0):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    try:
        os.pwrite(fd, data, at)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path):
    with open(path, "rb") as f:
        return f.read()


def sync_dir(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def aligned(data):
    buffer = mmap.mmap(-1, len(data))
    buffer.write(data)
    return buffer


def expect_error(number, call, *args, **named):
    try:
        call(*args, **named)
    except OSError as e:
        assert e.errno == number, f"{e} instead of {errno.errorcode[number]}"
    else:
        raise AssertionError(f"no {errno.errorcode[number]}")


# Each test gets new_disk(dir_loss=False) and the backing directory.

def test_tree_survives_a_clean_end(new_disk, backing):
    os.makedirs(backing + "/old/deep")
    write_file(backing + "/old/deep/file", b"before")
    os.chmod(backing + "/old/deep/file", 0o640)
    with new_disk() as d:
        assert read_file(d.at + "/old/deep/file") == b"before"
        os.mkdir(d.at + "/new", 0o750)
        write_file(d.at + "/new/a", b"x" * 5000, sync=False)
        write_file(d.at + "/new/b", b"y", sync=False)
        os.link(d.at + "/new/a", d.at + "/new/link")
        os.rename(d.at + "/new/b", d.at + "/old/b")
        os.rename(d.at + "/old/deep", d.at + "/new/deeper")
        os.truncate(d.at + "/new/a", 4000)
        expect_error(errno.ENOTEMPTY, os.rmdir, d.at + "/new")
        expect_error(errno.EEXIST, os.mkdir, d.at + "/old")
        assert sorted(os.listdir(d.at + "/new")) == ["a", "deeper", "link"]
        assert os.stat(d.at + "/new/a").st_nlink == 2
    assert sorted(os.listdir(backing)) == ["new", "old"]
    assert read_file(backing + "/new/a") == read_file(backing + "/new/link") == b"x" * 4000
    assert read_file(backing + "/new/deeper/file") == b"before"
    assert os.stat(backing + "/new/deeper/file").st_mode & 0o7777 == 0o640
    assert os.stat(backing + "/new").st_mode & 0o7777 == 0o750
    assert read_file(backing + "/old/b") == b"y"


def test_many_files_are_listed_once_while_removed(new_disk, backing):
    with new_disk() as d:
        for i in range(500):
            write_file(f"{d.at}/file-with-a-rather-long-name-{i}", b"", sync=False)
        with os.scandir(d.at) as entries:
            names = []
            for e in entries:
                names.append(e.name)
                os.unlink(e.path)
        assert len(set(names)) == len(names) == 500 and not os.listdir(d.at)
    assert not os.listdir(backing)


def test_keep_and_drop(new_disk, backing):
    for mode, want in (("keep", b"synced+later"), ("drop", b"synced")):
        with new_disk() as d:
            write_file(d.at + "/f", b"synced")
            write_file(d.at + "/f", b"+later", sync=False, at=6)
            d.say(f"cut now {mode} 1")
            assert d.counts()["power"] == "off"
            expect_error(errno.EIO, read_file, d.at + "/f")
            expect_error(errno.EIO, os.listdir, d.at)
            expect_error(errno.EIO, write_file, d.at + "/g", b"")
            d.say("finish")
            assert read_file(backing + "/f") == want
        assert read_file(backing + "/f") == want, mode
        os.unlink(backing + "/f")


def test_cut_before_and_after_the_nth_sync(new_disk, backing):
    for suffix, want in (("", 2), ("-before", 2), ("-after", 3)):
        with new_disk() as d:
            fd = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT)
            d.say(f"cut 3 drop{suffix} 1")
            for i in range(2):
                os.pwrite(fd, bytes([i]) * SECTOR, i * SECTOR)
                os.fdatasync(fd)
            os.pwrite(fd, b"\2" * SECTOR, 2 * SECTOR)
            expect_error(errno.EIO, os.fsync, fd)
            expect_error(errno.EIO, os.pwrite, fd, b"x", 0)
            expect_error(errno.EIO, os.fsync, fd)
            os.close(fd)
        left = b"".join(bytes([i]) * SECTOR for i in range(want))
        assert read_file(backing + "/f") == left, suffix
        os.unlink(backing + "/f")


def test_cut_counts_only_the_paths_asked_for(new_disk, backing):
    with new_disk() as d:
        d.say("cut 1 drop-after 1 .log")
        write_file(d.at + "/a.sst", b"1")
        expect_error(errno.EIO, write_file, d.at + "/a.log", b"2")
    assert read_file(backing + "/a.sst") == b"1" and read_file(backing + "/a.log") == b"2"


def sector_kind(now, old, new):
    half = (len(new) + 1) // 2
    kinds = {old: "old", new: "new", new[:half] + old[half:]: "torn"}
    return kinds.get(now, "noise")


def test_garble_and_mix_touch_unsynced_sectors_only(new_disk, backing):
    sectors = 64
    old, new = b"o" * SECTOR, b"n" * SECTOR
    for mode in ("garble", "mix"):
        seen = set()
        for seed in range(4):
            with new_disk() as d:
                write_file(d.at + "/f", old * sectors)
                fd = os.open(d.at + "/f", os.O_RDWR)
                for i in range(8, 24):
                    os.pwrite(fd, new, i * SECTOR)
                os.pwrite(fd, new[:100], 30 * SECTOR + 7)  # the rest of its sector is safe
                os.close(fd)
                d.say(f"cut now {mode} {seed}")
            data = read_file(backing + "/f")
            assert len(data) == sectors * SECTOR
            assert data[:8 * SECTOR] == old * 8
            assert data[24 * SECTOR:30 * SECTOR + 7] == (old * 7)[:6 * SECTOR + 7]
            assert data[30 * SECTOR + 107:] == (old * 34)[107:]
            seen |= {sector_kind(data[i * SECTOR:(i + 1) * SECTOR], old, new) for i in range(8, 24)}
        assert seen == {"old", "new", "torn", "noise"}, (mode, seen)


def test_the_same_seed_gives_the_same_disk(new_disk, backing):
    results = []
    for seed in (5, 5, 6):
        with new_disk() as d:
            for i in range(6):
                write_file(f"{d.at}/{i}", os.urandom(0) + bytes([i]) * 3000, sync=False)
            d.say(f"cut now mix {seed}")
        results.append({n: read_file(f"{backing}/{n}") for n in os.listdir(backing)})
        for n in results[-1]:
            os.unlink(f"{backing}/{n}")
    assert results[0] == results[1] != results[2]


def test_unsynced_truncate_and_append(new_disk, backing):
    before = b"a" * 1000
    after = b"a" * 10 + b"\0" * 10 + b"b" * 10
    for mode, want in (("keep", after), ("drop", before)):
        write_file(backing + "/f", before, flags=os.O_TRUNC)
        with new_disk() as d:
            os.truncate(d.at + "/f", 10)
            os.truncate(d.at + "/f", 20)
            write_file(d.at + "/f", b"b" * 10, sync=False, at=20)
            assert read_file(d.at + "/f") == after
            d.say(f"cut now {mode} 1")
        assert read_file(backing + "/f") == want, mode


def test_fallocate_and_zero_filling(new_disk, backing):
    with new_disk() as d:
        fd = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(fd, 0, 1 << 20)
        assert os.fstat(fd).st_size == 1 << 20
        for i in range(16):
            os.pwrite(fd, bytes(1 << 20), i << 20)
        os.pwrite(fd, b"x", 5)
        os.fdatasync(fd)
        os.pwrite(fd, bytes(4096), 0)
        assert os.pread(fd, 10, 0) == bytes(10)
        os.close(fd)
        d.say("cut now drop 1")
    assert os.path.getsize(backing + "/f") == 16 << 20
    assert read_file(backing + "/f")[:10] == bytes(5) + b"x" + bytes(4)


def test_dir_loss(new_disk, backing):
    def scene(d):
        for name in ("stays", "renamed", "removed"):
            write_file(f"{d.at}/{name}", name.encode())
        sync_dir(d.at)
        write_file(d.at + "/made", b"made")
        os.rename(d.at + "/renamed", d.at + "/moved")
        os.unlink(d.at + "/removed")
        os.mkdir(d.at + "/dir")
        write_file(d.at + "/dir/in", b"in")
        sync_dir(d.at + "/dir")  # helps its names, not its own

    late = ["dir", "made", "moved", "stays"]
    early = ["removed", "renamed", "stays"]
    for loss, mode, want in ((True, "drop", early), (True, "keep", late), (False, "drop", late)):
        with new_disk(dir_loss=loss) as d:
            scene(d)
            assert sorted(os.listdir(d.at)) == late
            d.say(f"cut now {mode} 1")
        assert sorted(os.listdir(backing)) == want, (loss, mode)
        for name in ("removed", "renamed"):
            assert want is late or read_file(f"{backing}/{name}") == name.encode()
        shutil.rmtree(backing)
        os.mkdir(backing)
    with new_disk(dir_loss=True) as d:
        scene(d)
        sync_dir(d.at)
        d.say("cut now drop 1")
    assert sorted(os.listdir(backing)) == late and read_file(backing + "/dir/in") == b"in"


def test_rename_is_all_or_nothing_across_directories(new_disk, backing):
    for synced, want in ((None, ("f", None)), ("a", (None, "f")), ("b", (None, "f"))):
        os.makedirs(backing + "/a")
        os.makedirs(backing + "/b")
        write_file(backing + "/a/f", b"content")
        with new_disk(dir_loss=True) as d:
            os.rename(d.at + "/a/f", d.at + "/b/f")
            if synced:
                sync_dir(f"{d.at}/{synced}")
            d.say("cut now drop 1")
        got = tuple((os.listdir(f"{backing}/{x}") or [None])[0] for x in "ab")
        assert got == want, (synced, got)
        shutil.rmtree(backing + "/a")
        shutil.rmtree(backing + "/b")


def test_current_file_pattern_of_rocksdb(new_disk, backing):
    """Append, fsync, write a temporary CURRENT, fsync, rename, fsync the directory: whatever the
    cut, CURRENT is whole and names a file no older than the last acknowledged switch."""
    for at in range(1, 18):
        for loss in (False, True):
            shutil.rmtree(backing)
            os.mkdir(backing)
            done = -1
            with new_disk(dir_loss=loss) as d:
                d.say(f"cut {at} mix-{'after' if at % 2 else 'before'} {at}")
                try:
                    for i in range(4):
                        write_file(f"{d.at}/MANIFEST-{i}", b"m%d" % i * 700)
                        write_file(d.at + "/tmp", b"MANIFEST-%d\n" % i, flags=os.O_TRUNC)
                        os.rename(d.at + "/tmp", d.at + "/CURRENT")
                        sync_dir(d.at)
                        done = i
                except OSError as e:
                    assert e.errno == errno.EIO
            if os.path.exists(backing + "/CURRENT"):
                name = read_file(backing + "/CURRENT").decode().strip()
                number = int(name.split("-")[1])
                assert number in (done, done + 1), (at, loss, name, done)
                assert read_file(f"{backing}/{name}") == b"m%d" % number * 700
            else:
                assert done == -1, (at, loss, done)


def test_failing_calls(new_disk, backing):
    with new_disk() as d:
        f = d.at + "/f"
        write_file(f, b"x" * 100)
        direct = os.open(f, os.O_RDONLY | os.O_DIRECT)
        rows = (
            ("write", "EIO", lambda: write_file(f, b"y", sync=False)),
            ("write", "ENOSPC", lambda: write_file(f, b"y", sync=False)),
            ("write", "EFBIG", lambda: write_file(f, b"y", sync=False)),
            ("fsync", "EIO", lambda: write_file(f, b"y")),
            ("fsyncdir", "EIO", lambda: sync_dir(d.at)),
            ("read", "EIO", lambda: os.preadv(direct, [aligned(bytes(512))], 0)),
            ("open", "EMFILE", lambda: read_file(f)),
            ("create", "EDQUOT", lambda: write_file(d.at + "/new", b"")),
            ("rename", "ENOSPC", lambda: os.rename(f, d.at + "/g")),
            ("truncate", "EIO", lambda: os.truncate(f, 5)),
            ("unlink", "EIO", lambda: os.unlink(f)),
            ("mkdir", "EROFS", lambda: os.mkdir(d.at + "/dir")),
        )
        for op, error, call in rows:
            d.say(f"fail {op} {error} 1")
            expect_error(getattr(errno, error), call)
            assert read_file(f)[1:] == b"x" * 99, op
        os.close(direct)
        assert d.counts()["failed"] == len(rows)
        d.say("fail read EIO 1 forever")
        expect_error(errno.EIO, read_file, f)
        d.say("fail clear")
        d.say("fail fallocate ENOSPC 1")
        fd = os.open(f, os.O_RDWR)
        expect_error(errno.ENOSPC, os.posix_fallocate, fd, 0, 4096)
        d.say("fail write EIO 3 2")
        for i in range(1, 7):
            if i in (3, 4):
                expect_error(errno.EIO, os.pwrite, fd, b"z", 0)
            else:
                os.pwrite(fd, b"z", 0)
        d.say("fail clear")
        d.say("fail write ENOSPC 1 forever other")
        os.pwrite(fd, b"z", 0)
        for _ in range(3):
            expect_error(errno.ENOSPC, write_file, d.at + "/other", b"z")
        os.close(fd)
        for wrong in ("fail nothing EIO 1", "fail write EWHAT 1", "cut 0 mix 1", "cut 1 mixed 1",
                      "space x", "flip f", "what"):
            try:
                d.say(wrong)
                raise AssertionError(wrong + " is taken")
            except ValueError:
                pass


def test_a_failed_fsync_cannot_be_retried(new_disk, backing):
    with new_disk() as d:
        fd = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b"1" * SECTOR, 0)
        os.fsync(fd)
        os.pwrite(fd, b"2" * SECTOR, 0)
        os.pwrite(fd, b"2" * SECTOR, SECTOR)
        d.say("fail fsync EIO 1")
        expect_error(errno.EIO, os.fsync, fd)
        os.fsync(fd)  # says that all is well
        assert os.pread(fd, 2 * SECTOR, 0) == b"2" * 2 * SECTOR
        os.pwrite(fd, b"3" * SECTOR, 2 * SECTOR)
        os.pwrite(fd, b"4" * 8, SECTOR)
        os.fsync(fd)
        d.say("fail clear")
        seen = b"2" * SECTOR + b"4" * 8 + b"2" * (SECTOR - 8) + b"3" * SECTOR
        assert os.pread(fd, 3 * SECTOR, 0) == seen
        os.close(fd)
        d.say("cut now keep 1")
    assert read_file(backing + "/f") == b"1" * SECTOR + b"4" * 8 + bytes(SECTOR - 8) + b"3" * SECTOR


def test_space(new_disk, backing):
    with new_disk() as d:
        write_file(d.at + "/old", b"o" * 8192)
        d.say("space 10000")
        v = os.statvfs(d.at)
        assert v.f_bavail * v.f_frsize <= 10000
        write_file(d.at + "/f", b"x" * 8000)
        fd = os.open(d.at + "/f", os.O_RDWR)
        assert os.pwrite(fd, b"y" * 4000, 8000) == 2000  # short, then nothing
        expect_error(errno.ENOSPC, os.pwrite, fd, b"y", 10000)
        write_file(d.at + "/old", b"n" * 8192)  # in place: costs nothing
        os.unlink(d.at + "/old")
        os.pwrite(fd, b"y" * 8192, 10000)
        expect_error(errno.ENOSPC, os.pwrite, fd, b"y", 18192)
        d.say("space off")
        os.pwrite(fd, b"y", 18192)
        os.close(fd)
    assert os.path.getsize(backing + "/f") == 18193


def test_o_direct(new_disk, backing):
    """Direct writes, buffered reads and mappings of one file agree; direct writes can be cut."""
    with new_disk() as d:
        direct = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        plain = os.open(d.at + "/f", os.O_RDWR)
        for i in range(3):
            block = bytes([65 + i]) * (2 << 20)
            assert os.pwritev(direct, [aligned(block)], 0) == len(block)
            back = aligned(bytes(len(block)))
            assert os.preadv(direct, [back], 0) == len(block) and back[:] == block
            assert os.pread(plain, len(block), 0) == block
        os.pwrite(plain, b"plain", 4096)
        back = aligned(bytes(4096))
        os.preadv(direct, [back], 4096)
        assert back[:5] == b"plain"
        view = mmap.mmap(plain, 8192)
        assert view[4096:4101] == b"plain"
        view[0:6] = b"mapped"
        view.flush()
        os.preadv(direct, [back], 0)
        assert back[:6] == b"mapped"
        os.fdatasync(direct)
        os.pwritev(direct, [aligned(b"z" * 4096)], 8192)
        view.close()
        os.close(direct)
        os.close(plain)
        assert d.counts("/f")["write"] >= 8 and d.counts("nothing")["write"] == 0
        d.say("cut now drop 1")
    data = read_file(backing + "/f")
    assert data[:6] == b"mapped" and data[4096:4101] == b"plain" and data[8192:8196] == b"CCCC"


def test_o_dsync(new_disk, backing):
    with new_disk() as d:
        for flags in (os.O_DIRECT, 0):
            fd = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT | os.O_DSYNC | flags)
            os.pwritev(fd, [aligned(b"d" * 4096)], 4096 if flags else 0)
            os.close(fd)
        assert d.counts()["syncs"] == 2
        d.say("cut now drop 1")
    assert read_file(backing + "/f") == b"d" * 8192


def test_flip(new_disk, backing):
    with new_disk() as d:
        write_file(d.at + "/f", b"abc" * 2000)
        assert read_file(d.at + "/f")[:3] == b"abc"
        with open(d.at + "/f", "rb") as held:  # its pages are cached, and no open drops them
            held.read()
            d.say("flip /f 1")
            held.seek(0)
            assert held.read(3) == b"acc"
        assert read_file(d.at + "/f")[:3] == b"acc"
    assert read_file(backing + "/f")[:3] == b"acc"


def test_removed_files_live_while_open(new_disk, backing):
    with new_disk(dir_loss=True) as d:
        write_file(d.at + "/gone", b"still")
        fd = os.open(d.at + "/gone", os.O_RDWR)
        os.unlink(d.at + "/gone")
        assert os.pread(fd, 5, 0) == b"still"
        os.close(fd)
        sync_dir(d.at)
        assert d.counts()["used"] == 0
    assert not os.listdir(backing)


def test_sigterm_with_files_open(new_disk, backing):
    d = new_disk()
    fd = os.open(d.at + "/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x", 0)
    assert d.close() == 0  # umount is busy, so it gets SIGTERM
    expect_error(errno.ENOTCONN, os.pwrite, fd, b"y", 0)
    os.close(fd)
    assert read_file(backing + "/f") == b"x"


def sqlite_run(path, synchronous, journal):
    """Twenty transactions; returns how many were acknowledged."""
    done = 0
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA cache_size=4")  # spills, so that pages are written before the commit too
        for i in range(20):
            db.execute("BEGIN")
            for k in range(4):
                db.execute("INSERT INTO t VALUES (?, ?, ?)", (i, k, bytes([65 + i]) * 3000))
            db.execute("COMMIT")
            done += 1
    except sqlite3.Error:
        pass
    finally:
        try:
            db.close()
        except sqlite3.Error:
            pass
    return done


def sqlite_rows(path):
    """Rows of each transaction in what a restart finds; checks each page on the way."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = db.execute("SELECT i, count(*), min(length(x)) FROM t GROUP BY i ORDER BY i").fetchall()
    db.close()
    return rows


def sqlite_sweep(new_disk, backing, synchronous, journal, dir_loss, step):
    """Cut at every `step`-th sync until a run ends untouched: each acknowledged transaction is
    there, whole, and at most the one in flight besides."""
    at = 1
    while True:
        shutil.rmtree(backing)
        os.mkdir(backing)
        db = sqlite3.connect(backing + "/db")
        db.execute("CREATE TABLE t (i INTEGER, k INTEGER, x BLOB)")
        db.close()
        with new_disk(dir_loss=dir_loss) as d:
            d.say(f"cut {at} mix-{'after' if at % 2 else 'before'} {at}")
            done = sqlite_run(d.at + "/db", synchronous, journal)
            cut = d.counts()["power"] == "off"
        rows = sqlite_rows(backing + "/db")
        assert rows == [(i, 4, 3000) for i in range(len(rows))], (at, rows)
        assert len(rows) in (done, done + 1), (at, done, rows)
        if not cut:
            assert done == 20 and at > 20, (at, done)
            return
        at += step


def test_sqlite_at_every_sync(new_disk, backing):
    sqlite_sweep(new_disk, backing, "FULL", "DELETE", dir_loss=False, step=1)


def test_sqlite_wal_at_every_sync(new_disk, backing):
    sqlite_sweep(new_disk, backing, "FULL", "WAL", dir_loss=False, step=1)


def test_sqlite_with_dir_loss(new_disk, backing):
    sqlite_sweep(new_disk, backing, "EXTRA", "DELETE", dir_loss=True, step=3)


def test_sqlite_without_syncs_does_lose(new_disk, backing):
    """The control of the tests above: the cuts are harsh enough to be noticed."""
    db = sqlite3.connect(backing + "/db")
    db.execute("CREATE TABLE t (i INTEGER, k INTEGER, x BLOB)")
    db.close()
    with new_disk() as d:
        assert sqlite_run(d.at + "/db", "OFF", "DELETE") == 20
        d.say("cut now drop 1")
    assert len(sqlite_rows(backing + "/db")) == 0


def run(test, binary):
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    top = tempfile.mkdtemp(prefix="faultfs-test.", dir=memory)
    backing = top + "/backing"
    os.mkdir(backing)
    disks = []

    def new_disk(dir_loss=False):
        disks.append(Disk(binary, backing, dir_loss))
        return disks[-1]

    try:
        test(new_disk, backing)
    finally:
        for d in disks:
            if d.process.poll() is None:
                d.close()
        shutil.rmtree(top)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "build/sekimori-faultfs"
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        print("skipped: needs root and /dev/fuse")
        return 77
    tests = [f for name, f in globals().items() if name.startswith("test_")]
    if sys.argv[2:]:
        tests = [f for f in tests if f.__name__ in sys.argv[2:]]
    failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            run(test, binary)
            verdict = "ok"
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            line = e.__traceback__
            while line.tb_next:
                line = line.tb_next
            verdict = f"FAILED {type(e).__name__}: {e} (line {line.tb_lineno})"
        print(f"{time.monotonic() - start:6.2f} s  {test.__name__[5:]}: {verdict}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

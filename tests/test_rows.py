#!/usr/bin/env python3
"""test_rows -- tests/rows on tiny trees: what it finds, and what it must not let pass."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))


def load_rows():
    loader = importlib.machinery.SourceFileLoader("rows", os.path.join(HERE, "rows"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("rows", loader))
    loader.exec_module(module)
    return module


rows = load_rows()

C = '''/* The body of SMUG-09. */
#include "x.h"

static const struct {
    const char *name;
} table[] = {
    {"SMUG-01 LF"},
};

/* SMUG-02: the other. */
static void test_two(void)
{
    expect(true, "SMUG-03, 04 %u", 1);
}

int main(void)
{
    const struct test tests[] = {
        {"SMUG-05 list", test_five},
        {NULL, NULL},
    };
}
'''
PYTHON = '''"""All of SMUG-01."""
ROWS = {"SMUG-02": 1}


class Ends:
    # SMUG-03
    def test_it(self):
        pass

    def test_SMUG_04_and_05_too(self):
        pass
'''
SESSION = "# SMUG-02\n== SMUG-01 a dot (SMUG-02: at every cut)\nS: 220\n\n== plain\nC: NOOP\n"
LIST = "[SMUG] dots\nSMUG-01 one\n~ SMUG-02 two\n"

SCANS = [
    ("t.c", C, {"SMUG-09": [""], "SMUG-01": ["table"], "SMUG-02": ["test_two"],
                "SMUG-03": ["test_two"], "SMUG-04": ["test_two"], "SMUG-05": ["test_five"]}),
    ("t.py", PYTHON, {"SMUG-01": [""], "SMUG-02": ["ROWS"], "SMUG-03": ["Ends.test_it"],
                      "SMUG-04": ["Ends.test_SMUG_04_and_05_too"],
                      "SMUG-05": ["Ends.test_SMUG_04_and_05_too"]}),
    ("t.session", SESSION, {"SMUG-02": ["", "SMUG-01 a dot"], "SMUG-01": ["SMUG-01 a dot"]}),
]

# what, files over {tests/rows.txt: LIST}, arguments, exit status, part of the output
TREES = [
    ("no table yet", {"tests/a.session": SESSION}, [], 1, "SMUG-01 is missing"),
    ("written", {"tests/a.session": SESSION}, ["--write"], 0, "2 of 2 have a test, 0 wait"),
    ("a test for what waits", {"tests/a.session": SESSION}, ["--write"], 0, "take its ~"),
    ("waiting", {"tests/a.session": "== SMUG-01 x\n"}, ["--write"], 1, "1 wait for their test, 0"),
    ("one may wait", {"tests/a.session": "== SMUG-01 x\n"}, ["--write", "--waiting", "1"], 0,
     "1 of 2 have a test"),
    ("no test", {"tests/a.session": "== SMUG-02 x\n"}, ["--write"], 1, "SMUG-01: no test"),
    ("no such row", {"tests/a.session": SESSION + "\n== SMUG-03 x\n"}, ["--write"], 1,
     "SMUG-03: no such row"),
    ("a test that is gone", {"tests/a.session": SESSION, "tests/ROWS.md":
                             "| SMUG-01 | one | `tests/a.session: SMUG-01 another` |\n"
                             "| SMUG-02 | two | waiting |\n"}, [], 1, "SMUG-01 is gone"),
    ("a test that is there", {"tests/a.session": SESSION, "tests/ROWS.md":
                              "| SMUG-01 | one | `tests/a.session: SMUG-01 a dot` |\n"
                              "| SMUG-02 | two | waiting |\n"}, [], 0, "0 faults"),
]


def try_tree(what, files, arguments, status, part):
    root = tempfile.mkdtemp(prefix="rows.")
    try:
        for path, text in {"tests/rows.txt": LIST, **files}.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            got = rows.main(arguments + ["--root", root])
    finally:
        shutil.rmtree(root)
    if got == status and part in out.getvalue():
        return 0
    print("%s: status %d, want %d and `%s`:\n%s" % (what, got, status, part, out.getvalue()))
    return 1


def main():
    failed = 0
    for path, text, want in SCANS:
        got = {row: list(names) for row, names in rows.scan(path, text).items()}
        if got != want:
            failed += 1
            print("%s:\n  have %s\n  want %s" % (path, got, want))
    failed += sum(try_tree(*tree) for tree in TREES)
    count = len(SCANS) + len(TREES)
    print("%d passed, %d failed" % (count - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

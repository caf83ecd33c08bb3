"""Ask a child over a pipe, and get its replies; each of the two notices when the other has ended."""

import contextlib
import multiprocessing.connection
import signal


def reply(end):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent
    with contextlib.suppress(EOFError, OSError):  # the parent has closed its end, or has ended
        while True:
            end.send(end.recv().upper())


if __name__ == "__main__":  # the child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    own_end, childs_end = ctx.Pipe()
    child = ctx.Process(target=reply, args=(childs_end,), daemon=True)  # a failing parent does not wait
    child.start()
    childs_end.close()  # while this copy is open, nobody sees that the child has ended
    with contextlib.suppress(EOFError, OSError):  # the child has ended: its exit code says how
        for request in ("one", "two", "three"):
            own_end.send(request)
            if not multiprocessing.connection.wait([own_end], timeout=30):  # recv has no limit of its own
                raise SystemExit("no reply in time")  # the next request would get it instead of its own
            print(request, "->", own_end.recv())
    own_end.close()  # the end of the pipe for the child, which ends, too
    child.join(timeout=20)
    print("exit code of the child:", child.exitcode)

"""Runs the AWS client's own code without loading it anew for every call, which takes most of a call.

    warm_client.py serve SOCKET           loads the client once, says "ready", and serves until its
                                          standard input ends; each call is a process of its own
    warm_client.py call SOCKET ARGS...    a call: arguments, environment, folder and standard streams
                                          are those of this process, and so is the exit code

For clients that are a Python program, as Debian's is; `dev/aws/setup.ts` starts it.
"""

import json
import os
import select
import socket
import sys

MOST = 1 << 20  # bytes of arguments and environment


def serve(path):
    before = dict(os.environ)
    from awscli import clidriver

    clidriver.create_clidriver()  # loads what it plugs in; each call makes its own
    # Where its data lie, the client writes into its own environment while it is loaded.
    added = {name: value for name, value in os.environ.items() if before.get(name) != value}
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    calls = set()
    while listener in select.select([listener, 0], [], [])[0]:
        connection, _ = listener.accept()
        child = os.fork()
        if child == 0:
            listener.close()
            answer(connection, clidriver.main, added)
        connection.close()
        calls = {child, *(one for one in calls if os.waitpid(one, os.WNOHANG)[0] == 0)}
    for child in calls:
        os.waitpid(child, 0)


def answer(connection, main, added):
    message, streams, _, _ = socket.recv_fds(connection, MOST, 3)
    for stream, given in enumerate(streams):
        os.dup2(given, stream)
        os.close(given)
    request = json.loads(message)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for name, value in added.items():
        os.environ.setdefault(name, value)
    sys.argv = ["aws", *request["arguments"]]
    code = 255
    try:
        code = main() or 0
    except SystemExit as error:
        code = error.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(str(code).encode())
        os._exit(0)


def call(path, arguments):
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        return int(connection.recv(16) or 255)


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    sys.exit(call(sys.argv[2], sys.argv[3:]))

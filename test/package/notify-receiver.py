"""What systemd does with NOTIFY_SOCKET: receives datagrams with the sender's credentials, which the
kernel fills in. Prints 'listening', then one JSON object for each message; descriptors that come
along, as the barrier of systemd-notify, are closed."""

import array
import json
import os
import socket
import struct
import sys

address = sys.argv[1]
path = "\0" + address[1:] if address.startswith("@") else address
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
receiver.bind(path)
if not address.startswith("@"):
    os.chmod(path, 0o777)
print("listening", flush=True)
while True:
    text, ancillary, _, _ = receiver.recvmsg(65536, 1024)
    sender = {}
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            sender = dict(zip(("pid", "uid", "gid"), struct.unpack("3i", data[:12])))
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            for descriptor in array.array("i", data[: len(data) // 4 * 4]):
                os.close(descriptor)
    print(json.dumps({"text": text.decode("utf-8", "replace"), **sender}), flush=True)

"""sink.py FOLDER: keeps what is posted to http://127.0.0.1:8099, each body as a file of FOLDER.

Of Python it takes no more than Debian's python3-minimal has, which is without http.server.
"""

import os
import re
import socket
import sys
import tempfile

with socket.create_server(("127.0.0.1", 8099)) as server:
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as request:
            head = b"".join(iter(request.readline, b"\r\n"))
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            body = request.read(int(length[1])) if length else b""
            # Under its name once it is whole: the tests count the files.
            number, name = tempfile.mkstemp(dir=os.path.dirname(sys.argv[1]))
            with os.fdopen(number, "wb") as file:
                file.write(body)
            os.rename(name, os.path.join(sys.argv[1], os.path.basename(name)))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

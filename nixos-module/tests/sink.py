"""sink.py FOLDER: keeps what is posted to http://127.0.0.1:8099, each body as a file of FOLDER."""

import http.server
import os
import sys
import tempfile


class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # Under its name once it is whole: the tests count the files.
        number, name = tempfile.mkstemp(dir=os.path.dirname(sys.argv[1]))
        with os.fdopen(number, "wb") as file:
            file.write(body)
        os.rename(name, os.path.join(sys.argv[1], os.path.basename(name)))
        self.send_response(200)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8099), Sink).serve_forever()

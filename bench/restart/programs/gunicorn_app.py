# The service for gunicorn, as a WSGI application: what WSGI knows of it.
import hashlib
import json
import time
from urllib.parse import parse_qs

PATTERN = bytes(index % 251 for index in range(251 * 256))


def content(start, end):
    offset = start % 251
    text = PATTERN
    while len(text) < offset + end - start:
        text += PATTERN
    return text[offset:offset + end - start]


def parts(size):
    for part in range(10):
        yield content(size * part // 10, size * (part + 1) // 10)
        time.sleep(0.1)


def application(environ, start_response):
    path = environ['PATH_INFO']
    query = parse_qs(environ['QUERY_STRING'])
    if path == '/download':
        start_response('200 OK', [('Content-Type', 'application/octet-stream')])
        return parts(int(query['size'][0]))
    answer = {'hello': 'world'}
    if path == '/slow':
        time.sleep(int(query['ms'][0]) / 1000)
    if path == '/upload':
        digest = hashlib.sha256()
        while True:
            part = environ['wsgi.input'].read(65536)
            if not part:
                break
            digest.update(part)
        answer = {'sha256': digest.hexdigest()}
    body = json.dumps(answer).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]

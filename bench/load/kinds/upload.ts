import { setTimeout as delay } from 'node:timers/promises'
import { content, contentDigest } from '../content.js'
import { DEFAULT_SIZE, type Client } from '../load-options.js'
import { Lost } from '../tally.js'
import { exchanges } from './keep-alive.js'

const PARTS = 10
/** ms between two parts: the request is under way for about a second. */
const INTERVAL = 100

/** Long requests that are sent in parts; the answer must be the digest of all. */
export const upload: Client = async (options, tally, signal) => {
  const { size = DEFAULT_SIZE, path = '/upload', host, port } = options
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n`
  await exchanges(options, tally, signal, () => {
    const received: Buffer[] = []
    return {
      head,
      body: parts(size),
      onBody: bytes => { received.push(bytes) },
      verify: () => { if (!Buffer.concat(received).toString().includes(contentDigest(size))) throw new Lost('corrupt') },
    }
  })
}

async function * parts (size: number): AsyncGenerator<Buffer> {
  for (let part = 0; part < PARTS; part++) {
    yield content(Math.floor(size * part / PARTS), Math.floor(size * (part + 1) / PARTS))
    await delay(INTERVAL)
  }
}

// What every service of this bench answers, whatever restarts it.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

const PARTS = 10
/** ms between two parts of a download: it is under way for about a second. */
const INTERVAL = 100

const pattern = Buffer.from(Array.from({ length: 251 * 256 }, (_byte, index) => index % 251))

export function routes (app) {
  app.get('/', async () => ({ hello: 'world' }))
  app.get('/slow', async request => {
    await delay(Number(request.query.ms))
    return { hello: 'world' }
  })
  app.get('/work', async request => ({ spins: spin(Number(request.query.ms)) }))
  app.get('/download', async (request, reply) => reply.type('application/octet-stream').send(Readable.from(parts(Number(request.query.size)))))
  app.addContentTypeParser('application/octet-stream', (_request, body, done) => done(null, body))
  app.post('/upload', async request => {
    const digest = createHash('sha256')
    for await (const bytes of request.body) digest.update(bytes)
    return { sha256: digest.digest('hex') }
  })
}

async function * parts (size) {
  for (let part = 0; part < PARTS; part++) {
    yield content(Math.floor(size * part / PARTS), Math.floor(size * (part + 1) / PARTS))
    await delay(INTERVAL)
  }
}

function content (from, to) {
  const start = from % 251
  return start + to - from <= pattern.length
    ? pattern.subarray(start, start + to - from)
    : Buffer.concat([pattern.subarray(start), content(from + pattern.length - start, to)])
}

/** So many ms of processor time. */
function spin (ms) {
  const end = cpu() + ms * 1000
  let spins = 0
  do {
    for (let count = 0; count < 1000; count++) spins++
  } while (cpu() < end)
  return spins
}

function cpu () {
  const { user, system } = process.cpuUsage()
  return user + system
}

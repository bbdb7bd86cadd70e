import { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import { generateKey, type SessionStore } from '@fastkeep/secure-session'
import { LmdbStore } from '@fastkeep/secure-session/lmdb'
import { RedisStore } from '@fastkeep/secure-session/redis'
import { Child, plainEnvironment, runNode } from '../child.ts'
import { fileURLToPath } from 'node:url'
import { httpApp } from './https-app.ts'
import { RedisServer, withRedis } from './redis-server.ts'

interface Place {
  name: 'lmdb' | 'redis'
  at: string
  store: SessionStore
}

const key = generateKey()

async function lmdb (t: Test): Promise<Place> {
  const at = t.testdir()
  return { name: 'lmdb', at, store: new LmdbStore({ path: at }) }
}

async function redis (t: Test): Promise<Place> {
  const server = await RedisServer.start(t)
  return { name: 'redis', at: String(server.port), store: new RedisStore({ client: await server.readyClient(t) }) }
}

/** An application over the same sessions as the workers, and the cookie of one of them. */
async function startedWith (t: Test, place: Place): Promise<{ app: FastifyInstance, cookie: string, read: () => Promise<Record<string, number>> }> {
  const { app } = await httpApp(t, { keys: [key], development: true, csrf: false, store: place.store })
  app.post('/begin', async ({ session }) => { session.user = 'ada'; return '' })
  app.get('/read', async ({ session }) => session.data())
  const { headers } = await app.inject({ method: 'POST', url: '/begin' })
  const cookie = /session=([^;]+)/.exec(String(headers['set-cookie']))![1]!
  return { app, cookie, read: async () => (await app.inject({ url: '/read', headers: { cookie: `session=${cookie}` } })).json() }
}

async function worker (t: Test, { name, at }: Place, cookie: string): Promise<Child> {
  const child = new Child(t, process.execPath, [fileURLToPath(new URL('fixtures/worker.js', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...plainEnvironment(), FASTKEEP_SESSION_KEYS: key, STORE: name, PLACE: at, COOKIE: cookie },
  })
  await child.match(/ready/)
  return child
}

for (const [make, options] of [[lmdb, {}], [redis, withRedis]] as const) {
  test(`${make.name}: 100 updates from 4 processes count to exactly 100`, options, async t => {
    const place = await make(t)
    const { cookie, read } = await startedWith(t, place)
    const workers = await Promise.all(Array.from({ length: 4 }, () => worker(t, place, cookie)))
    for (const child of workers) child.process.stdin!.end('go')
    for (const child of workers) t.match(await child.ended, { code: 0 }, child.output)
    t.match(await read(), { visits: 100 })
  })
}

test('lmdb: of what was acknowledged kill -9 of the writer loses nothing, 50 times', async t => {
  const PLACE = t.testdir()
  const store = new LmdbStore({ path: PLACE })
  t.teardown(() => store.close())
  const now = Math.floor(Date.now() / 1000)
  const moment = { now, idleTimeout: 1000, absoluteTimeout: 1000, renewAfter: 500 }
  await store.create('id', { version: 1, createdAt: now, renewedAt: now, data: '{}' }, moment)
  const start = async (): Promise<Child> => {
    const writer = runNode(t, new URL('fixtures/writer.js', import.meta.url), { PLACE, ID: 'id' }, [], { stdio: ['pipe', 'pipe', 'pipe'] })
    await writer.match(/ready/)
    return writer
  }
  // The next one starts while the last one writes: to start takes longest.
  let next = start()
  for (let round = 0; round < 50; round++) {
    const writer = await next
    if (round < 49) next = start()
    writer.process.stdin!.write('go')
    await writer.match(new RegExp(`acknowledged ${5 + round % 20}\\n`))
    writer.kill('SIGKILL')
    await writer.ended
    const acknowledged = Number(writer.output.match(/acknowledged (\d+)\n/g)?.at(-1)?.match(/\d+/)?.[0])
    const { written } = JSON.parse((await store.read('id', moment))!.data) as { written: number }
    t.ok(written >= acknowledged, `round ${round}: ${acknowledged} was acknowledged and ${written} is there`)
  }
})
